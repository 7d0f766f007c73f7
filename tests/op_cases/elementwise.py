"""Arithmetic and functions of single elements."""

import numpy as np

from tests.op_cases.case import Case, away_from, booleans, grid, normal, positive, steps, torch
from tinygen import ops

ONE = {"shapes": [((),)], "empty": [((0, 3),)]}
TWO = {
    "shapes": [((2, 1, 3), (4, 1)), ((), (2, 3)), ((2, 2), ())],
    "empty": [((0, 3), (1, 3)), ((1, 3), (0, 1))],
}

CASES = [
    Case(
        "add",
        ops.add,
        [normal(2, 3), normal(2, 3)],
        **TWO,
        reference=np.add,
        torch=lambda x, y: x + y,
    ),
    Case(
        "subtract",
        ops.subtract,
        [normal(2, 3), normal(2, 3)],
        **TWO,
        reference=np.subtract,
        torch=lambda x, y: x - y,
    ),
    Case(
        "multiply",
        ops.multiply,
        [normal(2, 3), normal(2, 3)],
        **TWO,
        reference=np.multiply,
        torch=lambda x, y: x * y,
    ),
    Case(
        "divide",
        ops.divide,
        [normal(2, 3), away_from(0, 2, 3)],
        **TWO,
        reference=np.divide,
        torch=lambda x, y: x / y,
    ),
    Case(
        "power",
        ops.power,
        [positive(2, 3), normal(2, 3)],
        **TWO,
        reference=np.power,
        torch=lambda x, y: x**y,
    ),
    Case(
        "power",
        ops.power,
        [away_from(0, 2, 3)],
        **ONE,
        label="number above",
        options=grid(y=[0, 1, 2, 3.0, -1]),
        reference=lambda x, y: np.power(x, float(y)),
        torch=lambda x, y: x**y,
    ),
    Case(
        "power",
        lambda y, x: ops.power(x, y),
        [normal(2, 3)],
        **ONE,
        label="number below",
        options=grid(x=[2, 0.5]),
        reference=lambda y, x: np.power(float(x), y),
        torch=lambda y, x: x**y,
    ),
    Case(
        "negative", ops.negative, [normal(2, 3)], **ONE, reference=np.negative, torch=lambda x: -x
    ),
    Case("exp", ops.exp, [normal(2, 3)], **ONE, reference=np.exp, torch=lambda x: torch.exp(x)),
    Case(
        "expm1",
        ops.expm1,
        [normal(2, 3)],
        **ONE,
        reference=np.expm1,
        torch=lambda x: torch.expm1(x),
    ),
    Case("log", ops.log, [positive(2, 3)], **ONE, reference=np.log, torch=lambda x: torch.log(x)),
    Case(
        "log1p",
        ops.log1p,
        [positive(2, 3)],
        **ONE,
        reference=np.log1p,
        torch=lambda x: torch.log1p(x),
    ),
    Case(
        "sqrt", ops.sqrt, [positive(2, 3)], **ONE, reference=np.sqrt, torch=lambda x: torch.sqrt(x)
    ),
    Case(
        "square",
        ops.square,
        [normal(2, 3)],
        **ONE,
        reference=np.square,
        torch=lambda x: torch.square(x),
    ),
    Case(
        "abs", ops.abs, [away_from(0, 2, 3)], **ONE, reference=np.abs, torch=lambda x: torch.abs(x)
    ),
    Case("sin", ops.sin, [normal(2, 3)], **ONE, reference=np.sin, torch=lambda x: torch.sin(x)),
    Case("cos", ops.cos, [normal(2, 3)], **ONE, reference=np.cos, torch=lambda x: torch.cos(x)),
    Case(
        "maximum",
        ops.maximum,
        [steps(0, 2, 3), steps(0.25, 2, 3)],
        **TWO,
        reference=np.maximum,
        torch=lambda x, y: torch.maximum(x, y),
    ),
    Case(
        "minimum",
        ops.minimum,
        [steps(0, 2, 3), steps(0.25, 2, 3)],
        **TWO,
        reference=np.minimum,
        torch=lambda x, y: torch.minimum(x, y),
    ),
    Case(
        "clip",
        ops.clip,
        [away_from((-1, 0.5), 4, 5)],
        **ONE,
        options=[{"low": -1.0, "high": 0.5}, {"low": -1.0}, {"high": 0.5}],
        reference=lambda x, low=-np.inf, high=np.inf: np.minimum(np.maximum(x, low), high),
        torch=lambda x, low=None, high=None: torch.clamp(x, low, high),
    ),
    Case(
        "where",
        ops.where,
        [booleans(2, 3), normal(2, 3), normal(2, 3)],
        shapes=[((3,), (2, 1), ()), ((2, 3), (3,), (1, 1))],
        empty=[((0, 3), (3,), (0, 1))],
        reference=np.where,
        torch=lambda c, x, y: torch.where(c, x, y),
    ),
]
