"""Convolutions in tinygen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygen
from benchmarks.peers.convolution import Passes
from benchmarks.shapes import CONVOLUTIONS, Convolution
from tinygen import ops


def load(name: str, threads: int) -> Passes:
    """The convolution of that name."""
    tinygen.set_threads(threads)
    return Passes(passes(CONVOLUTIONS[name], "cpu"), sample)


def passes(c: Convolution, device: str) -> dict[str, Callable[[], Any]]:
    """Each pass of a convolution as a function that does it and returns the result."""
    x, w, gy = (tinygen.tensor(a).to(device) for a in c.operands())
    options: dict[str, Any] = {"stride": c.stride, "padding": c.around}

    def enlarge(y: Any, w: Any) -> Any:
        return ops.conv2d_transpose(y, w, **options, output_padding=c.left_over)

    def convolve(x: Any, w: Any) -> Any:
        return ops.conv2d(x, w, **options)

    def weight(x: Any, gy: Any) -> Any:
        return ops.conv2d_weight_grad(x, gy, c.kernel, **options)

    if c.transposed:
        return {
            "forward": lambda: enlarge(x, w),
            "input": lambda: convolve(gy, w),
            "weight": lambda: weight(gy, x),
        }
    return {
        "forward": lambda: convolve(x, w),
        "input": lambda: enlarge(gy, w),
        "weight": lambda: weight(x, gy),
    }


def sample(part: str, y: Any) -> list[float]:
    """Its norm, and its first number."""
    return [float(np.linalg.norm(y.numpy())), float(y.numpy().flat[0])]
