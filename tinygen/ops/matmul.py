"""Matrix products, and the dense layer's product with bias and activation in one."""

from __future__ import annotations

from ..backend import Array, kernels
from ..config import state
from ..core import Tensor, TensorLike, data_of
from ..function import Function, wrap
from .activation import Activation, activate, activation_grad, parse_activation
from .reduce import sum, sum_to
from .shape import reshape, transpose


class MatmulFunction(Function):
    """z = x y,  gx = gz y^T,  gy = x^T gz, summed over the axes that were broadcast."""

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x, y)
        return kernels(x).matmul(x, y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, y = self.saved
        return (
            sum_to(gz @ _swap(y), x.shape) if self.needed[0] else None,
            sum_to(_swap(x) @ gz, y.shape) if self.needed[1] else None,
        )


class DenseFunction(Function):
    """y = f(x w + b).  With gz = gy f'(z):  gx = gz w^T,  gw = x^T gz,  gb = the sum of gz."""

    def __init__(self, activation: tuple[str, float]) -> None:
        self.activation = activation

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:  # (n, i), (i, o), (o,)
        if w.ndim != 2 or (b is not None and b.shape != w.shape[1:]):
            raise ValueError("the weights must be (in, out), the bias (out,)")
        self.save(x, w)
        return self.save_output(kernels(x).dense(x, w, b, *self.activation))

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, w, y = self.saved
        needed = (*self.needed, False)[:3]  # there may be no bias
        if state.grad_enabled:
            gz = activation_grad(y, gy, self.activation)
            gradients = (
                gz @ transpose(w) if needed[0] else None,
                transpose(x) @ gz if needed[1] else None,
                sum(gz, axis=0) if needed[2] else None,
            )
        else:
            arrays = x.array, w.array, y.array, gy.array
            gx, gw, gb = kernels(x.array).dense_grad(*arrays, *self.activation, needed)
            gradients = (
                None if gx is None else wrap(gx),
                None if gw is None else wrap(gw),
                None if gb is None else wrap(gb),
            )
        return gradients[: len(self.needed)]


def _swap(x: Tensor) -> Tensor:
    """x with its last two axes exchanged."""
    if x.ndim == 2:
        return transpose(x)
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrix products over the last two axes, (..., n, k) x (..., k, m) -> (..., n, m).

    The axes before them broadcast; a vector stands for a matrix of one row (left) or one column
    (right), as in NumPy.
    """
    x_shape, y_shape = data_of(x).shape, data_of(y).shape
    if not x_shape or not y_shape:
        raise ValueError(f"matmul: needs at least one axis, got shapes {x_shape} and {y_shape}")
    if len(x_shape) > 1 and len(y_shape) > 1:
        return MatmulFunction()(x, y)
    x = reshape(x, (1, *x_shape)) if len(x_shape) == 1 else x
    y = reshape(y, (*y_shape, 1)) if len(y_shape) == 1 else y
    z = MatmulFunction()(x, y)
    rows = z.shape[:-2] + (() if len(x_shape) == 1 else z.shape[-2:-1])
    return reshape(z, rows + (() if len(y_shape) == 1 else z.shape[-1:]))


def dense(
    x: TensorLike, w: TensorLike, b: TensorLike | None = None, activation: Activation = None
) -> Tensor:
    """f(x w + b): (..., in), (in, out), (out,) -> (..., out).

    Args:
        x: inputs; axes before the last are kept.
        w: weights.
        b: bias, or None.
        activation: a name such as "selu", or a pair such as ("leaky_relu", 0.2); see `activate`.
    """
    shape = data_of(x).shape
    if len(shape) != 2:
        x = reshape(x, (-1 if 0 not in shape else _rows(shape), shape[-1]))
    f = parse_activation(activation)
    late = f[0] == "gelu"  # its gradient cannot be told from its output, so it is an op of its own
    function = DenseFunction(("identity", 0.0) if late else f)
    y = function(x, w) if b is None else function(x, w, b)
    if late:
        y = activate(y, activation)
    return y if len(shape) == 2 else reshape(y, (*shape[:-1], y.shape[-1]))


def _rows(shape: tuple[int, ...]) -> int:
    """How many rows a tensor of this shape has, seen as a matrix."""
    n = 1
    for length in shape[:-1]:
        n *= length
    return n
