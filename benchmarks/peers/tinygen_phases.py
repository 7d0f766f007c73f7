"""A training step of tinygen as phases: what is computed, what it changes, how it is run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tinygen
from benchmarks.problem import Problem
from benchmarks.subject import TrainingStep
from tinygen import nn, optim
from tinygen.training.capture import Captured


class Phase(NamedTuple):
    """A part of a step.

    Attributes:
        loss: of the parts of a batch, as arrays.
        optimizer: of what is changed.
        nets: all that the loss depends on.
        prepare: to be done before, such as freezing.
    """

    loss: Callable[..., Any]
    optimizer: optim.Optimizer
    nets: Sequence[nn.Module]
    prepare: Callable[[], object] = lambda: None

    def compute(self, *batch: Any, step: int = 0) -> Any:
        """Forward and backward."""
        self.optimizer.zero_grad()
        loss = self.loss(*batch)
        loss.backward()
        return {"loss": loss}


def training_step(phases: Sequence[Phase], problem: Problem, captured: bool) -> TrainingStep:
    """All phases one after the other, each by itself or recorded for a card; the sum of the losses.

    The batches lie where the networks do.
    """
    computes: list[Callable[..., Any]] = [
        Captured(p.compute, [t for net in p.nets for t in (*net.parameters(), *net.buffers())])
        if captured
        else p.compute
        for p in phases
    ]
    steps = itertools.count()

    def step(batch: Any) -> Any:
        total, number = None, next(steps)
        for phase, compute in zip(phases, computes, strict=True):
            phase.prepare()
            loss = compute(*batch, step=number)["loss"]
            phase.optimizer.step()
            total = loss if total is None else total.detach() + loss.detach()
        return total

    device = phases[0].nets[0].device
    return TrainingStep(step, [_on(device, batch) for batch in problem.batches()])


def _on(device: str, batch: Any) -> tuple[Any, ...]:
    """The parts of a batch as arrays on the device."""
    parts = batch if isinstance(batch, tuple) else (batch,)
    return tuple(tinygen.tensor(x).to(device).data for x in parts)
