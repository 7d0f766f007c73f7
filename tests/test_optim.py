"""The optimisers step by step against PyTorch and Keras; clipping, accumulation, errors.

The rules of the gathered buffer are in test_optim_gathered.py, the rest of tinygen.optim in
test_optim_schedules.py.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
from functools import partial

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.cuda.equipment import every_backend
from tinygen import Parameter, Random, Tensor, optim
from tinygen.nn import Dense

STEPS = 50
SHAPES = [(3, 4), (4,), (), (2, 1, 5)]


def problem() -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Parameters, and gradients for every step.

    Each element has gradients of its own size, from 1e-8 to 10, so that the place of epsilon shows.
    """
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s) for s in SHAPES]
    size = [10.0 ** rng.uniform(-8, 1, s) for s in SHAPES]
    gradients = [
        [m * rng.standard_normal(s) for s, m in zip(SHAPES, size, strict=True)]
        for _ in range(STEPS)
    ]
    return start, gradients


START, GRADIENTS = problem()


def parameters(dtype="float64") -> list[Parameter]:
    return [Parameter(np.array(p, dtype)) for p in START]


def step(optimizer: optim.Optimizer, gradients: list[np.ndarray]) -> list[np.ndarray]:
    """The parameters after a step with the given gradients."""
    for p, g in zip(optimizer.parameters, gradients, strict=True):
        p.grad = Tensor(np.array(g, p.dtype))
    optimizer.step()
    return [p.numpy().copy() for p in optimizer.parameters]


def assert_close(found, expected, rtol=1e-12, atol=1e-12):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def falling(step: int) -> float:
    """A learning rate that changes at every step."""
    return 0.03 / (1 + 0.1 * step)


# Ours and the options, PyTorch's and its options (the learning rate is set apart).
TORCH = [
    (optim.SGD, {}, "SGD", {}),
    (optim.SGD, {"momentum": 0.9}, "SGD", {"momentum": 0.9}),
    (optim.SGD, {"momentum": 0.8, "nesterov": True}, "SGD", {"momentum": 0.8, "nesterov": True}),
    (optim.RMSprop, {"rho": 0.95, "epsilon": 1e-6}, "RMSprop", {"alpha": 0.95, "eps": 1e-6}),
    (optim.Adam, {"epsilon": 1e-6}, "Adam", {"eps": 1e-6}),
    (optim.Adam, {"beta1": 0.0, "beta2": 0.99}, "Adam", {"betas": (0.0, 0.99), "eps": 1e-7}),
    (optim.AdamW, {"weight_decay": 0.1}, "AdamW", {"weight_decay": 0.1, "eps": 1e-7}),
    (optim.Nadam, {}, "NAdam", {"eps": 1e-7}),
    (
        optim.Nadam,
        {"weight_decay": 0.1},
        "NAdam",
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "eps": 1e-7},
    ),
]


@every_backend
@pytest.mark.parametrize("rate", [0.05, falling], ids=["constant", "falling"])
@pytest.mark.parametrize(("ours", "options", "theirs", "torch_options"), TORCH)
def test_every_step_is_pytorchs(request, backend, rate, ours, options, theirs, torch_options):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    ps = parameters()
    optimizer = ours(ps, rate, **options, convention="pytorch")
    others = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in map(np.asarray, START)]
    request.addfinalizer(partial(torch.set_default_dtype, torch.get_default_dtype()))
    torch.set_default_dtype(torch.float64)  # NAdam keeps its products in the default type
    other = getattr(torch.optim, theirs)(others, lr=0.05, **torch_options)
    with using(backend):
        for t, gradients in enumerate(GRADIENTS):
            for group in other.param_groups:
                group["lr"] = rate(t) if callable(rate) else rate
            for p, g in zip(others, gradients, strict=True):
                p.grad = torch.from_numpy(np.asarray(g))
            other.step()
            assert_close(step(optimizer, gradients), [p.detach().numpy() for p in others])


# Keras's arithmetic, after keras/src/optimizers: p, g and the slots s of one parameter at step t
# (from 1) with learning rate r; returns the new p. Weight decay comes before the step, p -= p w r.


