"""Random numbers that any slice of can be drawn anywhere, and the ops that add noise."""

from __future__ import annotations

import copy
import hashlib
import math
import operator
import os
import threading
from typing import Any

import numpy as np

from ..backend import Array, array_module, device_of, empty, kernels, recorded_step
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import float_type, weak
from ..ranges import fraction, not_negative, whole
from .elementwise import add

Shape = int | tuple[int, ...]


_counting = threading.Lock()  # held while a draw is counted, so that none is given twice
if hasattr(os, "register_at_fork"):  # or a child could find it held by a thread that it lacks
    os.register_at_fork(
        before=_counting.acquire,
        after_in_parent=_counting.release,
        after_in_child=_counting.release,
    )


class Random:
    """A stream of random numbers: Philox4x32-10 keyed by (seed, purpose), counted by (step, draw).

    There is no hidden state beside the number of the next draw, so a training loop that asks for
    `rng.at(step)` gets the same noise whether or not it was interrupted before. Within a draw,
    number i belongs to place i: with `first=k`, row 0 of the result is row k of a longer draw.
    That makes results independent of how a batch is split up. Threads may share a stream: no draw
    is given twice, but which thread gets which is chance.

    Args:
        seed: any integer from 0 to 2^64 - 1.
        purpose: what the numbers are for; streams of different purposes are independent.
        step: the training step, 0 to 2^64 - 1.
        device: "cpu" or "cuda", where the arrays are made.

    Raises TypeError for a seed or step that is no integer, ValueError for one out of range.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

    >>> rng = Random(seed=7)
    >>> whole, rest = rng.at(3).uniform((4, 2)), rng.at(3).uniform((2, 2), first=2)
    >>> bool((whole[2:] == rest).all())
    True
    """

    def __init__(
        self, seed: int = 0, purpose: str = "", step: int = 0, *, device: str = "cpu"
    ) -> None:
        self.device = device
        self._begin(seed, purpose, step, 0)

    def _begin(self, seed: Any, purpose: Any, step: Any, draw: Any) -> None:
        """Check what names a stream, and go on with one of its draws."""
        seed, step = (
            whole("Random: seed", seed, 0, 2**64 - 1),
            whole("Random: step", step, 0, 2**64 - 1),
        )
        draw = whole("Random: draw", draw, 0, 2**32 - 1)
        if not isinstance(purpose, str):
            raise TypeError(f"Random: purpose must be a text, not {purpose!r}")
        digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
        key = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
        with _counting:
            self.seed, self.purpose, self.step, self._key = seed, purpose, step, key
            self._drawn = [draw]  # in a list, to be shared by the same stream on other devices

    def __repr__(self) -> str:
        return f"Random(seed={self.seed}, purpose={self.purpose!r}, step={self.step})"

    def stream(self, purpose: str) -> Random:
        """An independent stream of the same seed, for another purpose."""
        path = "/".join([self.purpose, purpose]) if self.purpose else purpose
        return Random(self.seed, path, self.step, device=self.device)

    def at(self, step: int) -> Random:
        """The same stream at the start of training step `step`."""
        return Random(self.seed, self.purpose, step, device=self.device)

    def on(self, device: str) -> Random:
        """This stream, with arrays made on another device; both count the same draws."""
        if device == self.device:
            return self
        elsewhere = object.__new__(type(self))
        with _counting:
            vars(elsewhere).update(vars(self), device=device)
        return elsewhere

    @property
    def draw(self) -> int:
        """The number of the next draw."""
        drawn: int = self._drawn[0]
        return drawn

    def __copy__(self) -> Random:
        return copy.deepcopy(self)  # which counts its own draws

    def state_dict(self) -> dict[str, Any]:
        """Everything that a checkpoint needs to go on with the next draw."""
        return {"seed": self.seed, "purpose": self.purpose, "step": self.step, "draw": self.draw}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict()` was taken.

        Raises ValueError or TypeError, before anything is changed, for what is no such state.
        """
        if {*state} != {"seed", "purpose", "step", "draw"}:
            raise ValueError(
                "Random.load_state_dict: a state has seed, purpose, step and draw, the given one "
                f"{', '.join(map(str, state)) or 'nothing'}"
            )
        self._begin(state["seed"], state["purpose"], state["step"], state["draw"])

    def bits(self, n: int, first: int = 0) -> Array:
        """`n` random words (uint32), from word `first` of this draw, which has 2^34 of them."""
        n, first = operator.index(n), operator.index(first)
        if n < 0 or not 0 <= first <= 2**34 - n:
            raise ValueError(
                f"Random: {n} words from word {first} on; a draw has those from 0 to 2^34 - 1"
            )
        recorded = recorded_step()
        if recorded is not None and (self.step != recorded or self._drawn is _default._drawn):
            raise RuntimeError(
                "random numbers that do not depend on the step would be the same in every step "
                "that is done from the recording: pass rng= on, or train with capture=False"
            )
        out = empty((n,), "uint32", self.device)
        with _counting:
            key, step, draw = self._key, self.step, self._drawn[0]
            if draw >= 2**32:
                raise OverflowError(f"{self!r} has no draws left: use another step or purpose")
            self._drawn[0] += 1
        kernels(out).random_bits(out, key, (draw, step & 0xFFFFFFFF, step >> 32), first)
        return out

    def uniform(
        self,
        shape: Shape = (),
        low: float = 0.0,
        high: float = 1.0,
        *,
        dtype: Any = np.float32,
        first: int = 0,
    ) -> Array:
        """Numbers from [low, high), drawn with 24 bits; wider types get the same numbers.

        In float32 rounding may give `high` itself, unless low is 0 or -high.
        """
        if not 0 <= high - low < math.inf:
            raise ValueError(f"uniform: need finite low <= high, got {low} and {high}")
        shape, size, row = _sizes(shape)
        unit = (self.bits(size, first * row) >> 8) * np.float32(2**-24)
        low, high = weak(low), weak(high)
        return (low + (high - low) * unit.astype(dtype, copy=False)).reshape(shape)

    def normal(
        self,
        shape: Shape = (),
        mean: float = 0.0,
        std: float = 1.0,
        *,
        dtype: Any = np.float32,
        first: int = 0,
    ) -> Array:
        """Gaussian numbers by Box and Muller's transform of pairs of words, in float32."""
        if not (-math.inf < mean < math.inf and 0 <= std < math.inf):
            raise ValueError(f"normal: need finite mean and std >= 0, got {mean} and {std}")
        shape, size, row = _sizes(shape)
        start = first * row
        odd = start % 2
        words = self.bits((odd + size + 1) // 2 * 2, start - odd).astype(np.float32)
        xp = array_module(words)
        unit = (words[0::2] + np.float32(1.0)) * np.float32(2**-32)  # (0, 1]: log never meets 0
        radius = xp.sqrt(np.float32(-2.0) * xp.log(unit))
        angle = words[1::2] * np.float32(2 * math.pi * 2**-32)
        pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        z = pairs.ravel()[odd : odd + size].astype(dtype, copy=False)
        if (mean, std) != (0.0, 1.0):
            z = weak(mean) + weak(std) * z
        return z.reshape(shape)

    def integers(self, low: int, high: int, shape: Shape = (), *, first: int = 0) -> Array:
        """Integers from low to high - 1 (int64), by Lemire's multiply and shift.

        The bias is at most (high - low) / 2^32.
        """
        low, high = operator.index(low), operator.index(high)
        if not 0 < high - low <= 2**32:
            raise ValueError(f"integers: need low < high <= low + 2^32, got {low} and {high}")
        shape, size, row = _sizes(shape)
        words = self.bits(size, first * row).astype(np.uint64)
        scaled = (words * np.uint64(high - low)) >> np.uint64(32)
        return (scaled.astype(np.int64) + low).reshape(shape)

    def permutation(self, n: int) -> Array:
        """The integers 0 to n - 1 in random order (int64)."""
        words = self.bits(2 * n).astype(np.uint64)
        order: Array = ((words[0::2] << np.uint64(32)) | words[1::2]).argsort(kind="stable")
        return order


def _sizes(shape: Shape) -> tuple[tuple[int, ...], int, int]:
    """The shape as a tuple, the numbers in all of it, and in one of its rows."""
    shape = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    if min(shape, default=0) < 0:
        raise ValueError(f"Random: lengths must not be negative, got shape {shape}")
    return shape, math.prod(shape), math.prod(shape[1:])


class DropoutFunction(Function):
    """y = x m / (1 - rate), where m is 0 with probability `rate` and else 1."""

    def __init__(self, rate: float, rng: Random) -> None:
        self.rate: float = weak(rate)
        self.rng = rng

    def forward(self, x: Array) -> Array:
        words = self.rng.on(device_of(x)).bits(x.size)
        kept = words.reshape(x.shape) >= np.uint32(self.rate * 2**32)
        mask = kept.astype(x.dtype) * (1.0 / (1.0 - self.rate))
        self.save_constant(mask)
        return x * mask

    def backward(self, gy: Tensor) -> Tensor:
        (mask,) = self.saved
        return gy * mask


def dropout(x: TensorLike, rate: float = 0.5, *, rng: Random | None = None) -> Tensor:
    """x with each element set to 0 with probability `rate`, the others scaled by 1 / (1 - rate).

    Args:
        x: any shape.
        rate: from 0 up to, not including, 1.
        rng: where the mask is drawn; by default the process's stream.
    """
    fraction("dropout: rate", rate)
    return DropoutFunction(rate, rng or default_rng())(x)


def gaussian_noise(x: TensorLike, std: float, *, rng: Random | None = None) -> Tensor:
    """x plus Gaussian noise of standard deviation `std`."""
    not_negative("gaussian_noise: std", std)
    data = data_of(x)
    stream = (rng or default_rng()).on(device_of(data))
    return add(x, stream.normal(data.shape, 0.0, std, dtype=float_type(data.dtype)))


_default = Random(int.from_bytes(os.urandom(8), "little"))


def default_rng() -> Random:
    """The process's stream, for whatever is given no `rng`; seeded by chance or by `seed`."""
    return _default


def seed(n: int) -> None:
    """Start the process's default stream anew from the integer `n`."""
    _default.load_state_dict({"seed": n, "purpose": "", "step": 0, "draw": 0})
