"""Parameters in one buffer, so that an update goes over memory in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..backend import LINE, Array, array_module, empty, to_device, to_numpy
from ..core import Parameter, Tensor
from ..nn.module import Module


class Gathered:
    """Parameters laid out in one buffer per dtype and device, each `.data` a view into it.

    Whatever replaces a parameter's array (deepcopy, `to`, growth) makes it leave the buffer, so
    `refresh` looks before each use and gathers again; what belongs to a parameter of unchanged size
    stays with it. Pickled, a buffer is left behind, and gathered anew where it is loaded.

    Args:
        parameters: names and parameters; one that comes twice counts once.
        slots: names of arrays kept beside each parameter, such as "velocity", 0 at the start.

    Attributes:
        steps: how often the parameters were stepped.
        missed: for each parameter those of the steps that do not count for it: what came before it
            did, or before it grew, and what an optimiser adds to that.
    """

    def __init__(self, parameters: Iterable[tuple[str, Parameter]], slots: Sequence[str]) -> None:
        self.steps = 0
        self.missed: list[int] = []
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
                self.missed.append(self.steps)
        self._gather()

    def refresh(self) -> None:
        """Gather again if any parameter has another array by now."""
        for p, view in zip(self.parameters, self.views, strict=True):
            if p.array is not view:
                return self._gather()

    def __getstate__(self) -> dict[str, Any]:
        self.refresh()
        return {
            "steps": self.steps,
            "missed": list(self.missed),
            "parameters": self.parameters,
            "names": self.names,
            "slots": {slot: [to_numpy(a) for a in own] for slot, own in self.slots.items()},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.flat = [p.array for p in self.parameters]
        self._gather()

    def _gather(self) -> None:
        for i, (p, before) in enumerate(zip(self.parameters, self.flat, strict=False)):
            if p.size != before.size:  # grown; its momentum starts anew below
                self.missed[i] = self.steps
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


def named(parameters: Module | Iterable[Parameter]) -> Iterable[tuple[str, Parameter]]:
    """Names and parameters of a module; parameters by themselves are numbered."""
    if isinstance(parameters, Module):
        return list(parameters.named_parameters())
    listed: list[Any] = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in listed:
        if not isinstance(p, Tensor) or not p.is_leaf:
            raise TypeError(f"parameters must be a Module or a list of leaf tensors, got {p!r:.80}")
    return [(str(i), p) for i, p in enumerate(listed)]