def keras_sgd(p, g, s, t, r, momentum=0.0, nesterov=False):
    if momentum == 0:
        return p - g * r
    s["m"] = s.get("m", 0.0) * momentum - g * r
    return p + (s["m"] * momentum - g * r if nesterov else s["m"])


def keras_rmsprop(p, g, s, t, r, rho=0.9, epsilon=1e-7):
    s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g**2
    return p - r * g / np.sqrt(s["v"] + epsilon)


def keras_moments(g, s, beta1, beta2):
    s["m"] = s.get("m", 0.0) + (g - s.get("m", 0.0)) * (1 - beta1)
    s["v"] = s.get("v", 0.0) + (g**2 - s.get("v", 0.0)) * (1 - beta2)
    return s["m"], s["v"]


def keras_adam(p, g, s, t, r, beta1=0.9, beta2=0.999, epsilon=1e-7, weight_decay=0.0):
    p = p - p * weight_decay * r
    m, v = keras_moments(g, s, beta1, beta2)
    alpha = r * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - m * alpha / (np.sqrt(v) + epsilon)


def keras_nadam(p, g, s, t, r, beta1=0.9, beta2=0.999, epsilon=1e-7, weight_decay=0.0):
    p = p - p * weight_decay * r
    u = beta1 * (1 - 0.5 * 0.96**t)
    u_next = beta1 * (1 - 0.5 * 0.96 ** (t + 1))
    s["u_product"] = s.get("u_product", 1.0) * u
    m, v = keras_moments(g, s, beta1, beta2)
    m_hat = u_next * m / (1 - s["u_product"] * u_next) + (1 - u) * g / (1 - s["u_product"])
    return p - m_hat * r / (np.sqrt(v / (1 - beta2**t)) + epsilon)


KERAS = [
    (optim.SGD, keras_sgd, {}),
    (optim.SGD, keras_sgd, {"momentum": 0.9}),
    (optim.SGD, keras_sgd, {"momentum": 0.8, "nesterov": True}),
    (optim.RMSprop, keras_rmsprop, {}),
    (optim.RMSprop, keras_rmsprop, {"rho": 0.95, "epsilon": 1e-5}),
    (optim.Adam, keras_adam, {}),
    (optim.Adam, keras_adam, {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-6}),
    (optim.AdamW, keras_adam, {"weight_decay": 0.1}),
    (optim.Nadam, keras_nadam, {}),
    (optim.Nadam, keras_nadam, {"beta1": 0.5, "weight_decay": 0.1}),
]

# float32 keeps 24 bits; a step rounds p and what is added to it a few times, all of size 1 or so
TOLERANCE = {"float64": 1e-12, "float32": STEPS * 4 * 2.0**-24}


@every_backend
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rate", [0.05, falling], ids=["constant", "falling"])
@pytest.mark.parametrize(("ours", "rule", "options"), KERAS)
def test_every_step_is_keras(backend, dtype, rate, ours, rule, options):
    optimizer = ours(parameters(dtype), rate, **options)
    expected, slots = list(START), [{} for _ in START]
    with using(backend):
        for t, gradients in enumerate(GRADIENTS):
            r = rate(t) if callable(rate) else rate
            expected = [
                rule(p, g, s, t + 1, r, **options)
                for p, g, s in zip(expected, gradients, slots, strict=True)
            ]
            found = step(optimizer, gradients)
            assert {p.dtype for p in found} == {np.dtype(dtype)}
            assert_close(found, expected, TOLERANCE[dtype], TOLERANCE[dtype])
    assert optimizer.steps == STEPS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy 2
def test_every_step_is_that_of_keras_itself():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("compares with Keras, which is not installed")
    if importlib.util.find_spec("torch") is not None:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    renamed = {"beta1": "beta_1", "beta2": "beta_2"}
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        for ours, _, options in KERAS:
            other = getattr(keras.optimizers, ours.__name__)(
                learning_rate=0.05, **{renamed.get(k, k): v for k, v in options.items()}
            )
            variables = [keras.Variable(p, dtype="float64") for p in START]
            optimizer = ours(parameters(), 0.05, **options)
            for gradients in GRADIENTS:
                given = [keras.ops.convert_to_tensor(g, dtype="float64") for g in gradients]
                other.apply(given, variables)
                expected = [keras.ops.convert_to_numpy(v) for v in variables]
                assert_close(step(optimizer, gradients), expected, 1e-10, 1e-10)
    finally:
        keras.config.set_floatx(before)


