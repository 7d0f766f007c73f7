"""Operands of convolutions, and the three passes on them, for the CPU and for CUDA."""

from __future__ import annotations

import numpy as np


def operands(geometry, n, inputs, outputs, dtype="float32", seed=0):
    """x, w, b, a gradient of y, and a bias of its transpose; `inputs`, `outputs` are of a group."""
    rng = np.random.default_rng(seed)
    i, o = inputs * geometry.groups, outputs * geometry.groups
    shapes = [
        (n, *geometry.size, i), (*geometry.kernel, inputs, o), (o,), (n, *geometry.output_size, o),
        (i,),
    ]  # fmt: skip
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def all_three(kernels, geometry, arrays, name="identity", parameter=0.0):
    """A convolution and its transpose, and the weight gradient, of (x, w, b, gy) or (..., c).

    The convolution has bias and activation, the transpose only if there is a bias `c` for it.
    """
    x, w, b, gy, *c = arrays
    back = (c[0], geometry, name, parameter) if c else (None, geometry, "identity", 0.0)
    return (
        kernels.conv2d(x, w, b, geometry, name, parameter),
        kernels.conv2d_transpose(gy, w, *back),
        kernels.conv2d_weight_grad(x, gy, geometry),
    )
