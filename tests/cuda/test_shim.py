"""The shim finds what a card would not tell."""

import numpy as np
import pytest
import shim
from tinygen_kernels.cuda import launch as seam
from tinygen_kernels.cuda.launch import Source, launch

from .equipment import needs_compiler

pytestmark = needs_compiler

PROBES = """
#include "tg_common.cuh"
__global__ void copy(const float* x, float* y, int n) {
  int i = tg_first();
  if (i < n) y[i] = x[i];
}
__global__ void before(float* y) { y[-1] = 1; }
__global__ void diverging(float* y) {
  if (threadIdx.x < 40) __syncthreads();
  else if (threadIdx.x == 50) { while (y[0] == 0.f) __syncwarp(1u << 18), __syncthreads(); }
  else __shfl_sync(0xffffffffu, 1.f, 0);
}
__global__ void neighbours(const float* x, float* y) {
  __shared__ float kept[64];
  kept[threadIdx.x] = x[threadIdx.x];
  BARRIER
  y[threadIdx.x] = kept[(threadIdx.x + 1) % 64];
}
__global__ void staged(const float* x, float* y) {
  __shared__ __align__(16) float kept[128];
  tg_copy_async16(kept + 4 * threadIdx.x, x + 4 * threadIdx.x, threadIdx.x != 31);
  tg_copy_commit();
  WAIT
  for (int i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = kept[4 * threadIdx.x + i];
}
__global__ void across_blocks(float* y) { y[0] = float(blockIdx.x); }
"""
NAMES = ("copy", "before", "diverging", "neighbours", "staged", "across_blocks")


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """A function that launches a kernel of PROBES, with words of it replaced."""

    def run(name, threads, args, order=None, grid=1, **words):
        words = {"BARRIER": "__syncthreads();", "WAIT": "tg_copy_wait<0>();"} | words
        text = PROBES
        for word, code in words.items():
            text = text.replace(word, code)
        text = text.replace('#include "tg_common.cuh"', seam.source_text("tg_common.cuh"))
        monkeypatch.setattr(shim, "source_text", lambda file: text)
        source = Source("probes.cu", NAMES)
        shim.Shim(order).launch(source[name], (grid,), (threads,), args, 0)

    return run


def test_a_kernel_runs_and_leaves_the_rest_alone(probe):
    x, y = np.arange(5, dtype="f"), np.zeros(5, "f")
    probe("copy", 32, (x, y, np.int32(4)))
    np.testing.assert_array_equal(y, [0, 1, 2, 3, 0])


def test_an_array_without_axes_is_an_array(probe):
    y = np.zeros((), "f")
    probe("copy", 32, (np.full((), 2, "f"), y, np.int32(1)))
    assert y == 2


def test_memory_past_an_array(probe):
    x, y = np.zeros(5, "f"), np.zeros(5, "f")
    with pytest.raises(shim.KernelError, match=r"outside of every array.*thread \(5, 0, 0\)"):
        probe("copy", 32, (x, y, np.int32(6)), shim.FORWARD)
    probe("copy", 32, (x, y, np.int32(5)))  # and it goes on to work


def test_memory_before_an_array(probe):
    with pytest.raises(shim.KernelError, match="before the start"):
        probe("before", 1, (np.zeros(5, "f"),))


def test_writing_to_what_is_only_read(probe):
    locked = np.ones(5, "f")
    locked.flags.writeable = False
    with pytest.raises(shim.KernelError, match="only to be read"):
        probe("copy", 32, (np.zeros(5, "f"), locked, np.int32(5)))


def test_arguments_of_the_wrong_size(probe):
    with pytest.raises(shim.KernelError, match="sizes: 8 8 4 and was given 8 8 8"):
        probe("copy", 32, (np.zeros(5, "f"), np.zeros(5, "f"), np.int64(5)))


def test_threads_that_never_meet(probe):
    with pytest.raises(shim.KernelError, match="deadlock"):
        probe("diverging", 64, (np.zeros(1, "f"),))


def test_a_missing_barrier(probe):
    x, y = np.arange(64, dtype="f"), np.zeros(64, "f")
    for order in shim.ORDERS:
        probe("neighbours", 64, (x, y), order)
        np.testing.assert_array_equal(y, np.roll(x, -1))
    found = []
    for order in shim.ORDERS:
        probe("neighbours", 64, (x, y), order, BARRIER="")
        found.append(np.array_equal(y, np.roll(x, -1)))
    assert not all(found)


@pytest.mark.parametrize("wait", ["", "tg_copy_wait<1>();"])
def test_a_missing_wait(probe, wait):
    x, y = np.arange(128, dtype="f"), np.zeros(128, "f")
    probe("staged", 32, (x, y))
    np.testing.assert_array_equal(y, np.append(x[:124], [0] * 4))
    probe("staged", 32, (x, y), WAIT=wait)
    assert np.isnan(y).all()


def test_the_order_of_blocks(probe):
    last = set()
    for order in (shim.FORWARD, shim.BLOCKS_PERMUTED):
        y = np.zeros(1, "f")
        probe("across_blocks", 1, (y,), order, grid=16)
        last.add(y[0])
    assert len(last) == 2


def test_launch_refuses_what_no_kernel_takes():
    source = Source("reduce.cu", ("add_parts<float>",))
    with pytest.raises(KeyError, match="declares no instance"):
        source["add_parts<int>"]
    with pytest.raises(TypeError, match="argument 1"):
        launch(source["add_parts<float>"], 1, 1, (np.zeros(3), 1.0))
    with pytest.raises(ValueError, match=r"a grid of \(1, 65536\)"):
        launch(source["add_parts<float>"], (1, 65_536), 1, (np.zeros(3),))
    with pytest.raises(TypeError, match="by rows"):
        launch(source["add_parts<float>"], 1, 1, (np.zeros((3, 4)).T,))