@pytest.mark.parametrize("name", optim.BY_NAME)
def test_defaults_are_keras(name):
    expected = {
        "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
        "rmsprop": {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-7},
        "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
        "adamw": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.004},
        "nadam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
    }[name]
    optimizer = optim.create(name, parameters())
    assert type(optimizer) is optim.BY_NAME[name]
    assert {key: getattr(optimizer, key) for key in expected} == expected
    assert optimizer.convention == "keras"


@every_backend
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e3])
def test_clip_norm_scales_all_together(backend, dtype, limit):
    norm = math.sqrt(sum((g**2).sum() for g in GRADIENTS[0]))
    assert 1 < norm < 1e3
    expected = [
        p - 0.5 * g * min(1, limit / norm) for p, g in zip(START, GRADIENTS[0], strict=True)
    ]
    with using(backend):
        found = step(optim.SGD(parameters(dtype), 0.5, clip_norm=limit), GRADIENTS[0])
    assert_close(found, expected, TOLERANCE[dtype], TOLERANCE[dtype])


@pytest.mark.parametrize("name", optim.BY_NAME)
@every_backend
def test_every_optimizer_clips(name, backend):
    """Clipping inside a step is the same as clipping the gradients before it."""
    limit = 0.5
    inside, apart = (
        optim.create(name, parameters(), learning_rate=0.1, clip_norm=limit),
        optim.create(name, parameters(), learning_rate=0.1),
    )
    value_inside = optim.create(name, parameters(), learning_rate=0.1, clip_value=0.01)
    value_apart = optim.create(name, parameters(), learning_rate=0.1)
    with using(backend):
        for gradients in GRADIENTS[:5]:
            norm = math.sqrt(sum((g**2).sum() for g in gradients))
            scaled = [g * min(1, limit / norm) for g in gradients]
            assert_close(step(inside, gradients), step(apart, scaled))
            cut = [np.clip(g, -0.01, 0.01) for g in gradients]
            assert_close(step(value_inside, gradients), step(value_apart, cut))


def test_clipping_leaves_the_gradients_alone():
    optimizer = optim.SGD(parameters(), 0.1, clip_norm=0.1, clip_value=0.1)
    step(optimizer, GRADIENTS[0])
    assert_close([p.grad.numpy() for p in optimizer.parameters], GRADIENTS[0], 0, 0)


@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clip_grad_norm_is_pytorchs(limit):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    ps = [*parameters(), Parameter(np.zeros(2))]
    others = [torch.nn.Parameter(torch.zeros(s, dtype=torch.float64)) for s in SHAPES]
    for p, other, g in zip(ps, others, GRADIENTS[0], strict=False):
        p.grad, other.grad = Tensor(g.copy()), torch.from_numpy(np.array(g))
    norm = optim.clip_grad_norm(ps, limit)
    expected = torch.nn.utils.clip_grad_norm_(others, limit)
    np.testing.assert_allclose(norm, expected.item(), rtol=1e-12)
    # PyTorch divides by norm + 1e-6
    assert_close([p.grad.numpy() for p in ps[:-1]], [o.grad.numpy() for o in others], 1e-6, 0)
    assert ps[-1].grad is None
    assert optim.clip_grad_norm(ps, 1e9) == pytest.approx(min(norm, limit), rel=1e-12)


def test_clip_grad_norm_without_gradients():
    assert optim.clip_grad_norm(parameters(), 1.0) == 0.0


def test_gradients_accumulate_over_backward_passes():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((8, 3))
    twice, once = (Dense(3, 2, activation="tanh", rng=Random(0)) for _ in range(2))
    results = []
    for model, parts in ((twice, [x[:3], x[3:]]), (once, [x])):
        model.to(dtype="float64")
        optimizer = optim.SGD(model, 0.1, 0.9)
        for _ in range(3):
            optimizer.zero_grad()
            for part in parts:
                model(part).sum().backward()
            optimizer.step()
        results.append(model.state_dict())
    for name in ("weight", "bias"):
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-12)


