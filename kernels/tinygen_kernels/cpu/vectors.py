"""Code with explicit vectors, written as LLVM, for loops that Numba would not vectorise so well."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils

INT32, INT64 = ir.IntType(32), ir.IntType(64)


def _registers() -> tuple[int, int]:
    """(bytes of a vector register, how many there are) on this machine."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx2"):
        return 32, 16
    return 16, 32 if features.get("neon") else 16


VECTOR_BYTES, REGISTERS = _registers()


def set_attribute(builder: Any, name: str, value: str) -> None:
    """Give the function that is being written one of LLVM's attributes."""
    # llvmlite knows only the attributes without a value, so this one goes in behind its check
    set.add(builder.function.attributes, f'"{name}"="{value}"')


class Emitter:
    """Writes code with vectors of one type."""

    def __init__(self, bits: int, builder: Any) -> None:
        if platform.machine() in ("x86_64", "AMD64"):
            # LLVM's timetable of an AMD Zen loads all first and spills: a third of the speed
            set_attribute(builder, "tune-cpu", "x86-64")
        self.builder, self.size = builder, bits // 8
        self.lanes = VECTOR_BYTES * 8 // bits
        self.kind = f"v{self.lanes}f{bits}"
        self.number = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, self.lanes)
        self.integers = ir.VectorType(INT32, self.lanes)
        self.booleans = ir.VectorType(ir.IntType(1), self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def call(self, name: str, result: Any, values: Sequence[Any], fastmath: Any = ()) -> Any:
        """One of LLVM's intrinsic functions on our vectors."""
        full = f"llvm.{name}.{self.kind}" + (".p0" if "masked" in name else "")
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(function, values, fastmath=fastmath)

    def pointer(self, address: Any) -> Any:
        """An integer as the address of a number."""
        return self.builder.inttoptr(address, self.number.as_pointer())

    def constant(self, number: float) -> Any:
        """A vector with that number in all lanes."""
        return ir.Constant(self.vector, [number] * self.lanes)

    def at(self, base: Any, offset: Any, vector: bool = False) -> Any:
        """The address of the element `offset` behind `base`."""
        place = self.builder.gep(base, [offset])
        return self.builder.bitcast(place, self.vector.as_pointer()) if vector else place

    def spread(self, value: Any, type_: Any) -> Any:
        """A vector with `value` in all lanes."""
        nothing = ir.Constant(type_, ir.Undefined)
        first = self.builder.insert_element(nothing, value, INT32(0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(self.integers, [0] * self.lanes)
        )

    def mask(self, count: Any) -> Any:
        """True in the first `count` lanes."""
        counts = self.spread(self.builder.trunc(count, INT32), self.integers)
        lanes = ir.Constant(self.integers, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, counts)

    def load(self, place: Any, mask: Any | None) -> Any:
        """A vector from memory; lanes that are masked out are 0 and not touched."""
        if mask is None:
            return self.builder.load(place, align=self.size)
        return self.call("masked.load", self.vector, [place, INT32(self.size), mask, self.zero])

    def store(self, value: Any, place: Any, mask: Any | None) -> None:
        """A vector to memory."""
        if mask is None:
            self.builder.store(value, place, align=self.size)
        else:
            self.call("masked.store", ir.VoidType(), [value, place, INT32(self.size), mask])

    def accumulators(self, rows: int, columns: int) -> list[list[Any]]:
        """Vectors of 0 that LLVM will keep in registers."""
        grid = [
            [cgutils.alloca_once(self.builder, self.vector) for _ in range(columns)]
            for _ in range(rows)
        ]
        for row in grid:  # the tile may be inside a loop: start from 0 each time
            for total in row:
                self.builder.store(self.zero, total)
        return grid

    def add_product(self, total: Any, x: Any, y: Any) -> None:
        """total += x y."""
        product = self.call("fma", self.vector, [x, y, self.builder.load(total)])
        self.builder.store(product, total)
