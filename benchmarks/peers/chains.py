"""Chains of small operations: what a library's engine costs, with next to no arithmetic in it.

tinygen and PyTorch agree on all that is used here (operators, `.backward(grad)`, `.grad`), so one
file serves both; what differs is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from benchmarks.subject import AbsentError, Subject

LENGTH = 100  # nodes


class MakeTensor(Protocol):
    """How a library makes a tensor of an array."""

    def __call__(self, array: Any, requires_grad: bool) -> Any:
        """The tensor, a leaf."""


class Chain(Subject):
    """y = f(...f(f(x))) and its backward, timed apart; giving the graph back counts as backward.

    Args:
        x: a leaf that requires a gradient.
        others: further leaves whose gradient is asked for.
        nodes: the operations, first to last.
        gy: the gradient to start with.
    """

    def __init__(
        self, x: Any, others: list[Any], nodes: list[Callable[[Any], Any]], gy: Any
    ) -> None:
        super().__init__()
        self.leaves, self.nodes, self.gy = [x, *others], nodes, gy

    def run(self, count: int) -> dict[str, float]:
        """That many times forward and backward."""
        clock, nodes, gy, leaves = time.perf_counter, self.nodes, self.gy, self.leaves
        forward = backward = 0.0
        for _ in range(count):
            start = clock()
            y = leaves[0]
            for node in nodes:
                y = node(y)
            between = clock()
            y.backward(gy)
            del y
            end = clock()
            forward += between - start
            backward += end - between
            for leaf in leaves:
                leaf.grad = None
        return {"forward": forward, "backward": backward}

    def check(self, steps: int) -> list[float]:
        """The values of y and of the gradients."""
        y = self.leaves[0]
        for node in self.nodes:
            y = node(y)
        y.backward(self.gy)
        found = [y.detach(), *(leaf.grad for leaf in self.leaves)]
        for leaf in self.leaves:
            leaf.grad = None
        return [float(v) for t in found for v in np.asarray(t).ravel()]


def build(name: str, single: bool, tensor: MakeTensor, library: Any) -> Chain:
    """The chain called `name`, or one node of it; the values stay near 1 and never overflow.

    Args:
        name: see below; "..., both" asks for the gradient of both operands.
        single: only one node.
        tensor: makes a tensor of an array.
        library: has `tanh` and `exp`.
    """
    kind, _, both = name.partition(", ")
    shape = (8, 8) if kind == "matmul" else (8,)
    x = tensor(np.linspace(0.5, 1.0, int(np.prod(shape)), dtype=np.float32).reshape(shape), True)
    if kind == "multiply":
        w = tensor(np.linspace(0.99, 1.01, 8, dtype=np.float32), bool(both))
        nodes = [lambda y: y * w]
    elif kind == "add":
        w = tensor(np.full(8, 0.01, np.float32), bool(both))
        nodes = [lambda y: y + w]
    elif kind == "matmul":  # the rows are averages, so nothing grows and nothing cancels
        average = 0.9 * np.eye(8) + 0.1 * np.roll(np.eye(8), 1, axis=1)
        w = tensor(average.astype(np.float32), bool(both))
        nodes = [lambda y: y @ w]
    elif kind == "tanh":
        w, nodes = None, [lambda y: library.tanh(y)]
    elif kind == "exp":  # e^-y tends to 0.567; alone, exp would overflow at the fourth node
        w, nodes = None, [lambda y: library.exp(y)]
        if not single:
            nodes.insert(0, lambda y: -y)
    else:
        raise AbsentError(f"no chain of {name}")
    nodes = nodes[-1:] if single else nodes * (LENGTH // len(nodes))
    return Chain(x, [w] if both else [], nodes, tensor(np.ones(shape, np.float32), False))
