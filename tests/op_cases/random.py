"""Ops that draw random numbers: here from a stream that every call starts anew."""

from tests.op_cases.case import Case, grid, normal
from tinygen import Random, ops

ONE = {"shapes": [((),)], "empty": [((0, 3),)]}
OTHER_NUMBERS = "PyTorch draws other random numbers"


def mask(x, rate):
    """1 where the word for that place is at least rate * 2^32."""
    return Random(7).bits(x.size).reshape(x.shape) / 2**32 >= rate


CASES = [
    Case(
        "dropout",
        lambda x, rate: ops.dropout(x, rate, rng=Random(7)),
        [normal(5, 6)],
        options=grid(rate=[0.0, 0.3, 0.9]),
        **ONE,
        reference=lambda x, rate: x * mask(x, rate) / (1 - rate),
        torch=OTHER_NUMBERS,
    ),
    Case(
        "gaussian_noise",
        lambda x, std: ops.gaussian_noise(x, std, rng=Random(7)),
        [normal(5, 6)],
        options=grid(std=[0.0, 0.5]),
        **ONE,
        reference=lambda x, std: x + std * Random(7).normal(x.shape, dtype=x.dtype),
        torch=OTHER_NUMBERS,
    ),
]
