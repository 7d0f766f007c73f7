"""Layers that make images smaller, larger or softer; they have no parameters."""

from __future__ import annotations

from .. import ops
from ..backend import Padding, Pair, parse_padding
from ..core import Tensor, TensorLike
from ..ops.resample import Filter, normalised
from . import arguments
from .module import Module


class _Pool2D(Module):
    """What the two kinds of pooling have in common."""

    def __init__(
        self, size: int | Pair = 2, stride: int | Pair | None = None, padding: Padding = "valid"
    ) -> None:
        name = type(self).__name__
        self.size = arguments.sizes(name, "size", size)
        self.stride = None if stride is None else arguments.sizes(name, "stride", stride)
        arguments.checked(name, "padding", parse_padding, padding)
        self.padding = padding

    def describe(self) -> str:
        """Size, stride and padding, unless they are the usual ones."""
        stride = "" if self.stride is None else f", stride={self.stride}"
        return f"{self.size}{stride}" + ("" if self.padding == "valid" else f", {self.padding!r}")


class MaxPool2D(_Pool2D):
    """The largest number of each window: (n, h, w, c) -> (n, h', w', c); see ops.max_pool2d.

    Args:
        size: of the window; a number or (height, width).
        stride: pixels from one window to the next; the size if None.
        padding: "valid", "same", a number, or ((top, bottom), (left, right)).
    """

    def forward(self, x: TensorLike) -> Tensor:
        """The largest of each window."""
        return ops.max_pool2d(x, self.size, self.stride, self.padding)


class AvgPool2D(_Pool2D):
    """The mean of each window, where padding does not count; see ops.avg_pool2d.

    Args:
        size: of the window; a number or (height, width).
        stride: pixels from one window to the next; the size if None.
        padding: "valid", "same", a number, or ((top, bottom), (left, right)).
    """

    def forward(self, x: TensorLike) -> Tensor:
        """The mean of each window."""
        return ops.avg_pool2d(x, self.size, self.stride, self.padding)


class GlobalAvgPool2D(Module):
    """The mean of each image: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`."""

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = keepdims

    def forward(self, x: TensorLike) -> Tensor:
        """The means."""
        return ops.global_avg_pool2d(x, self.keepdims)


class UpSampling2D(Module):
    """Images `factor` times as large; see ops.upsample2d.

    Args:
        factor: a number or (down, across).
        method: "nearest", "bilinear", or a filter such as (1, 3, 3, 1).
    """

    def __init__(self, factor: int | Pair = 2, method: str | Filter = "nearest") -> None:
        self.factor = arguments.sizes("UpSampling2D", "factor", factor)
        if isinstance(method, str) and method not in ("nearest", "bilinear"):
            raise ValueError(
                f'UpSampling2D: method must be "nearest", "bilinear" or a filter, not {method!r}'
            )
        if not isinstance(method, str):
            arguments.checked("UpSampling2D", "method", normalised, "method", method)
        self.method = method

    def forward(self, x: TensorLike) -> Tensor:
        """The larger images."""
        return ops.upsample2d(x, self.factor, self.method)

    def describe(self) -> str:
        """Factor and method."""
        return f"{self.factor}, {self.method!r}"


class Blur2D(Module):
    """Images filtered by `f`, whose weights are divided by their sum; see ops.blur2d."""

    def __init__(self, f: Filter = (1, 2, 1)) -> None:
        arguments.checked("Blur2D", "f", normalised, "f", f)
        self.f = f

    def forward(self, x: TensorLike) -> Tensor:
        """The softer images."""
        return ops.blur2d(x, self.f)

    def describe(self) -> str:
        """The filter."""
        return repr(self.f)
