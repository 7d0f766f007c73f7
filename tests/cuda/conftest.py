"""A card for the tests of this folder."""

import sys

import pytest
import shim
from shim.cupy_standin import CUPY
from tinygen_kernels.cuda import launch, matmul

from tinygen import backend


@pytest.fixture
def card(monkeypatch):
    """The library finds CuPy and a card: a stand-in whose kernels run under the shim."""
    if shim.compiler() is None:
        pytest.skip("CUDA kernels are tested on the CPU with g++, which is missing")
    monkeypatch.setitem(sys.modules, "cupy", CUPY)
    monkeypatch.setattr(launch, "_cupy", launch.CuPy())
    monkeypatch.setattr(matmul, "_there_is_cublas", lambda: False)  # so products are CuPy's
    forget()
    yield CUPY
    forget()


def forget():
    """Let the library look for CuPy anew."""
    backend._find_cuda.cache_clear()
    backend.foreign.clear()
