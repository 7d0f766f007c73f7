"""A training step: each phase in turn lowers its loss by changing the parameters of its module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..backend import Array
from ..core import Buffer, Parameter, Tensor
from ..models import Phase, Stage, TrainingOptions
from ..models.kinds import check_known
from ..names import nearest
from ..nn import Module
from ..ops.random import Random
from ..optim import Optimizer, create
from .capture import Captured, Values
from .losses import Losses

Batch = tuple[Array, ...]
LOSS = "loss"  # the name of the loss itself among the values of a phase


def make_optimizers(
    stage: Stage, options: TrainingOptions, before: Mapping[str, Optimizer]
) -> dict[str, Optimizer]:
    """One optimiser for each module that a stage trains, named after its first phase.

    Args:
        stage: whose phases name the modules.
        options: say which optimisers, and how they are set; `stage.options` changes that.
        before: the optimisers to go on with, where there is one of the name.
    """
    optimizers: dict[str, Optimizer] = {}
    for name, module in stage.trained.items():
        if name in before:
            optimizers[name] = before[name]
            before[name].add_parameters(module)
        else:
            kind, own = options.optimizer_of(name)
            optimizers[name] = create(kind, module, **{**own, **stage.options})
    return optimizers


def given_optimizers(
    stages: Sequence[Stage], given: Mapping[str, Optimizer] | Optimizer | None
) -> dict[str, Optimizer]:
    """The optimisers that a caller brought, by name; one alone serves stages of one module each.

    Raises TypeError for what is no optimiser; ValueError for one alone where a stage trains several
    modules, for a name that no stage trains by, for one that serves two modules of a stage, and for
    one that lacks parameters of its module.
    """
    trained = [stage.trained for stage in stages]
    check_names(stages, given if isinstance(given, Mapping) else ())
    if isinstance(given, Optimizer):
        several = next((modules for modules in trained if len(modules) > 1), None)
        if several:
            wanted = ", ".join(f"{name!r}: ..." for name in several)
            raise ValueError(
                f"one optimizer cannot serve several modules, which have one each: give them by "
                f"name, optimizers={{{wanted}}}"
            )
        given = {name: given for modules in trained for name in modules}
    elif given is not None and not isinstance(given, Mapping):
        raise TypeError(f"optimizers must be one or a dict of them by name, not {given!r:.80}")
    optimizers = dict(given or {})
    for name, optimizer in optimizers.items():
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizers: {name!r} must be an optimizer, not {optimizer!r:.80}")
    for modules in trained:
        users: dict[int, str] = {}
        for name in modules.keys() & optimizers.keys():
            other = users.setdefault(id(optimizers[name]), name)
            if other != name:
                both = " and ".join(sorted((other, name)))
                raise ValueError(f"{both} have the same optimizer: give each one of its own")
            _check_holds(name, optimizers[name], modules[name])
    return optimizers


def check_names(stages: Sequence[Stage], names: Iterable[str]) -> None:
    """Raise ValueError for a name that is no optimiser's in any of the stages."""
    check_known("there is no optimizer", names, {k: 0 for stage in stages for k in stage.trained})


def _check_holds(name: str, optimizer: Optimizer, module: Module) -> None:
    """Raise ValueError if the optimiser lacks parameters of the module that are not frozen."""
    held = set(map(id, optimizer.parameters))
    own = {k: p for k, p in module.named_parameters() if p.requires_grad}
    lacking = [k for k, p in own.items() if id(p) not in held]
    if lacking:
        some = "any" if len(lacking) == len(own) else lacking[0]
        raise ValueError(
            f"the optimizer of {name!r} does not hold {some} of the {len(own)} parameters of "
            f"{type(module).__name__}: make it of the module itself, and freeze what shall not "
            "change"
        )