def test_a_graph_from_before_a_step_is_stale():
    model = Dense(3, 2, rng=Random(0))
    x = tinygen.tensor(np.ones((1, 3), np.float32), requires_grad=True)
    y, optimizer = model(x).sum(), optim.SGD(model, 0.1)
    model(x).sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="dense saved a tensor that was changed"):
        y.backward()


def test_the_learning_rate_follows_its_schedule_and_can_be_set():
    optimizer = optim.SGD(parameters(), optim.piecewise_constant([1], [0.5, 0.25]))
    assert optimizer.learning_rate == 0.5
    step(optimizer, GRADIENTS[0])
    assert optimizer.learning_rate == 0.25
    optimizer.learning_rate = 2.0
    before = [p.numpy().copy() for p in optimizer.parameters]
    found = step(optimizer, GRADIENTS[1])
    assert_close(found, [p - 2.0 * g for p, g in zip(before, GRADIENTS[1], strict=True)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ps: optim.create("adm", ps), "unknown optimizer 'adm', did you mean 'adam'"),
        (lambda ps: optim.SGD(ps, -0.1), "SGD: learning_rate must not be negative, got -0.1"),
        (lambda ps: optim.SGD(ps, math.nan), "learning_rate must not be negative, got nan"),
        (lambda ps: optim.SGD(ps, momentum=1.0), "momentum must be at least 0 and below 1, not 1"),
        (lambda ps: optim.SGD(ps, nesterov=True), "nesterov needs a momentum above 0"),
        (lambda ps: optim.RMSprop(ps, rho=-0.1), "rho must be at least 0"),
        (lambda ps: optim.Adam(ps, beta2=1.0), "Adam: beta2 must be at least 0 and below 1"),
        (lambda ps: optim.Nadam(ps, beta1=2.0), "Nadam: beta1 must be at least 0 and below 1"),
        (lambda ps: optim.Adam(ps, convention="tf"), 'must be "keras" or "pytorch", not \'tf\''),
        (lambda ps: optim.Adam(ps, clip_norm=0), "clip_norm must be positive, not 0"),
        (lambda ps: optim.Adam(ps, clip_value=-1), "clip_value must be positive, not -1"),
        (lambda ps: optim.SGD(ps, math.inf), "SGD: learning_rate must be finite, got inf"),
        (lambda ps: optim.Adam(ps, epsilon=math.nan), "Adam: epsilon must not be negative, got n"),
        (lambda ps: optim.Nadam(ps, epsilon=-1e-7), "Nadam: epsilon must not be negative, got -1"),
        (lambda ps: optim.RMSprop(ps, epsilon=math.inf), "RMSprop: epsilon must be finite"),
        (lambda ps: optim.Adam(ps, weight_decay=-1), "weight_decay must not be negative, got -1"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(parameters())


def test_a_negative_rate_cannot_be_set_later():
    optimizer = optim.SGD(parameters(), 0.1)
    with pytest.raises(ValueError, match="learning_rate must not be negative, got -1"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.1


@pytest.mark.parametrize("name", optim.BY_NAME)
def test_every_number_is_checked(name):
    """Each option of each optimiser that is a number takes no other kind, and neither NaN."""
    defaults = {k: p.default for k, p in inspect.signature(optim.BY_NAME[name]).parameters.items()}
    numbers = [k for k, value in defaults.items() if type(value) is float]
    assert "learning_rate" in numbers
    for option in [*numbers, "clip_norm", "clip_value"]:
        for value in ("0.5", True, [0.5], 0.5j):
            with pytest.raises(TypeError, match=f"{option} must be a number, not"):
                optim.create(name, parameters(), **{option: value})
        for value in (math.nan, math.inf, -math.inf, -0.5):
            with pytest.raises(ValueError, match=f"{option} must "):
                optim.create(name, parameters(), **{option: value})


def test_whether_to_look_ahead_is_true_or_false():
    with pytest.raises(TypeError, match="SGD: nesterov must be True or False, not 'no'"):
        optim.SGD(parameters(), momentum=0.9, nesterov="no")
