"""Type promotion: the one rule by which the inputs of an op come to be of one type.

- Arithmetic is done in float32 or float64. Of several floating types the widest is taken, and
  float32 at least: float16 is a type to keep data in, whose sums would overflow.
- Integers and booleans become the floating type of the other inputs, float32 where there is none.
- Sums, differences, products and absolute values of integers and booleans alone are done in int64,
  where nothing wraps round (`NUMBERS`).
- What only moves or picks elements keeps the type that its inputs share (`ANY`); several types of
  integers become int64.
- Arrays have a type, numbers take one: Python's numbers, NumPy's scalars and lists of numbers give
  way to arrays. A floating number turns integers into float32; numbers alone are float32.
- Complex numbers, longdouble and what is no number raise TypeError.

A conversion is an op, so every input gets its gradient in its own type.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import as_array, is_array
from .core import OPS, Tensor

FLOATS, NUMBERS, ANY = "floats", "numbers", "any"  # what an op computes in: `Function.takes`
FLOAT32, FLOAT64, INT64 = map(np.dtype, ("float32", "float64", "int64"))

DType = np.dtype[Any]


class Numbers(NamedTuple):
    """Numbers without a type of their own: whether they are floating, and their range."""

    floating: bool
    low: Any
    high: Any

    def fit(self, dtype: DType) -> bool:
        """Whether arrays of that type can hold them."""
        if dtype.kind == "f":
            return True
        bounds = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return not self.floating and bool(bounds[0] <= self.low and self.high <= bounds[1])


def weak(x: Any) -> Any:
    """A scalar of NumPy as a Python number, which gives way to the type of arrays; or x itself.

    >>> weak(np.float64(0.5)), weak(2), weak(None)
    (0.5, 2, None)
    """
    if not isinstance(x, np.generic):
        return x
    return float(x) if isinstance(x, np.floating) else x.item()


def float_type(*dtypes: DType) -> DType:
    """The type that floats are computed in: the widest of these, float32 at least."""
    return FLOAT64 if any(_native(d) == FLOAT64 for d in dtypes) else FLOAT32


def promote(
    op: str, takes: str, inputs: Sequence[Any], apart: Container[int] = ()
) -> Sequence[Any]:
    """The inputs of an op in the type that it computes in; `inputs` itself if they all are.

    Args:
        op: its name, for messages.
        takes: FLOATS, NUMBERS or ANY; see above.
        inputs: tensors, arrays, numbers and lists of numbers.
        apart: which of them keep their own type: masks, positions.

    Raises TypeError for types that no op computes with.
    """
    values = [_value(x, i in apart) for i, x in enumerate(inputs)]
    dtypes: dict[int, DType] = {}  # of arrays, by input
    numbers: list[Numbers] = []
    for i, x in enumerate(values):
        if i not in apart:
            if isinstance(x, Tensor) or is_array(x):
                dtypes[i] = x.dtype
            else:
                numbers.append(_numbers(op, i, x))
    if dtypes or numbers:
        target = _target(op, takes, dtypes, numbers)
        for i in dtypes:
            values[i] = _converted(values[i], target)
        for i, x in enumerate(values):
            if i not in apart and i not in dtypes and (isinstance(x, list) or not dtypes):
                values[i] = np.asarray(x, target)
    return inputs if all(a is b for a, b in zip(values, inputs, strict=True)) else values


def _value(x: Any, apart: bool) -> Any:
    """A tensor, an array, a Python number or a list; one that is apart has a type of its own."""
    if isinstance(x, Tensor) or is_array(x):
        return x
    if apart:
        return as_array(x)
    x = weak(x)
    if type(x) in (float, int, bool):
        return x
    if isinstance(x, (float, int)):  # of a class of its own, such as IntEnum
        return float(x) if isinstance(x, float) else int(x)
    return list(x) if isinstance(x, (list, tuple)) else as_array(x)


def _numbers(op: str, i: int, x: Any) -> Numbers:
    """What there is to know of a number, or of a list of them."""
    if isinstance(x, (float, int)):
        return Numbers(isinstance(x, float), x, x)
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise _refusal(op, i, array.dtype)
    if not array.size:
        return Numbers(False, 0, 0)
    return Numbers(array.dtype.kind == "f", array.min(), array.max())


def _target(op: str, takes: str, dtypes: dict[int, DType], numbers: Sequence[Numbers]) -> DType:
    """The type that arrays of these types are brought to, given the numbers they meet."""
    kinds = {_native(d) for d in dtypes.values()}
    if takes == ANY and len(kinds) == 1:
        (only,) = kinds
        if not numbers or (only.kind in "biuf" and all(n.fit(only) for n in numbers)):
            return only
    for i, d in dtypes.items():
        if d.kind not in "biuf" or (d.kind == "f" and d.itemsize > FLOAT64.itemsize):
            raise _refusal(op, i, d)
    floating = any(d.kind == "f" for d in kinds) or any(n.floating for n in numbers)
    if takes == FLOATS or floating or not kinds:
        return float_type(*kinds)
    for i, d in dtypes.items():
        if d.kind == "u" and d.itemsize == INT64.itemsize:
            raise _refusal(op, i, d)
    return INT64


def _converted(x: Any, dtype: DType) -> Any:
    """A tensor or an array in another type; the gradient comes back in its own."""
    if x.dtype == dtype:
        return x
    return OPS["astype"](x, dtype) if isinstance(x, Tensor) else x.astype(dtype)


def _native(dtype: DType) -> DType:
    """The type in the byte order of this machine."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _refusal(op: str, i: int, dtype: DType) -> TypeError:
    remedy = {
        "c": "take real and imaginary part as two tensors",
        "f": 'convert it by astype("float64")',
        "u": 'convert it by astype("int64") or astype("float64")',
    }.get(dtype.kind, "give numbers")
    return TypeError(f"{op}: input {i} is of type {dtype}, which ops do not compute with: {remedy}")
