"""Convolutions of images (n, height, width, channels), any order of gradients.

Convolution, transposed convolution and the gradient of the weights share a Geometry, and the
gradients of each of the three are the other two.
"""

from __future__ import annotations

import functools
from typing import Any

from ..backend import Array, Geometry, Padding, Pair, kernels, pair, parse_padding, resolve_padding
from ..config import state as config
from ..core import Tensor, TensorLike, data_of
from ..function import Function, wrap
from ..ranges import whole
from .activation import Activation, activate, activation_grad, parse_activation
from .reduce import sum

IDENTITY = "identity", 0.0


class Conv2DFunction(Function):
    """y = f(x * w + b).  With gz = gy f':  gx = its transpose of gz,  gw, gb = the sum of gz."""

    name = "conv2d"

    def __init__(self, geometry: Geometry, activation: tuple[str, float] = IDENTITY) -> None:
        self.geometry, self.activation = geometry, activation

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.save(x, w)
        y = kernels(x).conv2d(x, w, b, self.geometry, *self.activation)
        return y if self.activation is IDENTITY else self.save_output(y)

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, w, *y = self.saved
        gz, gb = _before_activation(y, gy, self.activation, self.needed)
        gradients = (
            Conv2DTransposeFunction(self.geometry)(gz, w) if self.needed[0] else None,
            Conv2DWeightGradFunction(self.geometry)(x, gz) if self.needed[1] else None,
        )
        return (*gradients, *gb)


class Conv2DTransposeFunction(Function):
    """x = f(y *' w + b), the transpose of a convolution;  gy = its convolution of gz, gw, gb."""

    name = "conv2d_transpose"

    def __init__(self, geometry: Geometry, activation: tuple[str, float] = IDENTITY) -> None:
        self.geometry, self.activation = geometry, activation

    def forward(self, y: Array, w: Array, b: Array | None = None) -> Array:
        self.save(y, w)
        x = kernels(y).conv2d_transpose(y, w, b, self.geometry, *self.activation)
        return x if self.activation is IDENTITY else self.save_output(x)

    def backward(self, gx: Tensor) -> tuple[Tensor | None, ...]:
        y, w, *x = self.saved
        gz, gb = _before_activation(x, gx, self.activation, self.needed)
        gradients = (
            Conv2DFunction(self.geometry)(gz, w) if self.needed[0] else None,
            Conv2DWeightGradFunction(self.geometry)(gz, y) if self.needed[1] else None,
        )
        return (*gradients, *gb)


class Conv2DWeightGradFunction(Function):
    """gw = the sum over all places of x times gy;  x' = transpose of gy by g,  gy' = x * g."""

    name = "conv2d_weight_grad"

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x: Array, gy: Array) -> Array:
        self.save(x, gy)
        return kernels(x).conv2d_weight_grad(x, gy, self.geometry)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, gy = self.saved
        return (
            Conv2DTransposeFunction(self.geometry)(gy, g) if self.needed[0] else None,
            Conv2DFunction(self.geometry)(x, g) if self.needed[1] else None,
        )


