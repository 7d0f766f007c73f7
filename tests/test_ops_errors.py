"""What does not fit is refused with a message that names the op and what does not fit."""

import re

import numpy as np
import pytest

import tinygen
from tinygen import Random, Tensor, ops

STATE = Random(0).state_dict()


def x(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: x(2, 3) + x(4), "add of shapes (2, 3), (4,)"),
        (lambda: x(2, 3) - np.ones((3, 3)), "subtract of shapes (2, 3), (3, 3)"),
        (lambda: x(2, 3) * x(2), "multiply of shapes (2, 3), (2,)"),
        (lambda: ops.maximum(x(2, 3), x(2)), "maximum of shapes (2, 3), (2,)"),
        (lambda: x(2, 3) @ x(4, 5), "matmul of shapes (2, 3), (4, 5)"),
        (lambda: x(2, 3) @ x(), "matmul: needs at least one axis, got shapes (2, 3) and ()"),
        (lambda: ops.dense(x(2, 3), x(4, 5)), "dense of shapes (2, 3), (4, 5)"),
        (lambda: ops.dense(x(2, 3), x(3, 5), x(4)), "dense of shapes (2, 3), (3, 5), (4,)"),
        (lambda: ops.dense(x(2, 3), x(3, 5), x(1, 5)), "dense of shapes (2, 3), (3, 5), (1, 5)"),
        (lambda: ops.dense(x(2, 3), x(3)), "dense of shapes (2, 3), (3,)"),
        (lambda: x(2, 3).reshape(4, 2), "reshape of shapes (2, 3)"),
        (lambda: ops.broadcast_to(x(2, 3), (2, 4)), "broadcast_to of shapes (2, 3)"),
        (lambda: ops.transpose(x(2, 3), (0, 1, 2)), "transpose of shapes (2, 3)"),
        (lambda: ops.sum(x(2, 3), axis=2), "sum of shapes (2, 3)"),
        (lambda: ops.mean(x(2, 3), axis=2), "sum of shapes (2, 3)"),
        (lambda: ops.max(x(2, 3), axis=-3), "max of shapes (2, 3)"),
        (lambda: ops.max(x(0, 3)), "max of shapes (0, 3)"),
        (lambda: ops.concatenate([x(2, 3), x(2, 4)]), "concatenate of shapes (2, 3), (2, 4)"),
        (lambda: ops.concatenate([]), "concatenate: give at least one tensor"),
        (lambda: ops.stack([x(2), x(3)]), "stack: all shapes must be the same, got [(2,), (3,)]"),
        (lambda: ops.split(x(5), 2), "split: axis 0 of length 5 has no 2 equal pieces"),
        (lambda: ops.split(x(5), [2, 2]), "split: lengths [2, 2] do not add up to 5"),
        (lambda: ops.split(x(5), [5], axis=1), "split: there is no axis 1"),
        (lambda: ops.pad(x(2, 3), [(1, 1)]), "pad: 1 widths for an input of shape (2, 3)"),
        (lambda: ops.take(x(2, 3), [0], axis=2), "take: there is no axis 2 among 2"),
        (lambda: ops.take_along_axis(x(2, 3), np.array([0]), 0), "take_along_axis: indices of"),
        (lambda: ops.expand_dims(x(2, 3), 3), "expand_dims: there is no axis 3 among 3"),
        (lambda: ops.squeeze(x(2, 1), 0), "squeeze: axis 0 of shape (2, 1) has length 2"),
        (lambda: ops.squeeze(x(2, 1), 2), "squeeze: there is no axis 2 among 2"),
        (lambda: ops.repeat(x(2, 3), 2, axis=-3), "repeat: there is no axis -3 among 2"),
        (lambda: ops.flip(x(2, 3), axis=2), "flip: there is no axis 2 among 2"),
        (lambda: ops.clip(x(2)), "clip: give low, high or both"),
        (lambda: ops.mse(x(2, 3), x(3)), "mse: prediction of shape (2, 3), target of shape (3,)"),
        (lambda: ops.kl_divergence(x(2, 3), x(3)), "kl_divergence: prediction of shape (2, 3)"),
        (lambda: ops.mse(x(2), x(2), reduction="avg"), "mse: reduction must be"),
        (lambda: ops.kl_divergence(x(2), x(2), "avg"), "kl_divergence: reduction must be"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.array([0, 3])), "0 to 2, got 0 to 3"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.array([0])), "shape (2,), got (1,)"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.ones((2, 2))), "(2, 3) need probabilities"),
        (lambda: ops.activate(x(2), "leaky_rely"), "did you mean 'leaky_relu'?"),
        (lambda: ops.leaky_relu(x(2), -0.1), "leaky_relu: the parameter must not be negative"),
        (lambda: ops.dropout(x(2), 1.0), "dropout: rate must be at least 0 and below 1, not 1.0"),
        (lambda: ops.gaussian_noise(x(2), -1.0), "gaussian_noise: std must not be negative"),
        (lambda: Random(-1), "Random: seed must be from 0 to 2^64 - 1"),
        (lambda: Random(0).integers(3, 3), "integers: need low < high"),
        (lambda: ops.gaussian_noise(x(2), np.nan), "gaussian_noise: std must not be negative"),
        (lambda: Random(2**64), "Random: seed must be from 0 to 2^64 - 1"),
        (lambda: Random(0, step=-1), "Random: step must be from 0 to 2^64 - 1"),
        (lambda: Random(0).at(2**64), "Random: step must be from 0 to 2^64 - 1"),
        (lambda: Random(0).uniform(3, 0.0, np.nan), "uniform: need finite low <= high"),
        (lambda: Random(0).uniform(3, 1.0, 0.0), "uniform: need finite low <= high"),
        (lambda: Random(0).normal(3, std=-1.0), "normal: need finite mean and std >= 0"),
        (lambda: Random(0).normal(3, np.nan), "normal: need finite mean and std >= 0"),
        (lambda: Random(0).normal((2, -1)), "lengths must not be negative, got shape (2, -1)"),
        (lambda: Random(0).permutation(-1), "Random: -2 words"),
        (lambda: Random(0).uniform(4, first=-1), "Random: 4 words from word -1 on"),
        (lambda: Random(0).uniform((4, 2**20), first=2**14), "a draw has those from 0 to 2^34 - 1"),
        (lambda: Random(0).load_state_dict({**STATE, "draw": -1}), "draw must be from 0 to 2^32"),
        (lambda: Random(0).load_state_dict({**STATE, "draw": 2**32}), "draw must be from 0 to"),
        (lambda: Random(0).load_state_dict({"seed": 3}), "has seed, purpose, step and draw"),
        (lambda: Random(0).load_state_dict({**STATE, "more": 1}), "has seed, purpose, step and"),
    ],
)  # fmt: skip
def test_messages(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()


@pytest.mark.parametrize("nonsense", [1 + 2j, 1.5, 7.0, "7", None, True, np.True_, [7], np.nan])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda v: Random(v),
        lambda v: Random(0, step=v),
        lambda v: Random(0).at(v),
        lambda v: tinygen.seed(v),
        lambda v: Random(0).load_state_dict({**STATE, "seed": v}),
        lambda v: Random(0).load_state_dict({**STATE, "draw": v}),
    ],
    ids=["seed", "step", "at", "tinygen.seed", "state's seed", "state's draw"],
)
def test_seeds_steps_and_draws_are_integers(wrong, nonsense):
    with pytest.raises(TypeError, match=r"Random: (seed|step|draw) must be an integer, not"):
        wrong(nonsense)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Random(0, purpose=3),
        lambda: Random(0, "data").stream(3),
        lambda: Random(0).stream(None),
        lambda: Random(0).load_state_dict({**STATE, "purpose": 3}),
        lambda: Random(0).uniform(2.5),
        lambda: Random(0).normal((2, 2.5)),
        lambda: Random(0).integers(0, 2.5, 3),
        lambda: Random(0).permutation(2.5),
        lambda: Random(0).uniform(3, first=1.5),
        lambda: Random(0).normal(3, std=1j),
    ],
)
def test_other_nonsense_for_random(wrong):
    with pytest.raises(TypeError):
        wrong()
