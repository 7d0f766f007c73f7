"""What a row of the op-case table is made of; tests/test_ops.py says what is done with it."""

from __future__ import annotations

import itertools
import math
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import torch
except ImportError:  # the parity tests then skip, and say so
    torch = None

__all__ = [
    "Case",
    "Sampler",
    "Variant",
    "away_from",
    "between",
    "booleans",
    "distinct",
    "grid",
    "integers",
    "labels",
    "normal",
    "positive",
    "steps",
    "torch",
]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sampler:
    """Random numbers for one input: how they are drawn, and the shape that the row is about."""

    draw: Callable[[np.random.Generator, Shape], np.ndarray]
    shape: Shape


def normal(*shape: int) -> Sampler:
    """Gaussian numbers, of variance 1."""
    return Sampler(lambda rng, shape: rng.normal(size=shape), shape)


def between(low: float, high: float, *shape: int) -> Sampler:
    """Numbers from low to high."""
    return Sampler(lambda rng, shape: rng.uniform(low, high, shape), shape)


def positive(*shape: int) -> Sampler:
    """Numbers from 1/2 to 2."""
    return between(0.5, 2.0, *shape)


def away_from(points: float | Sequence[float], *shape: int) -> Sampler:
    """Gaussian numbers, at least 0.1 away from where the op has a kink or a pole."""

    def draw(rng: np.random.Generator, shape: Shape) -> np.ndarray:
        x = rng.normal(size=shape)
        for point in np.atleast_1d(points):
            x = np.where(abs(x - point) < 0.1, x + 0.2, x)
        return x

    return Sampler(draw, shape)


def distinct(*shape: int) -> Sampler:
    """Multiples of 1/4 in random order, no two the same: which one is largest is beyond doubt."""
    return Sampler(lambda rng, shape: rng.permutation(math.prod(shape)).reshape(shape) / 4, shape)


def steps(offset: float, *shape: int) -> Sampler:
    """Multiples of 1/2 plus an offset: inputs of offsets 0 and 1/4 are never near each other."""
    return Sampler(lambda rng, shape: rng.integers(-4, 5, shape) / 2 + offset, shape)


def booleans(*shape: int) -> Sampler:
    """True or False: an input without gradient."""
    return Sampler(lambda rng, shape: rng.integers(0, 2, shape).astype(bool), shape)


def labels(n: int, *shape: int) -> Sampler:
    """Integers from 0 to n - 1: an input without gradient."""
    return Sampler(lambda rng, shape: rng.integers(0, n, shape), shape)


def integers(low: int, high: int, *shape: int) -> Sampler:
    """Integers from low to high: an input without gradient."""
    return Sampler(lambda rng, shape: rng.integers(low, high + 1, shape), shape)


def grid(**options: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination of the options."""
    combinations = itertools.product(*options.values())
    return [dict(zip(options, values, strict=True)) for values in combinations]


@dataclass(frozen=True)
class Case:
    """One row of the table: an op, what to feed it, and who else knows the answer.

    Args:
        name: of the op in tinygen.ops; an op may have several rows.
        fn: takes the inputs and the options, returns a tensor or several.
        inputs: samplers. Integers and booleans stay NumPy arrays, all else becomes tensors.
        reference: the same in NumPy, from the definition, knowing nothing of the library.
        torch: the same in PyTorch, or, as a text, the reason why there is no such thing.
        options: dictionaries of keyword arguments, usually from `grid`.
        shapes: more shapes to try, as tuples with a shape for each input.
        empty: the same, of zero size.
        empty_options: instead of `options`, where not all of them go with zero size.
        label: what sets this row apart from others of the same op.
        tolerance: how many times the usual rounding errors are allowed.
        spreads_nan: whether NaN may reach more of the result than the definition says, as where
            a kernel multiplies it by zeros that pad an image.
    """

    name: str
    fn: Callable[..., Any]
    inputs: Sequence[Sampler]
    reference: Callable[..., Any]
    torch: Callable[..., Any] | str
    options: Sequence[dict[str, Any]] = ({},)
    shapes: Sequence[Sequence[Shape]] = ()
    empty: Sequence[Sequence[Shape]] = ()
    empty_options: Sequence[dict[str, Any]] | None = None
    label: str = ""
    tolerance: float = 1.0
    spreads_nan: bool = False

    def variants(self) -> Iterator[Variant]:
        """Each combination of shapes and options."""
        empty_options = self.options if self.empty_options is None else self.empty_options
        for shapes in [tuple(s.shape for s in self.inputs), *self.shapes]:
            for i, options in enumerate(self.options):
                yield Variant(self, shapes, options, i)
        for shapes in self.empty:
            for i, options in enumerate(empty_options):
                yield Variant(self, shapes, options, i)


@dataclass(frozen=True)
class Variant:
    """A case with its shapes and options chosen: what one test is about."""

    case: Case
    shapes: Sequence[Shape]
    options: dict[str, Any]
    number: int

    def __str__(self) -> str:
        shapes = "-".join("x".join(map(str, shape)) or "scalar" for shape in self.shapes)
        options = "-".join(f"{k}={v}" for k, v in self.options.items())
        if len(options) > 40 or not options.isprintable():
            options = f"option{self.number}"
        return "-".join(filter(None, [self.case.name, self.case.label, shapes, options]))

    def sample(self, dtype: str = "float64") -> list[np.ndarray]:
        """The inputs, the same ones each time; numbers are such as float32 can hold."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        arrays = [
            np.asarray(sampler.draw(rng, shape))
            for sampler, shape in zip(self.case.inputs, self.shapes, strict=True)
        ]
        return [a.astype("float32").astype(dtype) if a.dtype.kind == "f" else a for a in arrays]

    def fn(self, *inputs: Any) -> Any:
        """The op, on tensors or arrays."""
        return self.case.fn(*inputs, **self.options)

    def reference(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """What NumPy says, as a list of outputs."""
        with np.errstate(all="ignore"):
            y = self.case.reference(*arrays, **self.options)
        return [np.asarray(part) for part in (y if isinstance(y, (tuple, list)) else [y])]

    def torch(self, *tensors: Any) -> list[Any]:
        """What PyTorch says, as a list of outputs."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of theirs: the variance of nothing, say
            y = self.case.torch(*tensors, **self.options)
        return list(y) if isinstance(y, (tuple, list)) else [y]

    def bounds(self, dtype: str, times: float = 1.0) -> dict[str, float]:
        """How far from the reference a value may be."""
        error = times * self.case.tolerance * {"float32": 2e-6, "float64": 1e-12}[dtype]
        return {"rtol": error, "atol": error}