def _before_activation(
    y: list[Tensor], gy: Tensor, activation: tuple[str, float], needed: Any
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The gradient before the activation, and those of the bias: one, or none without a bias.

    Args:
        y: the activation's result; none for the identity.
    """
    with_bias = len(needed) > 2
    if y and with_bias and needed[2] and not config.grad_enabled:
        gz, gb = kernels(gy.array).activation_grad_sum(y[0].array, gy.array, *activation)
        return wrap(gz), (wrap(gb),)
    before = activation_grad(y[0], gy, activation) if y else gy
    if not with_bias:
        return before, ()
    return before, (sum(before, axis=(0, 1, 2)) if needed[2] else None,)


def conv2d(
    x: TensorLike,
    w: TensorLike,
    b: TensorLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = "same",
    dilation: int | Pair = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """f(x * w + b), a cross-correlation as in every such library: (n, h, w, i) -> (n, h', w', o).

    Args:
        x: images, (n, height, width, inputs).
        w: kernel, (height, width, inputs / groups, outputs).
        b: bias, (outputs,), or None.
        stride: pixels from one place of the kernel to the next; a number or (down, across).
        padding: "same" (the output has ceil(size / stride) pixels; an odd zero goes below and to
            the right, as in TensorFlow), "valid", a number, or ((top, bottom), (left, right)).
        dilation: pixels between neighbours of the kernel.
        groups: channels are cut into so many parts, each with its own kernel.
        activation: a name, or a pair such as ("leaky_relu", 0.2); see `activate`.

    On the CPU convolutions of 16 channels and more go Winograd's way where that saves work: it adds
    pixels of a tile of up to 6 x 6 before it multiplies, so rounding errors are relative to the
    largest of them. Beside a pixel of 1e6, results of 144 in float32 may be 143; beside one of 1e38
    they may be NaN. `with tinygen.using_precision("exact"):` forms each product by itself.
    """
    x_shape, w_shape = _shapes("conv2d", x, w, b, 3)
    _check_channels("conv2d", x_shape, w_shape, groups, w_shape[2] * groups)
    geometry = _geometry("conv2d", x_shape, w_shape[:2], stride, padding, dilation, groups)
    return _run(Conv2DFunction, geometry, x, w, b, activation)


def conv2d_transpose(
    x: TensorLike,
    w: TensorLike,
    b: TensorLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = "same",
    dilation: int | Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    output_padding: int | Pair | None = None,
) -> Tensor:
    """The transpose of a convolution: every pixel adds its multiple of the kernel to the result.

    Args:
        x: images, (n, height, width, inputs).
        w: kernel, (height, width, outputs / groups, inputs).
        b: bias, (outputs,), or None.
        stride: how many times larger the result is.
        padding: what the convolution that leads back has around its input: "same" gives
            size * stride pixels; "valid" (size - 1) * stride + the kernel's length, or size *
            stride if that is more; a number or ((top, bottom), (left, right)) takes that many
            pixels off the sides.
        dilation, groups, activation: as in `conv2d`.
        output_padding: more rows and columns below and to the right, fewer than stride; None is
            as many as "same" and "valid" ask for, and else 0.
    """
    x_shape, w_shape = _shapes("conv2d_transpose", x, w, b, 2, groups)
    _check_channels("conv2d_transpose", x_shape, w_shape, groups, w_shape[3])
    steps, spread = pair(stride), pair(dilation)
    _check_whole("conv2d_transpose", stride=steps, dilation=spread)
    reach = [d * (k - 1) + 1 for k, d in zip(w_shape[:2], spread, strict=True)]
    extra = None if output_padding is None else pair(output_padding)
    size: Any = [n * s for n, s in zip(x_shape[1:3], steps, strict=True)]
    if extra is not None or padding != "same":
        if padding == "same":
            padding = ((reach[0] // 2, reach[0] // 2), (reach[1] // 2, reach[1] // 2))
        if extra is None and padding == "valid":
            extra = max(steps[0] - reach[0], 0), max(steps[1] - reach[1], 0)
        pads = resolve_padding(padding, (1, 1), (1, 1), (1, 1), (1, 1))
        more = extra or (0, 0)
        if not all(0 <= e < max(s, d) for e, s, d in zip(more, steps, spread, strict=True)):
            raise ValueError(
                f"conv2d_transpose: output_padding {more} must be below the stride {steps}"
            )
        size = [
            (n - 1) * s + r - a - b + e
            for n, s, r, (a, b), e in zip(x_shape[1:3], steps, reach, pads, more, strict=True)
        ]
        padding = pads
    shape = (x_shape[0], *size, w_shape[2] * groups)
    geometry = _geometry("conv2d_transpose", shape, w_shape[:2], stride, padding, dilation, groups)
    return _run(Conv2DTransposeFunction, geometry, x, w, b, activation)


def conv2d_weight_grad(
    x: TensorLike,
    gy: TensorLike,
    kernel: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = "same",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the kernel of `conv2d(x, w, ...)`, given the gradient `gy` of its result.

    Args:
        x: images, (n, height, width, inputs).
        gy: (n, height', width', outputs).
        kernel: its (height, width).
        stride, padding, dilation, groups: those of the convolution.
    """
    x_shape, y_shape = data_of(x).shape, data_of(gy).shape
    geometry = _geometry(
        "conv2d_weight_grad", x_shape, pair(kernel), stride, padding, dilation, groups
    )
    if len(y_shape) != 4 or y_shape[:3] != (x_shape[0], *geometry.output_size):
        raise ValueError(
            f"conv2d_weight_grad: gy of shape {y_shape}, but x of shape {x_shape} gives "
            f"{(x_shape[0], *geometry.output_size)} by the number of outputs"
        )
    if groups < 1 or x_shape[3] % groups or y_shape[3] % groups:
        raise ValueError(f"conv2d_weight_grad: {groups} groups do not divide {x_shape}, {y_shape}")
    return Conv2DWeightGradFunction(geometry)(x, gy)


def _run(
    function: type[Conv2DFunction | Conv2DTransposeFunction],
    geometry: Geometry,
    x: TensorLike,
    w: TensorLike,
    b: TensorLike | None,
    activation: Activation,
) -> Tensor:
    """A convolution with its bias and activation."""
    f = parse_activation(activation)
    late = f[0] == "gelu"  # its gradient cannot be told from its output, so it is an op of its own
    op = function(geometry, IDENTITY if late or f == IDENTITY else f)
    y = op(x, w) if b is None else op(x, w, b)
    return activate(y, activation) if late else y


def _shapes(
    op: str, x: TensorLike, w: TensorLike, b: TensorLike | None, outputs: int, groups: int = 1
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of x and w, after a look at the number of axes and at the bias."""
    x_shape, w_shape = data_of(x).shape, data_of(w).shape
    if len(x_shape) != 4 or len(w_shape) != 4:
        raise ValueError(
            f"{op}: needs images (n, height, width, channels) and a kernel of four axes, "
            f"got shapes {x_shape} and {w_shape}"
        )
    if b is not None and data_of(b).shape != (w_shape[outputs] * groups,):
        raise ValueError(
            f"{op}: bias of shape {data_of(b).shape} for {w_shape[outputs] * groups} outputs"
        )
    return x_shape, w_shape


def _check_channels(
    op: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...], groups: int, expected: int
) -> None:
    """Whether the channels of the images are those of the kernel, and groups divide them."""
    if groups < 1 or w_shape[3] % groups:
        raise ValueError(
            f"{op}: {groups} groups do not divide the {w_shape[3]} of kernel {w_shape}"
        )
    if x_shape[3] != expected:
        raise ValueError(
            f"{op}: images of shape {x_shape} have {x_shape[3]} channels, kernel {w_shape} with "
            f"{groups} groups needs {expected}"
        )


def _geometry(
    op: str,
    shape: tuple[int, ...],
    kernel: Any,
    stride: int | Pair,
    padding: Padding,
    dilation: int | Pair,
    groups: int,
) -> Geometry:
    """The Geometry of a convolution of images of that shape, which is the same object each time."""
    if len(shape) != 4:
        raise ValueError(f"{op}: images must be (n, height, width, channels), got shape {shape}")
    size = shape[1], shape[2]
    pads = parse_padding(padding)
    return _checked_geometry(op, size, tuple(kernel), pair(stride), pads, pair(dilation), groups)


@functools.lru_cache(1024)
def _checked_geometry(
    op: str, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Geometry:
    """The Geometry of what leaves at least one pixel."""
    _check_whole(op, kernel=kernel, stride=stride, dilation=dilation, groups=(groups,))
    pads = resolve_padding(padding, size, kernel, stride, dilation)
    geometry = Geometry(size, kernel, stride, pads, dilation, groups)
    if min(geometry.output_size) < 1 or min(size) < 1:
        raise ValueError(
            f"{op}: images of {size} pixels with padding {pads} leave no room for a kernel of "
            f"{kernel} with dilation {dilation}"
        )
    return geometry


def _check_whole(op: str, **lengths: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError, with the name, for what is no whole number of at least 1."""
    for name, each in lengths.items():
        for length in each:
            whole(f"{op}: {name}", length)
