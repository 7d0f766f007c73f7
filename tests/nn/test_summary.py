"""What a Module prints: its layers, their shapes and parameters, its settings."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinygen import Parameter, Random
from tinygen.nn import (
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Module,
    Sequential,
)


def net() -> Sequential:
    rng = Random(3)
    return Sequential(
        Dense(4, 3, activation="selu", rng=rng), Sequential(Dense(3, 2, rng=rng)), Dropout(0.5)
    )


def test_summary_counts_every_parameter(capsys):
    model = Sequential(Flatten(), *net())
    model[3].eval()
    modes = [m.training for m in model.modules()]
    model.summary((2, 2))
    header, *rows, total = capsys.readouterr().out.splitlines()
    assert header.split() == ["layer", "output", "parameters"]
    found = [re.fullmatch(r"(\S+) \((\w+)\) +\((.*)\) +([\d,]+)", row).groups() for row in rows]
    assert found == [
        ("layers.0", "Flatten", "n, 4", "0"),
        ("layers.1", "Dense", "n, 3", "15"),
        ("layers.2.layers.0", "Dense", "n, 2", "8"),
        ("layers.3", "Dropout", "n, 2", "0"),
    ]
    assert int(total.split()[-1]) == 15 + 8 == sum(p.size for p in model.parameters())
    assert [m.training for m in model.modules()] == modes


def test_summary_groups_thousands_and_leaves_no_trace(capsys):
    model = Dense(100, 30)
    model.summary((100,))
    assert "3,030" in capsys.readouterr().out
    model(np.zeros((1, 100), np.float32))
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match=r"dense .*\(1, 99\)"):
        model.summary((99,))
    assert model.training


def test_summary_runs_in_inference_without_a_graph(capsys):
    class Watch(Module):
        def forward(self, x):
            assert not self.training
            y = x * Parameter(np.zeros(3, np.float32))
            assert not y.requires_grad
            return y

    model = Watch()
    model.summary((3,))
    assert "(n, 3)" in capsys.readouterr().out
    assert model.training


def test_repr_shows_settings_and_nesting():
    model = Sequential(
        Dense(4, 3, activation=("leaky_relu", 0.1)), Sequential(Flatten(), GaussianNoise(0.2))
    )
    assert repr(model) == (
        "Sequential(\n"
        "  layers.0: Dense(4, 3, ('leaky_relu', 0.1))\n"
        "  layers.1: Sequential(\n"
        "    layers.0: Flatten()\n"
        "    layers.1: GaussianNoise(0.2)\n"
        "  )\n"
        ")"
    )
