"""Sums and their kin over axes."""

import numpy as np

from tests.op_cases.case import Case, away_from, distinct, grid, normal, torch
from tinygen import ops

AXES = grid(axis=[None, 0, -1, (0, 1)], keepdims=[False, True])
ALL = grid(axis=[None], keepdims=[False, True])
LAST = grid(axis=[-1, 1], keepdims=[False, True])


def mean(x, axis, keepdims):
    return x.sum(axis, keepdims=keepdims) / count(x, axis)


def var(x, axis, keepdims, correction=0):
    squares = (x - mean(x, axis, True)) ** 2
    return squares.sum(axis, keepdims=keepdims) / (count(x, axis) - correction)


def count(x, axis):
    return np.ones(x.shape).sum(axis).max(initial=0)


def norm(x, axis, keepdims):
    return np.sqrt((x**2).sum(axis, keepdims=keepdims))


def logsumexp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


def sum_to(x, shape):
    x = x.sum(tuple(range(x.ndim - len(shape))))
    return x.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def every(x, axis):
    """PyTorch's way to say all axes."""
    return tuple(range(x.ndim)) if axis is None else axis


def torch_var(x, axis, keepdims, correction=0):
    return torch.var(x, every(x, axis), correction=correction, keepdim=keepdims)


def torch_norm(x, axis, keepdims):
    return torch.linalg.vector_norm(x, 2, axis, keepdims)


SUM = {"reference": np.sum, "torch": lambda x, axis, keepdims: x.sum(every(x, axis), keepdims)}
MEAN = {"reference": mean, "torch": lambda x, axis, keepdims: x.mean(every(x, axis), keepdims)}
VAR = {"reference": var, "torch": torch_var, "tolerance": 4}
MAX = {"reference": np.max, "torch": lambda x, axis, keepdims: x.amax(every(x, axis), keepdims)}
MIN = {"reference": np.min, "torch": lambda x, axis, keepdims: x.amin(every(x, axis), keepdims)}
NORM = {"reference": norm, "torch": torch_norm}
LOGSUMEXP = {
    "reference": logsumexp,
    "torch": lambda x, axis, keepdims: torch.logsumexp(x, every(x, axis), keepdims),
}

EMPTY = {"empty": [((0, 3),)], "empty_options": LAST}  # where the axis itself is not empty

CASES = [
    Case("sum", ops.sum, [normal(2, 3, 4)], options=AXES, empty=[((0, 3),)], **SUM),
    Case("sum", ops.sum, [normal()], options=ALL, label="of one", **SUM),
    Case("mean", ops.mean, [normal(2, 3, 4)], options=AXES, **EMPTY, **MEAN),
    Case("mean", ops.mean, [normal()], options=ALL, label="of one", **MEAN),
    Case("var", ops.var, [normal(2, 3, 4)], options=AXES, **EMPTY, **VAR),
    Case(
        "var",
        ops.var,
        [normal(2, 3)],
        label="unbiased",
        options=grid(axis=[None, 0, 1], keepdims=[False], correction=[1]),
        **VAR,
    ),
    Case("max", ops.max, [distinct(2, 3, 4)], options=AXES, **EMPTY, **MAX),
    Case("max", ops.max, [normal()], options=ALL, label="of one", **MAX),
    Case("min", ops.min, [distinct(2, 3, 4)], options=AXES, **EMPTY, **MIN),
    Case("min", ops.min, [normal()], options=ALL, label="of one", **MIN),
    Case("norm", ops.norm, [normal(2, 3, 4)], options=AXES, empty=[((0, 3),)], **NORM),
    Case("norm", ops.norm, [away_from(0)], options=ALL, label="of one", **NORM),
    Case("logsumexp", ops.logsumexp, [normal(2, 3, 4)], options=AXES, **EMPTY, **LOGSUMEXP),
    Case("logsumexp", ops.logsumexp, [normal()], options=ALL, label="of one", **LOGSUMEXP),
    Case(
        "broadcast_to",
        ops.broadcast_to,
        [normal(2, 1)],
        options=grid(shape=[(3, 2, 4), (2, 1)]),
        shapes=[((),), ((1, 1),)],
        empty=[((1, 3),), ((0, 1),)],
        empty_options=grid(shape=[(0, 3), (2, 0, 3)]),
        reference=np.broadcast_to,
        torch=lambda x, shape: x.expand(shape),
    ),
    Case(
        "sum_to",
        ops.sum_to,
        [normal(3, 2, 4)],
        options=grid(shape=[(2, 1), (), (3, 2, 4)]),
        empty=[((5, 0, 2, 4),)],
        empty_options=grid(shape=[(2, 1), (0, 1, 4)]),
        reference=sum_to,
        torch=lambda x, shape: x.sum_to_size(shape),
    ),
]
