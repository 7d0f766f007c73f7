"""Which device can be used, and what is said where one cannot."""

import re
import sys
import types

import numpy as np
import pytest
from shim.cupy_standin import CUPY

import tinygen
from tests.cuda.conftest import forget
from tinygen import backend, nn, ops, optim
from tinygen.cli import main
from tinygen.data import Loader


@pytest.fixture(autouse=True)
def anew():
    forget()
    yield
    forget()


def without(part):
    """CuPy on a machine on which something is missing."""

    def fail(*args):
        raise RuntimeError(f"{part} is not here\nand more lines")

    runtime = types.SimpleNamespace(**vars(CUPY.cuda.runtime))
    nvrtc = types.SimpleNamespace(**vars(CUPY.cuda.nvrtc))
    if part == "the driver":
        runtime.getDeviceCount = fail
    if part == "a device":
        runtime.getDeviceCount = lambda: 0
    if part == "NVRTC":
        nvrtc.getVersion = fail
    cuda = types.SimpleNamespace(**{**vars(CUPY.cuda), "runtime": runtime, "nvrtc": nvrtc})
    return types.SimpleNamespace(**{**vars(CUPY), "cuda": cuda})


@pytest.mark.parametrize(
    ("cupy", "what"),
    [
        (None, r'CuPy is missing: pip install "tinygen\[cuda13\]"'),
        (without("the driver"), r"no NVIDIA driver.*\(the driver is not here"),
        (without("a device"), "the NVIDIA driver finds no device"),
        (without("NVRTC"), r'NVRTC.*pip install "cupy-cuda13x\[ctk\]" \(NVRTC is not here\)'),
    ],
    ids=["CuPy", "driver", "device", "NVRTC"],
)
def test_what_is_missing_is_said(monkeypatch, capsys, cupy, what):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert tinygen.info()["cuda"].startswith("not available: ")
    with pytest.raises(ValueError, match=f"device 'cuda' is not available: {what}"):
        nn.Dense(2, 3).to(device="cuda")
    with pytest.raises(ValueError, match="not available"):
        backend.empty((3,), np.float32, "cuda")
    assert main(["train", "stacked-ae", "--device", "cuda", "--dry-run"]) == 2
    assert "not available" in capsys.readouterr().err
    assert backend.foreign == []


def test_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise OSError('no place for a cache')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot be imported: no place for a cache" in tinygen.info()["cuda"]
    (tmp_path / "cupy.py").write_text("import numpi")
    forget()
    assert "cannot be imported: No module named 'numpi'" in tinygen.info()["cuda"]


def test_unknown_devices():
    for device in ("gpu", "cuda:0", ""):
        with pytest.raises(ValueError, match=f"unknown device '{device}'"):
            backend.to_device(np.zeros(2), device)


def test_a_card(card):
    info = tinygen.info()["cuda"]
    assert re.fullmatch(r"available: .+, CuPy \S+, NVRTC [\d.]+", info)
    x = np.arange(6.0).reshape(2, 3)
    there = backend.to_device(x, "cuda")
    assert (backend.device_of(there), backend.device_of(x)) == ("cuda", "cpu")
    assert backend.to_device(there, "cuda") is backend.to_device(there, None) is there
    assert backend.to_device(x, "cpu") is x
    np.testing.assert_array_equal(backend.to_numpy(there), x)
    assert backend.is_array(there)
    assert backend.as_array(there) is there
    assert backend.array_module(x, there) is card
    assert backend.array_module(x, 1.0) is np


def test_arrays_that_the_user_made(card):
    x = tinygen.tensor(card.arange(3.0), requires_grad=True)
    (x * x).sum().backward()
    assert x.device == x.grad.device == "cuda"
    assert repr(x.grad) == "Tensor([0., 2., 4.], dtype=float64)"
    assert [float(part) for part in x] == [0.0, 1.0, 2.0]
    assert float(x[1]) == 1.0
    for values in (x.numpy(), np.asarray(x.detach()), np.stack([x.detach()])[0]):
        np.testing.assert_array_equal(values, [0, 1, 2])
    for other in (1, np.float64(1), np.ones(3), tinygen.tensor(np.ones(3)), x * x):
        for mask in (x == other, other == x):
            assert mask.device == "cuda"
            np.testing.assert_array_equal(mask.numpy()[1:], [True, False])
    assert [value in x for value in (2.0, 5.0, None)] == [True, False, False]
    assert x.to("cpu").device == "cpu"
    with pytest.raises(ValueError, match="input 0 is on 'cuda'; gradients are checked on the CPU"):
        tinygen.gradcheck(tinygen.ops.sin, x)


