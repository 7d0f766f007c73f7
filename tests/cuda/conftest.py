"""A card for the tests of this folder."""

import sys

import pytest
import shim
from shim.cupy_standin import CUPY
from tinygen_kernels.cuda import launch, matmul

from tinygen import backend


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.gpu)])
def card(request, monkeypatch):
    """CuPy, and a card for it: a stand-in whose kernels run under the shim; `-m gpu` a real one."""
    forget()
    if request.param == "real":
        if not backend.cuda_status().startswith("available"):
            pytest.skip(f"CUDA is {backend.cuda_status()}")
    else:
        if shim.compiler() is None:
            pytest.skip("CUDA kernels are tested on the CPU with g++, which is missing")
        monkeypatch.setitem(sys.modules, "cupy", CUPY)
        monkeypatch.setattr(launch, "_cupy", launch.CuPy())
        monkeypatch.setattr(matmul, "_there_is_cublas", lambda: False)  # so products are CuPy's
        forget()
    yield sys.modules["cupy"]
    forget()


def forget():
    """Let the library look for CuPy anew."""
    backend._find_cuda.cache_clear()
    backend.foreign.clear()
