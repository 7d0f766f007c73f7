"""An example of every op, with inputs where it is smooth: what `tinygen gradcheck` checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from .. import ops
from ..backend import Array
from ..core import Tensor
from .random import Random

Example: TypeAlias = tuple[Callable[..., Any], tuple[Tensor, ...]]


def _inputs(*shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> tuple[Tensor, ...]:
    """Random tensors of these shapes, kept 0.05 away from 0, where many ops have a kink."""
    rng = Random(0, "examples")
    arrays: list[Array] = [rng.uniform(s, low, high, dtype=np.float64) for s in shapes]
    return tuple(Tensor(x + 0.05 * np.where(x < 0, -1, 1), requires_grad=True) for x in arrays)


def _example(function: Callable[..., Any], *shapes: tuple[int, ...], **bounds: float) -> Any:
    return lambda: (function, _inputs(*shapes, **bounds))


PLAIN = (
    *("abs", "cos", "erf", "exp", "expm1", "negative", "sin", "square", "flip"),
    *("elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "softplus", "tanh"),
    *("softmax", "log_softmax", "logsumexp", "norm", "sum", "mean", "var", "max", "min"),
)
POSITIVE = ("log", "log1p", "sqrt")
PAIRS = ("add", "divide", "maximum", "minimum", "multiply", "subtract")
LOSSES = ("mse", "huber", "gaussian_kl")
PROBABILITIES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",  # targets are probabilities; logits may be anything
    "kl_divergence",
)
SIGNS, LABELS = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]), np.array([2, 0])
MASK, ORDER = np.array([[True, False, True]]), np.array([2, 0, 0, 1])
SHIFTS = np.array([[1, 0], [-1, 2]])
STEPS = np.array([[True, True, True], [True, True, False]])


def _random(op: Callable[..., Tensor], amount: float) -> Callable[[Tensor], Tensor]:
    """An op with noise, which is the same noise every time."""
    return lambda x: op(x, amount, rng=Random(1))


EXAMPLES: dict[str, Callable[[], Example]] = {
    **{name: _example(getattr(ops, name), (2, 3)) for name in PLAIN},
    **{name: _example(getattr(ops, name), (2, 3), low=0.5) for name in POSITIVE},
    **{name: _example(getattr(ops, name), (2, 3), (1, 3)) for name in PAIRS},
    **{name: _example(getattr(ops, name), (2, 3), (2, 3)) for name in LOSSES},
    **{name: _example(getattr(ops, name), (2, 3), (2, 3), low=0.1, high=0.8)
       for name in PROBABILITIES},
    "adain": _example(ops.adain, (2, 3, 2), (2, 2), (2, 2)),
    "batch_norm": _example(ops.batch_norm, (4, 3), (3,), (3,)),
    "embedding": _example(lambda x: ops.embedding(ORDER, x), (3, 2)),
    "instance_norm": _example(ops.instance_norm, (2, 3, 2), (2,), (2,)),
    "layer_norm": _example(ops.layer_norm, (2, 3), (3,), (3,)),
    "minibatch_stddev": _example(ops.minibatch_stddev, (4, 3)),
    "pixel_norm": _example(ops.pixel_norm, (2, 3)),
    "spectral_normalize": _example(
        lambda w: ops.spectral_normalize(w, np.ones(3), np.ones(4)), (2, 2, 3), low=0.0
    ),
    "activate": _example(partial(ops.activate, activation=("elu", 0.5)), (2, 3)),
    "avg_pool2d": _example(partial(ops.avg_pool2d, size=3, padding="same"), (1, 4, 5, 2)),
    "blur2d": _example(ops.blur2d, (1, 4, 3, 2)),
    "downsample2d": _example(partial(ops.downsample2d, method=(1, 3, 3, 1)), (1, 4, 4, 2)),
    "global_avg_pool2d": _example(ops.global_avg_pool2d, (2, 3, 4, 2)),
    "max_pool2d": _example(ops.max_pool2d, (1, 4, 4, 2)),
    "upfirdn2d": _example(partial(ops.upfirdn2d, f=(1, 2, 3), up=3, down=2), (1, 3, 4, 2)),
    "upsample2d": _example(partial(ops.upsample2d, method="bilinear"), (1, 3, 4, 2)),
    "astype": _example(lambda x: ops.astype(x, "float64"), (2, 3)),
    "broadcast_to": _example(lambda x: ops.broadcast_to(x, (4, 2, 3)), (2, 1)),
    "clip": _example(lambda x: ops.clip(x, -0.7, 0.9), (2, 3)),
    "concatenate": _example(lambda x, y: ops.concatenate([x, y], 1), (2, 3), (2, 1)),
    "conv2d": _example(
        partial(ops.conv2d, stride=(2, 1), activation="tanh"), (1, 4, 5, 2), (3, 2, 2, 3), (3,)
    ),
    "conv2d_transpose": _example(
        partial(ops.conv2d_transpose, stride=2, groups=2), (1, 2, 3, 2), (3, 3, 2, 2), (4,)
    ),
    "conv2d_weight_grad": _example(
        partial(ops.conv2d_weight_grad, kernel=(3, 2), stride=2), (2, 4, 5, 2), (2, 2, 3, 3)
    ),
    "dense": _example(partial(ops.dense, activation="tanh"), (2, 3), (3, 4), (4,)),
    "dropout": _example(_random(ops.dropout, 0.4), (2, 3)),
    "expand_dims": _example(lambda x: ops.expand_dims(x, 1), (2, 3)),
    "gaussian_noise": _example(_random(ops.gaussian_noise, 0.4), (2, 3)),
    "getitem": _example(lambda x: x[:, ORDER], (2, 3)),
    "gru": _example(partial(ops.gru, mask=STEPS), (2, 3, 2), (2, 9), (3, 9), (2, 9), (2, 3)),
    "hinge": _example(lambda x: ops.hinge(x, SIGNS), (2, 3)),
    "lstm": _example(partial(ops.lstm, mask=STEPS), (2, 3, 2), (2, 12), (3, 12), (12,)),
    "matmul": _example(ops.matmul, (2, 2, 3), (3, 4)),
    "pad": _example(lambda x: ops.pad(x, [(1, 0), (0, 2)]), (2, 3)),
    "power": _example(ops.power, (2, 3), (1, 3), low=0.5),
    "repeat": _example(lambda x: ops.repeat(x, 2, 0), (2, 3)),
    "reshape": _example(lambda x: ops.reshape(x, (3, -1)), (2, 3)),
    "scatter_add": _example(lambda x: ops.scatter_add(x, ORDER, (5, 2)), (4, 2)),
    "simple_rnn": _example(partial(ops.simple_rnn, mask=STEPS), (2, 3, 2), (2, 3), (3, 3), (3,)),
    "softmax_cross_entropy": _example(lambda x: ops.softmax_cross_entropy(x, LABELS), (2, 3)),
    "split": _example(lambda x: ops.split(x, [1, 2], 1), (2, 3)),
    "squeeze": _example(ops.squeeze, (2, 1, 3)),
    "stack": _example(lambda x, y: ops.stack([x, y], 1), (2, 3), (2, 3)),
    "sum_to": _example(lambda x: ops.sum_to(x, (1, 3)), (2, 3)),
    "take": _example(lambda x: ops.take(x, ORDER, 1), (2, 3)),
    "take_along_axis": _example(lambda x: ops.take_along_axis(x, LABELS[:, None], 1), (2, 3)),
    "translate2d": _example(lambda x: ops.translate2d(x, SHIFTS), (2, 3, 4, 2)),
    "transpose": _example(ops.transpose, (2, 3)),
    "where": _example(lambda x, y: ops.where(MASK, x, y), (2, 3), (2, 3)),
}  # fmt: skip
EXAMPLES = dict(sorted(EXAMPLES.items()))
