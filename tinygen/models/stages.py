"""What a training run consists of: its options, and the stages and phases of its steps.

A run goes through stages. Each repeats a step, and a step is a list of phases: each lowers a loss
by changing the parameters of one module. An autoencoder has one stage with one phase; a GAN has a
phase for the discriminator and one for the generator; a growing network has stages by resolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from ..backend import check_precision
from ..core import Tensor
from ..names import nearest
from ..nn import Module
from ..ops.random import Random
from ..optim import BY_NAME, EMA, create
from ..ranges import whole
from .kinds import check_kind, check_known, kinds_of

LONGEST = 2**63 - 1  # of what is counted: epochs, steps, samples


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained: all that is not said by the model and its stages.

    `fit`, the settings of a run and `Trainer` share it. A run that goes on must have the same, but
    for its length.

    Attributes:
        epochs: passes over the training data.
        max_steps: stop after so many steps in all, whatever the stages say; None for no limit.
        batch_size: samples in a batch.
        accumulate: batches in a step: their gradients are averaged before a phase updates.
        patience: epochs without improvement after which a stage ends; None to go on to its end.
        judge_every: epochs after which samples of a generative model are judged; None for never.
        judge_samples: how many samples are judged then.
        seed: of the order of samples and of noise, from 0 to 2^64 - 1.
        device: "cpu" or "cuda".
        precision: of products: "float32" or "exact" (convolutions without Winograd's way); on a
            GPU also "3xtf32", "tf32" or "bf16".
        capture: on a GPU, record forward and backward of each phase once and replay them.
        greedy: train layer by layer first (models that can).
        optimizer: a name from `tinygen.optim.BY_NAME`.
        options: its arguments.
        optimizers: arguments that differ for one of several optimisers, by its name, such as
            {"discriminator": {"learning_rate": 4e-4}}; "optimizer" among them is another kind.

    Raises ValueError for values that make no sense, with the name of the option.
    """

    epochs: int = 1
    max_steps: int | None = None
    batch_size: int = 32
    accumulate: int = 1
    patience: int | None = None
    judge_every: int | None = None
    judge_samples: int = 2_000
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    capture: bool = True
    greedy: bool = False
    optimizer: str = "sgd"
    options: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = ("epochs", "batch_size", "accumulate", "judge_samples")
        for name in (*counts, "patience", "max_steps", "judge_every"):
            value = getattr(self, name)
            if value is not None or name in counts:
                object.__setattr__(self, name, check_count(name, value))
        kinds = kinds_of(TrainingOptions)
        for name in ("seed", "device", "precision", "optimizer", "options", "optimizers"):
            check_kind(name, getattr(self, name), kinds[name])
        for name in ("capture", "greedy"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        object.__setattr__(self, "seed", Random(self.seed).seed)  # which knows what a seed may be
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device must be 'cpu' or 'cuda', not {self.device!r}")
        check_precision(self.precision, self.device)
        for name in ("", *self.optimizers):
            of = f" of {name}" if name else ""
            try:
                kind, options = self.optimizer_of(name)
                check_known(f"the optimizer{of} has no option", options, option_kinds(kind))
                create(kind, (), **options)  # which knows what its options may be
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}" if name else str(error)) from error

    def optimizer_of(self, name: str) -> tuple[str, dict[str, Any]]:
        """The kind and the options of the optimiser of that name."""
        own = dict(self.optimizers.get(name, {}))
        kind = own.pop("optimizer", self.optimizer)
        option_kinds(kind)
        return kind, {**(self.options if kind == self.optimizer else {}), **own}

    def tables(self) -> dict[str, Any]:
        """The options as config.toml holds them: the tables training, options, optimizers."""
        training = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        options, optimizers = training.pop("options"), training.pop("optimizers")
        return {
            "training": training,
            "options": dict(options),
            "optimizers": {name: dict(own) for name, own in optimizers.items()},
        }

    @classmethod
    def from_tables(cls, config: Mapping[str, Any]) -> Self:
        """The options in the settings of a run; what older runs lack has its default."""
        training = config.get("training")
        if not isinstance(training, Mapping):
            raise ValueError(f"training must be a table, not {training!r:.80}")
        known = {f.name for f in dataclasses.fields(cls)} - {"options", "optimizers"}
        check_known("training has no option", training, known)
        return cls(
            **training,
            options=config.get("options", {}),
            optimizers=config.get("optimizers", {}),
        )


@dataclass(frozen=True)
class Recipe:
    """How a model is trained unless one says otherwise.

    Attributes:
        data: a name for `tinygen.data.load`; or ".txt", for any file of that kind.
        epochs, batch_size, optimizer, options, greedy, optimizers: as in TrainingOptions.
        size: height and width to bring images to.
        channels: 1 for grey, 3 for RGB.
        config: settings of the model that are not its defaults.
    """

    data: str = "fashion-mnist"
    epochs: int = 10
    batch_size: int = 32
    optimizer: str = "sgd"
    options: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = 28
    channels: int | None = 1
    greedy: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def training(self, **changes: Any) -> TrainingOptions:
        """The training options of the recipe, with some of them changed."""
        shared = {f.name for f in dataclasses.fields(TrainingOptions)}
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name in shared}
        return TrainingOptions(**{**own, **changes})


