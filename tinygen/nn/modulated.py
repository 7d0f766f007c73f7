"""Modulated convolution of StyleGAN2 (Karras et al. 2020)."""

from __future__ import annotations

import math

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import whole
from . import arguments
from .equalized import Equalized, EqualizedDense

SMOOTH = (0.125, 0.375, 0.375, 0.125)  # [1, 3, 3, 1]


class ModulatedConv2D(Equalized):
    """Convolution whose weights a style scales: images and styles to (n, h', w', outputs).

    A dense layer, `style`, makes a factor s of each input channel from the style; at the start they
    are 1 and a part that the style decides. With demodulation each output is divided by the norm of
    its weights as they are then,

        w'_kio = s_i w_kio,   w''_kio = gain w'_kio / sqrt(sum_ki w'_kio^2 + 1e-8),

    so that inputs of variance 1 give outputs of variance gain^2, whatever the style. It is worked
    out as a plain convolution of x s, times a factor of each output, which is the same. With
    `upsample` the convolution inserts zeros between pixels, and its output is smoothed by
    [1, 3, 3, 1]. The weight has an equalised learning rate; there is no bias.

    Args:
        inputs, outputs: channels.
        styles: length of a style.
        kernel: its side, odd; 3 with `upsample`.
        upsample: twice as many pixels a side.
        demodulate: whether outputs are brought to one size.
        gain: standard deviation of the outputs.
        rng: where weights are drawn.

    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", section 2.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        styles: int,
        kernel: int = 3,
        *,
        upsample: bool = False,
        demodulate: bool = True,
        gain: float = 1.0,
        rng: Random | None = None,
    ) -> None:
        side = whole("ModulatedConv2D: kernel", kernel)
        if side % 2 == 0 or (upsample and side != 3):
            raise ValueError(
                f"ModulatedConv2D: kernel must be odd, and 3 with upsample, not {side}"
            )
        channels = (
            whole("ModulatedConv2D: inputs", inputs),
            whole("ModulatedConv2D: outputs", outputs),
        )
        rng = arguments.stream("ModulatedConv2D", rng)
        super().__init__((side, side, *channels), None, gain, 1.0, False, 0.0, rng)
        length = whole("ModulatedConv2D: styles", styles)
        self.style = EqualizedDense(length, channels[0], gain=1.0, bias_start=1.0, rng=rng)
        self.upsample, self.demodulate = upsample, demodulate

    def forward(self, x: TensorLike, styles: TensorLike) -> Tensor:
        """(n, h, w, inputs), and styles (n, length) -> (n, h, w, outputs), or twice the size."""
        n, inputs = data_of(x).shape[0], self.weight.shape[2]
        s = self.style(styles)
        if len(s.array) != n:
            raise ValueError(f"ModulatedConv2D: {len(s.array)} styles for {n} images")
        weight = self.weight * (self.gain / math.sqrt(self.fan_in))
        y = self._convolved(ops.multiply(x, ops.reshape(s, (n, 1, 1, inputs))), weight)
        if not self.demodulate:
            return y
        squares = ops.sum(ops.square(weight), axis=(0, 1))  # (inputs, outputs)
        norm = ops.sqrt(ops.matmul(ops.square(s), squares) + 1e-8 * self.gain**2)
        return y * ops.reshape(self.gain / norm, (n, 1, 1, -1))

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        if not self.upsample:
            return ops.conv2d(x, weight, padding=len(self.weight.array) // 2)
        # a convolution of the image with zeros between its pixels is a transposed one, flipped
        kernel = ops.transpose(weight[::-1, ::-1], (0, 1, 3, 2))
        y = ops.conv2d_transpose(x, kernel, None, 2, padding="valid")
        return ops.upfirdn2d(y, SMOOTH, padding=1, gain=4.0)

    def _own_options(self) -> list[str]:
        """The kernel's side, and whether it enlarges or leaves out demodulation."""
        parts = [str(len(self.weight.array)), *(["up"] if self.upsample else [])]
        return parts if self.demodulate else [*parts, "no demodulation"]
