"""What the figures of an adversarial run say, and what is measured for it."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import mannwhitneyu

from tests.training.toys import resumes_exactly
from tinygen import Random, Tensor, models, optim
from tinygen.data import centres
from tinygen.models.losses import separation
from tinygen.training import Monitor, Trainer, fit
from tinygen.training.experiment import Experiment
from tinygen.training.findings import findings, findings_of
from tinygen.training.monitor import nearest_distance, spacing
from tinygen.training.settings import settings
from tinygen.view.report import write_report

HEALTHY = {
    "valid_separation": 0.8,
    "real_score": 1.0,
    "fake_score": -1.0,
    "valid_real_score": 0.8,
    "valid_fake_score": -1.0,
    "discriminator_gradient": 1.0,
    "generator_gradient": 0.5,
    "seen_real_score": 0.9,
    "diversity": 0.95,
    "nearest_sample": 0.9,
    "nearest_real": 1.2,
    "modes": 8.0,
    "high_quality": 0.9,
    "classes_missing": 0.0,
}


def run(epochs: int = 6, since: int = 4, **changes) -> list[dict]:
    """The rows of a run in which some figures change from an epoch on."""
    return [
        {"epoch": e, "step": 100 * e, **HEALTHY, **(changes if e >= since else {})}
        for e in range(1, epochs + 1)
    ]


def names(rows, **known) -> list[str]:
    return [found.name for found in findings(rows, **{"modes": 8, "classes": 10, **known})]


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"valid_separation": 0.999}, "separation", "99.90% of pairs are in order"),
        ({"diversity": 0.1}, "collapse", "0.10 times as far apart as two reals"),
        ({"modes": 5.0}, "missing modes", "3 of 8 modes are missing"),
        ({"classes_missing": 7.0}, "missing classes", "7 of 10 classes are missing"),
        ({"generator_gradient": 99.0}, "divergence", "generator's gradient went from 0.5 to 99"),
        ({"discriminator_gradient": 99.0}, "divergence", "discriminator's gradient went from 1"),
        ({"fake_score": -500.0}, "divergence", "of the size of 500"),
        ({"nearest_sample": 0.1}, "collapse", "is 0.10 times as far as among reals"),
        ({"nearest_real": 3.0}, "low fidelity", "3.0 times as far from them as from another real"),
        ({"generator_gradient": 1e-5}, "vanishing gradient", "fell from 0.5 to 1e-05"),
        (
            {"seen_real_score": 5.0, "valid_real_score": 0.0},
            "memorisation",
            "5.00 in the mean, others",
        ),
    ],
)
def test_each_fault_is_named_with_its_figures_and_since_when(changes, name, said):
    (found,) = findings(run(**changes), modes=8, classes=10)
    assert found.name == name
    assert said in found.text
    assert (found.epoch, found.step) == (4, 400)
    assert found.advice
    if name != "missing modes":
        assert "since epoch 4 (step 400)" in found.text
    assert str(found).startswith(found.text)
    assert names(run(since=1, **changes))[:1] == [name] or "gradient" in next(iter(changes))


def test_nothing_is_said_of_a_healthy_run_or_without_figures():
    assert names(run()) == []
    assert names([]) == []
    assert names([{"epoch": 1, "step": 3, "loss": 2.0}]) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"valid_separation": 1.0},
        {"diversity": 0.2},
        {"modes": 2.0},
        {"nearest_sample": 0.1},
        {"nearest_real": 3.0},
        {"seen_real_score": 9.0},
        {"fake_score": -500.0},
    ],
)
def test_what_was_so_for_one_epoch_only_is_not_told(fault):
    assert names(run(since=6, **fault)) == []
    passed = [*run(4, since=2, **fault), *run(8)[4:]]
    assert names(passed) == []


def test_a_critic_has_to_separate():
    rows = run(valid_separation=1.0, real_score=900.0, fake_score=-900.0, valid_real_score=890.0)
    assert names(rows, loss="wasserstein") == []
    assert {*names(rows)} == {"divergence", "separation"}
    far = run(valid_separation=1.0, real_score=9000.0, fake_score=-900.0)
    assert names(far, loss="wasserstein") == ["divergence"]


def test_the_minimax_loss_passes_the_probability_of_fakes():
    for score in (-4.0, 0.0, 4.0):
        assert names(run(fake_score=score), loss="minimax") == []
    rows = run(fake_score=-7.0)
    assert names(rows) == []
    (found,) = findings(rows, loss="minimax")
    assert found.name == "vanishing gradient"
    assert f"-7.00 the minimax loss passes {1 / (1 + math.exp(7)):.2g} of it" in found.text


def test_pale_samples_that_gain_contrast_are_no_collapse():
    rows = run(8)
    for row in rows:
        row["diversity"] = 0.03 * row["epoch"]
    assert names(rows) == []
    for row in rows[3:]:
        row["diversity"] = 0.12
    assert names(rows) == ["collapse"]


def test_memorisation_is_of_means_over_epochs():
    rows = run(40)
    for row in rows:
        noise = 1.0 if row["epoch"] % 2 else -1.0
        row |= {"seen_real_score": 1.0, "valid_real_score": noise, "valid_fake_score": -noise}
    assert names(rows) == ["memorisation"]  # others and fakes score 0 in the mean
    for row in rows:
        row |= {"seen_real_score": 0.3, "valid_real_score": 0.0, "valid_fake_score": 0.0}
    assert names(rows) == []  # scores this near say nothing


def test_one_fault_is_told_once():
    rows = run(fake_score=-9.0, generator_gradient=1e-6)
    assert names(rows, loss="minimax") == ["vanishing gradient"]


def test_epochs_without_norms_of_gradients_do_not_hide_a_fault():
    rows = run(generator_gradient=1e-6)
    del rows[4]["generator_gradient"]
    (found,) = findings(rows)
    assert (found.name, found.epoch) == ("vanishing gradient", 4)


@pytest.mark.parametrize("ties", [False, True])
def test_separation_is_the_area_under_the_curve(ties):
    rng = np.random.default_rng(0)
    for n, m in ((1, 1), (7, 5), (40, 60)):
        real, fake = rng.standard_normal((n, 1)) + 1, rng.standard_normal((m, 1))
        if ties:
            real, fake = real.round(), fake.round()
        pairs = mannwhitneyu(real.ravel(), fake.ravel()).statistic
        assert separation(real, fake) == pytest.approx(pairs / (n * m))


def test_distances_are_those_of_all_pairs_and_of_nearest_neighbours():
    x, y = (Random(seed).uniform((9, 2, 3), dtype=np.float64) for seed in (0, 1))
    pairs = [[np.linalg.norm(a - b) for j, b in enumerate(x) if i != j] for i, a in enumerate(x)]
    assert spacing(x) == pytest.approx((np.mean(pairs), np.mean([min(row) for row in pairs])))
    assert spacing(np.ones((4, 3))) == (0, 0)
    across = [min(np.linalg.norm(a - b) for b in y[:5]) for a in x]
    assert nearest_distance(x, y[:5]) == pytest.approx(np.mean(across))


class Fixed:
    """A model whose samples are given."""

    training = False

    def __init__(self, made):
        self.made = made

    def eval(self):
        pass

    def train(self, mode):
        pass

    def sample(self, n, rng):
        return Tensor(self.made[:n])


def watched(made, real):
    trainer, row = SimpleNamespace(batch=0, model=Fixed(made), valid=[]), {}
    Monitor(real).on_epoch(trainer, row)
    return row


def test_what_the_monitor_tells_of_good_pale_repeated_and_noisy_samples():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 16))
    real, good = (rng.standard_normal((200, 5)) @ mixing for _ in range(2))
    row = watched(good, real)
    assert all(row[name] == pytest.approx(1, abs=0.15) for name in row)
    assert len(row) == 3
    pale = watched(0.1 * good, real)
    assert pale["diversity"] == pytest.approx(0.1 * row["diversity"])
    assert pale["nearest_sample"] == pytest.approx(row["nearest_sample"])
    twins = watched(np.repeat(good[:100], 2, axis=0), real)
    assert twins["nearest_sample"] == pytest.approx(0, abs=1e-6)
    assert twins["nearest_real"] == pytest.approx(1, abs=0.15)
    line = watched(rng.standard_normal((200, 1)) @ mixing[:1], real)
    assert line["nearest_sample"] < 0.1
    noise = watched(4 * rng.standard_normal((200, 16)), real)
    assert noise["nearest_real"] > 2
    assert watched(np.ones((200, 16)), real)["nearest_sample"] == 0


def test_the_norm_of_a_gradient():
    model = models.create("gan", image_shape=(4, 4), widths=[3], latents=2)
    optimizer = optim.SGD(model.generator)
    assert optimizer.gradient_norm().item() == 0
    model.generator(np.ones((2, 2), np.float32)).sum().backward()
    expected = math.sqrt(sum(float((p.grad.data**2).sum()) for p in model.generator.parameters()))
    assert optimizer.gradient_norm().item() == pytest.approx(expected, rel=1e-6)


def test_norms_of_gradients_are_reported_also_of_a_phase_that_is_rare():
    x = Random(0).uniform((24, 4, 4))
    model = models.create("gan", image_shape=(4, 4), widths=[3], latents=2, critic_steps=3)
    row = fit(model, x, epochs=1, batch_size=4, verbose=False)
    assert row["discriminator_gradient"][0] > 0
    assert row["generator_gradient"][0] > 0


@pytest.mark.parametrize("critic_steps", [1, 2])
def test_norms_of_gradients_are_reported_of_every_epoch_however_short(critic_steps):
    x = Random(0).uniform((12, 4, 4))
    model = models.create(
        "gan", image_shape=(4, 4), widths=[3], latents=2, critic_steps=critic_steps
    )
    row = fit(model, x, epochs=5, batch_size=4, verbose=False)
    assert len(row["generator_gradient"]) == len(row["discriminator_gradient"]) == 5


def test_a_monitored_run_goes_on_from_any_step_and_is_the_same_without():
    x = Random(0).uniform((40, 4, 4))

    def make(*callbacks, monitor=True):
        model = models.create("gan", image_shape=(4, 4), widths=[3], latents=2)
        options = model.recipe().training(epochs=2, batch_size=8)
        own = [Monitor(x, samples=10)] if monitor else []
        given = [*own, *callbacks]
        return Trainer(model, model.stages(options), [x], options, valid=[x], callbacks=given)

    resumes_exactly(make, steps=10, every=3)
    plain, watched = make(monitor=False), make()
    one, other = plain.train(), watched.train()
    figures = ("diversity", "nearest_sample", "nearest_real", "seen_real_score")
    for row, more in zip(one, other, strict=True):
        assert more == {**row, **{name: more[name] for name in figures}}
    for name, array in plain.model.state_dict().items():
        np.testing.assert_array_equal(array, watched.model.state_dict()[name])


def test_modes_of_a_mixture_are_counted(tmp_path):
    wanted = settings("gan", preset="ring", epochs=2, overrides={"count": 400, "widths": [4]})
    experiment = Experiment.build(wanted)
    rows = experiment.trainer(show=False).train()
    assert {"modes", "high_quality", "diversity"} <= rows[-1].keys()
    assert findings_of(experiment, rows)[-1].name == "missing modes"  # two epochs are few
    with pytest.raises(ValueError, match="at least 2 reals"):
        Monitor(experiment.samples[:1], centres=centres("ring"), sigma=0.01)


def test_the_page_and_the_shell_tell_what_was_found(tmp_path, capsys, monkeypatch):
    from tinygen.cli import main

    monkeypatch.chdir(tmp_path)
    call = "train gan --preset ring --epochs 2 --set count=400 --set widths=[4] --out run"
    assert main(call.split()) == 0
    assert "of 8 modes are missing" in capsys.readouterr().out
    assert "of 8 modes are missing" in (tmp_path / "run" / "log.txt").read_text()
    with Image.open(tmp_path / "run" / "progress.webp") as moving:
        assert moving.n_frames == 2  # the samples over their modes, after each epoch
    page = write_report(tmp_path / "run").read_text()
    assert "<h2>Findings</h2>" in page
    assert "<code>packing=2</code>" in page
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["generator_gradient"] > 0
