"""Optimisers, learning-rate schedules, gradient clipping and weight averages.

Where Keras and PyTorch differ (the place of epsilon, what momentum keeps) the default is Keras's;
`convention="pytorch"` gives PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from .backend import LINE, Array, array_module, empty, kernels, to_device, to_numpy
from .core import Parameter, Tensor
from .names import nearest
from .nn.module import Module

Schedule: TypeAlias = Callable[[int], float]


class Gathered:
    """Parameters laid out in one buffer per dtype and device, each `.data` a view into it.

    Whatever replaces a parameter's array (deepcopy, `to`, unpickling, growth) makes it leave the
    buffer, so `refresh` looks before each use and gathers again; what belongs to a parameter of
    unchanged size stays with it.

    Args:
        parameters: names and parameters; one that comes twice counts once.
        slots: names of arrays kept beside each parameter, such as "velocity", 0 at the start.
    """

    def __init__(self, parameters: Iterable[tuple[str, Parameter]], slots: Sequence[str]) -> None:
        self.parameters: list[Parameter] = []
        self.names: list[str] = []
        self.views: list[Array] = []  # what each parameter's data should be
        self.flat: list[Array] = []  # the same without axes
        self.slots: dict[str, list[Array]] = {slot: [] for slot in slots}
        self.add(parameters)

    def add(self, parameters: Iterable[tuple[str, Parameter]]) -> None:
        """Take in more parameters, as when a network grows."""
        known = {id(p) for p in self.parameters}
        for name, p in parameters:
            if id(p) not in known:
                known.add(id(p))
                taken = name in self.names  # by a parameter of another module
                self.names.append(f"{len(self.names)}.{name}" if taken else name)
                self.parameters.append(p)
        self._gather()

    def refresh(self) -> None:
        """Gather again if any parameter has another array by now."""
        for p, view in zip(self.parameters, self.views, strict=True):
            if p.array is not view:
                return self._gather()

    def _gather(self) -> None:
        old = {slot: list(arrays) for slot, arrays in self.slots.items()}
        groups: dict[tuple[Any, str], list[int]] = {}
        for i, p in enumerate(self.parameters):
            groups.setdefault((p.dtype, p.device), []).append(i)
        self.views = [p.array for p in self.parameters]
        self.flat = [p.array for p in self.parameters]
        self.slots = {slot: list(self.flat) for slot in old}
        for (dtype, device), members in groups.items():
            sizes = [self.parameters[i].size for i in members]
            line = LINE // dtype.itemsize  # every parameter begins at a multiple of it
            steps = [-(-size // line) * line for size in sizes]
            buffer = empty((sum(steps),), dtype, device)
            state = {slot: array_module(buffer).zeros_like(buffer) for slot in old}
            start = 0
            for i, size, step in zip(members, sizes, steps, strict=True):
                p, place = self.parameters[i], slice(start, start + size)
                self.flat[i] = buffer[place]
                self.views[i] = self.flat[i].reshape(p.shape)
                self.views[i][...] = p.array
                p.array = self.views[i]  # the same values, so nothing that was saved is stale
                for slot, arrays in old.items():
                    self.slots[slot][i] = state[slot][place]
                    if i < len(arrays) and arrays[i].size == size:
                        self.slots[slot][i][...] = to_device(arrays[i], device)
                start += step


class Optimizer:
    """Base of the optimisers: `step()` changes the parameters by their gradients.

    Parameters without a gradient, or frozen, are skipped together with their momentum.

    Args:
        parameters: a Module, or parameters.
        learning_rate: a number, or a schedule: a function of the number of steps done.
        clip_norm: scale all gradients together so that their global norm is at most this.
        clip_value: limit each element of the gradients to [-clip_value, clip_value].
    """

    SLOTS: tuple[str, ...] = ()

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        for name, value in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if value is not None and not value > 0:
                raise ValueError(f"{type(self).__name__}: {name} must be positive, not {value}")
        self.learning_rate = learning_rate
        self.gathered = Gathered(_named(parameters), self.SLOTS)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.steps = 0

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters, each once."""
        return self.gathered.parameters

    @property
    def learning_rate(self) -> float:
        """The rate that the next step will use."""
        return float(self.schedule(self.steps) if callable(self.schedule) else self.schedule)

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        if not callable(rate) and not rate >= 0:
            raise ValueError(
                f"{type(self).__name__}: learning_rate must not be negative, got {rate}"
            )
        self.schedule = rate

    def add_parameters(self, parameters: Module | Iterable[Parameter]) -> None:
        """Take in the parameters of a part that was added to the network."""
        self.gathered.add(_named(parameters))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Change the parameters once."""
        gathered = self.gathered
        gathered.refresh()
        chosen, gradients = [], []
        for i, p in enumerate(gathered.parameters):
            if p.grad is not None and p.requires_grad:
                if p.grad.array.shape != p.array.shape:
                    raise ValueError(
                        f"{type(self).__name__}.step: {gathered.names[i]} has shape {p.shape}, "
                        f"its gradient {p.grad.shape}: run backward again"
                    )
                chosen.append(i)
                gradients.append(p.grad.array)
        if gradients:
            for i in chosen:
                gathered.parameters[i].version += 1
            if self.clip_value is not None:
                limit = self.clip_value
                gradients = [array_module(g).clip(g, -limit, limit) for g in gradients]
            scale = 1.0
            if self.clip_norm is not None:
                scale = min(1.0, self.clip_norm / max(_norm(gradients), 1e-30))
            flat = [gathered.flat[i] for i in chosen]
            slots = [[arrays[i] for i in chosen] for arrays in gathered.slots.values()]
            self.update(flat, gradients, slots, self.learning_rate, scale)
        self.steps += 1

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float,
    ) -> None:
        """Change `parameters` and `slots` in place; the arrays have no axes but one."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the count of steps, and copies of the slots by name."""
        self.gathered.refresh()
        state: dict[str, Any] = {"steps": self.steps}
        for slot, arrays in self.gathered.slots.items():
            for name, array in zip(self.gathered.names, arrays, strict=True):
                state[f"{slot}.{name}"] = to_numpy(array).copy()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an optimiser of the same parameters.

        Raises ValueError, before anything is changed, for names or sizes that do not fit.
        """
        own = self.state_dict()
        kind = type(self).__name__
        for name in {**own, **state}:
            if name not in state:
                raise ValueError(f"{kind}.load_state_dict: missing {name}")
            if name not in own:
                raise ValueError(f"{kind}.load_state_dict: unknown {name!r}{nearest(name, own)}")
            if np.shape(state[name]) != np.shape(own[name]):
                raise ValueError(
                    f"{kind}.load_state_dict: {name} has shape {np.shape(own[name])}, "
                    f"the given one {np.shape(state[name])}"
                )
        steps = int(state["steps"])
        given = {name: np.asarray(state[name], own[name].dtype) for name in own if name != "steps"}
        for slot, arrays in self.gathered.slots.items():
            for name, array in zip(self.gathered.names, arrays, strict=True):
                array[...] = to_device(given[f"{slot}.{name}"], None)
        self.steps = steps


class SGD(Optimizer):
    """Stochastic gradient descent:  p -= rate g.

    With momentum:  v = momentum v - rate g,  p += v.

    Args:
        parameters: a Module, or parameters.
        learning_rate: a number, or a function of the number of steps done.
        momentum: from 0 up to, not including, 1.
        nesterov: look ahead:  p += momentum v - rate g  (Sutskever et al. 2013).
        convention: "keras", or "pytorch" where the rate multiplies v only when it is used.
        clip: see Optimizer.
    """

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, momentum=momentum)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.SLOTS = ("velocity",) if momentum else ()
        self.momentum, self.nesterov, self.convention = momentum, nesterov, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float,
    ) -> None:
        """One step for arrays without axes."""
        m = self.momentum
        if self.convention == "keras":
            factors = (-rate, m, -rate) if self.nesterov else (-rate, 1.0, 0.0)
        else:
            factors = (1.0, -rate * m, -rate) if self.nesterov else (1.0, -rate, 0.0)
        if not m:
            factors = (0.0, 0.0, -rate)
        velocities = slots[0] if slots else []
        kernels(parameters[0]).sgd(parameters, gradients, velocities, m, *factors, scale)


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square (Hinton 2012).

    s = rho s + (1 - rho) g^2,  p -= rate g / sqrt(s + epsilon);
    in PyTorch's convention  p -= rate g / (sqrt(s) + epsilon).
    """

    SLOTS = ("square",)

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, rho=rho)
        self.rho, self.epsilon, self.convention = rho, epsilon, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float,
    ) -> None:
        """One step for arrays without axes."""
        inside, outside = (self.epsilon, 0.0) if self.convention == "keras" else (0.0, self.epsilon)
        kernels(parameters[0]).rmsprop(
            parameters, gradients, slots[0], rate, self.rho, inside, outside, scale
        )


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).

    m = beta1 m + (1 - beta1) g,  s = beta2 s + (1 - beta2) g^2,  and at step t
    p -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(s) + epsilon);
    in PyTorch's convention epsilon is added to sqrt(s / (1 - beta2^t)).
    """

    SLOTS = ("mean", "square")

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.weight_decay, self.convention = weight_decay, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float,
    ) -> None:
        """One step for arrays without axes."""
        root = math.sqrt(1.0 - self.beta2 ** (self.steps + 1))
        epsilon = self.epsilon * (1.0 if self.convention == "keras" else root)
        from_mean = rate * root / (1.0 - self.beta1 ** (self.steps + 1))
        factors = from_mean, 0.0, 1.0, epsilon, 1.0 - rate * self.weight_decay, scale
        kernels(parameters[0]).adam(parameters, gradients, *slots, self.beta1, self.beta2, *factors)


class AdamW(Adam):
    """Adam with decoupled weight decay, by default 0.004 as in Keras."""

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.004,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            convention=convention,
            **clip,
        )


class Nadam(Adam):
    """Adam with Nesterov's look-ahead (Dozat 2016).

    With u_t = beta1 (1 - 0.96^(d t) / 2) and U_t their product up to t:
    p -= rate (u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)) / (sqrt(s_t) + epsilon),
    where s_t is s / (1 - beta2^t), and d is 1 in Keras's convention and 0.004 in PyTorch's.
    """

    _product: tuple[int, float] = (0, 1.0)  # t and U_t of the last step

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float,
    ) -> None:
        """One step for arrays without axes."""
        t = self.steps + 1
        decay = 1.0 if self.convention == "keras" else 0.004
        done, product = self._product if self._product[0] <= t else (0, 1.0)
        for i in range(done + 1, t + 1):
            product *= self._look_ahead(i, decay)
        self._product = t, product
        now, following = self._look_ahead(t, decay), self._look_ahead(t + 1, decay)
        from_mean = rate * following / (1.0 - product * following)
        from_gradient = rate * (1.0 - now) / (1.0 - product)
        root = 1.0 / math.sqrt(1.0 - self.beta2**t)
        keep = 1.0 - rate * self.weight_decay
        kernels(parameters[0]).adam(
            parameters,
            gradients,
            *slots,
            self.beta1,
            self.beta2,
            from_mean,
            from_gradient,
            root,
            self.epsilon,
            keep,
            scale,
        )

    def _look_ahead(self, t: int, decay: float) -> float:
        """u_t."""
        u: float = self.beta1 * (1.0 - 0.5 * 0.96 ** (decay * t))
        return u


class EMA:
    """An exponential moving average of a module's parameters, for sampling from a steadier model.

    average = decay average + (1 - decay) parameter, after each step. Buffers are not averaged.

    >>> import tinygen
    >>> layer = tinygen.nn.Dense(2, 1, rng=tinygen.Random(0))
    >>> ema = tinygen.optim.EMA(layer, decay=0.5)
    >>> layer.bias.data[...] = 1.0
    >>> ema.update()
    >>> with ema.applied():
    ...     layer.bias.numpy()
    array([0.5], dtype=float32)
    """

    def __init__(self, module: Module, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay must be at least 0 and below 1, not {decay}")
        self.decay = decay
        self.parameters = dict(module.named_parameters())
        self.averages = {name: p.data.ravel().copy() for name, p in self.parameters.items()}

    def update(self) -> None:
        """Move the average towards the parameters of now."""
        self._follow()
        arrays = [p.data for p in self.parameters.values()]
        if arrays:
            kernels(arrays[0]).ema(list(self.averages.values()), arrays, self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module has the averages for parameters."""
        self._follow()
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _follow(self) -> None:
        """Start the average of a parameter that has grown anew."""
        for name, p in self.parameters.items():
            if self.averages[name].size != p.size:
                self.averages[name] = p.data.ravel().copy()

    def _swap(self) -> None:
        for name, p in self.parameters.items():
            now = p.data.ravel().copy()
            p.data[...] = self.averages[name].reshape(p.shape)
            self.averages[name] = now
            p.version += 1

    def state_dict(self) -> dict[str, Array]:
        """Copies of the averages by name."""
        return {name: to_numpy(a).copy() for name, a in self.averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an average of the same parameters."""
        if {k: np.shape(v) for k, v in state.items()} != {
            k: v.shape for k, v in self.averages.items()
        }:
            raise ValueError("EMA.load_state_dict: names or sizes differ from the module's")
        for name, average in self.averages.items():
            average[...] = to_device(np.asarray(state[name], average.dtype), None)


def exponential_decay(initial: float, factor: float, every: int) -> Schedule:
    """initial * factor^(step / every)."""
    _check_steps("exponential_decay", every)
    return lambda step: initial * factor ** (step / every)


def piecewise_constant(boundaries: Sequence[int], values: Sequence[float]) -> Schedule:
    """values[i] until step boundaries[i], then values[i + 1]; one value more than boundaries."""
    if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(boundaries):
        raise ValueError(
            f"piecewise_constant: {len(boundaries)} rising boundaries need one value more, "
            f"got {list(boundaries)} and {list(values)}"
        )
    return lambda step: values[sum(step >= b for b in boundaries)]


def linear_decay(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """From initial to final in a straight line over `steps`, then final."""
    _check_steps("linear_decay", steps)
    return lambda step: initial + (final - initial) * min(step / steps, 1.0)


def cosine_decay(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine wave from initial to final over `steps` (Loshchilov & Hutter 2017)."""
    _check_steps("cosine_decay", steps)
    return lambda step: (
        final + (initial - final) * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))
    )


