"""Pieces: functions that kernels call by their address, so that each is compiled only once.

When one Numba function calls another, LLVM optimises the callee anew inside each caller, which
takes seconds for a few vector loops. A piece is compiled by itself, one for each type; kernels take
its address as an argument, and `call` it. Only integers and floats go in: arrays go as addresses,
and `vector` turns an address into an array again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic, register_jitable

from .jit import OPTIONS, keep_compiled


class Piece(dict[Any, int]):
    """A function that kernels call by address: `piece[dtype]` is the address for that type.

    Args:
        make: returns the function for a Numba type.
        arguments: the types of its arguments.
    """

    def __init__(self, make: Callable[[Any], Callable[..., Any]], *arguments: Any) -> None:
        self.make, self.arguments = make, arguments
        self.compiled: list[CFunc] = []  # to keep them alive

    def __missing__(self, dtype: np.dtype[Any]) -> int:
        function = self.make(numba.from_dtype(dtype))
        piece = CFunc(function, (self.arguments, types.void), {}, {"nopython": True, **OPTIONS})
        keep_compiled(piece, function)
        piece.compile()
        self.compiled.append(piece)
        address: Any = piece.address
        return self.setdefault(dtype, address)


@intrinsic
def call(context, address, arguments):  # type: ignore[no-untyped-def]  # Numba reads the names
    """Call the piece at `address` with a tuple of integers and floats."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        unpacked = [builder.extract_value(values[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in unpacked])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), unpacked)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), emit


@register_jitable
def vector(address, size, number):  # type: ignore[no-untyped-def]
    """The `size` numbers of a type that begin at `address`, as an array."""
    return numba.carray(_pointer(address, number), size)


@intrinsic
def _pointer(context, address, number):  # type: ignore[no-untyped-def]  # Numba reads the names
    kind = types.CPointer(number.dtype)

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(kind))

    return kind(types.int64, number), emit
