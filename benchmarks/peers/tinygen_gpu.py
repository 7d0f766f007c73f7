"""tinygen on a card: ceilings, convolutions, training steps, the cost of a launch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from tinygen_kernels.cuda import ceiling
from tinygen_kernels.precision import using_precision

import tinygen
from benchmarks.peers import tinygen_ops
from benchmarks.peers.card import CALLS, Calls, Card, RecordedPasses, Rehearsal
from benchmarks.peers.tinygen_steps import MODELS
from benchmarks.peers.tinygen_tune import Tuned
from benchmarks.problems import PROBLEMS
from benchmarks.shapes import CONVOLUTIONS
from benchmarks.subject import AbsentError, Subject, TrainingStep
from tinygen import ops
from tinygen.backend import Recording, check_device, kernels

MATRICES = 8192  # rows, for the rate of cuBLAS
COPIED = 2**30  # bytes


class CuPyCard:
    """CuPy's CUDA graphs and events."""

    calls = CALLS

    def recorded(self, do: Callable[[], Any]) -> Callable[[], Any]:
        """As a CUDA graph, which keeps its memory."""
        recording = Recording()
        for _ in range(2):
            recording.rehearse(do)
        recording.record(do)

        def replay() -> None:
            recording.graph.launch()  # alone: nothing here draws random numbers by the step

        return replay

    def seconds(self, do: Callable[[], Any], count: int) -> float:
        """Between two events."""
        import cupy

        start, end = (cupy.cuda.Event() for _ in range(2))
        start.record()
        for _ in range(count):
            do()
        end.record()
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(start, end)) / 1e3

    def finish(self, *results: object) -> None:
        """Wait for the card."""
        import cupy

        cupy.cuda.Device().synchronize()


def load(name: str, threads: int, rehearse: bool = False, **options: Any) -> Subject:
    """A subject by its kind and name, such as "convolution:16x32px 3-64 1x1"."""
    tinygen.set_threads(threads)
    device = "cuda"
    if rehearse:
        import shim
        from shim.cupy_standin import CUPY

        shim.install()
        sys.modules["cupy"] = CUPY
    try:
        check_device(device)
    except ValueError as error:
        raise AbsentError(str(error)) from error
    kind, _, what = name.partition(":")
    kinds: dict[str, Callable[..., Subject]] = {
        "card": CardItself,
        "ceilings": Ceilings,
        "tune": Tuned,
        "convolution": convolution,
        "step": step,
        "launch": launch,
    }
    card: Card = Rehearsal() if rehearse else CuPyCard()
    return kinds[kind](what, card, device, **options)


class CardItself(Subject):
    """What the card is."""

    def __init__(self, what: str, card: Card, device: str) -> None:
        super().__init__()
        self.facts = {"card": tinygen.info()["cuda"]}

    def run(self, count: int) -> None:
        """There is nothing to repeat."""


class Ceilings(Subject):
    """How fast the card can be: measured when it is loaded."""

    def __init__(self, what: str, card: Card, device: str, scale: float = 1.0) -> None:
        super().__init__()
        self.card, self.device = card, device
        n = max(int(MATRICES * scale), 8)
        x = tinygen.tensor(np.ones((n, n), np.float32)).to(device)
        rates = {}
        for precision in ("float32", "tf32", "bf16"):
            with using_precision(precision):
                rates[f"cuBLAS {precision}"] = 2 * n**3 / self.best(lambda: ops.matmul(x, x))
        rates["mma tf32, registers"] = self.mma_rate(scale)
        y = tinygen.tensor(np.ones(max(int(COPIED * scale) // 4, 8), np.float32)).to(device)
        copying = 2 * y.data.nbytes / self.best(lambda: y.data.copy())
        self.facts = {"flops by": rates, "bandwidth": copying}

    def best(self, do: Callable[[], Any]) -> float:
        """The shortest of several trials, in seconds."""
        do()
        return min(self.card.seconds(do, 3) / 3 for _ in range(5))

    def mma_rate(self, scale: float) -> float:
        """Operations a second of a loop that does nothing but multiply on the tensor cores."""
        blocks, repeats = max(int(132 * 8 * scale), 1), max(int(4000 * scale), 1)
        places = np.zeros(blocks * ceiling.THREADS, np.float32)
        out = tinygen.tensor(places).to(self.device).data
        work = ceiling.multiply_on_registers(out, repeats)
        return work / self.best(lambda: ceiling.multiply_on_registers(out, repeats))

    def run(self, count: int) -> None:
        """There is nothing to repeat."""


def convolution(what: str, card: Card, device: str, precision: str) -> Subject:
    """The passes of a shape."""
    passes = {
        part: _in(precision, do)
        for part, do in tinygen_ops.passes(CONVOLUTIONS[what], device).items()
    }
    return RecordedPasses(passes, tinygen_ops.sample, card)


def _in(precision: str, do: Callable[..., Any]) -> Callable[..., Any]:
    """The same with a precision."""

    def done(*args: Any) -> Any:
        with using_precision(precision):
            return do(*args)

    return done


def launch(what: str, card: Card, device: str) -> Subject:
    """An activation of few elements: as a kernel by itself, or as an op of the library."""
    x = tinygen.tensor(np.ones(32, np.float32)).to(device)
    if what == "op":
        return Calls(lambda: ops.relu(x), card)
    kernel = kernels(x.data).activate
    return Calls(lambda: kernel(x.data, "relu", 0.0), card)


def step(what: str, card: Card, device: str, way: str, precision: str) -> Subject:
    """A training step, "eager" or "captured"."""
    if what not in MODELS:
        raise AbsentError(f"{what} is not written for tinygen yet")
    subject: TrainingStep = MODELS[what](PROBLEMS[what], device, way == "captured")
    return TrainingStep(_in(precision, subject.step), subject.batches, card.finish)
