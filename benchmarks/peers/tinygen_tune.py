"""The fastest tiles and splits of convolutions on the tensor cores, found by trying all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygen_kernels.cuda import conv_mma, conv_table, conv_tiles
from tinygen_kernels.precision import using_precision

import tinygen
from benchmarks.peers.card import Card, repeated
from benchmarks.shapes import CONVOLUTIONS, Convolution
from benchmarks.subject import Subject
from tinygen.backend import Geometry

Plan = conv_tiles.Plan
PRECISIONS = ("tf32", "3xtf32", "bf16")
REPEATS = 3
WORTH = 0.97  # of the time of the default: what is not faster than that is left to it


class Tuned(Subject):
    """A shape, tuned when it is loaded.

    Its facts are {shape class: (tile, splits, microseconds, those of the default)}, for passes in
    which another plan than the default is worth it.
    """

    def __init__(self, what: str, card: Card, device: str, most: int | None = None) -> None:
        super().__init__()
        for precision in PRECISIONS:
            with using_precision(precision):
                for product, run in passes(CONVOLUTIONS[what], device):
                    self._tune(product, run, card, most)
        conv_tiles.plan.cache_clear()  # what is measured later in this process uses the table

    def _tune(
        self, product: conv_tiles.Product, run: Callable[..., Any], card: Card, most: int | None
    ) -> None:
        """Time all candidates, or `most` of them with the lowest estimates."""
        plans = sorted(
            conv_tiles.candidates(product), key=functools.partial(conv_tiles.cost, product)
        )
        times = {}
        for plan in plans[:most]:
            do = functools.partial(repeated, functools.partial(run, plan=plan), card.calls)
            recorded = card.recorded(do)
            times[plan] = min(card.seconds(recorded, 1) for _ in range(REPEATS)) / card.calls
        best, default = min(times, key=lambda p: times[p]), conv_tiles.default(product)
        if times[best] < WORTH * times[default]:
            conv_table.TABLE[product.shape_class] = best.tile, best.splits
            row = (*best, times[best] * 1e6, times[default] * 1e6)
            self.facts[product.shape_class] = row

    def run(self, count: int) -> None:
        """There is nothing to repeat."""


def passes(c: Convolution, device: str) -> list[tuple[conv_tiles.Product, Callable[..., Any]]]:
    """The products of a convolution's three passes, and what does each by a given plan."""
    x, w, gy = (tinygen.tensor(a).to(device).data for a in c.operands())
    large, small = (gy, x) if c.transposed else (x, gy)
    around = (c.around, c.around)
    geometry = Geometry(large.shape[1:3], w.shape[:2], (c.stride, c.stride), (around, around))
    inputs, outputs = w.shape[2:]
    if not conv_mma.serves(geometry, inputs, outputs, x.dtype):
        return []
    of = geometry, len(x), inputs, outputs
    nothing = None, geometry, "identity", 0.0
    return [
        (conv_mma.forward_product(*of), lambda plan: conv_mma.conv2d(large, w, *nothing, plan)),
        (
            conv_mma.transpose_product(*of),
            lambda plan: conv_mma.conv2d_transpose(small, w, *nothing, plan),
        ),
        (
            conv_mma.weights_product(*of),
            lambda plan: conv_mma.conv2d_weight_grad(large, small, geometry, plan),
        ),
    ]


def write(found: dict[str, Any], path: Path | None = None) -> Path:
    """Put the plans into conv_table.py, with those that it has for other classes."""
    path = path or Path(conv_table.__file__)
    kept = {**conv_table.TABLE, **{key: tuple(row[:2]) for key, row in found.items()}}
    text = path.read_text(encoding="utf-8")
    start = text.index("TABLE: dict")
    lines = "".join(
        f'    "{key}": ("{tile}", {splits}),\n' for key, (tile, splits) in sorted(kept.items())
    )
    table = "TABLE: dict[str, tuple[str, int]] = {" + (f"\n{lines}" if lines else "") + "}\n"
    path.write_text(text[:start] + table, encoding="utf-8")
    return path
