"""Look-ups give what brute force gives."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen.latent import CodingIndex, HashIndex, lookup
from tinygen.ops.random import Random


def bits(n: int, width: int, seed: int = 0) -> np.ndarray:
    return Random(seed).integers(0, 2, (n, width)).astype(bool)


def by_sorting(distances: np.ndarray, k: int) -> tuple[list, list]:
    """Row by row in plain Python: the least first, of equals the one that comes first."""
    rows = [sorted(range(len(row)), key=lambda i, row=row: (row[i], i))[:k] for row in distances]
    return rows, [[row[i] for i in some] for row, some in zip(distances, rows, strict=True)]


@pytest.mark.parametrize("width", [1, 7, 8, 16, 21, 300])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_nearest_hashes_are_those_of_brute_force(width, k):
    stock, queries = bits(40, width), bits(6, width, seed=1)
    distances = [[sum(a != b for a, b in zip(q, s, strict=True)) for s in stock] for q in queries]
    rows, found = HashIndex(stock).query(queries, k)
    expected = by_sorting(np.array(distances), k)
    assert (rows.tolist(), found.tolist()) == expected


@pytest.mark.parametrize("k", [1, 4, 30])
def test_nearest_codings_are_those_of_brute_force(k):
    stock, queries = Random(0).normal((30, 5)), Random(1).normal((7, 5))
    distances = np.array([[np.sqrt(((q - s) ** 2).sum()) for s in stock] for q in queries])
    rows, found = CodingIndex(stock).query(queries, k)
    expected_rows, expected = by_sorting(distances, k)
    assert rows.tolist() == expected_rows
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_different_codes_are_counted():
    assert HashIndex(np.array([[0, 1], [1, 1], [0, 1]], bool)).different == 2


def test_in_chunks_of_queries_all_is_the_same(monkeypatch):
    stock, queries = bits(20, 12), bits(9, 12, seed=1)
    codings, wanted = Random(0).normal((20, 3)), Random(1).normal((9, 3))
    whole = [HashIndex(stock).query(queries, 3), CodingIndex(codings).query(wanted, 3)]
    monkeypatch.setattr(lookup, "CHUNK", 100)
    parts = [HashIndex(stock).query(queries, 3), CodingIndex(codings).query(wanted, 3)]
    np.testing.assert_equal(parts, whole)


def test_what_is_in_the_index_is_found_at_distance_zero():
    stock = np.unique(bits(50, 16), axis=0)
    rows, distances = HashIndex(stock).query(stock, 1)
    assert rows[:, 0].tolist() == list(range(len(stock)))
    assert not distances.any()


def test_no_queries_find_nothing():
    rows, distances = HashIndex(bits(5, 8)).query(bits(0, 8), 2)
    assert rows.shape == distances.shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HashIndex(np.zeros((3, 8))), "are bool arrays .*, not float64"),
        (lambda: HashIndex(bits(3, 8)).query(bits(3, 9), 1), r"codes of 8 bits .* \(3, 9\)"),
        (lambda: HashIndex(bits(3, 0)), "codes of 0 bits"),
        (lambda: HashIndex(bits(3, 8)).query(bits(1, 8), 4), "k must be from 1 to 3"),
        (lambda: HashIndex(bits(3, 8)).query(bits(1, 8), 0), "k must be from 1 to 3"),
        (lambda: CodingIndex(np.zeros((3, 2))).query(np.zeros((1, 3)), 1), r"are \(m, 2\)"),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()