def warmup(schedule: float | Schedule, steps: int) -> Schedule:
    """Rising from near 0 over `steps` to `schedule`, whose own count starts after that."""
    after = schedule if callable(schedule) else lambda step: float(schedule)
    return lambda step: after(0) * (step + 1) / steps if step < steps else after(step - steps)


def clip_grad_norm(parameters: Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their global norm is at most `max_norm`.

    Returns the norm before.
    """
    with_grad = [p for _, p in _named(parameters) if p.grad is not None]
    norm = _norm([p.grad.data for p in with_grad if p.grad is not None])
    if norm > max_norm:
        for p in with_grad:
            assert p.grad is not None
            p.grad = Tensor(p.grad.data * p.dtype.type(max_norm / norm))
    return norm


BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
}


def create(name: str, parameters: Module | Iterable[Parameter], **options: Any) -> Optimizer:
    """The optimiser of that name: sgd, rmsprop, adam, adamw or nadam."""
    if name not in BY_NAME:
        raise ValueError(f"unknown optimizer {name!r}{nearest(name, BY_NAME)}")
    return BY_NAME[name](parameters, **options)


def _named(parameters: Module | Iterable[Parameter]) -> Iterable[tuple[str, Parameter]]:
    """Names and parameters of a module; parameters by themselves are numbered."""
    if isinstance(parameters, Module):
        return list(parameters.named_parameters())
    listed: list[Any] = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in listed:
        if not isinstance(p, Tensor) or not p.is_leaf:
            raise TypeError(f"parameters must be a Module or a list of leaf tensors, got {p!r:.80}")
    return [(str(i), p) for i, p in enumerate(listed)]


def _norm(gradients: Sequence[Array]) -> float:
    """The Euclidean norm of all gradients together."""
    return math.sqrt(float(kernels(gradients[0]).sum_of_squares(gradients))) if gradients else 0.0


def _check(optimizer: Optimizer, convention: str, **fractions: float) -> None:
    kind = type(optimizer).__name__
    if convention not in ("keras", "pytorch"):
        raise ValueError(f'{kind}: convention must be "keras" or "pytorch", not {convention!r}')
    for name, value in fractions.items():
        if not 0 <= value < 1:
            raise ValueError(f"{kind}: {name} must be at least 0 and below 1, not {value}")


def _check_steps(schedule: str, steps: int) -> None:
    if not steps > 0:
        raise ValueError(f"{schedule}: the number of steps must be positive, not {steps}")
