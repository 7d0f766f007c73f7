"""The training loop: one for scripts and for the shell, resumable after any step."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..backend import Array
from ..config import no_grad
from ..data import Loader
from ..models import Phase, Stage
from ..nn import Module
from ..ops.random import Random
from ..optim import Optimizer, create
from .callbacks import Callback
from .checkpoint import load_arrays
from .progress import Progress
from .run import Run

VALIDATION_BATCH = 1000
SAVE_SECONDS = 600  # a checkpoint is written after every epoch, and at least this often


class TrainingError(RuntimeError):
    """Training cannot go on; the text says why, and what is kept."""


class Interrupted(Exception):  # noqa: N818  (an order, not an error)
    """Training was stopped from outside, after its state was saved."""

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
        run: a folder to write to, or None.
        progress: what shows how far it is.
        accumulate: batches whose gradients are averaged before the parameters change.
        max_steps: stop after so many steps in all.
        optimizer: use this one in every stage, instead of what the stage names.
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
        run: Run | None = None,
        progress: Progress | None = None,
        accumulate: int = 1,
        max_steps: int | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, not {accumulate}")
        self.model, self.stages, self.valid = model, list(stages), valid
        self.rng = Random(seed, "training", device=model.device)
        self.loader = Loader(*arrays, batch_size=batch_size, rng=Random(seed))
        self.callbacks, self.run = list(callbacks), run
        self.progress = progress or Progress(False)
        self.accumulate, self.max_steps, self.given = accumulate, max_steps, optimizer
        self.stop: str | None = None  # set it to a reason to end after this epoch
        self.rows: list[dict[str, Any]] = []
        self.stage = self.epoch = self.batch = self.step = 0  # epochs and batches done
        self.sums: dict[str, float] = {}  # of the losses of this epoch so far, by phase
        self.samples = 0
        self.optimizers: list[Optimizer] = []
        self.signal_number: int | None = None
        self._begin_stage()

    @property
    def epochs(self) -> int:
        """How many epochs there will be, of all stages together."""
        total = self._epochs_before(len(self.stages))
        if self.max_steps is not None:
            total = min(total, math.ceil(self.max_steps / len(self.loader)))
        return total

    def train(self) -> list[dict[str, Any]]:
        """Run to the end, from wherever it is; returns a line of metrics for each epoch.

        Raises Interrupted after SIGINT or SIGTERM, TrainingError if a loss is not a number.
        """
        with self._signals():
            while self.stage < len(self.stages) and not self._done():
                if self.epoch == self._epochs_before(self.stage + 1):
                    self._next_stage()
                else:
                    self._train_epoch()
        for callback in self.callbacks:
            callback.on_end(self)
        self.progress.close(self.stop)
        return self.rows

    def _done(self) -> bool:
        return self.stop is not None or (
            self.max_steps is not None and self.step >= self.max_steps
        )

    def _epochs_before(self, stage: int) -> int:
        return sum(s.epochs for s in self.stages[:stage])

    def _next_stage(self) -> None:
        self.stage += 1
        if self.stage < len(self.stages):
            self._begin_stage()

    def _begin_stage(self) -> None:
        """Optimisers for the phases of the stage: fresh ones, or the one that was given."""
        if not self.stages:
            return
        stage = self.stages[self.stage]
        self.optimizers = [
            self.given or create(stage.optimizer, phase.module, **stage.options)
            for phase in stage.phases
        ]

    def _train_epoch(self) -> None:
        """The rest of the current epoch, then validation, metrics, callbacks, a checkpoint."""
        stage = self.stages[self.stage]
        self.model.train()
        batches = len(self.loader)
        self.progress.begin(self.epoch, self.epochs, batches, self.batch, stage.name)
        began = saved = time.perf_counter()
        done_before = self.batch
        for batch in self.loader.epoch(self.epoch, start=self.batch):
            losses = self._train_step(stage.phases, batch)
            for callback in self.callbacks:
                callback.on_step(self, losses)
            self.progress.step(losses)
            whole = self.batch % self.accumulate == 0 or self.batch == batches
            if whole and self.signal_number is not None:
                self._interrupt()
            if whole and self.run and time.perf_counter() - saved > SAVE_SECONDS:
                self.save()
                saved = time.perf_counter()
            if self.max_steps is not None and self.step >= self.max_steps:
                break
        steps = self.batch - done_before
        seconds = time.perf_counter() - began
        self._end_epoch(stage, steps, seconds)

    def _train_step(self, phases: Sequence[Phase], batch: tuple[Array, ...]) -> dict[str, float]:
        """Every phase once, in order."""
        losses = {}
        first = self.batch % self.accumulate == 0
        last = (self.batch + 1) % self.accumulate == 0 or self.batch + 1 == len(self.loader)
        for phase, optimizer in zip(phases, self.optimizers, strict=True):
            loss = phase.loss(*batch, rng=self.rng.stream(phase.name).at(self.step))
            value = losses[phase.name] = loss.item()
            if not math.isfinite(value):
                raise TrainingError(self._not_finite(phase.name, value))
            if first:
                optimizer.zero_grad()
            (loss if self.accumulate == 1 else loss * (1.0 / self.accumulate)).backward()
            if last:
                optimizer.step()
                optimizer.zero_grad()
        n = len(batch[0])
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * n
        self.samples += n
        self.batch += 1
        self.step += 1
        return losses

    def _not_finite(self, phase: str, value: float) -> str:
        where = f"epoch {self.epoch + 1}, step {self.step + 1}"
        kept = "Nothing was written."
        if self.run:
            from .checkpoint import checkpoints

            found = checkpoints(self.run.folder)
            kept = f"The last good state is {found[-1]}." if found else "No state was saved yet."
        return (
            f"the loss of phase {phase!r} became {value} in {where}. {kept} Lower the learning "
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
            self.save()
        if not complete:
            self.rows.append(row)  # not in what was saved: a resumed run finishes the epoch
        if self.signal_number is not None:
            self._interrupt()

    def _interrupt(self) -> None:
        """Save, say how to go on, and leave."""
        at = f"stopped in epoch {self.epoch + 1} after step {self.step:,}"
        assert self.signal_number is not None
        number, self.signal_number = self.signal_number, None
        self.progress.close(None)
        if self.run is None:
            raise Interrupted(number, at)
        path = self.save()
        raise Interrupted(number, f"{at}; saved {path}. Go on with: tinygen resume {self.run.folder}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM ends training after the current step, a second at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.signal_number is not None:
                raise KeyboardInterrupt
            self.signal_number = number

        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def save(self) -> Path:
        """Write a checkpoint to the run's folder."""
        assert self.run is not None
        arrays, meta = self.state()
        return self.run.checkpoint(self.step, arrays, meta)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays, and values that JSON can hold: all that the next step depends on."""
        arrays = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        steps = []
        for i, optimizer in enumerate(self.optimizers):
            state = optimizer.state_dict()
            steps.append(state.pop("steps"))
            arrays.update({f"optimizer.{i}.{k}": v for k, v in state.items()})
        kept = [callback.state_dict() for callback in self.callbacks]
        for i, (own, _) in enumerate(kept):
            arrays.update({f"callback.{i}.{k}": v for k, v in own.items()})
        meta = {
            "model": getattr(self.model, "name", type(self.model).__name__),
            "config": getattr(self.model, "config", {}),
            "stage": self.stage,
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "sums": self.sums,
            "samples": self.samples,
            "rows": self.rows,
            "optimizer_steps": steps,
            "callbacks": [values for _, values in kept],
            "stop": self.stop,
        }
        return arrays, meta

    def load_state(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        """Go on from what `state()` gave."""

        def part(prefix: str) -> dict[str, Array]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        self.stage, self.epoch, self.batch = meta["stage"], meta["epoch"], meta["batch"]
        self.step, self.samples, self.stop = meta["step"], meta["samples"], meta["stop"]
        self.sums, self.rows = dict(meta["sums"]), list(meta["rows"])
        self.model.load_state_dict(part("model."))
        if self.stage < len(self.stages):
            self._begin_stage()
            for i, optimizer in enumerate(self.optimizers):
                steps = meta["optimizer_steps"][i]
                optimizer.load_state_dict({**part(f"optimizer.{i}."), "steps": steps})
        for i, callback in enumerate(self.callbacks):
            callback.load_state_dict(part(f"callback.{i}."), meta["callbacks"][i])

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of this run; metrics that were written after it are dropped."""
        self.load_state(*load_arrays(path))
        if self.run:
            self.run.keep_rows(self.rows)


def evaluate(
    model: Module, *arrays: Array, seed: int = 0, batch_size: int = VALIDATION_BATCH
) -> dict[str, float]:
    """The model's measures on data, in inference mode: means over all samples.

    Args:
        model: with a method `measures`, such as those of tinygen.models.
        arrays: the samples, and targets if the model takes them.
        seed: of the noise that a model such as a VAE draws.
        batch_size: samples at a time.
    """
    was_training = model.training
    model.eval()
    totals: dict[str, float] = {}
    rng = Random(seed, "evaluation", device=model.device)
    loader = Loader(*arrays, batch_size=batch_size)
    try:
        with no_grad():
            for i, batch in enumerate(loader):
                measures = model.measures(*batch, rng=rng.at(i))  # type: ignore[attr-defined]
                for name, value in measures.items():
                    totals[name] = totals.get(name, 0.0) + value * len(batch[0])
    finally:
        model.train(was_training)
    return {name: total / loader.samples for name, total in totals.items()}
