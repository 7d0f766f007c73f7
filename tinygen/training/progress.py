"""What a person sees while a model trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

MANY, SHOWN = 100, 50  # of more than so many epochs, only so many are shown

ABBREVIATED = {
    "discriminator_loss": "D",
    "generator_loss": "G",
    "discriminator": "D",
    "generator": "G",
    "real_score": "real",
    "fake_score": "fake",
}
LEFT_OUT = (
    "valid_generator_loss",
    "valid_real_score",
    "valid_fake_score",
    "discriminator_gradient",
    "generator_gradient",
    "seen_real_score",
    "nearest_sample",
    "nearest_real",
)  # of the line of an epoch


class Progress:
    """One line an epoch; within it a bar, if tqdm is installed and the output is a terminal.

    Of a run of very many epochs, it is a line every so many.

    Args:
        show: False to show nothing.

    Attributes:
        log: called with every finished line, to keep it.
    """

    def __init__(self, show: bool = True) -> None:
        self.show = show
        self.log: Callable[[str], None] | None = None
        self.bar: Any = None
        self.title, self.shown = "", True

    def begin(self, epoch: int, epochs: int, batches: int, done: int, stage: str) -> None:
        """A new epoch, counted from 0, of which `done` batches are done already."""
        name = "" if stage == "train" else f" ({stage})"
        self.title = f"epoch {epoch + 1}/{epochs}{name}"
        every = epochs // SHOWN if epochs > MANY else 1
        self.shown = (epoch + 1) % every == 0 or epoch in (0, epochs - 1)
        if self.show and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                return
            self.bar = tqdm(
                total=batches,
                initial=done,
                desc=self.title,
                leave=False,
                unit=" steps",
                delay=0.3,  # an epoch that takes less needs no bar
            )

    def step(self, losses: dict[str, float]) -> None:
        """One step is done; the losses may be those of an earlier one, or none."""
        if self.bar is not None:
            self.bar.update()
            if losses and self.bar.n % 50 == 0:
                names = losses if len(losses) > 1 else ["loss"]
                figures = zip(names, losses.values(), strict=True)
                text = ", ".join(f"{title(name)} {short(value)}" for name, value in figures)
                self.bar.set_postfix_str(text, refresh=False)

    def end(self, row: dict[str, Any], seconds: float) -> None:
        """The epoch is over; its figures are shown for good."""
        self.close()
        if self.shown:
            figures = {k: v for k, v in row.items() if isinstance(v, float)}
            text = "  ".join(
                f"{title(k)} {short(v)}" for k, v in figures.items() if k not in LEFT_OUT
            )
            self.say(f"{self.title}  {text}  ({seconds:.1f} s)")

    def say(self, line: str) -> None:
        """A line for the person and for the log."""
        if self.show:
            try:
                print(line, flush=True)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                self.show = False  # the terminal is gone; training goes on
        if self.log is not None:
            self.log(line)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def title(name: str) -> str:
    """The name of a figure in words, or as the papers abbreviate it."""
    for long, letter in ABBREVIATED.items():
        name = name.replace(long, letter)
    return name.replace("_", " ")


def short(value: float) -> str:
    """A figure with four decimals, or three digits if it is very small or large; counts as such."""
    if value.is_integer() and abs(value) < 1e5:
        return f"{value:.0f}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1e5 else f"{value:.3g}"
