"""Matrix products and the dense layer."""

import numpy as np

from tests.op_cases.activation import REFERENCE, TORCH
from tests.op_cases.case import Case, grid, normal, torch
from tinygen import ops

VECTORS = [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,))]
BATCHES = [((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)),
           ((1, 2, 3), (5, 3, 4)), ((2, 1, 2, 3), (3, 3, 2))]  # fmt: skip
EMPTY = [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((2, 3), (3, 0))]
ACTIVATIONS = grid(activation=[None, *(name for name in REFERENCE if name != "identity")])


def dense(x, w, b=0.0, activation=None):
    return REFERENCE[activation or "identity"](np.matmul(x, w) + b)


def torch_dense(x, w, b=0.0, activation=None):
    return TORCH[activation or "identity"](x @ w + b)


CASES = [
    Case(
        "matmul",
        ops.matmul,
        [normal(2, 3), normal(3, 4)],
        shapes=VECTORS + BATCHES,
        empty=EMPTY,
        tolerance=4,
        reference=np.matmul,
        torch=lambda x, y: torch.matmul(x, y),
    ),
    Case(
        "dense",
        ops.dense,
        [normal(4, 3), normal(3, 2), normal(2)],
        options=ACTIVATIONS,
        tolerance=4,
        reference=dense,
        torch=torch_dense,
    ),
    Case(
        "dense",
        ops.dense,
        [normal(4, 3), normal(3, 2)],
        options=ACTIVATIONS,
        label="without bias",
        tolerance=4,
        reference=dense,
        torch=torch_dense,
    ),
    Case(
        "dense",
        ops.dense,
        [normal(3), normal(3, 2), normal(2)],
        options=grid(activation=["tanh"]),
        shapes=[((2, 3, 3), (3, 2), (2,))],
        label="shapes",
        empty=[((0, 3), (3, 2), (2,)), ((2, 0, 3), (3, 2), (2,)), ((4, 0), (0, 2), (2,))],
        tolerance=4,
        reference=dense,
        torch=torch_dense,
    ),
]
