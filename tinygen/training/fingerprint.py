"""Tell whether data and settings are the same as before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import Array, as_array, to_numpy
from ..models import names, options
from .run import without_none

Prints = dict[str, list[dict[str, Any]]]


TEST = "test"  # the part that runs of earlier versions have no fingerprint of


def fingerprints(
    train: Sequence[Array], valid: Sequence[Array], test: Sequence[Array] = ()
) -> Prints:
    """Shape, type and BLAKE2b hash of each array of the training, validation and test data."""
    parts = {"training": train, "validation": valid, TEST: test}
    return {part: [_print(array) for array in arrays] for part, arrays in parts.items()}


def _print(array: Array) -> dict[str, Any]:
    values = np.ascontiguousarray(to_numpy(as_array(array)))
    digest = hashlib.blake2b(values.reshape(-1).view(np.uint8).data, digest_size=16)
    return {
        "shape": list(np.shape(array)),
        "dtype": values.dtype.name,
        "blake2b": digest.hexdigest(),
    }


def data_differs(before: Prints, now: Prints) -> str:
    """What is other data than before, in words; empty if nothing is."""
    for part, prints in now.items():
        if part == TEST and part not in before:
            continue
        shapes, others = ([p["shape"] for p in found] for found in (prints, before[part]))
        if shapes != others:
            return f"was made with {part} data of shapes {others}, this has {shapes}"
        if prints != before[part]:
            return f"was made with {part} data of other contents, though the shapes are the same"
    return ""


def plain(settings: Any) -> Any:
    """Settings as a file gives them back: without None, lists for tuples, functions by name."""
    return json.loads(json.dumps(without_none(settings), default=_named))


def _named(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__name__)


def setting_differs(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first setting that is another than before, in words; empty if there is none."""
    before, now = plain(before), plain(now)
    for name in {**before, **now}:
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, dict) and isinstance(is_now, dict):
            inner = setting_differs(was, is_now)
            if inner:
                return inner
        elif was != is_now:
            return f"{name} {was!r}, not {is_now!r}"
    return ""


def model_differs(
    name: str, trained: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> str:
    """The first setting of a model that its weights were not trained with, in words.

    A setting that there was not yet when they were trained had its default. The seed may be another
    one: weights that were trained do not depend on it.
    """
    before = {**options(name), **(trained or {})} if name in names() else dict(trained or {})
    return setting_differs({**before, "seed": None}, {**(now or {}), "seed": None})
