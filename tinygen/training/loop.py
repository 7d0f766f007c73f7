"""The training loop: one for scripts and for the shell, resumable after any step."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, using_precision
from ..config import hooks
from ..data import Loader
from ..models import Stage, TrainingOptions
from ..nn import Module
from ..ops.random import Random
from ..optim import EMA, Optimizer
from . import state
from .callbacks import Callback
from .checkpoint import CheckpointError, checkpoints, describe, is_state, load_arrays
from .fingerprint import Prints, fingerprints
from .losses import Losses
from .measure import TrainingError, check_batches, check_data, check_finite, evaluate
from .position import Position
from .progress import Progress
from .run import Run
from .signals import Interrupted, Signals
from .step import Step, check_names, given_optimizers, make_optimizers

EPOCH_SECONDS = 1  # a checkpoint is written after every epoch, but no more often than this,
SAVE_SECONDS = 600  # and within an epoch after so long


class Trainer(Position):
    """Trains a model through its stages, and can go on from any step as if nothing had happened.

    All that the next step depends on is in `state()`: weights, optimisers, counters, callbacks.
    Noise comes from (seed, phase, step) and the order of samples from (seed, epoch), so they need
    no state at all. A step does all phases of its stage on one batch, or on `accumulate` of them.

    Args:
        model: changed in place.
        stages: what to do; see models.Stage.
        arrays: the training data, one or several arrays with the same first axis.
        options: how to train.
        valid: the validation data, likewise; may be empty.
        test: what is kept for the very end: no step sees it, but a run goes on with the same alone.
        callbacks: see Callback.
        progress: what shows how far it is.
        optimizers: by name, to use in every stage instead of those that the options describe; or
            one, for stages that train one module. Each holds all parameters of its module that are
            not frozen.
    """

    def __init__(
        self,
        model: Module,
        stages: Sequence[Stage],
        arrays: Sequence[Array],
        options: TrainingOptions | None = None,
        *,
        valid: Sequence[Array] = (),
        test: Sequence[Array] = (),
        callbacks: Sequence[Callback] = (),
        progress: Progress | None = None,
        optimizers: Mapping[str, Optimizer] | Optimizer | None = None,
    ) -> None:
        if not stages:
            raise ValueError("there is nothing to train: no stages")
        check_data(model, arrays, valid)
        self.model, self.stages, self.arrays, self.valid = model, list(stages), arrays, valid
        self.options = options or TrainingOptions(device=model.device)
        self.rng = Random(self.options.seed, "training", device=model.device)
        self.callbacks = list(callbacks)
        self.progress = progress or Progress(False)
        check_names(self.stages, self.options.optimizers)
        check_batches(model, self.stages, len(arrays[0]), self.options)
        self.test = test
        self.given = given_optimizers(self.stages, optimizers)
        self.run: Run | None = None  # a folder to write to; see write_to
        self.signals = Signals()
        self.losses = Losses()
        self.sums: dict[str, tuple[float, int]] = {}  # of the losses of this epoch, and samples
        self.last: dict[str, tuple[float, int]] = {}  # the same of the last step that was read
        self.last_step = -1
        self.rows: list[dict[str, Any]] = []
        self.saved: float | None = None  # when the last checkpoint was written
        self.optimizers: dict[str, Optimizer] = {}
        self.begin_stage(0)

    def begin_stage(self, number: int) -> None:
        """Begin a stage: grow networks, make optimisers, an order of samples, a step."""
        stage, options = self.stages[number], self.options
        self.stage = number
        self.stage_epoch = self.stage_step = self.stage_images = 0
        self.ended = None
        if stage.begin is not None:
            stage.begin()
            self.model.to(device=self.model.device)
        before = self.optimizers if stage.keep_optimizers else self.given
        self.optimizers = make_optimizers(stage, options, before)
        for average in stage.averages:
            average.follow()
        self.loader = Loader(
            *self.arrays,
            batch_size=stage.batch_size or options.batch_size,
            drop_remainder=stage.drop_remainder,
            rng=Random(options.seed),
            device=self.model.device,
        )
        self.recorded = self.model.device != "cpu" and options.capture and options.accumulate == 1
        self.train_step = Step(
            self.model,
            stage,
            self.optimizers,
            rng=self.rng,
            accumulate=options.accumulate,
            steps=self._steps_an_epoch,
            capture=self.recorded,
            losses=self.losses,
            check=self._read_losses if self.model.device == "cpu" else _later,
        )

    def write_to(self, run: Run) -> None:
        """Keep metrics, checkpoints and the log in the folder of a run."""
        self.run, self.progress.log = run, run.log
        self.recorded_rows: int | None = None  # lines of metrics.jsonl, once they are those of rows

    @property
    def loose_averages(self) -> list[EMA]:
        """The averages of weights that are no part of the model."""
        parts = {id(module) for module in self.model.modules()}
        averages = {id(a): a for stage in self.stages for a in stage.averages}
        return [a for a in averages.values() if id(a.average) not in parts]

    def train(self) -> list[dict[str, Any]]:
        """Run to the end, from wherever it is; returns a line of metrics for each epoch.

        The model is left in inference mode. Raises Interrupted after SIGINT, SIGTERM or SIGHUP,
        TrainingError if a loss is not a number, RunError if another process trains in the folder.
        """
        with self.run.locked() if self.run else nullcontext():
            return self._train()

    def _train(self) -> list[dict[str, Any]]:
        # the loop looks for numbers that overflow itself
        quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        with self.signals.caught(), quiet, using_precision(self.options.precision):
            try:
                if self.step == 0:
                    for callback in self.callbacks:
                        callback.on_begin(self)
                        callback.on_stage(self)
                self._say_how()
                while not self.done:
                    if self._stage_done:
                        self._next_stage()
                    else:
                        self._train_epoch()
                    if self.signals.received is not None:
                        self._interrupt(self.signals.received)
            finally:
                self.progress.close()
                self.model.eval()
        self._end_stage()
        for callback in self.callbacks:
            callback.on_end(self)
        if self.stop:
            self.progress.say(f"stopped early: {self.stop}")
        if self.run:
            self._record()
            described = describe(self.model)
            if described["config"] is not None:
                meta = {**described, "steps": self.step, "data": self.fingerprints}
                self.run.model(self.model.state_dict(), meta)
        return self.rows

    @cached_property
    def fingerprints(self) -> Prints:
        """What tells the data from other data; see fingerprint.py."""
        return fingerprints(self.loader.arrays, self.valid, self.test)

    def end_stage(self, reason: str) -> None:
        """End the stage after this epoch; the next one begins, if there is one."""
        self.ended = reason

    def _end_stage(self) -> None:
        if self.ended:
            which = f" of {self.stages[self.stage].name}" if len(self.stages) > 1 else ""
            self.progress.say(f"stopped early{which}: {self.ended}")
        for callback in self.callbacks:
            callback.on_stage_end(self)

    def _next_stage(self) -> None:
        self._end_stage()
        self.begin_stage(self.stage + 1)
        for callback in self.callbacks:
            callback.on_stage(self)

    def _say_how(self) -> None:
        """Tell why steps are not recorded, where one might expect it."""
        if self.model.device != "cpu" and self.options.capture and (hooks or not self.recorded):
            why = "hooks are at work" if hooks else "gradients of several batches are averaged"
            self.progress.say(f"steps are not recorded for the card, because {why}")

    def _train_epoch(self) -> None:
        """The rest of the current epoch, then validation, metrics, callbacks, a checkpoint."""
        stage = self.stages[self.stage]
        self.model.train()
        if len(self.rows) > self.epoch:  # max_steps cut this epoch short, and it was measured
            del self.rows[self.epoch :]
        self.progress.begin(
            self.epoch,
            self.epochs,
            self._steps_now,
            self._steps_done,
            stage.name,
        )
        began, steps_before = time.perf_counter(), self.step
        watched = any(type(c).on_step is not Callback.on_step for c in self.callbacks)
        batches = self.loader.epoch(self.epoch, start=self.batch)
        while not self._full and (group := list(islice(batches, self.options.accumulate))):
            self._do_step(group)
            if watched or self.losses.full:
                self._read_losses()
            if self.callbacks or self.progress.bar is not None:
                losses = {name: total / samples for name, (total, samples) in self.last.items()}
                for callback in self.callbacks:
                    callback.on_step(self, losses)
                self.progress.step(losses)
            if self._full:
                break
            if self.signals.received is not None:
                return
            if self.run and time.perf_counter() - (self.saved or began) > SAVE_SECONDS:
                self.save()
        self._read_losses()
        self._end_epoch(stage, self.step - steps_before, time.perf_counter() - began)

    def _do_step(self, batches: Sequence[tuple[Array, ...]]) -> None:
        """One step, and the counters move on."""
        try:
            self.train_step(batches, self.step, self.stage_step, self.stage_images)
        except FloatingPointError as error:  # gradients that are no numbers
            if hooks:
                raise  # it names the op
            where = f"epoch {self.epoch + 1}, step {self.step + 1}"
            raise TrainingError(f"{where}: {error}{self._kept()}") from error
        samples = sum(len(batch[0]) for batch in batches)
        self.images += samples
        self.stage_images += samples
        self.batch += len(batches)
        self.step += 1
        self.stage_step += 1

    def _read_losses(self) -> None:
        """Add up the losses that are known by now, and look whether they are numbers."""
        for step, name, samples, value in self.losses.read():
            if not math.isfinite(value):
                check_finite(self.model, self.loader.arrays, "training")
                what = "" if name.endswith("_gradient") else "the loss of phase "
                raise self._broken(f"{what}{name!r} became {value}", step)
            if step != self.last_step:
                self.last, self.last_step = {}, step
            for sums in (self.sums, self.last):
                total, count = sums.get(name, (0.0, 0))
                sums[name] = total + value * samples, count + samples

    def _broken(self, what: str, step: int | None = None) -> TrainingError:
        """What to raise when numbers are no numbers any more, in this step or an earlier one."""
        number = self.step if step is None else step
        return TrainingError(
            f"{what} in epoch {self.epoch + 1}, step {number + 1}.{self._kept()} Lower the "
            "learning rate, or run with TINYGEN_DEBUG=1 to see which op made the first NaN."
        )

    def _kept(self) -> str:
        """Where the last good state is."""
        found = checkpoints(self.run.folder) if self.run else []
        if found:
            return f" The last good state is {found[-1]}."
        return " No state was saved yet." if self.run else ""

    def _end_epoch(self, stage: Stage, steps: int, seconds: float) -> None:
        """Measure, record and save; the counters move on to the next epoch."""
        row: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step, "stage": stage.name}
        phases = [phase.name for phase in stage.phases]
        for name, (total, samples) in self.sums.items():
            alone = "loss" if phases == [name] else f"{name}_loss"
            row[alone if name in phases else name] = total / samples
        if self.valid:
            seed, measures = self.options.seed, stage.measures
            measured = evaluate(self.model, *self.valid, seed=seed, measures=measures)
            row.update({f"valid_{name}": value for name, value in measured.items()})
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                check_finite(self.model, self.valid, "validation")
                raise self._broken(f"{name} became {value}")
        if self.batch == len(self.loader) or self._stage_full:  # or max_steps came first
            self.epoch, self.stage_epoch = self.epoch + 1, self.stage_epoch + 1
            self.batch, self.sums = 0, {}
        self.rows.append(row)
        for callback in self.callbacks:
            callback.on_epoch(self, row)
        self.progress.end(row, seconds)
        if self.run:
            self._record(row)
            self.run.timing({"step": self.step, "steps": steps, "seconds": round(seconds, 3)})
            since = time.perf_counter() - (self.saved or -math.inf)
            if self.done or since > EPOCH_SECONDS:
                self.save()

    def _record(self, row: dict[str, Any] | None = None) -> None:
        """Bring metrics.jsonl to what is known: the last row is new, or none."""
        assert self.run is not None
        if row is not None and self.recorded_rows == len(self.rows) - 1:
            self.run.metrics(row)
        elif not self.run.holds(self.rows):
            self.run.keep_rows(self.rows)
        self.recorded_rows = len(self.rows)

    def _interrupt(self, signal_number: int) -> None:
        """Save, say how to go on, and leave."""
        epoch = min(self.epoch + 1, self.epochs)
        message = f"stopped in epoch {epoch} of {self.epochs}, after step {self.step:,}"
        if self.run:
            message += f"; saved {self.save()}\nGo on with: {self.run.to_go_on()}"
        raise Interrupted(signal_number, message)

    def save(self) -> Path:
        """Write a checkpoint to the run's folder.

        Raises TrainingError, and writes nothing, if it would hold a NaN or an infinity.
        """
        assert self.run is not None
        arrays, meta = self.state()
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise self._broken(f"{name} holds NaN or infinity")
        path = self.run.checkpoint(self.step, arrays, meta)
        self.saved = time.perf_counter()
        return path

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays, and values that JSON can hold: all that the next step depends on."""
        self._read_losses()
        return state.collect(self)

    def load_state(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Go on from what `state()` gave; this trainer must not have begun."""
        state.restore(self, arrays, meta)

    def resume(self, path: Path | None) -> None:
        """Go on from a checkpoint of this run, or from the beginning if it came to none yet.

        Nothing that is in the folder changes but the settings that the run was given anew; metrics
        that were written after the checkpoint are dropped when the first new ones come. Raises
        RunError for a state of other data or settings, and if there is no checkpoint but what
        training from the beginning would replace.
        """
        if path is None:
            if self.run:
                self.run.check_fresh()
        else:
            arrays, meta = load_arrays(path)
            if not is_state(meta):
                raise CheckpointError(
                    f"{path}: a trained model, not a state to go on from; give the run's folder"
                )
            state.restore_file(self, path, arrays, meta)
        if self.run:
            self.run.write_config()


def _later() -> None:
    """On a GPU losses are looked at when they are read, some steps later."""
