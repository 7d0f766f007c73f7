"""Every model of the chapter on a card: one training step and whole runs, as on the CPU."""

import copy
import json
import sys
import tomllib

import numpy as np
import pytest

from tests.models.cases import ALONE, CASES, each
from tests.training.toys import States, whole_state
from tinygen import Random, backend, optim
from tinygen.backend import to_device
from tinygen.cli import main
from tinygen.training import Trainer, evaluate, fit, load

from .conftest import forget
from .equipment import distance

pytestmark = pytest.mark.usefixtures("card")
NEAR = 1e-4
SMALL = {"sparse-l1-ae": {"codings": 30}, "sparse-kl-ae": {"codings": 30}}
BY_NAME = [next(c for c in CASES if c.name == name) for name in ALONE]


def pair(case):
    """The model of a case on the CPU, and the same on the card."""
    small = {} if "widths" in case.config or case.name == "linear-ae" else {"widths": (9,)}
    model = case.create(**{**small, **SMALL.get(case.name, {})})
    return model, copy.deepcopy(model).to(device="cuda")


def gradients(model, arrays, rng):
    """The loss, and the gradients of all parameters."""
    model.zero_grad()
    loss = model.loss(*arrays, rng=rng)
    loss.backward()
    assert {loss.device, *(p.grad.device for p in model.parameters())} == {model.device}
    return [loss.numpy(), *(p.grad.numpy() for p in model.parameters())]


@each()
def test_a_training_step(case):
    model, on_card = pair(case)
    arrays = case.arrays(5)
    expected = gradients(model, arrays, Random(3))
    there = [to_device(array, "cuda") for array in arrays]
    found = gradients(on_card, there, Random(3, device="cuda"))
    for a, b in zip(found, expected, strict=True):
        assert distance(a, b) < NEAR
    for p, g in zip(on_card.parameters(), expected[1:], strict=True):
        p.grad.data[...] = to_device(g, "cuda")  # a rule may divide by gradients that are almost 0
    for name in optim.BY_NAME:
        for each_model in (model, on_card):
            optim.create(name, each_model, clip_norm=1.0).step()
        for p, q in zip(model.parameters(), on_card.parameters(), strict=True):
            assert q.device == "cuda"
            assert distance(q.numpy(), p.numpy()) < NEAR


@each()
def test_figures_and_uses(case):
    """Arrays of the CPU may be given to a model that is on the card."""
    model, on_card = pair(case)
    arrays = x, *_ = case.arrays(5)
    expected, found = evaluate(model, *arrays), evaluate(on_card, *arrays)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert abs(found[name] - value) < 1e-4 * max(abs(value), 1)
    model.eval()
    on_card.eval()
    uses = ("encode", "reconstruct") if case.has_codings else ("features", "forward")
    for a, b in ((getattr(on_card, use)(x), getattr(model, use)(x)) for use in uses):
        assert a.device == "cuda"
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4)
    for name, array in on_card.state_dict().items():
        assert type(array) is np.ndarray
        np.testing.assert_array_equal(array, model.state_dict()[name])


@each(*BY_NAME)
def test_a_run_is_that_of_the_cpu_and_goes_on_from_any_step(case):
    def make(model, *callbacks):
        arrays, valid = case.arrays(11), case.arrays(5, seed=1)
        options = model.recipe().training(epochs=2, batch_size=4, seed=3, device=model.device)
        stages = model.stages(options)
        return Trainer(model, stages, arrays, options, valid=valid, callbacks=callbacks)

    model, on_card = pair(case)
    again = copy.deepcopy(on_card)
    states = States()
    whole = make(on_card, states)
    rows, expected = whole.train(), make(model).train()
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        assert abs(row["loss"] - other["loss"]) < 1e-3 * abs(other["loss"])
    for p, q in zip(model.parameters(), on_card.parameters(), strict=True):
        assert distance(q.numpy(), p.numpy()) < 100 * NEAR
    arrays, meta = states.taken[3]
    resumed = make(again)
    resumed.load_state(arrays, json.loads(meta))
    resumed.train()
    assert again.device == "cuda"
    assert whole_state(resumed) == whole_state(whole)


def test_fit_and_files(tmp_path):
    """A model that learned on a card is saved as any other, and comes back on the CPU."""
    case = BY_NAME[0]
    model, on_card = pair(case)
    x = case.samples(8)
    fit(on_card, x, epochs=2, verbose=False, validation_data=x)
    on_card.save(tmp_path / "model.safetensors")
    found = load(tmp_path / "model.safetensors")
    assert (on_card.device, found.device) == ("cuda", "cpu")
    for a, b in zip(found.parameters(), on_card.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    found.to(device="cuda").to(device="cpu")
    np.testing.assert_array_equal(
        found.encode(x).numpy(), load(tmp_path / "model.safetensors").encode(x).numpy()
    )
    on_card.load_state_dict(model.state_dict())
    assert on_card.device == "cuda"


def test_from_the_shell(tmp_path, monkeypatch, capsys):
    """Trained on a card, resumed there, and looked at without one."""
    monkeypatch.chdir(tmp_path)
    x = Random(0).integers(0, 255, (60, 6, 6)).astype(np.uint8)
    np.savez("images.npz", images=x, labels=np.arange(60) % 3)
    call = "train denoising-ae --data images.npz --set size=6 --set channels=1 --device cuda "
    call += "--precision 3xtf32 --quick --set codings=4 --set noise=dropout --out "
    assert main([*call.split(), "run"]) == 0
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())["training"]
    assert (config["device"], config["precision"], config["capture"]) == ("cuda", "3xtf32", True)
    assert main([*call.split(), "other", "--epochs", "1"]) == 0
    assert main(["resume", "other", "--epochs", "2"]) == 0
    for name in ("metrics.jsonl", "model.safetensors"):
        first, second = ((tmp_path / run / name).read_bytes() for run in ("run", "other"))
        assert first == second
    assert backend.foreign
    forget()
    monkeypatch.setitem(sys.modules, "cupy", None)
    for command in ("evaluate run", "report run", "interpolate run"):
        assert main(command.split()) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert main(["resume", "run", "--epochs", "3"]) != 0
    assert "CuPy is missing" in capsys.readouterr().err
