"""Penalties on slopes: closed forms, what they must not depend on, PyTorch's double backward."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen
from tests.op_cases.case import torch
from tinygen import Random, Tensor, models, nn, ops
from tinygen.models import pack, penalties
from tinygen.models.penalties import gamma_rule, gradient_penalty, r1, r2
from tinygen.ops.check import gradcheck, gradgradcheck

RNG = np.random.default_rng(0)
W = RNG.normal(size=6)
SHAPES = [(6,), (2, 3), (1, 2, 3)]


def linear(x):
    """w . x, whatever the axes of a sample."""
    return ops.matmul(ops.reshape(x, (x.shape[0], 6)), W)


def samples(n, *shape, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape))


@pytest.mark.parametrize("n", [1, 4, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_critic_has_the_same_penalty_in_every_batch(n, shape):
    norm = np.linalg.norm(W)
    x, y = samples(n, *shape), samples(n, *shape, seed=1)
    penalty = gradient_penalty(linear, x, y, rng=Random(0), weight=3.0)
    assert penalty.item() == pytest.approx(3 * (norm - 1) ** 2, rel=1e-12)
    assert r1(linear, x, gamma=7.0).item() == pytest.approx(3.5 * norm**2, rel=1e-12)
    assert r2(linear, y, gamma=7.0).item() == pytest.approx(3.5 * norm**2, rel=1e-12)
    columns = gradient_penalty(lambda x: linear(x)[:, None], x, y, rng=Random(0), weight=3.0)
    assert columns.item() == penalty.item()


def test_scalar_samples_have_slopes_too():
    x = samples(5)
    assert r1(lambda x: x * 3.0, x, 2.0).item() == pytest.approx(9)
    assert gradient_penalty(lambda x: x * 3.0, x, x + 1).item() == pytest.approx(40)


def half_square(x):
    return ops.sum(ops.square(ops.reshape(x, (len(x.data), x.size // len(x.data)))), axis=1) * 0.5


def test_every_sample_is_mixed_by_a_uniform_number_of_its_own():
    """D = |x|^2 / 2 between 0 and 1 has slope t; E (t - 1)^2 = 1/3, of a normal t more."""
    n = 20000
    zeros, ones = np.zeros((n, 1)), np.ones((n, 1))
    deviation = np.sqrt((1 / 5 - 1 / 9) / n)  # of the mean of (t - 1)^2
    for real, fake in ((zeros, ones), (ones, zeros)):
        mean = gradient_penalty(half_square, real, fake, rng=Random(1), weight=1.0).item()
        assert abs(mean - 1 / 3) < 5 * deviation
    seen = []

    def critic(x):
        seen.append(x.numpy())
        return half_square(x)

    gradient_penalty(critic, np.zeros((500, 28, 28, 1)), np.ones((500, 28, 28, 1)), rng=Random(1))
    (mixed,) = seen
    assert np.ptp(mixed, axis=(1, 2, 3)).max() == 0  # one number for a sample,
    lengths = np.sqrt((mixed**2).sum((1, 2, 3)))
    assert lengths.std() == pytest.approx(28 / np.sqrt(12), rel=0.1)  # not one for a pixel
    assert mixed.min() >= 0
    assert mixed.max() < 1


def test_a_critic_of_zeros_costs_the_weight_and_has_finite_gradients():
    critic = nn.Sequential(nn.Dense(6, 4, "tanh"), nn.Dense(4, 1)).to(dtype="float64")
    for p in critic.parameters():
        p.data[...] = 0
    x = samples(4, 6)
    loss = gradient_penalty(critic, x, x + 1, rng=Random(0), weight=10.0)
    assert loss.item() == 10
    (loss + r1(critic, x, 2.0)).backward()
    for p in critic.parameters():
        assert p.grad is None or np.isfinite(p.grad.numpy()).all()


def critic_of(layers, seed=0):
    return nn.Sequential(*layers(Random(seed))).to(dtype="float64")


DENSE = lambda rng: [nn.Flatten(), nn.Dense(12, 7, "tanh", rng=rng), nn.Dense(7, 1, rng=rng)]  # noqa: E731
CONV = lambda rng: [  # noqa: E731
    nn.Conv2D(3, 4, 3, 2, padding=1, activation="softplus", rng=rng),
    nn.Flatten(),
    nn.Dense(4, 1, rng=rng),
]
X, Y = samples(3, 2, 2, 3), samples(3, 2, 2, 3, seed=1)
PENALTIES = {
    "gradient penalty": lambda critic: gradient_penalty(critic, X, Y, rng=Random(2), weight=10.0),
    "r1": lambda critic: r1(critic, X, gamma=5.0),
    "r2": lambda critic: r2(critic, Y, gamma=5.0),
}


@pytest.mark.skipif(torch is None, reason="compares with PyTorch")
@pytest.mark.parametrize("layers", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("name", PENALTIES)
def test_values_and_gradients_are_those_of_pytorchs_double_backward(name, layers):
    critic = critic_of(layers)
    loss = PENALTIES[name](critic)
    loss.backward()
    ours = critic.parameters()
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]

    def score(x):
        if layers is DENSE:
            a, b, c, d = theirs
            return torch.tanh(x.reshape(len(x), -1) @ a + b) @ c + d
        kernel, b, c, d = theirs
        y = torch.nn.functional.conv2d(
            x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), b, stride=2, padding=1
        )
        return torch.nn.functional.softplus(y).permute(0, 2, 3, 1).reshape(len(x), -1) @ c + d

    t = Random(2).uniform((3, 1, 1, 1), dtype="float64")
    x = {"gradient penalty": X + t * (Y - X), "r1": X, "r2": Y}[name]
    x = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    slope = slope.flatten(1)
    if name == "gradient penalty":
        expected = 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
    else:
        expected = 2.5 * (slope**2).sum(1).mean()
    gradients = torch.autograd.grad(expected, theirs, allow_unused=True)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-8)
    for p, other in zip(ours, gradients, strict=True):
        found = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        other = np.zeros(p.shape) if other is None else other.numpy()
        np.testing.assert_allclose(found, other, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("layers", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_of_both_orders(name, layers):
    critic = critic_of(layers)
    weights = critic.parameters()[:-1]  # slopes do not depend on the last bias
    assert gradcheck(lambda *_: PENALTIES[name](critic), weights)
    assert gradgradcheck(lambda *_: PENALTIES[name](critic), weights, rtol=1e-5, atol=1e-7)


def test_through_spectral_norm_and_minibatch_discrimination():
    rng = Random(0)
    critic = nn.Sequential(
        nn.spectral_norm(nn.Dense(12, 5, "tanh", rng=rng)),
        nn.LayerNorm(5),
        nn.spectral_norm(nn.Dense(5, 1, rng=rng)),
    ).to(dtype="float64")
    critic.eval()
    x, y = X.reshape(3, 12), Y.reshape(3, 12)
    weights = [p for name, p in critic.named_parameters() if not name.endswith("bias")]
    assert gradcheck(lambda *_: r1(critic, x, 3.0), weights)
    assert gradcheck(lambda *_: gradient_penalty(critic, x, y, rng=Random(1)), weights)


def test_only_the_critic_is_trained_and_evaluation_needs_no_graph():
    critic = critic_of(DENSE)
    fake = Tensor(Y, requires_grad=True)
    loss = gradient_penalty(critic, X, fake * 1.0, rng=Random(2))
    loss.backward()
    assert fake.grad is None
    with tinygen.no_grad():
        value = gradient_penalty(critic, X, fake, rng=Random(2))
    assert not value.requires_grad
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    frozen = r1(critic.freeze(), X, 2.0)
    assert frozen.item() == pytest.approx(r1(critic_of(DENSE), X, 2.0).item())


def test_factors_may_change_with_time():
    gamma = tinygen.Buffer(np.full((), 4.0))
    assert r1(linear, samples(3, 6), gamma).item() == pytest.approx(2 * (W @ W))
    gamma.data[...] = 1.0
    assert r1(linear, samples(3, 6), gamma).item() == pytest.approx(0.5 * (W @ W))
    with pytest.raises(ValueError, match="r1: gamma must be a number, or a tensor without axes"):
        r1(linear, samples(3, 6), Tensor(W))


def test_a_condition_comes_in_by_a_closure():
    labels = np.array([0, 2, 1])
    table = np.diag([1.0, 2.0, 3.0])
    found = r1(lambda x: ops.sum(x * table[labels], axis=1), samples(3, 3), 2.0)
    assert found.item() == pytest.approx((1 + 9 + 4) / 3)


@pytest.mark.parametrize("n", [4, 64])
def test_packs_count_as_samples(n):
    """A critic of packs with slopes w for each member: |slope|^2 of a pack is m |w|^2."""
    m, x, y = 4, samples(n, 6), samples(n, 6, seed=1)

    def critic(packs):
        return ops.matmul(packs, np.tile(W, m))

    square = m * (W @ W)
    assert r1(critic, pack(x, m), 2.0).item() == pytest.approx(square)
    found = gradient_penalty(critic, pack(x, m), pack(y, m), rng=Random(0), weight=1.0)
    assert found.item() == pytest.approx((np.sqrt(square) - 1) ** 2)
    message = rf"r1: the critic gives scores of shape \({n // m},\) for {n} samples, .* give packs"
    with pytest.raises(ValueError, match=message):
        r1(lambda x: critic(pack(x, m)), x, 2.0)


def test_packs():
    x = np.arange(48.0).reshape(4, 2, 3, 2)
    packs = pack(x, 2).numpy()
    assert packs.shape == (2, 2, 3, 4)
    for i in range(4):
        np.testing.assert_array_equal(packs[i // 2, ..., i % 2 * 2 : i % 2 * 2 + 2], x[i])
    t = Tensor(x, requires_grad=True)
    assert pack(t, 1) is t  # of one is plain
    assert gradcheck(lambda x: pack(x, 2), t)
    with pytest.raises(ValueError, match="4 samples make up no whole packs of 3: choose a batch"):
        pack(x, 3)
    with pytest.raises(ValueError, match="pack: size must be a whole number of at least 1, not 0"):
        pack(x, 0)


def test_the_rule_for_gamma():
    published = {(32, 16): 0.0128, (32, 32): 0.0064, (64, 16): 0.0512, (1024, 32): 6.5536}
    for (resolution, batch), gamma in published.items():
        assert gamma_rule(resolution, batch) == pytest.approx(gamma)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        gamma_rule(32, 0)


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: gradient_penalty(linear, X, Y[:2]), ValueError, r"in pairs, but they have shapes"),
        (lambda: gradient_penalty(linear, X[:0], Y[:0]), ValueError, "needs samples"),
        (lambda: gradient_penalty(linear, X, Y, weight=-1), ValueError, "weight must not be neg"),
        (lambda: r1(linear, X, gamma=np.nan), ValueError, "r1: gamma must"),
        (lambda: r2(lambda x: x, X, 1.0), ValueError, r"r2: the critic gives scores of shape"),
        (lambda: r1(linear, np.ones((3, 6), int), 1.0), TypeError, "a gradient needs a floating"),
        (lambda: r1(lambda x: Tensor(np.ones(3)), X, 1.0), RuntimeError, "does not depend on"),
    ],
)
def test_bad_input(run, error, message):
    with pytest.raises(error, match=message):
        run()


@pytest.mark.parametrize(
    ("switches", "forwards"),
    [
        ({"r1": 0.7}, 2),
        ({"r1": 0.7, "r2": 0.3, "loss": "relativistic"}, 2),
        ({"r2": 0.3, "gradient_penalty": 2.0}, 3),
        ({"r1": 0.7, "together": True}, 2),
        ({"gradient_penalty": 2.0, "drift": 0.1}, 3),
    ],
)
def test_scores_of_a_loss_and_its_penalties_are_worked_out_once(monkeypatch, switches, forwards):
    model = models.create(
        "gan", image_shape=(3, 2), latents=2, widths=(4,), **{"together": False, **switches}
    ).to(dtype="float64")
    x = Random(0).uniform((6, 3, 2), dtype="float64")
    seen, features = [], type(model.discriminator).features

    def counted(self, packed, label=None, *, rng=None):
        seen.append(packed)
        return features(self, packed, label, rng=rng)

    monkeypatch.setattr(type(model.discriminator), "features", counted)
    loss, figures = model.discriminator_loss(x, rng=Random(1))
    loss.backward()
    assert len(seen) == forwards
    found = [p.grad.numpy() for p in model.discriminator.parameters()]
    real = x * 2 - 1 if model.signed else x
    with tinygen.no_grad():
        fake = model._generate(6, None, Random(1), "batch")
    D, rng = model.discriminator, Random(1)
    rng.normal((6, 2), dtype="float64")  # the latents
    expected = penalties.slope_penalties(D, model.switches, real, fake, rng=rng)[0]
    assert figures["penalty"].item() == pytest.approx(expected.item(), rel=1e-12)
    real_score, fake_score = D(real), D(fake)
    game = model.criterion.discriminator(real_score, fake_score)
    game = game + model.switches.drift * ops.mean(ops.square(real_score))
    for p in D.parameters():
        p.grad = None
    (expected + (game / 2 if model.switches.together else game)).backward()
    for p, gradient in zip(D.parameters(), found, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), gradient, rtol=1e-10, atol=1e-14)
