"""Activation functions, written out from their definitions."""

import math

import numpy as np

from tests.op_cases.case import Case, away_from, grid, normal, torch
from tinygen import ops

erf = np.vectorize(math.erf, otypes=[float])
SCALE, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

# An activation as `activate` takes it -> its definition.
REFERENCE = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    ("leaky_relu", 0.01): lambda x: np.where(x > 0, x, 0.01 * x),
    "selu": lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    ("elu", 0.7): lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
}

TORCH = {
    "identity": lambda x: x * 1.0,
    "relu": lambda x: torch.relu(x),
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.2),
    ("leaky_relu", 0.01): lambda x: torch.nn.functional.leaky_relu(x, 0.01),
    "selu": lambda x: torch.selu(x),
    "elu": lambda x: torch.nn.functional.elu(x),
    ("elu", 0.7): lambda x: torch.nn.functional.elu(x, 0.7),
    "sigmoid": lambda x: torch.sigmoid(x),
    "tanh": lambda x: torch.tanh(x),
    "softplus": lambda x: torch.nn.functional.softplus(x),
    "gelu": lambda x: torch.nn.functional.gelu(x),
}

ONE = {"shapes": [((),)], "empty": [((0, 3),)]}
AXES = {"options": grid(axis=[-1, 0]), "empty": [((0, 3),)], "empty_options": grid(axis=[-1, 1])}


def softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def by_name(name, sampler):
    return Case(name, getattr(ops, name), [sampler], **ONE,
                reference=REFERENCE[name], torch=TORCH[name])  # fmt: skip


CASES = [
    by_name("relu", away_from(0, 2, 3)),
    by_name("leaky_relu", away_from(0, 2, 3)),
    by_name("selu", away_from(0, 2, 3)),
    by_name("elu", away_from(0, 2, 3)),
    by_name("sigmoid", normal(2, 3)),
    by_name("tanh", normal(2, 3)),
    by_name("softplus", normal(2, 3)),
    by_name("gelu", normal(2, 3)),
    Case(
        "leaky_relu",
        ops.leaky_relu,
        [away_from(0, 2, 3)],
        options=grid(slope=[0.0, 0.5]),
        label="slopes",
        reference=lambda x, slope: np.where(x > 0, x, slope * x),
        torch=lambda x, slope: torch.nn.functional.leaky_relu(x, slope),
    ),
    Case(
        "elu",
        ops.elu,
        [away_from(0, 2, 3)],
        options=grid(alpha=[0.0, 2.0]),
        label="alphas",
        reference=lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
        torch=lambda x, alpha: torch.nn.functional.elu(x, alpha),
    ),
    Case(
        "activate",
        ops.activate,
        [away_from(0, 2, 3)],
        options=grid(activation=list(REFERENCE)),
        empty=[((0, 3),)],
        reference=lambda x, activation: REFERENCE[activation](x),
        torch=lambda x, activation: TORCH[activation](x),
    ),
    Case("erf", ops.erf, [normal(2, 3)], **ONE, reference=erf, torch=lambda x: torch.erf(x)),
    Case(
        "softmax",
        ops.softmax,
        [normal(2, 3)],
        **AXES,
        reference=softmax,
        torch=lambda x, axis: torch.softmax(x, axis),
    ),
    Case(
        "log_softmax",
        ops.log_softmax,
        [normal(2, 3)],
        **AXES,
        reference=lambda x, axis: np.log(softmax(x, axis)),
        torch=lambda x, axis: torch.log_softmax(x, axis),
    ),
]
