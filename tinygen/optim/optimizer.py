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
from .gathered import Gathered, named
from .schedules import Schedule


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
        self.gathered = Gathered(named(parameters), self.SLOTS)
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
        self.gathered.add(named(parameters))

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
                gradients = [as_array(array_module(g).clip(g, -limit, limit)) for g in gradients]
            scale: float | Array = 1.0
            if self.clip_norm is not None:
                scale = _to_norm(gradients, self.clip_norm)
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
        scale: float | Array,
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
                array[...] = to_device(given[f"{slot}.{name}"], device_of(array))
        self.steps = steps


def clip_grad_norm(parameters: Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their global norm is at most `max_norm`.

    Returns the norm before.
    """
    with_grad = [p for _, p in named(parameters) if p.grad is not None]
    norm = _norm([p.grad.data for p in with_grad if p.grad is not None])
    if norm > max_norm:
        for p in with_grad:
            assert p.grad is not None
            p.grad = Tensor(p.grad.data * p.dtype.type(max_norm / norm))
    return norm


def _to_norm(gradients: Sequence[Array], most: float) -> float | Array:
    """The factor, at most 1, that brings the norm of all gradients together down to `most`.

    On a card it is an array without axes there, so that nobody waits for it.
    """
    if device_of(gradients[0]) == "cpu":
        return min(1.0, most / max(_norm(gradients), 1e-30))
    xp = array_module(gradients[0])
    norm = xp.sqrt(as_array(kernels(gradients[0]).sum_of_squares(gradients)))
    return xp.minimum(1.0, most / xp.maximum(norm, 1e-30))


def _norm(gradients: Sequence[Array]) -> float:
    """The Euclidean norm of all gradients together."""
    return math.sqrt(float(kernels(gradients[0]).sum_of_squares(gradients))) if gradients else 0.0
