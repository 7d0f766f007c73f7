"""Turned matrices are NumPy's transposes, to the bit, and nothing beside them is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinygen_kernels.cpu.jit import jit
from tinygen_kernels.cpu.turn import TURN, room_to_turn, turn, turn_matrix
from tinygen_kernels.lines import LINE

size = st.integers(0, 70)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(matrices=st.integers(0, 3), rows=size, columns=size)
def test_any_size(dtype, matrices, rows, columns):
    w = np.random.default_rng(0).standard_normal((matrices, rows, columns)).astype(dtype)
    np.testing.assert_array_equal(turn(w), w.transpose(0, 2, 1))


@jit()
def turn_one(x, turned, piece):
    turn_matrix(piece, x, turned)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(rows=size, columns=size, apart=st.integers(0, 9))
def test_rows_that_lie_apart(dtype, rows, columns, apart):
    w = np.random.default_rng(1).standard_normal((rows, columns)).astype(dtype)
    room = np.full((columns, rows + apart), np.nan, dtype)
    turn_one(w, room[:, :rows], TURN[room.dtype])
    np.testing.assert_array_equal(room[:, :rows], w.T)
    assert np.isnan(room[:, rows:]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [7, 1000])
def test_room_to_turn_has_rows_that_begin_at_cache_lines(dtype, columns):
    room = room_to_turn(np.empty((9, columns), dtype), 3, "test")
    assert room.shape[:2] == (3, columns)
    assert room.shape[2] >= 9
    assert not (room.ctypes.data | room.strides[1]) % LINE


def test_large_matrices_are_shared_out():
    w = np.random.default_rng(2).standard_normal((9, 300, 513)).astype(np.float32)
    np.testing.assert_array_equal(turn(w), w.transpose(0, 2, 1))
