"""Training needs no garbage collector: memory is flat over a thousand steps without one."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from tests.training.toys import Noisy, stage, tiny, trainer
from tinygen.core import Tensor
from tinygen.function import Function
from tinygen.ops.random import Random
from tinygen.training import Callback

LOOKS = (200, 1200)


class Look(Callback):
    """How many bytes and objects there are after some steps."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def on_step(self, trainer, losses):
        if trainer.step in LOOKS:
            alive = sum(issubclass(type(o), (Tensor, Function)) for o in gc.get_objects())
            self.seen.append((tracemalloc.get_traced_memory()[0], alive))


@pytest.mark.parametrize("optimizer", ["sgd", "nadam"])
@pytest.mark.parametrize("make", [tiny, Noisy])
def test_memory_is_flat_without_the_garbage_collector(make, optimizer):
    model, look = make(), Look()
    x = Random(0).uniform((4 * LOOKS[1], 6, 6))
    options = {"optimizer": optimizer, "batch_size": 4, "clip_norm": 1.0}
    made = trainer(model, stage(model, 1), arrays=[x], valid=[], callbacks=[look], **options)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        made.train()
    finally:
        tracemalloc.stop()
        gc.enable()
    (bytes_before, alive_before), (bytes_after, alive_after) = look.seen
    assert alive_after == alive_before
    growth = (bytes_after - bytes_before) / (LOOKS[1] - LOOKS[0])
    assert growth < 200  # bytes a step: an array has more, the shapes that NumPy keeps have less
