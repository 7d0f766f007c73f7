"""Look-alikes: the samples whose codings are nearest to that of a query."""

from __future__ import annotations

import numpy as np

from ..backend import Array

CHUNK = 2**23  # distances, or bytes compared, at a time


class HashIndex:
    """Binary codes to look up by Hamming distance: in how many bits two of them differ.

    Source: Salakhutdinov & Hinton 2009, "Semantic hashing"; Géron, chapter 17.

    Args:
        bits: bool, (n, b), b at least 1.

    >>> index = HashIndex(np.array([[0, 0, 0], [1, 1, 1], [1, 0, 1]], bool))
    >>> rows, distances = index.query(np.array([[1, 1, 1]], bool), k=2)
    >>> rows.tolist(), distances.tolist()
    ([[1, 2]], [[0, 1]])
    """

    def __init__(self, bits: Array) -> None:
        self.width = bits.shape[-1]
        self.codes = self._pack(bits)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def different(self) -> int:
        """How many different codes there are."""
        return len(np.unique(self.codes, axis=0))

    def query(self, bits: Array, k: int) -> tuple[Array, Array]:
        """The rows of the k nearest codes and their distances, both (m, k); ties in their order.

        Args:
            bits: bool, (m, b).
            k: from 1 to the number of codes.
        """
        _check_k(k, len(self))
        queries = self._pack(bits)
        step = max(1, CHUNK // self.codes.size)
        found = []
        for start in range(0, len(queries), step):
            differing = queries[start : start + step, None] ^ self.codes
            found.append(_nearest(np.bitwise_count(differing).sum(axis=2, dtype=np.uint16), k))
        return _joined(found, k, np.int64)

    def _pack(self, bits: Array) -> Array:
        """Eight bits to a byte: (n, b) -> (n, bytes)."""
        if bits.dtype != bool or bits.ndim != 2 or bits.shape[1] != self.width or not self.width:
            raise ValueError(
                f"HashIndex: codes of {self.width} bits are bool arrays (n, {self.width}), "
                f"not {bits.dtype} of shape {bits.shape}"
            )
        return np.packbits(bits, axis=1)


class CodingIndex:
    """Codings to look up by Euclidean distance.

    Args:
        codings: (n, d).

    >>> index = CodingIndex(np.array([[0.0], [2.0], [5.0]]))
    >>> rows, distances = index.query(np.array([[4.0]]), k=2)
    >>> rows.tolist(), distances.tolist()
    ([[2, 1]], [[1.0, 2.0]])
    """

    def __init__(self, codings: Array) -> None:
        self.codings = np.asarray(codings, np.float64)
        self.squares = np.square(self.codings).sum(axis=1)

    def __len__(self) -> int:
        return len(self.codings)

    def query(self, codings: Array, k: int) -> tuple[Array, Array]:
        """The rows of the k nearest codings and their distances, both (m, k).

        |q - c|^2 = |q|^2 + |c|^2 - 2 q c, in float64.
        """
        _check_k(k, len(self))
        queries = np.asarray(codings, np.float64)
        if queries.ndim != 2 or queries.shape[1:] != self.codings.shape[1:]:
            raise ValueError(
                f"CodingIndex: queries are (m, {self.codings.shape[1]}), not {queries.shape}"
            )
        step = max(1, CHUNK // len(self))
        found = []
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            squares = (
                np.square(some).sum(axis=1)[:, None] + self.squares - 2 * some @ self.codings.T
            )
            found.append(_nearest(np.sqrt(np.maximum(squares, 0)), k))
        return _joined(found, k, np.float64)


def _check_k(k: int, n: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"query: k must be from 1 to {n}, the number of samples, not {k}")


def _nearest(distances: Array, k: int) -> tuple[Array, Array]:
    """The k least of each row of distances, least first, and where they stand."""
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


def _joined(found: list[tuple[Array, Array]], k: int, dtype: type) -> tuple[Array, Array]:
    """Rows and distances of all chunks of queries, of which there may be none."""
    rows = [np.empty((0, k), np.int64), *(rows for rows, _ in found)]
    distances = [np.empty((0, k), dtype), *(distances for _, distances in found)]
    return np.concatenate(rows), np.concatenate(distances).astype(dtype)
