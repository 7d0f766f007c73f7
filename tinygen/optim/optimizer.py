"""What all optimisers share: the step, clipping, their state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import (
    Array,
    array_module,
    as_array,
    device_of,
    kernels,
    to_device,
    to_numpy,
)
from ..core import Parameter, Tensor
from ..names import nearest
from ..nn.module import Module
from ..ranges import not_negative, positive
from .gathered import Gathered, named
from .schedules import Schedule


class Optimizer:
    """Base of the optimisers: `step()` changes the parameters by their gradients.

    Parameters without a gradient, or frozen, are skipped together with their momentum.

    Gradients that are clipped have to be numbers. On the CPU a step raises FloatingPointError, and
    changes nothing, if one is NaN or their norm is infinite. A card is not waited for: `clip_norm`
    multiplies with NaN there, so that all parameters, and the next loss, are NaN too, which a
    training loop finds when it reads its losses. Without clipping a NaN stays visible by itself.

    Args:
        parameters: a Module, or parameters.
        learning_rate: a number, or a schedule: a function of the number of steps done.
        clip_norm: scale all gradients together so that their global norm is at most this.
        clip_value: limit each element of the gradients to [-clip_value, clip_value].
    """

    SLOTS: tuple[str, ...] = ()
    COUNTS: bool = False  # whether the rule depends on how many steps a parameter has had
    convention: str = "keras"

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        for name, value in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if value is not None:
                positive(f"{type(self).__name__}: {name}", value)
        self.learning_rate = learning_rate
        self.gathered = Gathered(named(parameters), self.SLOTS)
        self.clip_norm, self.clip_value = clip_norm, clip_value

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters, each once."""
        return self.gathered.parameters

    @property
    def steps(self) -> int:
        """How many steps were done."""
        return self.gathered.steps

    @property
    def learning_rate(self) -> float:
        """The rate that the next step will use."""
        if not callable(self.schedule):
            return float(self.schedule)
        rate = float(self.schedule(self.steps))
        if not 0 <= rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: the schedule gives a learning rate of {rate} after "
                f"{self.steps} steps"
            )
        return rate

    @learning_rate.setter
    def learning_rate(self, rate: float | Schedule) -> None:
        if not callable(rate):
            not_negative(f"{type(self).__name__}: learning_rate", rate)
        self.schedule = rate

    def add_parameters(self, parameters: Module | Iterable[Parameter]) -> None:
        """Take in the parameters of a part that was added to the network.

        Their momentum, and the count of their steps, starts now.
        """
        self.gathered.add(named(parameters))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters:
            p.grad = None

    def gradient_norm(self) -> Tensor:
        """The Euclidean norm of all gradients together, without axes; 0 where there are none."""
        gradients = [p.grad.array for p in self.parameters if p.grad is not None]
        if not gradients:
            return Tensor(np.zeros(()))
        xp = array_module(gradients[0])
        return Tensor(xp.sqrt(xp.asarray(kernels(gradients[0]).sum_of_squares(gradients))))

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
            rate, scale = self.learning_rate, self._clip(chosen, gradients)
            for i in chosen:
                gathered.parameters[i].version += 1
            flat = [gathered.flat[i] for i in chosen]
            slots = [[own[i] for i in chosen] for own in gathered.slots.values()]
            if not self.COUNTS or not any(gathered.missed):  # all at once
                self.update(flat, gradients, slots, rate, scale, gathered.steps + 1)
            else:
                for count, places in self._by_count(chosen).items():
                    lists = [[own[k] for k in places] for own in (flat, gradients, *slots)]
                    self.update(lists[0], lists[1], lists[2:], rate, scale, count)
        if self.COUNTS and self.convention == "pytorch" and len(chosen) < len(gathered.parameters):
            for i in {*range(len(gathered.parameters))}.difference(chosen):
                gathered.missed[i] += 1
        gathered.steps += 1

    def _by_count(self, chosen: list[int]) -> dict[int, list[int]]:
        """For each number that this step has, from 1, the places in `chosen` that have it."""
        groups: dict[int, list[int]] = {}
        for k, i in enumerate(chosen):
            groups.setdefault(self.steps + 1 - self.gathered.missed[i], []).append(k)
        return groups

    def _clip(self, chosen: list[int], gradients: list[Array]) -> float | Array:
        """Clip the values in place of the list; the factor for all of them that clips the norm."""
        if self.clip_value is not None:
            limit = self.clip_value
            for k, g in enumerate(gradients):
                gradients[k] = as_array(array_module(g).clip(g, -limit, limit))
        elif self.clip_norm is None:
            return 1.0
        if device_of(gradients[0]) != "cpu":
            return 1.0 if self.clip_norm is None else _to_norm(gradients, self.clip_norm)
        norm = _norm(gradients)
        if not math.isfinite(norm):
            names = [self.gathered.names[i] for i in chosen]
            raise _not_finite(f"{type(self).__name__}.step", names, gradients, norm)
        return 1.0 if self.clip_norm is None else self.clip_norm / max(norm, self.clip_norm)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
        count: int,
    ) -> None:
        """Change `parameters` and `slots` in place; the arrays have no axes but one.

        Args:
            parameters, gradients, slots: arrays, one of each kind for every parameter.
            rate: the learning rate.
            scale: a factor for the gradients.
            count: the number of the step for these parameters, from 1, if the rule `COUNTS`.
        """
        raise TypeError(f"{type(self).__name__} does not define update")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the count of steps, and copies of the slots by name.

        If the rule depends on it, also the count of each parameter's own steps.
        """
        gathered = self.gathered
        gathered.refresh()
        state: dict[str, Any] = {"steps": self.steps}
        for slot, arrays in gathered.slots.items():
            for name, array in zip(gathered.names, arrays, strict=True):
                state[f"{slot}.{name}"] = to_numpy(array).copy()
        if self.COUNTS:
            for name, missed in zip(gathered.names, gathered.missed, strict=True):
                state[f"count.{name}"] = np.array([self.steps - missed])
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an optimiser of the same parameters.

        One without counts of each parameter's steps, as they once were, has `steps` for all.
        Raises ValueError, before anything is changed, for names or sizes that do not fit, other
        types, and numbers that are not finite.
        """
        own, gathered = self.state_dict(), self.gathered
        kind = f"{type(self).__name__}.load_state_dict"
        if not any(name.startswith("count.") for name in state):
            own = {name: value for name, value in own.items() if not name.startswith("count.")}
        given: dict[str, Array] = {}
        for name in {**own, **state}:
            if name not in state:
                raise ValueError(f"{kind}: missing {name}")
            if name not in own:
                raise ValueError(f"{kind}: unknown {name!r}{nearest(name, own)}")
            given[name] = _fitting(f"{kind}: {name}", state[name], np.asarray(own[name]))
        steps = int(given["steps"])
        missed = [steps - int(given.get(f"count.{name}", [steps])[0]) for name in gathered.names]
        if not all(0 <= number <= steps for number in (steps, *missed)):
            raise ValueError(f"{kind}: counts of steps must be from 0 to the {steps} of all")
        for slot, arrays in gathered.slots.items():
            for name, array in zip(gathered.names, arrays, strict=True):
                array[...] = to_device(given[f"{slot}.{name}"], device_of(array))
        gathered.steps, gathered.missed = steps, missed


