"""Convolutions in tinygen."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygen
from benchmarks.peers.convolution import Passes
from benchmarks.shapes import CONVOLUTIONS
from tinygen import ops


def load(name: str, threads: int) -> Passes:
    """The convolution of that name."""
    tinygen.set_threads(threads)
    c = CONVOLUTIONS[name]
    x, w, gy = (tinygen.tensor(a) for a in c.operands())
    options: dict[str, Any] = {"stride": c.stride, "padding": c.around}

    def enlarge(y: Any, w: Any) -> Any:
        return ops.conv2d_transpose(y, w, **options, output_padding=c.left_over)

    def convolve(x: Any, w: Any) -> Any:
        return ops.conv2d(x, w, **options)

    def weight(x: Any, gy: Any) -> Any:
        return ops.conv2d_weight_grad(x, gy, c.kernel, **options)

    if c.transposed:
        passes = {
            "forward": lambda: enlarge(x, w),
            "input": lambda: convolve(gy, w),
            "weight": lambda: weight(gy, x),
        }
    else:
        passes = {
            "forward": lambda: convolve(x, w),
            "input": lambda: enlarge(gy, w),
            "weight": lambda: weight(x, gy),
        }
    return Passes(passes, sample)


def sample(part: str, y: Any) -> list[float]:
    """Its norm, and its first number."""
    return [float(np.linalg.norm(y.numpy())), float(y.numpy().flat[0])]
