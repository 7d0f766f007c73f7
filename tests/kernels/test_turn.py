"""Turned matrices are NumPy's transposes, to the bit, and nothing beside them is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinygen_kernels.cpu.turn import turn

size = st.integers(0, 70)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(matrices=st.integers(0, 3), rows=size, columns=size)
def test_any_size(dtype, matrices, rows, columns):
    w = np.random.default_rng(0).standard_normal((matrices, rows, columns)).astype(dtype)
    np.testing.assert_array_equal(turn(w), w.transpose(0, 2, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(rows=size, columns=size, apart=st.integers(0, 9))
def test_rows_that_lie_apart(dtype, rows, columns, apart):
    w = np.random.default_rng(1).standard_normal((1, rows, columns)).astype(dtype)
    room = np.full((1, columns, rows + apart), np.nan, dtype)
    turn(w, room[:, :, :rows])
    np.testing.assert_array_equal(room[0, :, :rows], w[0].T)
    assert np.isnan(room[0, :, rows:]).all()


def test_large_matrices_are_shared_out():
    w = np.random.default_rng(2).standard_normal((9, 300, 513)).astype(np.float32)
    np.testing.assert_array_equal(turn(w), w.transpose(0, 2, 1))
