"""Gradient checks: what backward computes, against differences of the function itself.

Only the function is trusted. Its outputs y get random cotangents c. For a direction v in which one
input x moves, two numbers must agree: <g, v>, where g is the gradient of <c, y> by backward, and
the central difference of fourth order

    sum_k w_k <c, y(x + k h v)> / h,    k = -2, -1, 1, 2,    w = 1/12, -2/3, 2/3, -1/12.

Its truncation error shrinks as h^4, so h can stay large enough for rounding not to matter.

Sources: Fornberg 1988, "Generation of finite difference formulas on arbitrarily spaced grids" (the
weights); Griewank & Walther 2008, "Evaluating derivatives", chapter 3 (a random cotangent and a
random direction test a whole Jacobian at once).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..backend import Array
from ..core import Tensor
from ..gradients import grad
from .random import Random

__all__ = ["GradientError", "gradcheck", "gradgradcheck"]

Differentiable: TypeAlias = Callable[..., Tensor | Sequence[Tensor]]

STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
DIRECTIONS = 4  # random directions in which every input moves
ELEMENTS = 100  # an input of up to so many elements also moves element by element


class GradientError(AssertionError):
    """What backward gives is not the gradient of the function."""


class _Check(NamedTuple):
    """What the helpers below need to know of a check."""

    name: str
    epsilon: float
    rtol: float
    atol: float
    rng: Random


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
    check = _Check("gradcheck", epsilon, rtol, atol, rng or Random(0, "gradcheck"))
    tensors = _listed(check, inputs)
    _compare(check, fn, tensors, [f"input {i}" for i in range(len(tensors))])
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
    """The same for the second order: whether the gradients of `fn` have the right gradients.

    They are taken as a function of the inputs and of the cotangents, and checked in both. Recording
    them (`create_graph`) must not change them either. Arguments as for `gradcheck`.

    >>> from tinygen import tensor
    >>> x = tensor([0.5, 1.0, 2.0], dtype="float64", requires_grad=True)
    >>> gradgradcheck(lambda x: x**3, x)
    True
    """
    check = _Check("gradgradcheck", epsilon, rtol, atol, rng or Random(0, "gradgradcheck"))
    tensors = _listed(check, inputs)
    n = len(tensors)
    cotangents = [Tensor(_normal(check, y), requires_grad=True) for y in _outputs(fn, tensors)]

    def gradients(*arguments: Tensor) -> list[Tensor]:
        xs, cs = arguments[:n], arguments[n:]
        return _gradients(_outputs(fn, xs), xs, cs, create_graph=True)

    plain = _gradients(_outputs(fn, tensors), tensors, cotangents, create_graph=False)
    for i, (a, b) in enumerate(zip(plain, gradients(*tensors, *cotangents), strict=True)):
        if not np.allclose(b.data, a.data, rtol, atol, equal_nan=True):
            raise GradientError(f"gradgradcheck: create_graph=True changes gradient {i}")
    names = [f"input {i}" for i in range(n)]
    names += [f"the cotangent of output {i}" for i in range(len(cotangents))]
    _compare(check, gradients, [*tensors, *cotangents], names)
    return True


def _compare(
    check: _Check, fn: Differentiable, inputs: Sequence[Tensor], names: Sequence[str]
) -> None:
    """Raise a GradientError unless backward and differences agree in all inputs that move."""
    outputs, again = _outputs(fn, inputs), _outputs(fn, inputs)
    for y, z in zip(outputs, again, strict=True):
        if not np.array_equal(y.data, z.data, equal_nan=True):
            raise ValueError(
                f"{check.name}: fn gave two different outputs for the same inputs; a function "
                "that draws random numbers must start its stream anew at each call"
            )
    cotangents = [Tensor(_normal(check, y)) for y in outputs]
    tensors = [*inputs, *outputs, *cotangents]
    copies = [t.data.copy() for t in tensors]
    gradients = _gradients(outputs, inputs, cotangents, create_graph=False)
    for t, copy in zip(tensors, copies, strict=True):
        if not np.array_equal(t.data, copy, equal_nan=True):
            raise GradientError(f"{check.name}: backward wrote into a tensor of shape {t.shape}")

    for x, name, g in zip(inputs, names, gradients, strict=True):
        if not x.requires_grad:
            continue
        if (g.shape, g.dtype) != (x.shape, x.dtype):
            raise GradientError(
                f"{check.name}: {name} is {x.dtype} of shape {x.shape}, "
                f"backward gives {g.dtype} of shape {g.shape}"
            )
        for place, direction in _directions(check, x):
            given = float((g.data * direction).sum())
            expected = _difference(fn, inputs, x, direction, cotangents, check.epsilon)
            if not abs(given - expected) <= check.atol + check.rtol * abs(expected):
                raise GradientError(
                    f"{check.name}: {name} (shape {x.shape}) {place}: "
                    f"backward gives {given:.10g}, differences give {expected:.10g}"
                )


def _directions(check: _Check, x: Tensor) -> Iterator[tuple[str, Array]]:
    """Where x moves to: random corners of a cube; if it is small, also each element alone."""
    for i in range(DIRECTIONS if x.size else 0):
        signs = check.rng.integers(0, 2, x.shape) * 2.0 - 1.0
        yield f"along random direction {i}", signs
    for place in np.ndindex(x.shape) if x.size <= ELEMENTS else ():
        alone = np.zeros(x.shape)
        alone[place] = 1.0
        yield f"at {place}", alone


def _difference(
    fn: Differentiable,
    inputs: Sequence[Tensor],
    x: Tensor,
    direction: Array,
    cotangents: Sequence[Tensor],
    epsilon: float,
) -> float:
    """The derivative of <cotangents, fn(*inputs)> as x moves along `direction`, by differences."""
    slopes = [np.zeros(c.shape) for c in cotangents]  # outputs that stay put cancel exactly
    array = x.array
    try:
        for k, weight in STENCIL:
            x.array = np.asarray(array + k * epsilon * direction)
            for slope, y in zip(slopes, _outputs(fn, inputs), strict=True):
                slope += weight / epsilon * y.data
    finally:
        x.array = array
    return sum(float((c.data * s).sum()) for c, s in zip(cotangents, slopes, strict=True))


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    create_graph: bool,
) -> list[Tensor]:
    """By backward; zeros where no output depends on an input, or the input is a constant."""
    reached = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    moving = [x for x in inputs if x.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(moving)
    if reached:
        ys, cs = zip(*reached, strict=True)
        found = grad(ys, moving, cs, create_graph=create_graph, allow_unused=True)
    gradients = [Tensor(np.zeros(x.shape, x.dtype)) for x in inputs]
    for i, x in enumerate(inputs):
        for target, g in zip(moving, found, strict=True):
            if x is target and g is not None:
                gradients[i] = g
    return gradients


def _outputs(fn: Differentiable, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The floating outputs of fn."""
    result = fn(*inputs)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    return [y for y in outputs if y.dtype.kind == "f"]


def _normal(check: _Check, y: Tensor) -> Array:
    """Random numbers like y."""
    return check.rng.normal(y.shape, dtype=y.dtype)


def _listed(check: _Check, inputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """The inputs as a list, if they can be checked."""
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not any(x.requires_grad for x in tensors):
        raise ValueError(f"{check.name}: none of the inputs requires a gradient")
    for i, x in enumerate(tensors):
        if x.device != "cpu":
            raise ValueError(
                f"{check.name}: input {i} is on {x.device!r}; gradients are checked on the CPU: "
                "move model and inputs there with .to(device='cpu')"
            )
        if x.requires_grad and x.dtype != np.float64:
            raise TypeError(
                f"{check.name}: input {i} is {x.dtype}, in which differences are too coarse; "
                "use float64, as in tensor(x, dtype='float64', requires_grad=True)"
            )
    return tensors
