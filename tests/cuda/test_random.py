"""Random numbers as a CUDA kernel; that they are those of the CPU is in kernels/test_random.py."""

import numpy as np
import pytest
from tinygen_kernels.cuda.random import counting_from

from .equipment import CUDA, REFERENCE, in_every_order, needs_compiler

pytestmark = needs_compiler


def words(kernels, n, counter, first=0):
    out = np.zeros(n, "uint32")
    kernels.random_bits(out, (7, 11), counter, first)
    return out


@pytest.mark.parametrize("first", [0, 2])
def test_more_words_than_the_grid_has_threads(first):
    n = 4 * 256 * 132 * 8 + 1003
    found = in_every_order(lambda: words(CUDA, n, (1, 2, 3), first))
    np.testing.assert_array_equal(found, words(REFERENCE, n, (1, 2, 3), first))


def test_a_step_in_memory_stands_for_the_last_two_words_of_the_counter():
    step = np.array([5, 0], "uint32")
    with counting_from(step):
        for low, high in ((5, 0), (6, 9)):
            step[:] = low, high
            np.testing.assert_array_equal(
                words(CUDA, 9, (1, 2, 3)), words(REFERENCE, 9, (1, low, high))
            )
    np.testing.assert_array_equal(words(CUDA, 9, (1, 2, 3)), words(REFERENCE, 9, (1, 2, 3)))


@pytest.mark.parametrize("step", [np.zeros(2, "int64"), np.zeros(1, "uint32")], ids=str)
def test_a_step_that_is_not_two_words(step):
    with pytest.raises(ValueError, match="two words of uint32"), counting_from(step):
        pass


def test_arrays_with_gaps_and_of_other_types():
    wide = np.zeros(20, "uint32")
    CUDA.random_bits(wide[::2], (7, 11), (1, 2, 3))
    np.testing.assert_array_equal(wide[::2], words(REFERENCE, 10, (1, 2, 3)))
    assert not wide[1::2].any()
    with pytest.raises(TypeError, match="uint32, not float32"):
        CUDA.random_bits(np.zeros(4, "float32"), (7, 11), (1, 2, 3))