class Phase(NamedTuple):
    """A part of a training step: lower a loss by changing the parameters of one module.

    While it runs, the parameters of `module` alone require a gradient: those of all other networks
    are frozen, and cost nothing in the backward pass. Phases that train the same module share one
    optimiser, which has the name of the first of them.

    Attributes:
        name: of the phase, and of its loss in the metrics.
        module: whose parameters change.
        loss: a function of (*batch, rng=rng). It returns the loss, or a pair of the loss and other
            figures by name for the metrics, as Tensors without axes.
        every: k for a phase that runs in every k-th step of its stage only, the first time in the
            k-th: a lazy penalty, or a generator that waits for k updates of its critic.
    """

    name: str
    module: Module
    loss: Callable[..., Tensor | tuple[Tensor, Mapping[str, Tensor]]]
    every: int = 1


@dataclass(frozen=True)
class Stage:
    """A part of a training run: so many steps that do the same phases in the same order.

    Attributes:
        name: of the stage, in the metrics.
        phases: in the order in which they happen.
        epochs: its length as passes over the data,
        steps: or in steps,
        images: or in samples seen (the last step may go past it). One of the three is given.
        batch_size: samples in a batch; by default that of the training options.
        drop_remainder: leave out the last batch of an epoch if it is not full.
        options: arguments of all optimisers that differ from the training options.
        prepare: what is done to a batch before the phases see it, such as scaling to [-1, 1] or
            fading: a function of arrays that returns as many arrays.
        begin: called when the stage begins, and again (on a model that was just built) when a run
            that had reached the stage goes on: to grow networks. It must depend on nothing but
            the model's structure, for then the weights are read from the checkpoint.
        keep_optimizers: go on with the optimisers of the stage before, into which parameters that
            were added are taken; by default all begin anew.
        schedules: values that change with time: functions of the images seen in this stage. The
            name is that of a Buffer of the model without axes, such as "alpha", or an optimiser's
            learning rate, "generator.learning_rate"; "learning_rate" is that of all.
        averages: moving averages of weights, updated after each step.
        measures: what validation reports, a function of (*batch, rng=rng); by default the model's
            `measures`.
        gradient_norms: report the norm of each module's gradient, "NAME_gradient", in every so many
            steps, more often where an epoch has fewer; 0 for never.
    """

    name: str
    phases: Sequence[Phase]
    epochs: int | None = None
    steps: int | None = None
    images: int | None = None
    batch_size: int | None = None
    drop_remainder: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[..., Sequence[Any]] | None = None
    begin: Callable[[], object] | None = None
    keep_optimizers: bool = False
    schedules: Mapping[str, Callable[[int], float]] = field(default_factory=dict)
    averages: Sequence[EMA] = ()
    measures: Callable[..., Mapping[str, float]] | None = None
    gradient_norms: int = 0

    @property
    def trained(self) -> dict[str, Module]:
        """The modules that are trained, by the name of their optimiser: that of the first phase."""
        first: dict[int, Phase] = {}
        for phase in self.phases:
            first.setdefault(id(phase.module), phase)
        return {phase.name: phase.module for phase in first.values()}

    def __post_init__(self) -> None:
        lengths = {k: getattr(self, k) for k in ("epochs", "steps", "images")}
        given = [k for k, value in lengths.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"stage {self.name!r}: its length is one of epochs, steps and images, "
                f"got {' and '.join(given) or 'none'}"
            )
        if not self.phases:
            raise ValueError(f"stage {self.name!r}: there is nothing to train: no phases")
        names = [phase.name for phase in self.phases]
        if len({*names}) < len(names):
            raise ValueError(f"stage {self.name!r}: two phases have one name: {', '.join(names)}")
        numbers = {k: lengths[k] for k in given}
        numbers |= {} if self.batch_size is None else {"batch_size": self.batch_size}
        numbers |= {f"every of phase {phase.name!r}": phase.every for phase in self.phases}
        for name, value in numbers.items():
            check_count(f"stage {self.name!r}: {name}", value)


def check_count(name: str, value: Any) -> int:
    """A whole number from 1 to 2^63 - 1; raises ValueError for all else, as settings do."""
    try:
        return whole(name, value, most=LONGEST)
    except TypeError as error:
        raise ValueError(str(error)) from None


def option_kinds(optimizer: Any) -> dict[str, Any]:
    """The options of an optimiser with their annotations; raises ValueError for unknown names."""
    if not isinstance(optimizer, str) or optimizer not in BY_NAME:
        raise ValueError(f"unknown optimizer {optimizer!r:.80}{nearest(optimizer, BY_NAME)}")
    kinds = kinds_of(BY_NAME[optimizer])
    clip = kinds.pop("clip")
    del kinds["parameters"]
    return {**kinds, "clip_norm": clip, "clip_value": clip}
