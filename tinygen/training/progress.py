"""What a person sees while a model trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """One line an epoch; within it a bar, if tqdm is installed and the output is a terminal.

    Args:
        show: False to show nothing.
        log: called with every finished line, to keep it.
    """

    def __init__(self, show: bool = True, log: Any = None) -> None:
        self.show, self.log = show, log
        self.bar: Any = None
        self.title = ""

    def begin(self, epoch: int, epochs: int, batches: int, done: int, stage: str) -> None:
        """A new epoch, counted from 0, of which `done` batches are done already."""
        name = "" if stage == "train" else f" ({stage})"
        self.title = f"epoch {epoch + 1}/{epochs}{name}"
        if self.show and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                return
            self.bar = tqdm(
                total=batches, initial=done, desc=self.title, leave=False, unit=" steps"
            )

    def step(self, losses: dict[str, float]) -> None:
        """One step is done."""
        if self.bar is not None:
            self.bar.update()
            if self.bar.n % 50 == 0:
                text = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
                self.bar.set_postfix_str(text, refresh=False)

    def end(self, row: dict[str, Any], seconds: float) -> None:
        """The epoch is over; its figures are shown for good."""
        self._clear()
        figures = {k: v for k, v in row.items() if isinstance(v, float)}
        text = "  ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in figures.items())
        self.say(f"{self.title}  {text}  ({seconds:.1f} s)")

    def say(self, line: str) -> None:
        """A line for the person and for the log."""
        if self.show:
            print(line, flush=True)
        if self.log is not None:
            self.log(line)

    def close(self, reason: str | None) -> None:
        """Training is over; `reason` says why, if it ended early."""
        self._clear()
        if reason:
            self.say(f"stopped early: {reason}")

    def _clear(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
