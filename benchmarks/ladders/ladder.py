"""What the rungs have in common: the two problems, the check, and the clock.

A rung is a file with one function that takes both operands and returns the result: `convolve` takes
images (n, h, w, channels) and weights (3, 3, channels, outputs), `multiply` two matrices.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from benchmarks import report
from benchmarks.libraries import ROOT
from benchmarks.shapes import Convolution
from benchmarks.subject import Subject

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Function: TypeAlias = Callable[[Array, Array], Array]

sys.path.append(str(ROOT / "kernels"))  # where they are in a checkout that is not installed

TOLERANCE = 1e-4  # of the largest element; Winograd's way leaves 1e-5


@dataclass(frozen=True)
class Problem:
    """What a ladder computes: operands, the result in float64, and the work of the direct way."""

    operands: tuple[Array, Array]
    result: Any
    flops: float


def convolution(batch: int, pixels: int, inputs: int, outputs: int) -> Problem:
    """3 x 3, stride 1, zeros around."""
    shape = Convolution(batch, pixels, inputs, outputs, 3)
    x, w, _ = shape.operands()
    padded = np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((batch, pixels, pixels, outputs))
    for a in range(3):
        for b in range(3):
            y += padded[:, a : a + pixels, b : b + pixels] @ w[a, b].astype(float)
    return Problem((x, w), y, shape.flops)


def product(rows: int, depth: int, columns: int) -> Problem:
    """A matrix times another."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, depth), np.float32)
    b = rng.standard_normal((depth, columns), np.float32)
    return Problem((a, b), a.astype(float) @ b.astype(float), 2.0 * rows * depth * columns)


@dataclass(frozen=True)
class Ladder:
    """Rungs from slow to fast; the last one is another library's, for comparison."""

    function: str  # in the rungs' files
    make: Callable[..., Problem]
    sizes: tuple[int, ...]
    names: tuple[str, ...]  # of the sizes
    rungs: tuple[str, ...]


LADDERS = {
    "convolution": Ladder(
        "convolve",
        convolution,
        (16, 32, 64, 64),
        ("batch", "pixels", "inputs", "outputs"),
        ("naive", "vectors", "im2col", "blocked", "winograd", "fused", "conv_torch"),
    ),
    "product": Ladder(
        "multiply",
        product,
        (32, 784, 100),
        ("rows", "depth", "columns"),
        (
            "matmul_naive",
            "matmul_order",
            "matmul_blocked",
            "matmul_tile",
            "matmul_blas",
            "matmul_torch",
        ),
    ),
}


class Rung(Subject):
    """One way to do it."""

    def __init__(self, function: Function, problem: Problem) -> None:
        super().__init__()
        self.function, self.problem = function, problem
        self.facts["flops"] = problem.flops

    def run(self, count: int) -> None:
        """So many times."""
        for _ in range(count):
            self.function(*self.problem.operands)

    def check(self, steps: int) -> list[float]:
        """How far the result is from NumPy's in float64, as a part of its largest element."""
        result = self.function(*self.problem.operands)
        far = np.abs(np.asarray(result) - self.problem.result).max(initial=0)
        return [float(far / np.abs(self.problem.result).max(initial=1e-30))]


def load(name: str, threads: int, sizes: list[int]) -> Rung:
    """What the worker calls: the rung of that name, for a problem of that size."""
    ladder = next(ladder for ladder in LADDERS.values() if name in ladder.rungs)
    module = importlib.import_module(f"benchmarks.ladders.{name}")
    return Rung(getattr(module, ladder.function), ladder.make(*sizes))


def alone(file: str, arguments: list[str] | None = None) -> int:
    """What a rung's file does when it is run: check, then time, and print a line."""
    name = file.rpartition("/")[2].removesuffix(".py")
    ladder = next(ladder for ladder in LADDERS.values() if name in ladder.rungs)
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.ladders.{name}")
    parser.add_argument("sizes", nargs="*", type=int, help=" ".join(ladder.names))
    chosen = parser.parse_args(arguments).sizes or ladder.sizes
    if len(chosen) != len(ladder.sizes):
        parser.error(f"{len(ladder.sizes)} numbers are needed: {' '.join(ladder.names)}")
    rung = load(name, 0, list(chosen))
    (far,) = rung.check(1)
    times: list[float] = []
    while sum(times) < 1.0 and len(times) < 1000:
        start = time.perf_counter()
        rung.run(1)
        times.append(time.perf_counter() - start)
    best = min(times)
    print(
        f"{name}: {report.seconds(best)}, {rung.problem.flops / best / 1e9:.1f} GFLOP/s by the "
        f"direct count, {far:.0e} from NumPy{'' if far <= TOLERANCE else ': DISAGREES'}"
    )
    return int(not far <= TOLERANCE)
