"""The innermost product: a tile of C = A B held in registers, written as LLVM vectors.

Numba has no vector type, and a loop over a tile kept in memory spends its time on loads and stores.
So the tile is emitted directly: `rows` x `vectors` accumulators, and for every k one fused
multiply-add for each of them:

    C[i, :] += A[i, k] * B[k, :]          i < rows,  : spans `vectors` registers

With AVX-512 eight rows of three vectors make 24 accumulators of the 32 registers; three more hold
the row of B, one the number from A: 24 multiply-adds for 11 loads.
"""

from __future__ import annotations

import functools
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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
ROWS, VECTORS = (8, 3) if REGISTERS == 32 else (4, 3)


@intrinsic
def tile(context, like, a, row_stride, k_stride, b, b_stride, c, c_stride, depth, rows, columns):  # type: ignore[no-untyped-def]  # Numba reads the names
    """Compute a tile of C with 8, 4, 2 or 1 rows, as many as fit; returns how many.

    Args:
        like: an array of the type of the operands.
        a, b, c: addresses of the first elements, as integers.
        row_stride, k_stride: of A, in elements; any.
        b_stride, c_stride: from row to row; rows are contiguous.
        depth: the length of the sums.
        rows: rows left to do.
        columns: columns to do, at most VECTORS registers wide.
    """
    emit = functools.partial(_emit_choice, like.dtype.bitwidth)
    return types.int64(like, *[types.int64] * 10), emit


def _emit_choice(bits: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Code that picks the largest tile that fits, and runs it."""
    _, *operands, rows, columns = arguments
    emitter = _Emitter(bits, builder, operands)
    done = cgutils.alloca_once(builder, INT64)
    lanes = INT64(emitter.lanes)
    vectors_needed = builder.udiv(builder.add(columns, builder.sub(lanes, INT64(1))), lanes)
    start = builder.mul(builder.sub(vectors_needed, INT64(1)), lanes)
    mask = emitter.mask(builder.sub(columns, start))
    after = builder.append_basic_block("tile.after")
    for count in [n for n in (8, 4, 2, 1) if n <= ROWS]:
        with builder.if_then(builder.icmp_signed(">=", rows, INT64(count))):
            builder.store(INT64(count), done)
            for vectors in range(1, VECTORS + 1):
                with builder.if_then(builder.icmp_signed("==", vectors_needed, INT64(vectors))):
                    emitter.body(count, vectors, mask)
            builder.branch(after)
            builder.position_at_end(builder.append_basic_block("tile.unreachable"))
    builder.branch(after)
    builder.position_at_end(after)
    return builder.load(done)


class _Emitter:
    """Writes the code of tiles for one set of operands."""

    def __init__(self, bits: int, builder: Any, operands: list[Any]) -> None:
        self.builder, self.size = builder, bits // 8
        self.lanes = VECTOR_BYTES * 8 // bits
        self.kind = "f32" if bits == 32 else "f64"
        self.number = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, self.lanes)
        self.integers = ir.VectorType(INT32, self.lanes)
        self.booleans = ir.VectorType(ir.IntType(1), self.lanes)
        a, self.row_stride, self.k_stride, b, self.b_stride, c, self.c_stride, self.depth = operands
        self.a, self.b, self.c = (builder.inttoptr(x, self.number.as_pointer()) for x in (a, b, c))

    def llvm(self, name: str, result: Any, *kinds: Any) -> Any:
        """One of LLVM's intrinsic functions on our vectors."""
        full = f"llvm.{name}.v{self.lanes}{self.kind}" + (".p0" if "masked" in name else "")
        function = ir.FunctionType(result, kinds)
        return cgutils.get_or_insert_function(self.builder.module, function, full)

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
        return self.builder.icmp_unsigned("<", lanes, counts)

    def load(self, place: Any, mask: Any | None) -> Any:
        """A vector from memory; lanes that are masked out are 0 and not touched."""
        if mask is None:
            return self.builder.load(place, align=self.size)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        kinds = self.vector.as_pointer(), INT32, self.booleans, self.vector
        function = self.llvm("masked.load", self.vector, *kinds)
        return self.builder.call(function, [place, INT32(self.size), mask, zero])

    def store(self, value: Any, place: Any, mask: Any | None) -> None:
        """A vector to memory."""
        if mask is None:
            self.builder.store(value, place, align=self.size)
            return
        kinds = self.vector, self.vector.as_pointer(), INT32, self.booleans
        function = self.llvm("masked.store", ir.VoidType(), *kinds)
        self.builder.call(function, [value, place, INT32(self.size), mask])

    def body(self, rows: int, vectors: int, mask: Any) -> None:
        """A tile of `rows` x `vectors`, the last vector masked."""
        builder = self.builder
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        fma = self.llvm("fma", self.vector, self.vector, self.vector, self.vector)
        sums = [
            [cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)
        ]
        for row in sums:  # the tile may be inside a loop: start from 0 each time
            for total in row:
                builder.store(zero, total)
        masks = [None] * (vectors - 1) + [mask]
        a_rows = [self.at(self.a, builder.mul(self.row_stride, INT64(i))) for i in range(rows)]
        with cgutils.for_range(builder, self.depth) as loop:
            b_row = self.at(self.b, builder.mul(loop.index, self.b_stride))
            parts = [
                self.load(self.at(b_row, INT64(j * self.lanes), True), masks[j])
                for j in range(vectors)
            ]
            step = builder.mul(loop.index, self.k_stride)
            for i in range(rows):
                factor = self.spread(builder.load(self.at(a_rows[i], step)), self.vector)
                for j in range(vectors):
                    total = builder.call(fma, [factor, parts[j], builder.load(sums[i][j])])
                    builder.store(total, sums[i][j])
        for i in range(rows):
            c_row = self.at(self.c, builder.mul(self.c_stride, INT64(i)))
            for j in range(vectors):
                place = self.at(c_row, INT64(j * self.lanes), True)
                self.store(builder.load(sums[i][j]), place, masks[j])