def test_modules_are_born_on_the_cpu(card):
    rng = tinygen.Random(0, device="cuda")
    for made in (nn.Dense(3, 4, rng=rng), nn.LSTM(3, 4, rng=rng), nn.Embedding(3, 4, rng=rng)):
        assert made.device == "cpu"
    expected, found = tinygen.Random(1), tinygen.Random(1, device="cuda")
    for draw in ("uniform", "normal"):
        a, b = (getattr(r, draw)((3, 5)) for r in (expected, found))
        assert backend.device_of(b) == "cuda"
        np.testing.assert_allclose(backend.to_numpy(b), a, rtol=1e-6)
    np.testing.assert_array_equal(backend.to_numpy(found.bits(9)), expected.bits(9))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_come_to_the_card(card, prefetch):
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    loader = Loader(x, y, batch_size=2, device="cuda", prefetch=prefetch)
    batches = list(loader)
    assert {backend.device_of(array) for batch in batches for array in batch} == {"cuda"}
    for i, whole in enumerate((x, y)):
        np.testing.assert_array_equal(np.concatenate([b[i].get() for b in batches]), whole)


def test_an_optimiser_follows_its_parameters(card):
    """To the card and back, with its state; and so do averages of the weights."""
    x, places = np.ones((2, 3), np.float32), ("cpu", "cuda", "cuda", "cpu")
    nets = [nn.Dense(3, 2, rng=tinygen.Random(0)) for _ in range(2)]
    optimizers = [optim.Adam(net, 0.1) for net in nets]
    for place in places:
        nets[1].to(device=place)
        for net, optimizer in zip(nets, optimizers, strict=True):
            net.zero_grad()
            (net(x) ** 2).sum().backward()
            optimizer.step()
        assert nets[1].device == place
        np.testing.assert_allclose(nets[1].weight.numpy(), nets[0].weight.numpy(), rtol=1e-5)
    state = optimizers[0].state_dict()
    nets[1].to(device="cuda")
    optimizers[1].load_state_dict(state)
    for name, value in optimizers[1].state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    ema = optim.EMA(nets[1], decay=0.5)
    before = nets[1].bias.numpy()
    nets[1].bias.data[...] += 1.0
    ema.update()
    ema.load_state_dict(ema.state_dict())
    with ema.applied():
        np.testing.assert_allclose(nets[1].bias.numpy(), before + 0.5, rtol=1e-6)


def test_what_a_card_cannot_check_is_nan(card):
    """Nobody waits to look at labels or indices that are on a card already."""
    labels = backend.to_device(np.array([0, 3, -1, 2]), "cuda")
    logits = tinygen.tensor(np.zeros((4, 3)), requires_grad=True).to("cuda")
    losses = tinygen.ops.softmax_cross_entropy(logits, labels, reduction="none")
    np.testing.assert_array_equal(np.isnan(losses.numpy()), [False, True, True, False])
    table = tinygen.tensor(np.ones((3, 2))).to("cuda")
    rows = tinygen.ops.embedding(labels, table).numpy()
    np.testing.assert_array_equal(np.isnan(rows[:, 0]), [False, True, True, False])
    with pytest.raises(ValueError, match="labels must be from 0 to 2"):
        tinygen.ops.softmax_cross_entropy(logits, np.array([0, 3, -1, 2]))
    with pytest.raises(ValueError, match="indices must be from 0 to 2"):
        tinygen.ops.embedding(np.array([3]), table)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    ("loss", "prediction", "target"),
    [
        (ops.binary_cross_entropy, [[0.5, 3.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]]),
        (ops.binary_cross_entropy, [[0.5, 0.5], [0.5, 0.5]], [[255.0, 0.0], [1.0, 0.0]]),
        (ops.binary_cross_entropy_with_logits, [[3.0, 0.0], [0.0, 0.0]], [[-1.0, 0], [1, 0]]),
        (ops.kl_divergence, [[0.5, -2.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]]),
        (ops.kl_divergence, [[0.5, 0.5], [0.5, 0.5]], [[255.0, 0.0], [1.0, 0.0]]),
        (ops.softmax_cross_entropy, [[3.0, 0.0], [0.0, 0.0]], [[255.0, 0.0], [1.0, 0.0]]),
    ],
)
def test_what_is_no_probability_is_told_by_the_loss(card, loss, prediction, target, reduction):
    """It is not waited for on a card: its loss is NaN, where on the CPU an error names it."""
    p, t = (tinygen.tensor(np.float32(x)) for x in (prediction, target))
    with pytest.raises(ValueError, match="are no probabilities"):
        loss(p, t, reduction)
    losses = loss(p.to("cuda"), t.to("cuda"), reduction).numpy()
    assert np.isnan(losses).any()
    assert np.isfinite(losses[1:]).all() if reduction == "none" else True


def test_a_class_that_cannot_be(card):
    logits = tinygen.tensor(np.float32([[-np.inf, 0, 1]]), requires_grad=False).to("cuda")
    logits = tinygen.Tensor(logits.data, requires_grad=True)
    target = tinygen.tensor(np.float32([[0, 0, 1]])).to("cuda")
    loss = ops.softmax_cross_entropy(logits, target)
    assert loss.item() == pytest.approx(0.31326168751822286, rel=1e-6)
    (g,) = tinygen.grad(loss, logits)
    np.testing.assert_allclose(g.numpy(), [[0, 0.26894142, -0.26894142]], rtol=1e-6)
