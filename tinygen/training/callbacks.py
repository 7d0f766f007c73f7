"""What can be hooked into a training loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..backend import Array
from ..models.kinds import check_kind
from ..ranges import finite, whole

if TYPE_CHECKING:
    from .loop import Trainer


class Callback:
    """Base: override what is needed. The state of a callback is kept in checkpoints."""

    def on_begin(self, trainer: Trainer) -> None:
        """Called before the first step of a run, but not when it goes on from a checkpoint."""

    def on_stage(self, trainer: Trainer) -> None:
        """Called when a stage begins, the first one too, but not when a run goes on within it."""

    def on_stage_end(self, trainer: Trainer) -> None:
        """Called when a stage has come to its end, early or not."""

    def on_step(self, trainer: Trainer, losses: dict[str, float]) -> None:
        """Called after every step with the loss of each phase that ran, and its other figures."""

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Called after every epoch, and one cut short by `max_steps`, with its line of metrics."""

    def on_end(self, trainer: Trainer) -> None:
        """Called when training has come to its end, early or not."""

    def state_dict(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays, and values that JSON can hold, for a checkpoint."""
        return {}, {}

    def load_state_dict(self, arrays: dict[str, Array], values: dict[str, Any]) -> None:
        """Go on from there."""


class EarlyStopping(Callback):
    """Ends a stage when a figure has not improved for a while, and brings back its best weights.

    Of several stages each is ended by itself, on what it trains.

    Args:
        monitor: a key of the metrics, such as "valid_loss"; lower is better.
        patience: epochs without improvement to wait for.
        min_delta: what counts as an improvement.
        restore_best: end with the weights of the best epoch.
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        self.patience = whole("EarlyStopping: patience", patience)
        self.min_delta = finite("EarlyStopping: min_delta", min_delta)
        self.monitor = monitor
        self.restore_best = restore_best
        self.best, self.waited = math.inf, 0
        self.weights: dict[str, Array] = {}

    def on_stage(self, trainer: Trainer) -> None:
        """Forget what came of another stage, or another run."""
        self.best, self.waited, self.weights = math.inf, 0, {}

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Remember the best, count the others."""
        if trainer.batch:
            return  # the epoch was cut short; whoever goes on will see it whole
        if self.monitor not in row:
            raise ValueError(
                f"EarlyStopping: no {self.monitor!r} in the metrics, which are {', '.join(row)}"
            )
        if row[self.monitor] < self.best - self.min_delta:
            self.best, self.waited = row[self.monitor], 0
            self.weights = trainer.model.state_dict() if self.restore_best else {}
        else:
            self.waited += 1
            if self.waited >= self.patience:
                trainer.end_stage(f"{self.monitor} has not improved for {self.waited} epochs")

    def on_stage_end(self, trainer: Trainer) -> None:
        """Bring back the best weights."""
        if self.weights:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The best so far."""
        best = None if self.best == math.inf else self.best
        return self.weights, {"best": best, "waited": self.waited}

    def load_state_dict(self, arrays: dict[str, Array], values: dict[str, Any]) -> None:
        """Go on from there."""
        best, waited = values["best"], values["waited"]
        check_kind("best", best, float | None)
        check_kind("waited", waited, int)
        self.weights = arrays
        self.best, self.waited = math.inf if best is None else best, waited
