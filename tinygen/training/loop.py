"""The training loop: one for scripts and for the shell, resumable after any step."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, check_precision, using_precision
from ..config import hooks
from ..core import Tensor
from ..data import Loader
from ..models import Phase, Stage
from ..nn import Module
from ..ops.random import Random
from ..optim import Optimizer, create
from .callbacks import Callback
from .capture import Captured, Unread
from .checkpoint import (
    MODEL,
    CheckpointError,
    checkpoints,
    is_state,
    load_arrays,
    save_model,
)
from .measure import TrainingError, check_finite, check_range, check_samples, evaluate
from .progress import Progress
from .run import Run

EPOCH_SECONDS = 1  # a checkpoint is written after every epoch, but no more often than this,
SAVE_SECONDS = 600  # and within an epoch after so long


class Interrupted(KeyboardInterrupt):
    """Training was stopped by SIGINT or SIGTERM, after its state was saved if there is a run."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class Trainer:
    """Trains a model through its stages, and can go on from any step as if nothing had happened.

    All that the next step depends on is in `state()`: weights, optimisers, counters, callbacks.
    Noise comes from (seed, phase, step) and the order of samples from (seed, epoch), so they need
    no state at all.

    Args:
        model: changed in place.
        stages: what to do; see models.base.Stage.
        arrays: the training data, one or several arrays with the same first axis.
        valid: the validation data, likewise; may be empty.
        batch_size: samples in a step.
        seed: of shuffling and noise.
        callbacks: see Callback.
        progress: what shows how far it is.
        accumulate: batches whose gradients are averaged before the parameters change.
        max_steps: stop after so many steps in all (and those that `accumulate` adds to them).
        optimizer: use this one in every stage, instead of what the stage names.
        precision: of products on a card: "float32", "3xtf32", "tf32" or "bf16".
        capture: on a card, record forward and backward of each phase and replay them; see capture.
            What a loss reads (item, numpy, if) or draws without its `rng` then raises an error.
    """

    def __init__(
        self,
        model: Module,
        stages: Sequence[Stage],
        arrays: Sequence[Array],
        *,
        valid: Sequence[Array] = (),
        batch_size: int = 32,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        progress: Progress | None = None,
        accumulate: int = 1,
        max_steps: int | None = None,
        optimizer: Optimizer | None = None,
        precision: str = "float32",
        capture: bool = True,
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, not {accumulate}")
        check_precision(precision, model.device)
        if not stages:
            raise ValueError("there is nothing to train: no stages")
        for data in (arrays, valid):
            check_samples(model, data)
            check_range(model, data)
        self.model, self.stages, self.valid = model, list(stages), valid
        self.rng = Random(seed, "training", device=model.device)
        self.loader = Loader(*arrays, batch_size=batch_size, rng=Random(seed), device=model.device)
        self.callbacks = list(callbacks)
        self.run: Run | None = None  # a folder to write to; see write_to
        self.progress = progress or Progress(False)
        self.accumulate, self.max_steps, self.given = accumulate, max_steps, optimizer
        self.precision, self.capture = precision, capture
        self.captured: list[Captured] = []  # of the phases of this stage, if they are recorded
        self.unread = Unread()
        self.stop: str | None = None  # set it to a reason to end after this epoch
        self.rows: list[dict[str, Any]] = []
        self.stage = self.epoch = self.batch = self.step = 0  # epochs and batches done
        self.sums: dict[str, float] = {}  # of the losses of this epoch so far, by phase
        self.samples = 0
        self.optimizers: list[Optimizer] = []
        self.signal_number: int | None = None
        self.saved: float | None = None  # when the last checkpoint was written
        self._begin_stage()

    def write_to(self, run: Run) -> None:
        """Keep metrics, checkpoints and the log in the folder of a run."""
        self.run, self.progress.log = run, run.log

    @property
    def epochs(self) -> int:
        """How many epochs there will be, of all stages together."""
        total = self._epochs_before(len(self.stages))
        if self.max_steps is not None:
            total = min(total, math.ceil(self.max_steps / len(self.loader)))
        return total

    def train(self) -> list[dict[str, Any]]:
        """Run to the end, from wherever it is; returns a line of metrics for each epoch.

        The model is left in inference mode. Raises Interrupted after SIGINT or SIGTERM,
        TrainingError if a loss is not a number.
        """
        if self.run and not self.done:
            (self.run.folder / MODEL).unlink(missing_ok=True)  # that of a shorter run
        if self.step == 0:
            for callback in self.callbacks:
                callback.on_begin(self)
        self._say_how()
        # the loop looks for numbers that overflow itself
        quiet = np.errstate(over="ignore", invalid="ignore")
        with self._signals(), quiet, using_precision(self.precision):
            try:
                while not self.done:
                    if self.epoch >= self._epochs_before(self.stage + 1):
                        self.stage += 1
                        self._begin_stage()
                    else:
                        self._train_epoch()
                    if self.signal_number is not None:
                        self._interrupt()
            finally:
                self.progress.close()
        for callback in self.callbacks:
            callback.on_end(self)
        if self.stop:
            self.progress.say(f"stopped early: {self.stop}")
        self.model.eval()
        if self.run and getattr(self.model, "config", None) is not None:
            save_model(self.model, self.run.folder / MODEL)
        return self.rows

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return (
            self.stop is not None
            or self.epoch >= self._epochs_before(len(self.stages))
            or (self.max_steps is not None and self.step >= self.max_steps)
        )

    def _epochs_before(self, stage: int) -> int:
        return sum(s.epochs for s in self.stages[:stage])

    def _begin_stage(self) -> None:
        """Optimisers for the phases of the stage: fresh ones, or the one that was given."""
        stage = self.stages[self.stage]
        self.optimizers = [
            self.given or create(stage.optimizer, phase.module, **stage.options)
            for phase in stage.phases
        ]
        self.captured = []
        if self.capture and self.model.device != "cpu" and self.accumulate == 1:
            tensors = [*self.model.parameters(), *self.model.buffers()]
            for phase, optimizer in zip(stage.phases, self.optimizers, strict=True):
                known = {id(t) for t in tensors}
                own = [p for p in phase.module.parameters() if id(p) not in known]
                compute = partial(self._gradients, phase, optimizer)
                self.captured.append(Captured(compute, [*tensors, *own]))

    def _gradients(self, phase: Phase, optimizer: Optimizer, *batch: Array, step: int) -> Tensor:
        """Forward and backward of a phase."""
        optimizer.zero_grad()
        loss = phase.loss(*batch, rng=self.rng.stream(phase.name).at(step))
        loss.backward()
        return loss

    def _say_how(self) -> None:
        """Tell why steps are not recorded, where one might expect it."""
        if self.model.device != "cpu" and self.capture and (hooks or not self.captured):
            why = "hooks are at work" if hooks else "gradients of several batches are averaged"
            self.progress.say(f"steps are not recorded for the card, because {why}")

    def _train_epoch(self) -> None:
        """The rest of the current epoch, then validation, metrics, callbacks, a checkpoint."""
        stage = self.stages[self.stage]
        self.model.train()
        if len(self.rows) > self.epoch:  # max_steps cut this epoch short, and it was measured
            del self.rows[self.epoch :]
            if self.run:
                self.run.keep_rows(self.rows)
        batches = len(self.loader)
        self.progress.begin(self.epoch, self.epochs, batches, self.batch, stage.name)
        began = time.perf_counter()
        done_before = self.batch
        for batch in self.loader.epoch(self.epoch, start=self.batch):
            step = self._replayed_step if self.captured else self._train_step
            losses = step(stage.phases, batch)
            for callback in self.callbacks:
                callback.on_step(self, losses)
            self.progress.step(losses)
            if self.batch % self.accumulate and self.batch < batches:
                continue  # gradients are waiting, which no checkpoint holds
            if self.max_steps is not None and self.step >= self.max_steps:
                break
            if self.signal_number is not None:
                return
            if self.run and time.perf_counter() - (self.saved or began) > SAVE_SECONDS:
                self.save()
        self._read_losses()
        steps = self.batch - done_before
        seconds = time.perf_counter() - began
        self._end_epoch(stage, steps, seconds)

    def _train_step(self, phases: Sequence[Phase], batch: tuple[Array, ...]) -> dict[str, float]:
        """Every phase once, in order."""
        losses = {}
        n = len(batch[0])
        first = self.batch % self.accumulate == 0
        last = (self.batch + 1) % self.accumulate == 0 or self.batch + 1 == len(self.loader)
        for phase, optimizer in zip(phases, self.optimizers, strict=True):
            loss = phase.loss(*batch, rng=self.rng.stream(phase.name).at(self.step))
            value = losses[phase.name] = loss.item()
            if not math.isfinite(value):
                check_finite(self.model, batch)
                raise self._broken(f"the loss of phase {phase.name!r} became {value}")
            if first:
                optimizer.zero_grad()
            (loss if self.accumulate == 1 else loss * self._share(n)).backward()
            if last:
                optimizer.step()
                optimizer.zero_grad()
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * n
        self.samples += n
        self.batch += 1
        self.step += 1
        return losses

    def _replayed_step(self, phases: Sequence[Phase], batch: tuple[Array, ...]) -> dict[str, float]:
        """The same on a card that does what it has recorded. The losses may be those of before."""
        for i, (captured, optimizer) in enumerate(zip(self.captured, self.optimizers, strict=True)):
            self.unread.keep(i, len(phases), captured(*batch, step=self.step))
            optimizer.step()
            optimizer.zero_grad()
        n = len(batch[0])
        self.unread.end_step(self.step, n)
        self.samples += n
        self.batch += 1
        self.step += 1
        watched = any(type(c).on_step is not Callback.on_step for c in self.callbacks)
        if watched or self.unread.full:
            self._read_losses()
        return self.unread.last

    def _read_losses(self) -> None:
        """Wait for the losses that a card has kept, and look whether they are numbers."""
        names = [phase.name for phase in self.stages[self.stage].phases]
        for step, n, values in self.unread.read(names):
            for name, value in values.items():
                if not math.isfinite(value):
                    check_finite(self.model, self.loader.arrays)
                    raise self._broken(f"the loss of phase {name!r} became {value}", step)
                self.sums[name] = self.sums.get(name, 0.0) + value * n

    def _share(self, n: int) -> float:
        """The share of `n` samples in those whose gradients are averaged; see `accumulate`."""
        start = self.batch - self.batch % self.accumulate
        size = self.loader.batch_size
        return n / min(self.accumulate * size, self.loader.samples - start * size)

    def _broken(self, what: str, step: int | None = None) -> TrainingError:
        """What to raise when numbers are no numbers any more, in this step or an earlier one."""
        kept = ""
        if self.run:
            found = checkpoints(self.run.folder)
            kept = f" The last good state is {found[-1]}." if found else " No state was saved yet."
        number = self.step if step is None else step
        return TrainingError(
            f"{what} in epoch {self.epoch + 1}, step {number + 1}.{kept} Lower the learning "
            "rate, or run with TINYGEN_DEBUG=1 to see which op made the first NaN."
        )

    def _end_epoch(self, stage: Stage, steps: int, seconds: float) -> None:
        """Measure, record and save; the counters move on to the next epoch."""
        row: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step, "stage": stage.name}
        for name, total in self.sums.items():
            row["loss" if len(stage.phases) == 1 else f"{name}_loss"] = total / self.samples
        if self.valid:
            measured = evaluate(self.model, *self.valid, seed=self.rng.seed)
            row.update({f"valid_{name}": value for name, value in measured.items()})
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise self._broken(f"{name} became {value}")
        complete = self.batch == len(self.loader)  # or max_steps came first
        if complete:
            self.epoch, self.batch, self.sums, self.samples = self.epoch + 1, 0, {}, 0
        self.rows.append(row)
        for callback in self.callbacks:
            callback.on_epoch(self, row)
        self.progress.end(row, seconds)
        if self.run:
            self.run.metrics(row)
            self.run.timing({"step": self.step, "steps": steps, "seconds": round(seconds, 3)})
            since = math.inf if self.saved is None else time.perf_counter() - self.saved
            if self.done or since > EPOCH_SECONDS:
                self.save()

    def _interrupt(self) -> None:
        """Save, say how to go on, and leave."""
        assert self.signal_number is not None
        epoch = min(self.epoch + 1, self.epochs)
        message = f"stopped in epoch {epoch} of {self.epochs}, after step {self.step:,}"
        if self.run:
            message += f"; saved {self.save()}\nGo on with: {self.run.to_go_on()}"
        raise Interrupted(self.signal_number, message)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM ends training after the current step, a second at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.signal_number is None:
                self.signal_number = number
            elif number == signal.SIGINT:
                raise KeyboardInterrupt
            else:
                raise SystemExit(128 + number)

        self.signal_number = None
        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

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
        arrays = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        steps = []
        for i, optimizer in enumerate(self.optimizers):
            state = optimizer.state_dict()
            steps.append(state.pop("steps"))
            arrays.update({f"optimizer.{i}.{k}": v for k, v in state.items()})
        kept = {}
        for name, callback in self._named_callbacks():
            own, values = callback.state_dict()
            arrays.update({f"callback.{name}.{k}": v for k, v in own.items()})
            if own or values:
                kept[name] = values
        meta = {
            "model": getattr(self.model, "name", type(self.model).__name__),
            "config": getattr(self.model, "config", None),
            "data": [list(array.shape) for array in self.loader.arrays],
            "stage": self.stage,
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "sums": self.sums,
            "samples": self.samples,
            "rows": self.rows,
            "optimizer_steps": steps,
            "callbacks": kept,
            "stop": self.stop,
        }
        return arrays, meta

    def load_state(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        """Go on from what `state()` gave."""

        def part(prefix: str) -> dict[str, Array]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        shapes = [list(array.shape) for array in self.loader.arrays]
        if shapes != meta["data"]:
            raise ValueError(
                f"the run was trained on data of shapes {meta['data']}, this has {shapes}; "
                "it can only go on with the same"
            )
        self.stage, self.epoch, self.batch = meta["stage"], meta["epoch"], meta["batch"]
        self.step, self.samples, self.stop = meta["step"], meta["samples"], meta["stop"]
        self.sums, self.rows = dict(meta["sums"]), list(meta["rows"])
        self.model.load_state_dict(part("model."))
        self._begin_stage()
        for i, optimizer in enumerate(self.optimizers):
            steps = meta["optimizer_steps"][i]
            optimizer.load_state_dict({**part(f"optimizer.{i}."), "steps": steps})
        for name, callback in self._named_callbacks():
            if name in meta["callbacks"]:
                callback.load_state_dict(part(f"callback.{name}."), meta["callbacks"][name])

    def _named_callbacks(self) -> list[tuple[str, Callback]]:
        """The callbacks with names for a checkpoint: that of the class, and which of it."""
        kinds = [type(callback).__name__ for callback in self.callbacks]
        numbers = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
        return [
            (f"{kind}.{n}", c) for kind, n, c in zip(kinds, numbers, self.callbacks, strict=True)
        ]

    def resume(self, path: Path | None) -> None:
        """Go on from a checkpoint of this run, or from the beginning if it came to none yet.

        Metrics that were written after it are dropped.
        """
        if path is not None:
            arrays, meta = load_arrays(path)
            if not is_state(meta):
                raise CheckpointError(
                    f"{path}: a trained model, not a state to go on from; give the run's folder"
                )
            self.load_state(arrays, meta)
        if self.run:
            self.run.keep_rows(self.rows)
