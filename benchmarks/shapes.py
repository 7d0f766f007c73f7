"""The convolutions that are measured: those of the chapter's models, ProGAN and StyleGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Convolution:
    """One convolution, or a transposed one, with padding kernel // 2 unless told otherwise.

    Attributes:
        batch, pixels: images of pixels x pixels come in.
        inputs, outputs: channels.
        kernel, stride: of both directions.
        transposed: enlarges by its stride instead; an odd row comes below and to the right.
        padding: zeros on every side; None is kernel // 2.
    """

    batch: int
    pixels: int
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    transposed: bool = False
    padding: int | None = None

    @property
    def name(self) -> str:
        """For the table and the command line."""
        kind = "T" if self.transposed else ""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        channels = f"{self.inputs}-{self.outputs}"
        return f"{self.batch}x{self.pixels}px {channels} {kind}{self.kernel}x{self.kernel}{stride}"

    @property
    def around(self) -> int:
        """The zeros on every side."""
        return self.kernel // 2 if self.padding is None else self.padding

    @property
    def extra(self) -> int:
        """The output padding of a transposed convolution that exactly enlarges by its stride."""
        return self.stride - 1 if self.transposed and self.padding is None else 0

    @property
    def left_over(self) -> int:
        """Rows of the larger image that no place of the kernel begins at, at its end."""
        large, small = (
            (self.output_pixels, self.pixels)
            if self.transposed
            else (self.pixels, self.output_pixels)
        )
        return large - ((small - 1) * self.stride - 2 * self.around + self.kernel)

    @property
    def output_pixels(self) -> int:
        """Along each side."""
        if self.transposed:
            return (self.pixels - 1) * self.stride - 2 * self.around + self.kernel + self.extra
        return (self.pixels + 2 * self.around - self.kernel) // self.stride + 1

    @property
    def flops(self) -> float:
        """Of one pass: a multiplication and an addition for each weight at each place."""
        small = self.pixels if self.transposed else self.output_pixels
        return 2.0 * self.batch * small**2 * self.inputs * self.outputs * self.kernel**2

    def operands(self) -> tuple[Array, Array, Array]:
        """Images, kernel and a gradient of the result, in tinygen's layout."""
        rng = np.random.default_rng(0)
        channels = (self.outputs, self.inputs) if self.transposed else (self.inputs, self.outputs)
        shapes = (
            (self.batch, self.pixels, self.pixels, self.inputs),
            (self.kernel, self.kernel, *channels),
            (self.batch, self.output_pixels, self.output_pixels, self.outputs),
        )
        x, w, gy = (rng.standard_normal(shape, np.float32) for shape in shapes)
        return x, w * np.float32(0.05), gy


C = Convolution
CONVOLUTIONS = {
    c.name: c
    for c in (
        # the convolutional autoencoder
        C(32, 28, 1, 16, 3),
        C(32, 14, 16, 32, 3),
        C(32, 7, 32, 64, 3),
        C(32, 3, 64, 32, 3, 2, True, 0),
        C(32, 7, 32, 16, 3, 2, True),
        C(32, 14, 16, 1, 3, 2, True),
        # DCGAN
        C(32, 28, 1, 64, 5, 2),
        C(32, 14, 64, 128, 5, 2),
        C(128, 14, 64, 128, 5, 2),
        C(32, 7, 128, 64, 5, 2, True),
        C(128, 7, 128, 64, 5, 2, True),
        C(32, 14, 64, 1, 5, 2, True),
        # blocks of ProGAN and StyleGAN, from 4 to 128 pixels
        C(16, 4, 512, 512, 3),
        C(16, 8, 512, 512, 3),
        C(16, 8, 256, 256, 3),
        C(16, 16, 256, 256, 3),
        C(16, 16, 128, 128, 3),
        C(16, 32, 128, 128, 3),
        C(16, 32, 64, 64, 3),
        C(8, 64, 64, 64, 3),
        C(8, 64, 32, 32, 3),
        C(4, 128, 16, 16, 3),
        C(16, 16, 128, 64, 3),
        # from and to colours, and mixing channels
        C(16, 32, 3, 64, 1),
        C(16, 32, 64, 3, 1),
        C(32, 16, 128, 128, 1),
    )
}
