"""What does not fit is refused with a message that names the op and what does not fit."""

import math
import re

import numpy as np
import pytest

import tinygen
from tinygen import Random, Tensor, ops
from tinygen.ops.activation import parse_activation

INF, NAN = math.inf, math.nan

STATE = Random(0).state_dict()


def x(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


IMAGES, KERNEL = x(1, 4, 4, 2), x(3, 3, 2, 2)


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
        (lambda: ops.split(x(3), [5, -2]), "split: lengths must be a whole number of at"),
        (lambda: ops.pad(x(3), [(-1, 1)]), "pad: widths must be a whole number of at"),
        (lambda: ops.repeat(x(3), -1, 0), "repeat: repeats must be a whole number of at"),
        (lambda: ops.flip(x(2, 3), axis=(0, -2)), "flip: an axis comes twice in (0, -2)"),
        (lambda: x(2, 3).reshape(-2), "reshape: lengths must not be negative, but for one -1"),
        (lambda: ops.sum(x(2, 3), axis=(0, 0)), "sum of shapes (2, 3)"),
        (lambda: ops.transpose(x(2, 3), (0, 0)), "transpose of shapes (2, 3)"),
        (lambda: ops.var(x(3), correction=-1), "var: correction must be a whole number of at"),
        (lambda: ops.clip(x(2), 1.0, 0.0), "clip: low 1.0 is above high 0.0"),
        (lambda: ops.clip(x(2), low=NAN), "clip: low must be a number, got nan"),
        (lambda: ops.huber(x(2), x(2), delta=-1), "huber: delta must be positive, not -1"),
        (lambda: ops.huber(x(2), x(2), delta=0.0), "huber: delta must be positive, not 0.0"),
        (lambda: ops.huber(x(2), x(2), delta=NAN), "huber: delta must be positive, not nan"),
        (lambda: ops.gaussian_kl(x(4, 3), x(3)), "gaussian_kl: mean of shape (4, 3), log_var of"),
        (lambda: ops.leaky_relu(x(2), NAN), "leaky_relu: the parameter must not be negative"),
        (lambda: ops.elu(x(2), INF), "elu: the parameter must be finite, got inf"),
        (lambda: ops.activate(x(2), ("relu", 0.5)), "relu takes no parameter, got 0.5"),
        (lambda: ops.dropout(x(2), NAN), "dropout: rate must be at least 0 and below 1, not nan"),
        (lambda: ops.gaussian_noise(x(2), NAN), "gaussian_noise: std must not be negative, got n"),
        (lambda: ops.batch_norm(x(2, 3), epsilon=-1), "batch_norm: epsilon must not be negative"),
        (lambda: ops.batch_norm(x(2, 3), None, None, x(3), x(3), NAN), "batch_norm: epsilon must"),
        (lambda: ops.instance_norm(IMAGES, epsilon=-1), "instance_norm: epsilon must not be neg"),
        (lambda: ops.adain(IMAGES, x(1, 2), x(1, 2), NAN), "adain: epsilon must not be negative"),
        (lambda: ops.layer_norm(x(2, 3), epsilon=INF), "layer_norm: epsilon must be finite"),
        (lambda: ops.pixel_norm(x(2, 3), -1e-8), "pixel_norm: epsilon must not be negative"),
        (lambda: ops.minibatch_stddev(x(2, 3), epsilon=-1), "minibatch_stddev: epsilon must not"),
        (lambda: ops.minibatch_stddev(x(2, 3), 0), "group_size must be a whole number"),
        (lambda: ops.conv2d(IMAGES, KERNEL, stride=0), "conv2d: stride must be a whole"),
        (lambda: ops.conv2d(IMAGES, KERNEL, dilation=-1), "conv2d: dilation must be a whole"),
        (lambda: ops.conv2d(IMAGES, KERNEL, padding=-1), "padding must not be negative, got"),
        (lambda: ops.conv2d(IMAGES, KERNEL, padding=((1, 0.5), (0, 0))), "padding must be ((top"),
        (lambda: ops.conv2d(IMAGES, KERNEL, groups=-1), "conv2d: -1 groups do not divide"),
        (lambda: ops.conv2d_transpose(IMAGES, KERNEL, stride=-1), "stride must be a whole number"),
        (lambda: ops.conv2d_transpose(IMAGES, KERNEL, output_padding=-1), "(-1, -1) must be"),
        (lambda: ops.conv2d_weight_grad(IMAGES, IMAGES, 3, groups=-1), "groups must be a whole"),
        (lambda: ops.conv2d_weight_grad(IMAGES, IMAGES, -3), "kernel must be a whole number"),
        (lambda: ops.max_pool2d(IMAGES, -2), "max_pool2d: size must be a whole number"),
        (lambda: ops.avg_pool2d(IMAGES, 2, 0), "avg_pool2d: stride must be a whole number"),
        (lambda: ops.upfirdn2d(IMAGES, [1], up=0), "upfirdn2d: up must be a whole number"),
        (lambda: ops.upfirdn2d(IMAGES, [1], gain=NAN), "upfirdn2d: gain must be a finite number"),
        (lambda: ops.blur2d(IMAGES, [1, NAN]), "blur2d: the filter holds NaN or infinity"),
        (lambda: ops.upsample2d(IMAGES, -2), "upsample2d: factor must be a whole number"),
        (lambda: ops.translate2d(x(2, 3), [[1, 1], [0, 0]]), "translate2d: images must be (n, h"),
        (lambda: ops.translate2d(IMAGES, [1, 2]), "images are (1, 2), not (2,)"),
        (lambda: ops.translate2d(IMAGES, [[0.5, 1.0]]), "shifts must be whole numbers, not f"),
        (lambda: ops.mse(x(2, 3), x(3)), "mse: prediction of shape (2, 3), target of shape (3,)"),
        (lambda: ops.kl_divergence(x(2, 3), x(3)), "kl_divergence: prediction of shape (2, 3)"),
        (lambda: ops.mse(x(2), x(2), reduction="avg"), "mse: reduction must be"),
        (lambda: ops.kl_divergence(x(2), x(2), "avg"), "kl_divergence: reduction must be"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.array([0, 3])), "0 to 2, got 0 to 3"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.array([0])), "shape (2,), got (1,)"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.ones((2, 2))), "(2, 3) need probabilities"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), x(2)), "labels must be integers, not float"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), np.array([True, False])), "integers, not bool"),
        (lambda: ops.embedding(x(2), x(5, 3)), "embedding: indices must be integers, not float64"),
        (lambda: ops.softmax_cross_entropy(x(2, 3), x(2, 3) * 255), "targets from 255 to 255 are"),
        (lambda: ops.kl_divergence(x(2, 3) * -2, x(2, 3)), "predictions from -2 to -2 are no prob"),
        (lambda: ops.kl_divergence(x(2, 3), x(2, 3) * 255), "targets from 255 to 255 are no prob"),
        (lambda: ops.binary_cross_entropy(x(2) * 3, x(2)), "predictions from 3 to 3 are no prob"),
        (lambda: ops.binary_cross_entropy(x(2) * -3, x(2), "none"), 'activation="sigmoid"'),
        (lambda: ops.binary_cross_entropy(x(2), x(2) * 255), "(2,), (2,): targets from 255 to 255"),
        (lambda: ops.binary_cross_entropy_with_logits(x(2), x(2) * 255, "sum"), "divided by 255"),
        (lambda: ops.binary_cross_entropy_with_logits(x(2), -x(2), "none"), "targets from -1 to -"),
        (lambda: ops.activate(x(2), "leaky_rely"), "did you mean 'leaky_relu'?"),
        (lambda: ops.leaky_relu(x(2), -0.1), "leaky_relu: the parameter must not be negative"),
        (lambda: ops.dropout(x(2), 1.0), "dropout: rate must be at least 0 and below 1, not 1.0"),
        (lambda: ops.gaussian_noise(x(2), -1.0), "gaussian_noise: std must not be negative"),
        (lambda: Random(-1), "Random: seed must be a whole number of"),
        (lambda: Random(0).integers(3, 3), "integers: need low < high"),
        (lambda: ops.gaussian_noise(x(2), np.nan), "gaussian_noise: std must not be negative"),
        (lambda: Random(2**64), "Random: seed must be at most 2^"),
        (lambda: Random(0, step=-1), "Random: step must be a whole number of"),
        (lambda: Random(0).at(2**64), "Random: step must be at most 2^"),
        (lambda: Random(0).uniform(3, 0.0, np.nan), "uniform: need finite low <= high"),
        (lambda: Random(0).uniform(3, 1.0, 0.0), "uniform: need finite low <= high"),
        (lambda: Random(0).normal(3, std=-1.0), "normal: need finite mean and std >= 0"),
        (lambda: Random(0).normal(3, np.nan), "normal: need finite mean and std >= 0"),
        (lambda: Random(0).normal((2, -1)), "lengths must not be negative, got shape (2, -1)"),
        (lambda: Random(0).permutation(-1), "Random: -2 words"),
        (lambda: Random(0).uniform(4, first=-1), "Random: 4 words from word -1 on"),
        (lambda: Random(0).uniform((4, 2**20), first=2**14), "a draw has those from 0 to 2^34 - 1"),
        (lambda: Random(0).load_state_dict({**STATE, "draw": -1}), "draw must be a whole"),
        (lambda: Random(0).load_state_dict({**STATE, "draw": 2**32}), "draw must be at most 2^"),
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
    with pytest.raises(
        TypeError, match=r"Random: (seed|step|draw) must be a whole number of at least 0, not"
    ):
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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda v: ops.split(x(3), [v, v]), "split: lengths must be a whole number"),
        (lambda v: ops.pad(x(3), [(v, 0)]), "pad: widths must be a whole number"),
        (lambda v: ops.repeat(x(3), v, 0), "repeat: repeats must be a whole number"),
        (lambda v: ops.var(x(3), correction=v), "var: correction must be a whole number"),
        (lambda v: ops.conv2d(IMAGES, KERNEL, stride=(v, v)), "conv2d: .* must be a whole number"),
        (
            lambda v: ops.conv2d(IMAGES, KERNEL, dilation=(v, v)),
            "conv2d: .* must be a whole number",
        ),
        (
            lambda v: ops.conv2d_transpose(IMAGES, KERNEL, stride=(v, v)),
            "conv2d_transpose: .* must be a whole number",
        ),
        (lambda v: ops.max_pool2d(IMAGES, (v, v)), "max_pool2d: .* must be a whole number"),
        (lambda v: ops.upfirdn2d(IMAGES, [1], up=(v, v)), "upfirdn2d: .* must be a whole number"),
        (
            lambda v: ops.upfirdn2d(IMAGES, [1], padding=((v, 0), (0, 0))),
            "upfirdn2d: padding must be a whole number",
        ),
        (lambda v: ops.upsample2d(IMAGES, (v, v)), "upsample2d: factor must be a whole number"),
        (lambda v: ops.minibatch_stddev(x(2, 3), v), "group_size must be a whole number"),
        (lambda v: ops.layer_norm(x(2, 3), axes=v), "layer_norm: axes must be a whole number"),
    ],
)
@pytest.mark.parametrize("value", [1.5, "1", None])
def test_what_must_be_an_integer(wrong, message, value):
    with pytest.raises(TypeError, match=message):
        wrong(value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda v: ops.huber(x(2), x(2), delta=v), "huber: delta must be a number"),
        (lambda v: ops.clip(x(2), low=v, high=1.0), "clip: low must be a number"),
        (lambda v: ops.clip(x(2), high=v, low=0.0), "clip: high must be a number"),
        (lambda v: ops.dropout(x(2), v), "dropout: rate must be a number"),
        (lambda v: ops.gaussian_noise(x(2), v), "gaussian_noise: std must be a number"),
        (lambda v: ops.pixel_norm(x(2, 3), v), "pixel_norm: epsilon must be a number"),
        (lambda v: ops.leaky_relu(x(2), v), "leaky_relu: the parameter must be a number"),
        (lambda v: ops.upfirdn2d(IMAGES, [1], gain=v), "upfirdn2d: gain must be a number"),
    ],
)
@pytest.mark.parametrize("value", ["0.5", 0.5j, Tensor(0.5)])
def test_what_must_be_a_number(wrong, message, value):
    with pytest.raises(TypeError, match=message):
        wrong(value)


def test_no_slope_is_kept_for_ever():
    for slope in range(2000):
        parse_activation(("leaky_relu", slope / 3000))
    size = parse_activation.cache_info()
    assert size.currsize <= size.maxsize <= 1000


@pytest.mark.parametrize("loss", [ops.mse, ops.huber, ops.hinge, ops.binary_cross_entropy])
def test_losses_take_lists_of_numbers(loss):
    p = Tensor(np.float32([0.25, 0.5]), requires_grad=True)
    expected = loss(p, np.float32([0.0, 1.0]))
    for prediction, target in ((p, [0.0, 1.0]), ([0.25, 0.5], [0, 1])):
        found = loss(prediction, target)
        assert found.dtype == np.float32
        assert found.item() == expected.item()
    with pytest.raises(ValueError, match=r"prediction of shape \(2,\), target of shape \(1,\)"):
        loss(p, [1.0])
