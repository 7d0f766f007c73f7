"""Time series of varying length, drawn from known kinds, with noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..ops.random import Random

KINDS = ("sine", "chirp", "sawtooth", "square", "damped")
STEPS = 48  # of the longest
NOISE = 0.03  # standard deviation


class Series(NamedTuple):
    """Series, and what each was drawn from."""

    values: Array  # (n, steps, 1) float32, NaN after the last step of a series
    kinds: Array  # (n,) int64, places in KINDS
    factors: dict[str, Array]  # (n,) float32 each: frequency, phase, amplitude, length


def draw_series(n: int, *, steps: int = STEPS, seed: int = 0) -> Series:
    """`n` series between about -1 and 1 of a third of `steps` to `steps` steps.

    With time t from 0 to 1 over `steps` steps, turns u = frequency t + phase and an amplitude:
    a sine sin(2 pi u); a chirp, whose frequency triples, sin(2 pi (u + frequency t^2)); a sawtooth
    2 (u mod 1) - 1; a square wave, the sign of the sine; a damped oscillation e^(-3 t) sin(2 pi u).
    Series i is the same however many are drawn.

    Args:
        n: how many.
        steps: the longest length.
        seed: of the factors and the noise.
    """
    rng = Random(seed, "data/series")
    kinds = rng.stream("kind").integers(0, len(KINDS), (n,))
    unit = rng.stream("factors").uniform((n, 4), dtype=np.float64)
    frequency, phase, amplitude = 1 + 3 * unit[:, 0], unit[:, 1], 0.5 + 0.5 * unit[:, 2]
    shortest = max(1, math.ceil(steps / 3))
    lengths = shortest + (unit[:, 3] * (steps - shortest + 1)).astype(np.int64)
    t = np.arange(steps) / steps
    turns = frequency[:, None] * t + phase[:, None]
    wave = np.sin(2 * np.pi * turns)
    shapes = [
        wave,
        np.sin(2 * np.pi * (turns + frequency[:, None] * t**2)),
        2 * (turns % 1) - 1,
        np.sign(wave),
        np.exp(-3 * t) * wave,
    ]
    values = amplitude[:, None] * np.choose(kinds[:, None], shapes)
    values = values + NOISE * rng.stream("noise").normal((n, steps), dtype=np.float64)
    values[np.arange(steps) >= lengths[:, None]] = np.nan
    factors = {"frequency": frequency, "phase": phase, "amplitude": amplitude, "length": lengths}
    return Series(
        values[..., None].astype(np.float32),
        kinds,
        {name: value.astype(np.float32) for name, value in factors.items()},
    )
