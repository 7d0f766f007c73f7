"""Where a training run is in its epochs and stages, how much is left, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..data import Loader
from ..models import Stage, TrainingOptions


class Position:
    """What a Trainer counts, and what follows from it.

    Attributes:
        epoch, step, images: done in all.
        batch: batches of this epoch that are done.
        stage: the number of the stage.
        stage_epoch, stage_step, stage_images: done in this stage.
        ended: why the stage ends after this epoch.
        stop: set it to a reason to end training after this epoch.
    """

    stages: Sequence[Stage]
    options: TrainingOptions
    loader: Loader
    stage = epoch = batch = step = images = 0
    stage_epoch = stage_step = stage_images = 0
    ended: str | None = None
    stop: str | None = None

    @property
    def epochs(self) -> int:
        """How many epochs there will be, of all stages together, as far as one can tell."""
        total = self.epoch - self.stage_epoch
        total += sum(self._epochs_of(stage) for stage in self.stages[self.stage :])
        if self.options.max_steps is not None:
            total = min(total, math.ceil(self.options.max_steps / self._steps_an_epoch))
        return total

    @property
    def _steps_an_epoch(self) -> int:
        return math.ceil(len(self.loader) / self.options.accumulate)

    def _epochs_of(self, stage: Stage) -> int:
        """The epochs of a stage, the last of which may be cut short."""
        if stage.epochs is not None:
            return stage.epochs
        if stage.steps is not None:
            return math.ceil(stage.steps / self._steps_an_epoch)
        assert stage.images is not None
        return math.ceil(stage.images / self.loader.samples)

    @property
    def _steps_done(self) -> int:
        """The steps of this epoch that are done."""
        return math.ceil(self.batch / self.options.accumulate)

    @property
    def _steps_now(self) -> int:
        """The steps that this epoch will have: fewer than others if training ends within it."""
        stage, left = self.stages[self.stage], self._steps_an_epoch - self._steps_done
        if self.options.max_steps is not None:
            left = min(left, self.options.max_steps - self.step)
        if stage.steps is not None:
            left = min(left, stage.steps - self.stage_step)
        if stage.images is not None:
            a_step = self.loader.batch_size * self.options.accumulate
            left = min(left, math.ceil((stage.images - self.stage_images) / a_step))
        return self._steps_done + left

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        last = self.stage + 1 >= len(self.stages)
        return self.stop is not None or self._out_of_steps or (last and self._stage_done)

    @property
    def _out_of_steps(self) -> bool:
        limit = self.options.max_steps
        return limit is not None and self.step >= limit

    @property
    def _full(self) -> bool:
        """Whether no further step is to be done in this epoch."""
        return self._out_of_steps or self._stage_full

    @property
    def _stage_done(self) -> bool:
        """Whether the stage is over, and the epoch with it."""
        return self.batch == 0 and (self.ended is not None or self._stage_full)

    @property
    def _stage_full(self) -> bool:
        """Whether the stage has its length, be it in the middle of an epoch."""
        stage = self.stages[self.stage]
        if stage.epochs is not None:
            return self.stage_epoch >= stage.epochs
        if stage.steps is not None:
            return self.stage_step >= stage.steps
        assert stage.images is not None
        return self.stage_images >= stage.images