class Step:
    """The step of a stage: its phases, with what they need.

    Args:
        model: the model as a whole.
        stage: which phases there are.
        optimizers: one for each module that is trained; see make_optimizers.
        rng: where noise comes from: by phase and step.
        accumulate: the most batches in a step.
        steps: in an epoch, in each of which norms of gradients are measured at least once, if at
            all and if the phase is due in it.
        capture: record forward and backward of each phase for a GPU.
        losses: where the losses are kept.
        check: called after the losses of a phase were kept and before it updates: it raises an
            error if one is not finite.
    """

    def __init__(
        self,
        model: Module,
        stage: Stage,
        optimizers: Mapping[str, Optimizer],
        *,
        rng: Random,
        accumulate: int,
        steps: int,
        capture: bool,
        losses: Losses,
        check: Callable[[], object],
    ) -> None:
        self.stage, self.losses, self.check, self.steps = stage, losses, check, steps
        modules = [model, *(phase.module for phase in stage.phases)]
        parameters = _unique([p for module in modules for p in module.parameters()])
        tensors = [*parameters, *_unique([b for module in modules for b in module.buffers()])]
        names = {id(module): name for name, module in stage.trained.items()}
        self.phases = [
            RunningPhase(
                phase,
                optimizers[names[id(phase.module)]],
                parameters,
                rng.stream(phase.name),
                accumulate,
                tensors if capture else None,
            )
            for phase in stage.phases
        ]
        self.setters = [
            (_setter(name, model, optimizers, stage), f) for name, f in stage.schedules.items()
        ]

    def __call__(self, batches: Sequence[Batch], step: int, number: int, images: int) -> None:
        """Do every phase that is due.

        Args:
            batches: those whose gradients are averaged; `accumulate` of them, or fewer at the end
                of an epoch.
            step: how many steps of the run have been done.
            number: how many steps of the stage have been done.
            images: how many samples the stage has seen before this step.
        """
        for assign, schedule in self.setters:
            assign(schedule(images))
        if self.stage.prepare is not None:
            batches = [tuple(self.stage.prepare(*batch)) for batch in batches]
        for phase in self.phases:
            if (number + 1) % phase.every:
                continue
            phase.gradients(batches, step, self.losses)
            rarely = min(self.stage.gradient_norms, max(1, self.steps // phase.every))
            if rarely and number // phase.every % rarely == 0 and phase.name in self.stage.trained:
                norm = phase.optimizer.gradient_norm()
                self.losses.keep(step, f"{phase.name}_gradient", len(batches[0][0]), norm)
            self.check()
            phase.optimizer.step()
            phase.optimizer.zero_grad()
        for average in self.stage.averages:
            average.update(images)


class RunningPhase:
    """A phase at work: its optimiser, what it freezes, its recording.

    Args:
        phase: what is to be done.
        optimizer: that of its module.
        parameters: those of all networks, of which all but the module's are frozen.
        rng: where its noise comes from.
        accumulate: the most batches in a step.
        tensors: parameters and buffers that a recording reads; None to record nothing.
    """

    def __init__(
        self,
        phase: Phase,
        optimizer: Optimizer,
        parameters: Sequence[Parameter],
        rng: Random,
        accumulate: int,
        tensors: Sequence[Tensor] | None,
    ) -> None:
        self.name, self.loss, self.every = phase.name, phase.loss, phase.every
        self.optimizer, self.rng, self.accumulate = optimizer, rng, accumulate
        own = {id(p) for p in phase.module.parameters()}
        self.others = [p for p in parameters if id(p) not in own]
        self.share = 1.0  # of the batch in the samples of the step
        self.captured = None if tensors is None else Captured(self._values, tensors)

    def gradients(self, batches: Sequence[Batch], step: int, losses: Losses) -> None:
        """Forward and backward of each batch: leaves the averaged gradients at the parameters."""
        compute = self.captured or self._values
        total = sum(len(batch[0]) for batch in batches)
        self.optimizer.zero_grad()
        with _frozen(self.others):
            for i, batch in enumerate(batches):
                samples = len(batch[0])
                self.share = samples / total
                values = compute(*batch, step=step * self.accumulate + i)
                for name, value in values.items():
                    losses.keep(step, self.name if name == LOSS else name, samples, value)

    def _values(self, *batch: Array, step: int) -> Values:
        """Forward and backward of one batch; gradients are added to those that are there."""
        result = self.loss(*batch, rng=self.rng.at(step))
        values = _named(self.name, result)
        loss = values[LOSS]
        (loss if self.share == 1.0 else loss * self.share).backward()
        return values


def _named(phase: str, result: Any) -> Values:
    """What the loss of a phase returned, by name: the loss itself, and other figures.

    Raises TypeError if it is not a Tensor, or such with a dict of them; ValueError if one of them
    is not a single number.
    """
    several = result if isinstance(result, tuple) else (result, {})
    loss, figures = several if len(several) == 2 else (None, None)
    if not isinstance(loss, Tensor) or not isinstance(figures, Mapping):
        given = type(result).__name__
        if isinstance(result, tuple):
            given = f"({', '.join(type(each).__name__ for each in result)})"
        raise TypeError(
            f"the loss of phase {phase!r} returned {given}; it must return a Tensor, or a Tensor "
            "and a dict of further figures"
        )
    values = {LOSS: loss, **figures}
    for name, value in values.items():
        what = "the loss" if name == LOSS else f"figure {name!r}"
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{what} of phase {phase!r} must be a Tensor with one element, not "
                f"{type(value).__name__}"
            )
        if value.array.size != 1:
            raise ValueError(
                f"{what} of phase {phase!r} has shape {value.shape}; it must be one number: take "
                "its mean, as in (...).mean()"
            )
    return values


@contextmanager
def _frozen(parameters: Sequence[Parameter]) -> Iterator[None]:
    """Within the block the parameters require no gradient; after it they are as before."""
    before = [p.requires_grad for p in parameters]
    for p in parameters:
        p.requires_grad = False
    try:
        yield
    finally:
        for p, required in zip(parameters, before, strict=True):
            p.requires_grad = required


def _setter(
    name: str, model: Module, optimizers: Mapping[str, Optimizer], stage: Stage
) -> Callable[[float], None]:
    """What gives a scheduled value to a buffer of the model, or to a learning rate."""
    owner, _, last = name.rpartition(".")
    if last == "learning_rate":
        chosen = [o for k, o in optimizers.items() if owner in ("", k)]
        if not chosen:
            known = nearest(owner, optimizers)
            raise ValueError(
                f"stage {stage.name!r} schedules {name}: no optimizer {owner!r}{known}"
            )
        return lambda rate: _set_rate(chosen, rate)
    buffers = dict(model.named_buffers())
    if name not in buffers or buffers[name].ndim:
        known = nearest(name, [k for k, b in buffers.items() if not b.ndim])
        raise ValueError(
            f"stage {stage.name!r} schedules {name!r}, which is no buffer of the model without "
            f"axes{known}"
        )
    return lambda value: _assign(buffers[name], value)


def _set_rate(optimizers: Sequence[Optimizer], rate: float) -> None:
    """Give optimisers another learning rate."""
    for optimizer in optimizers:
        optimizer.learning_rate = rate


def _assign(buffer: Buffer, value: float) -> None:
    """Give a buffer another value in place, where a recording reads it."""
    buffer.array[...] = value
    buffer.version += 1


def _unique(tensors: Sequence[Any]) -> list[Any]:
    """Each tensor once, in order."""
    return list({id(t): t for t in tensors}.values())
