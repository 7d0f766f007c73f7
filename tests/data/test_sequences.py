"""Sequences of unequal lengths in one array."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen.data import DataError, pad_sequences
from tinygen.data.sequences import real_steps

nan = np.nan


def test_pad_sequences():
    x = pad_sequences([[1, 2, 3], np.array([4.0]), (5, 6)])
    assert x.dtype == np.float32
    expected = [[[1], [2], [3]], [[4], [nan], [nan]], [[5], [6], [nan]]]
    np.testing.assert_array_equal(x, expected)
    pairs = pad_sequences([[(1, 2)], [(3, 4), (5, 6)]], steps=3)
    expected = [[[1, 2], [nan, nan], [nan, nan]], [[3, 4], [5, 6], [nan, nan]]]
    np.testing.assert_array_equal(pairs, expected)


def test_what_was_padded_is_found_again():
    lengths = [3, 1, 5, 2]
    x = pad_sequences([np.ones((n, 2)) for n in lengths])
    real = real_steps(x)
    assert real.dtype == bool
    np.testing.assert_array_equal(real, np.arange(5) < np.array(lengths)[:, None])
    assert real_steps(x[:1, :3]) is None  # all are full
    images = np.zeros((2, 4, 3, 3))
    images[1, 2:] = nan
    np.testing.assert_array_equal(real_steps(images)[1], [True, True, False, False])


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "no sequences were given"),
        ([[1], []], "sequence 1 is of length 0; leave it out"),
        ([np.ones((2, 3)), np.ones((0, 3))], "sequence 1 is of length 0"),
        ([[1, 2, 3, 4], [1]], "sequence 0 has 4 steps, more than 3"),
        ([[1], [1, nan]], "sequence 1 has NaN, which stands for steps after the last one"),
        ([np.ones((2, 3)), np.ones((2, 2))], r"sequence 1 has shape \(2, 2\), the first one"),
        ([np.ones((2, 3)), np.ones(2)], r"sequence 1 has shape \(2,\), the first one \(2, 3\)"),
        ([1.0, 2.0], r"sequence 0 has shape \(\).*needed are \(length,\) or \(length, features\)"),
        ([np.ones((2, 3, 4))], r"sequence 0 has shape \(2, 3, 4\)"),
    ],
)
def test_sequences_that_do_not_fit_together(sequences, message):
    with pytest.raises(DataError, match=message):
        pad_sequences(sequences, steps=3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 2], [nan, nan]], "sequence 1 is of length 0: there are only NaN in it"),
        ([[1, 2], [nan, 2]], "sequence 1 has NaN among its values"),
        ([[1, nan, 3], [1, 2, 3]], "sequence 0 has NaN among its values"),
    ],
)
def test_gaps(x, message):
    with pytest.raises(DataError, match=message):
        real_steps(np.array(x)[..., None])


def test_a_step_of_which_a_part_is_missing():
    x = np.ones((3, 4, 2))
    x[2, 3, 1] = nan
    with pytest.raises(DataError, match="sequence 2 has NaN among its values"):
        real_steps(x)
