"""Losses, written out from their definitions, of each element or sample; then reduced."""

import numpy as np

from tests.op_cases.case import Case, between, grid, labels, normal, steps, torch
from tinygen import ops

REDUCTIONS = grid(reduction=["mean", "sum", "none"])
NO_MEAN = grid(reduction=["sum", "none"])  # of nothing: it would be NaN
TWO = {
    "options": REDUCTIONS, "shapes": [((3,), (3,)), ((), ())],
    "empty": [((0, 3), (0, 3))], "empty_options": NO_MEAN,
}  # fmt: skip


def reduced(loss, reduction):
    if reduction == "mean":
        return loss.sum() / loss.size if loss.size else np.nan
    return loss.sum() if reduction == "sum" else loss


def by_torch(name):
    return lambda p, t, **options: getattr(torch.nn.functional, name)(p, t, **options)


def mse(p, t, reduction):
    return reduced((p - t) ** 2, reduction)


def binary_cross_entropy(p, t, reduction):
    return reduced(-t * np.log(p) - (1 - t) * np.log(1 - p), reduction)


def with_logits(x, t, reduction):
    return binary_cross_entropy(1 / (1 + np.exp(-x)), t, reduction)


def huber(p, t, reduction="mean", delta=1.0):
    e = abs(p - t)
    return reduced(np.where(e <= delta, e**2 / 2, delta * (e - delta / 2)), reduction)


def hinge(p, t, reduction):
    return reduced(np.maximum(0, 1 - t * p), reduction)


def torch_hinge(p, t, reduction):
    loss = torch.relu(1 - t * p)
    return loss if reduction == "none" else getattr(loss, reduction)()


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy_of_labels(x, t, reduction):
    return reduced(-np.take_along_axis(log_softmax(x), t[..., None], -1)[..., 0], reduction)


def cross_entropy_of_probabilities(x, t, reduction):
    return reduced(-(t * log_softmax(x)).sum(-1), reduction)


def torch_cross_entropy(x, t, reduction):
    """Its classes are on axis 1."""
    swap = x.ndim == 3
    t = t.movedim(-1, 1) if swap and t.is_floating_point() else t
    return by_torch("cross_entropy")(x.movedim(-1, 1) if swap else x, t, reduction=reduction)


def kl_divergence(p, t, reduction):
    return reduced((t * np.log(t / p)).sum(-1), reduction)


def torch_kl(p, t, reduction):
    loss = torch.nn.functional.kl_div(torch.log(p), t, reduction="none").sum(-1)
    return loss if reduction == "none" else getattr(loss, reduction)()


def gaussian_kl(mean, log_var):
    return (np.exp(log_var) + mean**2 - 1 - log_var).sum(-1) / 2


def torch_gaussian_kl(mean, log_var):
    Normal = torch.distributions.Normal
    posterior, prior = Normal(mean, torch.exp(log_var / 2)), Normal(0.0, 1.0)
    return torch.distributions.kl_divergence(posterior, prior).sum(-1)


CASES = [
    Case(
        "mse",
        ops.mse,
        [normal(4, 3), normal(4, 3)],
        **TWO,
        reference=mse,
        torch=by_torch("mse_loss"),
    ),
    Case(
        "binary_cross_entropy",
        ops.binary_cross_entropy,
        [between(0.1, 0.9, 4, 3), between(0.1, 0.9, 4, 3)],
        **TWO,
        tolerance=4,
        reference=binary_cross_entropy,
        torch=by_torch("binary_cross_entropy"),
    ),
    Case(
        "binary_cross_entropy_with_logits",
        ops.binary_cross_entropy_with_logits,
        [normal(4, 3), between(0, 1, 4, 3)],
        **TWO,
        tolerance=4,
        reference=with_logits,
        torch=by_torch("binary_cross_entropy_with_logits"),
    ),
    Case(
        "huber",
        ops.huber,
        [steps(0, 4, 3), steps(0.25, 4, 3)],
        **TWO,
        reference=huber,
        torch=by_torch("huber_loss"),
    ),
    Case(
        "huber",
        ops.huber,
        [steps(0, 4, 3), steps(0.25, 4, 3)],
        options=grid(delta=[0.5, 2.0]),
        label="delta",
        reference=huber,
        torch=by_torch("huber_loss"),
    ),
    Case(
        "hinge",
        ops.hinge,
        [steps(0.3, 4, 3), steps(0.25, 4, 3)],
        **TWO,
        reference=hinge,
        torch=torch_hinge,
    ),
    Case(
        "softmax_cross_entropy",
        ops.softmax_cross_entropy,
        [normal(4, 3), labels(3, 4)],
        options=REDUCTIONS,
        shapes=[((2, 4, 3), (2, 4))],
        empty=[((0, 3), (0,))],
        empty_options=NO_MEAN,
        label="labels",
        reference=cross_entropy_of_labels,
        torch=torch_cross_entropy,
    ),
    Case(
        "softmax_cross_entropy",
        ops.softmax_cross_entropy,
        [normal(4, 3), between(0, 1, 4, 3)],
        options=REDUCTIONS,
        shapes=[((2, 4, 3), (2, 4, 3))],
        empty=[((0, 3), (0, 3))],
        empty_options=NO_MEAN,
        label="probabilities",
        tolerance=4,
        reference=cross_entropy_of_probabilities,
        torch=torch_cross_entropy,
    ),
    Case(
        "kl_divergence",
        ops.kl_divergence,
        [between(0.1, 0.9, 4, 3), between(0.1, 0.9, 4, 3)],
        options=REDUCTIONS,
        shapes=[((3,), (3,))],
        empty=[((0, 3), (0, 3))],
        empty_options=NO_MEAN,
        tolerance=4,
        reference=kl_divergence,
        torch=torch_kl,
    ),
    Case(
        "gaussian_kl",
        ops.gaussian_kl,
        [normal(4, 3), normal(4, 3)],
        shapes=[((3,), (3,))],
        empty=[((0, 3), (0, 3))],
        tolerance=4,
        reference=gaussian_kl,
        torch=torch_gaussian_kl,
    ),
]
