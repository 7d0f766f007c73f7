"""How PyTorch can do a step: backward and an optimiser in one of its forms, or all compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from benchmarks.problem import RMSpropProblem
from benchmarks.subject import TrainingStep

Candidates: TypeAlias = dict[str, Callable[[], TrainingStep]]

LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}

# How torch.optim can update: one parameter after the other, in groups, or by one fused kernel,
# which RMSprop has not got.
UPDATES: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def updates(problem: Any) -> dict[str, dict[str, bool]]:
    """The ways to update that there are for the problem's rule."""
    has_fused = not isinstance(problem, RMSpropProblem)
    return {name: how for name, how in UPDATES.items() if has_fused or name != "fused"}


def optimizer(net: Any, problem: Any, how: dict[str, bool]) -> Any:
    """The optimiser of the problem: RMSprop, or plain SGD."""
    if isinstance(problem, RMSpropProblem):
        rule = {"alpha": problem.rho, "eps": problem.epsilon}
        if torch.get_default_device().type == "cuda":
            rule["capturable"] = True  # so that a CUDA graph may hold the update
        return torch.optim.RMSprop(net.parameters(), problem.learning_rate, **rule, **how)
    return torch.optim.SGD(net.parameters(), problem.learning_rate, **how)


class Weights:
    """A network's weights as plain tensors, and the problem's rule, for a step compiled as one."""

    def __init__(self, net: Any, problem: Any) -> None:
        self.values = {name: w.detach() for name, w in net.named_parameters()}
        self.squares = {name: torch.zeros_like(w) for name, w in self.values.items()}
        self.problem = problem

    def update(self, gradients: Any) -> None:
        """One step of RMSprop or plain SGD, in place."""
        for name, w in self.values.items():
            g = gradients[name]
            if isinstance(self.problem, RMSpropProblem):
                rho = self.problem.rho
                s = self.squares[name].mul_(rho).addcmul_(g, g, value=1 - rho)
                g = g / s.sqrt().add_(self.problem.epsilon)
            w.sub_(g, alpha=self.problem.learning_rate)


def candidates(
    network: Callable[[], Any],
    problem: Any,
    compiled: bool,
    loss_of: Callable[..., Any],
    batches: Any = None,
) -> Candidates:
    """Training of one network, in every way to update it.

    Args:
        network: builds it.
        problem: its problem.
        compiled: whether to compile the loss, or all of the step.
        loss_of: the loss of a network and a batch.
        batches: the pool, if it is not the problem's own as it is.
    """
    batches = tensors(problem.batches()) if batches is None else batches

    def usual(how: dict[str, bool]) -> TrainingStep:
        net = network()
        rule = optimizer(net, problem, how)
        # the backward of a compiled function is compiled too
        forward = torch.compile(loss_of) if compiled else loss_of

        def step(batch: Any) -> Any:
            rule.zero_grad()
            loss = forward(net, batch)
            loss.backward()
            rule.step()
            return loss.detach()

        return TrainingStep(step, batches)

    def whole() -> TrainingStep:
        """Forward, backward and update compiled as one function of the weights."""
        net = network()
        weights = Weights(net, problem)

        def loss_by(values: Any, batch: Any) -> Any:
            return loss_of(lambda *x: torch.func.functional_call(net, values, x), batch)

        def step(batch: Any) -> Any:
            gradients, loss = torch.func.grad_and_value(loss_by)(weights.values, batch)
            weights.update(gradients)
            return loss

        return TrainingStep(torch.compile(step), batches)

    ways: Candidates = {k: functools.partial(usual, how) for k, how in updates(problem).items()}
    if compiled:
        ways["whole step"] = whole
    return ways


def in_both_layouts(ways: Callable[[Any], Candidates]) -> Candidates:
    """All candidates for each memory format of images."""
    return {
        f"{name}, {way}": make
        for name, layout in LAYOUTS.items()
        for way, make in ways(layout).items()
    }


def tensors(batches: Any) -> Any:
    """The same in PyTorch's type: arrays, or tuples of them."""
    if isinstance(batches, (list, tuple)):
        return type(batches)(map(tensors, batches))
    return torch.from_numpy(batches).to(torch.get_default_device())


def linear(w: Any, b: Any) -> Any:
    """A layer with these weights (in, out), and biases."""
    layer = torch.nn.Linear(*w.shape)
    return with_weights(layer, w.T, b)


def with_weights(layer: Any, w: Any, b: Any) -> Any:
    """The layer with these weights, in its own order, and biases."""
    layer.weight.data[...] = torch.from_numpy(w.copy())
    layer.bias.data[...] = torch.from_numpy(b)
    return layer