def clip_grad_norm(parameters: Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their global norm is at most `max_norm`.

    Returns the norm before. Raises FloatingPointError, and changes nothing, if it is not finite.
    """
    positive("clip_grad_norm: max_norm", max_norm)
    names, gradients, with_grad = [], [], []
    for name, p in named(parameters):
        if p.grad is not None:
            names.append(name)
            gradients.append(p.grad.data)
            with_grad.append(p)
    norm = _norm(gradients)
    if not math.isfinite(norm):
        raise _not_finite("clip_grad_norm", names, gradients, norm)
    if norm > max_norm:
        for p, gradient in zip(with_grad, gradients, strict=True):
            p.grad = Tensor(gradient * p.dtype.type(max_norm / norm))
    return norm


def _fitting(name: str, value: Any, like: Array) -> Array:
    """A value of a state as an array like the present one."""
    array = np.asarray(value)
    if array.shape != like.shape:
        raise ValueError(f"{name} has shape {like.shape}, the given one {array.shape}")
    if not np.can_cast(array.dtype, like.dtype, "same_kind"):
        raise ValueError(f"{name}: could not convert {array.dtype} to {like.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return array.astype(like.dtype, copy=False)


def _to_norm(gradients: Sequence[Array], most: float) -> Array:
    """On a card the factor, at most 1, that brings the norm of all gradients together to `most`.

    An array without axes there, so that nobody waits for it; NaN for a norm that is not finite.
    """
    xp = array_module(gradients[0])
    norm = xp.sqrt(as_array(kernels(gradients[0]).sum_of_squares(gradients)))
    return as_array(most / xp.maximum(norm, most) + 0.0 * norm)


def _norm(gradients: Sequence[Array]) -> float:
    """The Euclidean norm of all gradients together."""
    return math.sqrt(float(kernels(gradients[0]).sum_of_squares(gradients))) if gradients else 0.0


def _not_finite(
    where: str, names: Sequence[str], gradients: Sequence[Array], norm: float
) -> FloatingPointError:
    """What to raise for gradients whose norm is no number."""
    spoilt = [
        name
        for name, gradient in zip(names, gradients, strict=True)
        if not np.isfinite(to_numpy(gradient)).all()
    ]
    what = f"that of {spoilt[0]} holds NaN or infinity" if spoilt else "they overflow"
    return FloatingPointError(
        f"{where}: the gradients have a norm of {norm}, {what}, so nothing was changed. Lower the "
        "learning rate, or run with TINYGEN_DEBUG=1 to see which op made the first NaN."
    )
