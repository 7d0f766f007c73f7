"""PyTorch on a card: convolutions, training steps in every way to run them, a launch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import torch_ops
from benchmarks.peers.card import CALLS, Calls, Card, RecordedPasses, Rehearsal
from benchmarks.peers.choice import fastest
from benchmarks.peers.torch_steps import MODELS
from benchmarks.problems import PROBLEMS
from benchmarks.shapes import CONVOLUTIONS
from benchmarks.subject import AbsentError, Subject, TrainingStep

UPDATES = ("fused", "foreach")  # the ways to update that pay on a card, the first there is


class CudaCard:
    """PyTorch's CUDA graphs and events."""

    calls = CALLS

    def recorded(self, do: Callable[[], Any]) -> Callable[[], Any]:
        """As a CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                do()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            do()
        replay: Callable[[], Any] = graph.replay
        return replay

    def seconds(self, do: Callable[[], Any], count: int) -> float:
        """Between two events."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            do()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3

    def finish(self, *results: object) -> None:
        """Wait for the card."""
        torch.cuda.synchronize()


def load(name: str, threads: int, rehearse: bool = False, **options: Any) -> Subject:
    """A subject by its kind and name, such as "convolution:16x32px 3-64 1x1"."""
    torch.set_num_threads(threads)
    if not rehearse:
        if not torch.cuda.is_available():
            raise AbsentError("PyTorch sees no card")
        torch.set_default_device("cuda")
        torch.backends.cudnn.benchmark = True
    card: Card = Rehearsal() if rehearse else CudaCard()
    kind, _, what = name.partition(":")
    kinds: dict[str, Callable[..., Subject]] = {
        "convolution": convolution,
        "step": step,
        "launch": launch,
    }
    return kinds[kind](what, card, **options)


def allow_tf32(allowed: bool) -> None:
    """In convolutions and products both; PyTorch's default is in convolutions alone."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def convolution(what: str, card: Card, layout: str, tf32: bool) -> Subject:
    """The passes of a shape."""
    allow_tf32(tf32)
    device = torch.get_default_device().type
    passes = torch_ops.passes(CONVOLUTIONS[what], layout, device)
    return RecordedPasses(passes, torch_ops.sample, card)


def launch(what: str, card: Card) -> Subject:
    """An addition of small tensors."""
    x = torch.ones(32)
    return Calls(lambda: x + x, card)


def step(what: str, card: Card, way: str, tf32: bool) -> Subject:
    """A training step: "eager", "compile", "reduce-overhead" or "graph", all of it recorded."""
    allow_tf32(tf32)
    if what not in MODELS:
        raise AbsentError(f"{what} is not written for PyTorch yet")
    compiled = way in ("compile", "reduce-overhead")
    if compiled:
        torch._inductor.config.triton.cudagraphs = way == "reduce-overhead"
    found = MODELS[what](PROBLEMS[what], compiled)
    chosen: dict[str, Callable[[], TrainingStep]] = {}
    for update in UPDATES:
        chosen = chosen or {name: make for name, make in found.items() if update in name}
    if compiled:  # one layout: compiling takes half a minute
        chosen = dict(list(chosen.items())[-1:])

    def made(make: Callable[[], TrainingStep]) -> TrainingStep:
        subject = make()
        if way == "graph":
            return graphed(subject, card)
        return TrainingStep(subject.step, subject.batches, card.finish)

    return fastest({name: functools.partial(made, make) for name, make in chosen.items()})


def graphed(subject: TrainingStep, card: Card) -> TrainingStep:
    """The same step recorded: forward, backward and update."""
    batch = _copied(subject.batches[0])
    losses: list[Any] = []
    replay = card.recorded(lambda: losses.append(subject.step(batch)))

    def step(given: Any) -> Any:
        _fill(batch, given)
        replay()
        return losses[-1]

    return TrainingStep(step, subject.batches, card.finish)


def _copied(batch: Any) -> Any:
    return tuple(map(_copied, batch)) if isinstance(batch, tuple) else batch.clone()


def _fill(batch: Any, given: Any) -> None:
    if isinstance(batch, tuple):
        for part, from_ in zip(batch, given, strict=True):
            _fill(part, from_)
    else:
        batch.copy_(given)
