"""NumPy's functions called with Tensors: constants pass as arrays, gradients are not lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .core import OPS, Tensor

READING_NO_VALUES = {"shape", "ndim", "size", "zeros_like", "ones_like", "empty_like", "full_like"}

# Ours for functions of NumPy that go by another name.
COUNTERPARTS = {
    theirs: ours
    for ours, names in {
        "concatenate": "hstack vstack dstack column_stack block append",
        "flip": "fliplr flipud",
        "getitem": "delete compress extract diagonal",
        "matmul": "dot vdot inner outer tensordot einsum",
        "max": "amax",
        "mean": "average",
        "min": "amin",
        "repeat": "tile",
        "reshape": "ravel",
        "split": "array_split hsplit vsplit dsplit",
        "transpose": "swapaxes moveaxis rollaxis",
        "var": "std",
    }.items()
    for theirs in names.split()
}


def call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call one of NumPy's functions with arrays for tensors.

    Raises TypeError, with the op to use instead, where a tensor requires a gradient and the
    function would read its values: what it returns is an array, without a graph.
    """
    name = function.__name__
    if name not in READING_NO_VALUES and _requires_grad((args, kwargs)):
        ours = COUNTERPARTS.get(name, name)
        raise TypeError(
            f"numpy.{name} cannot carry on the gradient of a tensor: use "
            f"tinygen.ops{'.' + ours if ours in OPS else ''}, or give it the values by .numpy()"
        )
    return function(*_arrays_in(args), **_arrays_in(kwargs))


def _requires_grad(value: Any) -> bool:
    """Whether a tensor that requires a gradient is among the arguments."""
    if isinstance(value, (list, tuple, dict)):
        return any(map(_requires_grad, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Tensor) and value.requires_grad


def _arrays_in(value: Any) -> Any:
    """The arguments with arrays for tensors."""
    if isinstance(value, dict):
        return {key: _arrays_in(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        arrays = map(_arrays_in, value)
        return tuple(arrays) if isinstance(value, tuple) else list(arrays)
    return value.numpy() if isinstance(value, Tensor) else value
