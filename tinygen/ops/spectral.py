"""Spectral normalisation of weights."""

from __future__ import annotations

import math

from ..backend import Array, array_module, as_array, beside
from ..core import Tensor, TensorLike, data_of
from ..function import Function


class SpectralNormalizeFunction(Function):
    """y = w / s,  s = v^T W u,  gw = gy / s + (gs - <gy, y> / s) v u^T;  u and v are constants.

    W is w as a matrix, with the axis of the outputs as its columns.
    """

    def __init__(self, u: Array, v: Array, axis: int) -> None:
        self.u, self.v, self.axis = u, v, axis

    def forward(self, w: Array) -> tuple[Array, Array]:
        u, v = (x.astype(w.dtype, copy=False) for x in (self.u, self.v))
        product = as_array(v @ (matrix_of(w, self.axis) @ u))
        zero = product == 0
        sigma = as_array(array_module(w).where(zero, product + 1, product))
        y = w / sigma
        self.save_constant(u * ~zero, v.copy())  # their own: the layer's vectors move on
        return self.save_output(y), self.save_output(sigma)

    def backward(self, gy: Tensor, gs: Tensor) -> Tensor:
        from .elementwise import multiply
        from .reduce import sum

        u, v, y, sigma = self.saved
        outer = _like_weight(v.array[:, None] * u.array, y.shape, self.axis)
        return gy / sigma + multiply(gs - sum(gy * y) / sigma, outer)


def matrix_of(w: Array, axis: int) -> Array:
    """A weight as (all its other axes, outputs), where `axis` is that of the outputs."""
    moved = w if axis == -1 else array_module(w).moveaxis(w, axis, -1)
    rows = math.prod(moved.shape[:-1])
    return moved.reshape(rows, moved.shape[-1])


def _like_weight(matrix: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The way back from `matrix_of`."""
    lengths = list(shape)
    lengths.append(lengths.pop(axis))
    y = matrix.reshape(lengths)
    return y if axis == -1 else array_module(y).moveaxis(y, -1, axis)


def spectral_normalize(
    w: TensorLike, u: TensorLike, v: TensorLike, axis: int = -1
) -> tuple[Tensor, Tensor]:
    """A weight divided by its spectral norm, and that norm (Miyato et al. 2018).

    The norm is v^T W u, where W is the weight as a matrix (all other axes, outputs), and u and v
    are its first singular vectors, which power iteration has found: they are constants. A norm of 0
    counts as 1, so that a weight of zeros stays as it is. The gradient is orthogonal to the weight.

    Args:
        w: (..., outputs), or with the outputs on another axis.
        u: (outputs,), of length 1.
        v: (product of the other axes,), of length 1.
        axis: of the outputs: -1, but -2 for the kernel of a transposed convolution.

    Returns w / norm, and the norm without axes.
    """
    shape = data_of(w).shape
    first, second = (beside(data_of(x), data_of(w)) for x in (u, v))
    if not -len(shape) <= axis < len(shape) or len(shape) < 2:
        raise ValueError(f"spectral_normalize: a weight of shape {shape} has no axis {axis}")
    axis = axis - len(shape) if axis >= 0 else axis
    outputs = shape[axis]
    wanted = [(outputs,), (math.prod(shape) // max(outputs, 1),)]
    if outputs and [first.shape, second.shape] != wanted:
        raise ValueError(
            f"spectral_normalize: a weight of shape {shape} with its outputs on axis {axis} needs "
            f"u and v of shapes {wanted[0]} and {wanted[1]}, got "
            f"{first.shape} and {second.shape}"
        )
    return SpectralNormalizeFunction(first, second, axis)(w)  # type: ignore[return-value]  # two outputs
