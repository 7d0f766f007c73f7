"""Which kernel serves which convolution, chosen by measurement, and why.

>>> from tinygen_kernels.geometry import Geometry
>>> print(explain(32, Geometry((28, 28), (5, 5), (2, 2), ((2, 2), (2, 2))), 1, 64))
forward: product, lanes along the 64 channels of the result
input:   dots, only 1 channel in the result: lanes along the 64 that are read
weights: product, lanes along the 64 channels of the result
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from .. import precision
from ..geometry import Geometry
from .winograd_blocks import shared_out
from .winograd_plan import Plan, plan

TASKS = ("forward", "input", "weights")  # conv2d, conv2d_transpose, conv2d_weight_grad
FEW = 4  # channels of a result; up to here the tiles of other products waste their registers
SAVES = 1.5  # times fewer multiplications that are worth Winograd's transforms
NARROW = 16  # channels on either side from which on the transforms fill their registers
FEW_TILES = 4  # from here on the transformed weights are used often enough


class Way(NamedTuple):
    """A kernel, and why that one."""

    kernel: str  # "winograd", "dots" or "product"
    why: str
    plan: Plan | None = None  # Winograd's


@functools.lru_cache(maxsize=1024)
def way(
    task: str, n: int, geometry: Geometry, inputs: int, outputs: int, exact: bool = False
) -> Way:
    """How to do one of TASKS for n images with so many channels on the convolution's sides.

    Where it is to be exact, each product is formed by itself: not in Winograd's way.
    """
    here = None if exact else plan(geometry, task == "input")
    if here is not None and here.saves >= SAVES and min(inputs, outputs) >= NARROW:
        tiles = n * here.tiles[0] * here.tiles[1]
        if tiles >= FEW_TILES:
            phases = len(here.phases)
            sizes = (inputs, outputs * phases) if task == "input" else (inputs * phases, outputs)
            shared = shared_out(task, tiles, *sizes)
            why = (
                f"{here.saves:.1f} times fewer multiplications; {tiles} tiles, {shared} shared out"
            )
            return Way("winograd", why, here)
    reads, makes = (outputs, inputs) if task == "input" else (inputs, outputs)
    reads, makes = reads // geometry.groups, makes // geometry.groups
    if task != "weights" and makes <= FEW <= reads:
        channels = f"{makes} channel" + "s" * (makes > 1)
        why = f"only {channels} in the result: lanes along the {reads} that are read"
        return Way("dots", why)
    return Way("product", f"lanes along the {makes} channels of the result")


def explain(n: int, geometry: Geometry, inputs: int, outputs: int) -> str:
    """For each of the three tasks the kernel and the reason, as text, in the precision of now."""
    exact = precision.current() == "exact"
    ways = {task: way(task, n, geometry, inputs, outputs, exact) for task in TASKS}
    return "\n".join(f"{task + ':':9}{w.kernel}, {w.why}" for task, w in ways.items())
