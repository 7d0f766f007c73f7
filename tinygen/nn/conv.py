"""Convolutions as layers. Images are (n, height, width, channels)."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import Padding, Pair, pair, parse_padding
from ..core import Tensor, TensorLike
from ..ops.random import Random
from ..ranges import whole
from . import arguments, initializers
from .module import Module


class _Conv(Module):
    """What a convolution and its transpose have in common: kernel, bias and options."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair,
        stride: int | Pair,
        padding: Padding,
        activation: ops.Activation,
        dilation: int | Pair,
        groups: int,
        bias: bool,
        initializer: str | initializers.Initializer,
        rng: Random | None,
    ) -> None:
        name = type(self).__name__
        inputs = whole(f"{name}: inputs", inputs)
        outputs = whole(f"{name}: outputs", outputs)
        kernel = arguments.sizes(name, "kernel", kernel)
        groups = whole(f"{name}: groups", groups)
        if inputs % groups or outputs % groups:
            raise ValueError(
                f"{name}: {groups} groups do not divide {inputs} and {outputs} channels"
            )
        arguments.checked(name, "padding", parse_padding, padding)
        self.options: dict[str, Any] = {
            "stride": arguments.sizes(name, "stride", stride),
            "padding": padding,
            "dilation": arguments.sizes(name, "dilation", dilation),
            "groups": groups,
            "activation": arguments.activation(name, activation),
        }
        rng = arguments.stream(name, rng)
        shape = self.kernel_shape(pair(kernel), inputs, outputs, groups)
        self.weight = initializers.parameter(name, shape, initializer, rng)
        self.bias = initializers.parameter(name, (outputs,), "zeros", rng) if bias else None
        self.text = f"{inputs}, {outputs}, {kernel}, stride={stride}, padding={padding!r}"

    def kernel_shape(self, size: Pair, inputs: int, outputs: int, groups: int) -> tuple[int, ...]:
        """The shape of the weight."""
        raise TypeError(f"{type(self).__name__} does not define kernel_shape")

    def describe(self) -> str:
        """Channels, kernel, stride, padding and activation."""
        activation = self.options["activation"]
        return self.text + (f", {activation!r}" if activation else "")


class Conv2D(_Conv):
    """activation(x * weight + bias): (n, h, w, inputs) -> (n, h', w', outputs); see ops.conv2d.

    Where pixels differ by many orders of magnitude, `tinygen.using_precision("exact")` keeps small
    ones from being rounded away beside large ones.

    Args:
        inputs, outputs: channels.
        kernel: its size; a number or (height, width).
        stride: pixels from one place of the kernel to the next.
        padding: "same", "valid", a number, or ((top, bottom), (left, right)).
        activation: a name such as "selu", a pair such as ("leaky_relu", 0.2), or None.
        dilation: pixels between neighbours of the kernel.
        groups: channels are cut into so many parts, each with a kernel of its own.
        bias: whether there is one; it starts at 0.
        initializer: of the weight, (height, width, inputs / groups, outputs).
        rng: where the weight is drawn.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair,
        stride: int | Pair = 1,
        padding: Padding = "same",
        activation: ops.Activation = None,
        *,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: str | initializers.Initializer = "glorot_uniform",
        rng: Random | None = None,
    ) -> None:
        super().__init__(
            inputs, outputs, kernel, stride, padding, activation, dilation, groups, bias,
            initializer, rng,
        )  # fmt: skip

    def kernel_shape(self, size: Pair, inputs: int, outputs: int, groups: int) -> tuple[int, ...]:
        """(height, width, inputs / groups, outputs)."""
        return *size, inputs // groups, outputs

    def forward(self, x: TensorLike) -> Tensor:
        """The layer's output."""
        return ops.conv2d(x, self.weight, self.bias, **self.options)


class Conv2DTranspose(_Conv):
    """The transpose of a convolution, which enlarges by `stride`; see ops.conv2d_transpose.

    Args:
        inputs, outputs: channels.
        kernel: its size; a number or (height, width).
        stride: how many times larger the output is.
        padding: "same" (size * stride pixels), "valid", a number, or pairs.
        activation: a name, a pair, or None.
        output_padding: more rows and columns below and to the right; None as padding asks for.
        dilation: pixels between neighbours of the kernel.
        groups: channels are cut into so many parts, each with a kernel of its own.
        bias: whether there is one; it starts at 0.
        initializer: of the weight, (height, width, outputs / groups, inputs); it takes the fans
            from that order, as Keras does.
        rng: where the weight is drawn.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair,
        stride: int | Pair = 1,
        padding: Padding = "same",
        activation: ops.Activation = None,
        *,
        output_padding: int | Pair | None = None,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: str | initializers.Initializer = "glorot_uniform",
        rng: Random | None = None,
    ) -> None:
        super().__init__(
            inputs, outputs, kernel, stride, padding, activation, dilation, groups, bias,
            initializer, rng,
        )  # fmt: skip
        if output_padding is not None:
            output_padding = arguments.sizes("Conv2DTranspose", "output_padding", output_padding, 0)
            if any(
                more >= step for more, step in zip(pair(output_padding), pair(stride), strict=True)
            ):
                raise ValueError(
                    f"Conv2DTranspose: output_padding must be below stride {stride}, "
                    f"not {output_padding}"
                )
        self.output_padding = output_padding

    def kernel_shape(self, size: Pair, inputs: int, outputs: int, groups: int) -> tuple[int, ...]:
        """(height, width, outputs / groups, inputs)."""
        return *size, outputs // groups, inputs

    def forward(self, x: TensorLike) -> Tensor:
        """The layer's output."""
        return ops.conv2d_transpose(
            x, self.weight, self.bias, **self.options, output_padding=self.output_padding
        )
