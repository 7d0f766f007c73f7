"""Style mixing, and what noise leaves open (Karras et al. 2019, figures 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..config import no_grad
from ..core import TensorLike, data_of
from ..ops.random import Random
from ..ranges import whole

COARSE, MIDDLE = 4 / 18, 8 / 18  # where the paper's ranges end, as shares of its 18 layers


def layers_of(text: str, count: int) -> list[int]:
    """The layers that a text names: "coarse", "middle" or "fine", or such as "0-2,5".

    The names are those of the paper, which has 18 layers: the first 4, the next 4, the rest; of
    fewer layers the same shares.

    Args:
        text: names, numbers and ranges with commas between them.
        count: how many layers there are.

    Raises ValueError for what is neither, and for layers that the model does not have.

    >>> layers_of("coarse,5", 8)
    [0, 1, 5]
    >>> layers_of("2-4", 8)
    [2, 3, 4]
    """
    first, second = round(COARSE * count), round(MIDDLE * count)
    named = {"coarse": (0, first), "middle": (first, second), "fine": (second, count)}
    chosen: set[int] = set()
    for part in (p.strip() for p in text.split(",")):
        low, dash, high = part.partition("-")
        if part in named:
            chosen |= {*range(*named[part])}
        elif low.isdecimal() and (high.isdecimal() or not dash) and int(low) <= int(high or low):
            chosen |= {*range(int(low), int(high or low) + 1)}
        else:
            raise ValueError(
                f"layers are {', '.join(named)}, or numbers such as 0-2,5, not {part!r:.40}"
            )
    if max(chosen) >= count:
        raise ValueError(f"layers go from 0 to {count - 1}, there is none {max(chosen)}")
    return sorted(chosen)


def layers_checked(name: str, layers: Iterable[int], count: int) -> list[int]:
    """Numbers of layers, each once; raises ValueError for those that are not there."""
    chosen = sorted({whole(f"{name}: layers", layer, 0) for layer in layers})
    if chosen and chosen[-1] >= count:
        raise ValueError(f"{name}: layers go from 0 to {count - 1}, not {chosen[-1]}")
    return chosen


def mixed_styles(first: TensorLike, second: TensorLike, layers: Iterable[int]) -> Array:
    """Every style of `first`, with each of `second` in some layers.

    Args:
        first: styles (n, layers, styles).
        second: styles (m, layers, styles).
        layers: which layers the second ones have.

    Returns (n, m, layers, styles).
    """
    a, b = (to_numpy(data_of(w)) for w in (first, second))
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"mixed_styles: styles are two arrays (n, layers, styles), not {a.shape}, {b.shape}"
        )
    chosen = layers_checked("mixed_styles", layers, a.shape[1])
    mixed: Array = np.repeat(a[:, np.newaxis], len(b), axis=1)
    mixed[:, :, chosen] = b[np.newaxis, :, chosen]
    return mixed


def variation(model: Any, w: TensorLike, draws: int, *, rng: Random) -> tuple[Array, Array, Array]:
    """What noise does to images of one style: without it, with several draws, and their spread.

    Args:
        model: a StyleGAN.
        w: styles (n, styles), or (n, layers, styles).
        draws: how many.
        rng: where the noise is drawn.

    Returns images without noise (n, ...), with it (n, draws, ...), and the standard deviation over
    the draws (n, ...), the mean over channels.
    """
    whole("variation: draws", draws, 2)
    with no_grad():
        none = [0.0 * fixed for fixed in model.fixed_noise()]
        still = to_numpy(model.synthesize(w, noise=none).array)
        parts = [to_numpy(model.synthesize(w, rng=rng).array) for _ in range(draws)]
    drawn = np.stack(parts, axis=1)
    spread = drawn.std(axis=1, dtype=np.float64)
    return still, drawn, spread.mean(axis=-1) if spread.ndim == 4 else spread
