"""Gradient checks: what backward computes, against differences of the function itself.

Only the function is trusted. Random cotangents c are given to its outputs y, and for a direction v
in which one input x moves, two numbers must agree: <v, g>, where g is the gradient of <c, y> by
backward, and the central difference of fourth order

    sum_k w_k <c, y(x + k h v)> / h,    k = -2, -1, 1, 2,    w = 1/12, -2/3, 2/3, -1/12.

Its truncation error shrinks as h^4, so that h can stay large enough for rounding not to matter.

Sources: Fornberg 1988, "Generation of finite difference formulas on arbitrarily spaced grids" (the
weights); Griewank & Walther 2008, "Evaluating derivatives", chapter 3 (a random cotangent and a
random direction test a whole Jacobian at once).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..backend import Array
from ..core import Tensor
from ..gradients import grad
from .random import Random

__all__ = ["GradientError", "gradcheck", "gradgradcheck"]

Differentiable: TypeAlias = Callable[..., Tensor | Sequence[Tensor]]

STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
DIRECTIONS = 4  # random directions in which every input is moved
ELEMENTS = 100  # an input of up to so many elements is moved element by element, too


class GradientError(AssertionError):
    """What backward gives is not the gradient of the function."""


def gradcheck(
    fn: Differentiable,
    inputs: Tensor | Sequence[Tensor],
    *,
    epsilon: float = 1e-3,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    rng: Random | None = None,
) -> bool:
    """True if backward gives the gradient of `fn`; else a GradientError says where it does not.

    Args:
        fn: takes the inputs and returns a tensor, or several. It must give the same outputs for
            the same inputs: where it draws random numbers, from a stream that starts anew.
        inputs: float64 tensors; those that do not require a gradient are left alone. The check
            swaps the arrays inside the others, so `fn` may also reach them by another way, as a
            model does its parameters.
        epsilon: the step h of the differences; kinks of `fn` must be further off than 2 h.
        rtol: how far off backward may be, relative to the difference.
        atol: how far off it may be in any case.
        rng: where cotangents and directions are drawn; by default the same ones every time.

    >>> from tinygen import ops, tensor
    >>> x = tensor([0.5, 1.0, 2.0], dtype="float64", requires_grad=True)
    >>> gradcheck(lambda x: x * ops.log(x), x)
    True
    """
    tensors = _listed("gradcheck", inputs)
    _compare("gradcheck", fn, tensors, [], epsilon, rtol, atol, rng or Random(0, "gradcheck"))
    return True


def gradgradcheck(
    fn: Differentiable,
    inputs: Tensor | Sequence[Tensor],
    *,
    epsilon: float = 1e-3,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    rng: Random | None = None,
) -> bool:
    """The same for the second order: is the gradient's own gradient right?

    The function that is checked takes the inputs and the gradients of the outputs, and returns the
    gradients of the inputs. Arguments as for `gradcheck`.

    >>> from tinygen import tensor
    >>> x = tensor([0.5, 1.0, 2.0], dtype="float64", requires_grad=True)
    >>> gradgradcheck(lambda x: x**3, x)
    True
    """
    tensors = _listed("gradgradcheck", inputs)
    rng = rng or Random(0, "gradgradcheck")
    cotangents = [Tensor(_normal(y, rng), requires_grad=True) for y in _outputs(fn, tensors)]
    plain = _gradients(_outputs(fn, tensors), tensors, cotangents, create_graph=False)
    recorded = _gradients(_outputs(fn, tensors), tensors, cotangents, create_graph=True)
    for i, (a, b) in enumerate(zip(plain, recorded, strict=True)):
        if not np.allclose(a.data, b.data, rtol, atol, equal_nan=True):
            raise GradientError(f"gradgradcheck: create_graph=True changes the gradient of input {i}")

    def gradient(*arguments: Tensor) -> list[Tensor]:
        xs, cs = arguments[: len(tensors)], arguments[len(tensors) :]
        return _gradients(_outputs(fn, xs), xs, cs, create_graph=True)

    _compare("gradgradcheck", gradient, tensors, cotangents, epsilon, rtol, atol, rng)
    return True


def _compare(
    check: str,
    fn: Differentiable,
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    epsilon: float,
    rtol: float,
    atol: float,
    rng: Random,
) -> None:
    """Raise a GradientError unless backward and differences of `fn(*inputs, *cotangents)` agree."""
    names = [f"input {i}" for i in range(len(inputs))]
    names += [f"the gradient of output {i}" for i in range(len(cotangents))]
    inputs = [*inputs, *cotangents]
    outputs = _outputs(fn, inputs)
    weights = [Tensor(_normal(y, rng)) for y in outputs]
    before = [t.data.copy() for t in (*outputs, *inputs, *weights)]
    for y, y_before in zip(_outputs(fn, inputs), before, strict=False):
        if not np.array_equal(y.data, y_before, equal_nan=True):
            raise ValueError(
                f"{check}: fn gave two different outputs for the same inputs; a function that "
                "draws random numbers must start its own stream anew"
            )
    gradients = _gradients(outputs, inputs, weights, create_graph=False)
    for t, t_before in zip((*outputs, *inputs, *weights), before, strict=True):
        if not np.array_equal(t.data, t_before, equal_nan=True):
            raise GradientError(f"{check}: backward writes into an array of shape {t.shape} that is not its own")
