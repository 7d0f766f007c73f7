"""What varies from one cartoon face to the next: the factors, their values and what they stand for.

The factors are drawn independently of each other. The tables here hold what a painter needs to
know of a value; how it is painted stands in `portrait.py` and `hair.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..ops.random import Random
from .hair import STYLES

BACKGROUNDS = {
    "sky": 0xA6D1EE,
    "mint": 0xA9DCC1,
    "lilac": 0xCABCEB,
    "rose": 0xF3BCC3,
    "sand": 0xF2D79E,
    "stone": 0xBFC8D1,
}
SKINS = {
    "porcelain": 0xFCE1D1,
    "peach": 0xF6CBAA,
    "honey": 0xE5B082,
    "caramel": 0xCB9060,
    "chestnut": 0xA36B47,
    "espresso": 0x764B34,
}
HAIR_COLOURS = {
    "black": 0x2C2733,
    "brown": 0x603E2B,
    "auburn": 0x9C4A27,
    "ginger": 0xDD7C2F,
    "blond": 0xECC265,
    "pink": 0xE8829F,
    "blue": 0x4F79BC,
}
EYE_COLOURS = {
    "brown": 0x6B3F22,
    "amber": 0xC0802B,
    "green": 0x4C9C52,
    "blue": 0x3987D0,
    "grey": 0x7F8B97,
}
SHIRT_COLOURS = {
    "coral": 0xF0705E,
    "mustard": 0xE9B440,
    "teal": 0x2A9D8F,
    "navy": 0x35507A,
    "plum": 0x8A4F7D,
    "cream": 0xF5EDDE,
}
# A head is the hull of a large disc (the skull) and a small one (the chin), widened in the middle:
# radius of the skull, radius of the chin, their heights, and the widening.
FACE_SHAPES = {
    "oval": (0.43, 0.28, -0.15, 0.21, 0.00),
    "round": (0.485, 0.42, -0.09, 0.07, 0.00),
    "square": (0.30, 0.25, -0.26, 0.23, 0.15),
    "heart": (0.48, 0.14, -0.11, 0.32, 0.00),
    "long": (0.38, 0.26, -0.20, 0.30, 0.00),
}
# Half the width and height of a lens, the radius of its corners, how much its outer end is raised,
# the thickness of the frame.
GLASSES = {
    "none": (0.15, 0.15, 0.15, 0.00, 0.0),
    "round": (0.15, 0.15, 0.15, 0.00, 0.026),
    "square": (0.165, 0.125, 0.05, 0.00, 0.034),
    "cat-eye": (0.165, 0.11, 0.10, 0.16, 0.030),
}
FRAME_COLOURS = {"none": 0, "round": 0x8A5A2E, "square": 0x262A33, "cat-eye": 0xB82E4E}
EYES = ("round", "almond", "sleepy")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
OUTFITS = ("tee", "stripes", "collar", "hoodie")
YOUNG, OLD = 18, 80  # years


@dataclass(frozen=True)
class Factor:
    """One thing that varies.

    Args:
        name: the key in the dictionaries of factors.
        values: the names of a category's values; a face holds an index into them.
        weights: how often each value is drawn; equally often if empty.
        low, high: the range of a continuous factor.
        default: the value in a picture drawn without saying one.
    """

    name: str
    values: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    low: float = -1.0
    high: float = 1.0
    default: float = 0

    @property
    def kind(self) -> Literal["category", "continuous"]:
        """Whether the factor takes one of its named values or a number between low and high."""
        return "category" if self.values else "continuous"

    def sample(self, uniform: NDArray[Any]) -> NDArray[Any]:
        """Values (int64 or float32) from as many numbers from [0, 1)."""
        if not self.values:
            return (self.low + (self.high - self.low) * uniform).astype(np.float32)
        weights = self.weights or (1.0,) * len(self.values)
        steps = np.cumsum(weights) / np.sum(weights)
        return np.searchsorted(steps[:-1], uniform, side="right")

    def check(self, values: Any) -> NDArray[Any]:
        """Values as an array (int64 or float32), names turned into indices; or a ValueError."""
        array = np.asarray(values)
        if self.values and array.dtype.kind in "UO":
            array = np.array([self._index(str(name)) for name in array.flat]).reshape(array.shape)
        if array.dtype.kind not in ("iu" if self.values else "iuf"):
            self._refuse(array)
        low, high = (0, len(self.values) - 1) if self.values else (self.low, self.high)
        outside = ~((array >= low) & (array <= high))  # NaN too
        if outside.any():
            self._refuse(array[outside])
        return array.astype(np.int64 if self.values else np.float32)

    def _refuse(self, array: NDArray[Any]) -> NoReturn:
        value = array.flat[0] if array.size else "nothing"
        if self.values:
            raise ValueError(
                f"factor '{self.name}': {value} is not an index from 0 to {len(self.values) - 1}. "
                f"Give one, or a name: {', '.join(self.values)}."
            )
        raise ValueError(
            f"factor '{self.name}': {value} is not a number from {self.low:g} to {self.high:g}. "
            f"Clip the values to that range."
        )

    def _index(self, name: str) -> int:
        if name not in self.values:
            raise ValueError(
                f"factor '{self.name}' has no value '{name}'. {_nearest(name, self.values)}"
            )
        return self.values.index(name)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}It takes: {', '.join(known)}."


FACTORS: tuple[Factor, ...] = (
    Factor("background", tuple(BACKGROUNDS)),
    Factor("skin", tuple(SKINS), default=1),
    Factor("hair_style", tuple(STYLES), default=2),
    Factor("hair_colour", tuple(HAIR_COLOURS), (3, 3, 3, 3, 3, 1, 1), default=1),
    Factor("face_shape", tuple(FACE_SHAPES)),
    Factor("eyes", EYES, (2, 2, 1)),
    Factor("eye_colour", tuple(EYE_COLOURS), default=2),
    Factor("eye_size"),
    Factor("glasses", tuple(GLASSES), (6, 2, 2, 2)),
    Factor("beard", BEARDS, (6, 1, 1, 1, 1)),
    Factor("outfit", OUTFITS),
    Factor("shirt", tuple(SHIRT_COLOURS), default=2),
    Factor("pose"),
    Factor("tilt"),
    Factor("smile", default=0.4),
    Factor("age", low=YOUNG, high=OLD, default=30),
)


def sample_factors(n: int, seed: int, first: int) -> dict[str, NDArray[Any]]:
    """The factors of the faces first to first + n - 1: a stream of random numbers for each."""
    return {
        factor.name: factor.sample(Random(seed, f"faces/{factor.name}").uniform((n,), first=first))
        for factor in FACTORS
    }


def chosen_factors(names: Sequence[str] = ()) -> tuple[Factor, ...]:
    """The factors of those names, in that order, or all; ValueError for a name that is none."""
    known = {factor.name: factor for factor in FACTORS}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no factor '{name}'. {_nearest(str(name), tuple(known))}")
    if len({*names}) < len(names):
        raise ValueError(f"a factor is named twice: {', '.join(names)}")
    return tuple(known[name] for name in names or known)


def factor_table(factors: Mapping[str, NDArray[Any]], names: Sequence[str] = ()) -> NDArray[Any]:
    """The values of factors side by side: n values each -> (n, number of factors), float32.

    Args:
        factors: arrays by name; of a category the indices of its values.
        names: which, in what order; all if empty.
    """
    chosen = chosen_factors(names)
    return np.stack([factors[factor.name] for factor in chosen], axis=1).astype(np.float32)


def complete_factors(factors: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Every factor as an array of one length: checked, broadcast, defaults where none is given."""
    names = tuple(factor.name for factor in FACTORS)
    for name in factors:
        if name not in names:
            raise ValueError(f"there is no factor '{name}'. {_nearest(str(name), names)}")
    arrays = {
        factor.name: np.atleast_1d(factor.check(factors.get(factor.name, factor.default)))
        for factor in FACTORS
    }
    lengths = {name: array.shape for name, array in arrays.items() if array.shape != (1,)}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        told = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise ValueError(
            f"the factors do not fit together: {told}. Give each a number, or arrays of one length."
        )
    shape = next(iter(lengths.values()), (1,))
    return {name: np.broadcast_to(array, shape) for name, array in arrays.items()}
