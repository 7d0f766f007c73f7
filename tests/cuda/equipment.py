"""What tests of CUDA kernels share: the kernels run under the shim, in every order."""

import numpy as np
import pytest
import shim
from tinygen_kernels import Kernels
from tinygen_kernels.cuda.launch import register_shim
from tinygen_kernels.cuda.launch import shim as registered

CPU, CUDA, REFERENCE = Kernels("cpu"), Kernels("cuda"), Kernels("reference")

needs_compiler = pytest.mark.skipif(
    shim.compiler() is None, reason="CUDA kernels are tested on the CPU with g++, which is missing"
)


# Kernels for NumPy's arrays, as `tinygen_kernels.using` names them, and as objects.
shim_backend = pytest.param("shim", marks=needs_compiler)
fast_backends = ["auto", shim_backend]
every_backend = pytest.mark.parametrize("backend", ["auto", "reference", shim_backend])
_cpu = pytest.param(CPU, id="cpu")
_cuda = pytest.param(CUDA, marks=needs_compiler, id="cuda")
compiled_kernels = pytest.mark.parametrize("kernels", [_cpu, _cuda])
every_kernels = pytest.mark.parametrize(
    "kernels", [_cpu, pytest.param(REFERENCE, id="reference"), _cuda]
)


def arrays_of(result):
    """The arrays of a result: one, several, or None among them."""
    parts = result if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(part) for part in parts if part is not None]


def in_every_order(fn):
    """What fn() gives, which must be the same bits in whatever order threads and blocks run."""
    before = registered()
    try:
        results = []
        for order in shim.ORDERS:
            register_shim(shim.Shim(order))
            results.append(fn())
    finally:
        register_shim(before)
    for other in results[1:]:
        for a, b in zip(arrays_of(results[0]), arrays_of(other), strict=True):
            np.testing.assert_array_equal(a, b)
    return results[0]


def distance(found, expected):
    """The norm of the difference, relative to what was expected (absolute where that is 0)."""
    expected = np.asarray(expected, np.float64)
    scale = np.linalg.norm(expected)
    return float(np.linalg.norm(np.asarray(found, np.float64) - expected) / (scale or 1))
