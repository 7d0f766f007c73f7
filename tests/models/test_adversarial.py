"""What holds for every adversarial network: losses, phases, batch norm, remedies, sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tinygen
from tests.training.toys import resumes_exactly
from tinygen import Random, gradcheck, gradgradcheck, hooks, models, nn
from tinygen.models import Phase
from tinygen.models.adversarial import Adversarial
from tinygen.training import Trainer, fit

LABELS = 3


@dataclass(frozen=True)
class Case:
    """An adversarial network, and what the tests below need to know of it.

    Attributes:
        name: for `models.create`.
        variant: what distinguishes this row from others of the model.
        config: the settings that make the variant.
        shape: of its samples.
        epsilon: the step of the differences that check gradients; distances have kinks.
    """

    name: str
    variant: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = (4, 3)
    epsilon: float = 1e-4

    def create(self, **settings: Any) -> Adversarial:
        """The model, small."""
        labels = {"classes": LABELS, "label_units": 2} if self.name == "cgan" else {}
        small = {"latents": 3, "widths": (4, 3)} if self.name == "gan" else {"latents": 3}
        if self.name in GROWING:
            small |= {"width": 2, "maps": 16}
        elif self.name != "gan":
            small |= {"widths": (2, 3), "kernel": 3}
        given = {**small, **labels, **self.config, **settings}
        model = models.create(self.name, image_shape=self.shape, **given)
        assert isinstance(model, Adversarial)
        return model

    def batch(self, n: int = 8, dtype: Any = np.float32, seed: int = 0) -> list[np.ndarray]:
        """Samples, and labels if the model takes them."""
        x = Random(seed).uniform((n, *self.shape), dtype=dtype)
        return [x, np.arange(n) % LABELS] if self.name == "cgan" else [x]

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


GROWING = ("progan", "stylegan")
SMOOTH = {"activation": "tanh", "discriminator_activation": "tanh"}  # without kinks
RGB = (4, 4, 2)
AUGMENTED = {"augment": "translation,color,cutout", "discriminator_norm": None}
STYLED = {"mapping_layers": 1, "styles": 2}
CASES = [
    Case("gan"),
    Case("gan", "points", {"output": "identity"}, (2,)),
    Case("gan", "relativistic", {"loss": "relativistic", "r1": 0.5, "r2": 0.5, "average": 0.9}),
    Case("gan", "minibatch", {"minibatch": "discrimination", "packing": 2}, epsilon=1e-6),
    Case("gan", "replay", {"replay": 5, "instance_noise": 0.2, "label_smoothing": 0.1}),
    Case("dcgan"),
    Case("dcgan", "paper", models.find("dcgan").recipe("paper").config, RGB),
    Case("dcgan", "packed", {"packing": 2, "minibatch": "stddev", "together": False}, RGB, 1e-5),
    Case("dcgan", "matching", {"feature_matching": 0.5, "loss": "least_squares"}),
    Case("dcgan", "augmented", {**AUGMENTED, "r1": 0.5, "penalty_every": 2}, (4, 4, 3)),
    Case("wgan", shape=RGB),
    Case("wgan-gp", config={"discriminator_norm": None, "critic_steps": 2}),
    Case("wgan-gp", "augmented", AUGMENTED, (4, 4)),
    Case("wgan-gp", "lazy", {"discriminator_norm": None, "penalty_every": 3, "critic_steps": 2}),
    Case("sngan", config={"generator_norm": "before"}, shape=RGB),
    Case("sngan", "residual", {"residual": True, "widths": (2,)}, (4, 2, 2)),
    Case("cgan"),
    Case("progan", shape=(4, 4, 2)),
    Case("progan", "r1", {"loss": "relativistic", "gradient_penalty": 0.0, "r1": "rule"}, (4, 4)),
    Case("stylegan", config=STYLED, shape=(8, 8, 2)),
    Case("stylegan", "modulation", {**STYLED, "style": "modulation", "network": "skip"}, (8, 8)),
    Case("cgan", "replay", {"replay": 5, "together": True}),
    Case("cgan", "projection", models.find("cgan").recipe("projection").config, RGB),
]
LONG = (
    "progan",
    "progan-r1",
    "stylegan",
    "stylegan-modulation",
    "sngan-residual",
    "cgan",
    "cgan-replay",
    "dcgan-paper",
    "dcgan-augmented",
    "wgan",
    "dcgan-matching",
)
each = pytest.mark.parametrize("case", CASES, ids=str)


def phases(model: Adversarial, batch_size: int = 8) -> dict[str, Phase]:
    """The phases of a step by name."""
    options = model.recipe().training(batch_size=batch_size)
    stage, *_ = model.stages(options)
    return {phase.name: phase for phase in stage.phases}


def loss_of(phase: Phase, batch: list[np.ndarray], seed: int = 0) -> tinygen.Tensor:
    found = phase.loss(*batch, rng=Random(seed))
    return found[0] if isinstance(found, tuple) else found


def test_every_adversarial_network_has_a_case():
    known = {n for n in models.names() if issubclass(models.find(n), Adversarial)}
    assert {case.name for case in CASES} == known
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if str(c) in LONG else [], id=str(c)) for c in CASES],
)
def test_gradients_of_the_whole_losses(case):
    smooth = {**SMOOTH} if case.name == "gan" else {**SMOOTH, "dropout": 0.0}
    if case.name in GROWING:
        smooth = {"activation": "tanh"}
    model = case.create(**smooth, clip=None).to(dtype="float64")
    batch = case.batch(4, np.float64)
    for i, p in enumerate(model.parameters()):  # biases of 0 leave an early penalty flat
        p.data[...] += 0.1 * Random(i).normal(p.shape, dtype=np.float64)
    for phase in list(phases(model).values()) * 15:
        loss_of(phase, batch)  # a layer may choose its scale, or look for singular vectors
    for m in model.modules():
        if isinstance(m, nn.SpectralNorm):  # whose vectors are constants
            m.training = False
    if model.switches.clip is not None:  # which changes parameters: they are inside
        for p in model.discriminator.parameters():
            p.data[...] *= 0.9 * model.switches.clip / abs(p.data).max()
    buffers = {name: b.data.copy() for name, b in model.named_buffers()}
    for phase in phases(model).values():

        def whole(*parameters, phase=phase):
            for name, b in model.named_buffers():
                b.data[...] = buffers[name]
            return loss_of(phase, batch)

        parameters = phase.module.parameters()
        assert gradcheck(whole, parameters, epsilon=case.epsilon, rtol=1e-5)
        assert gradgradcheck(whole, parameters, epsilon=case.epsilon, rtol=1e-5)


@each
def test_a_run_that_goes_on_from_any_step_ends_as_if_it_had_not_stopped(case):
    def make(*callbacks):
        model = case.create()
        options = model.recipe().training(epochs=2, batch_size=8, seed=3)
        data, valid = case.batch(34), case.batch(11, seed=1)
        stages = model.stages(options)
        return Trainer(model, stages, data, options, valid=valid, callbacks=callbacks)

    resumes_exactly(make, steps=8, every=3)  # what does not fill a batch is left out


@each
def test_a_phase_changes_its_network_alone(case):
    """Of the other, batch norm's running moments may move, as the model's switches say."""
    model = case.create(critic_steps=1)
    batch, before = case.batch(), model.state_dict()
    switches = model.switches
    for name, phase in phases(model).items():
        loss_of(phase, batch).backward()
        other = "discriminator" if name == "generator" else "generator"
        moved = {
            key
            for key, array in model.state_dict().items()
            if (array != before[key]).any() and key.startswith(other)
        }
        statistics = getattr(switches, f"{other}_statistics")
        allowed = {"u", "v"} | (
            {"running_mean", "running_variance"} if statistics == "batch" else set()
        )
        assert {key.rpartition(".")[2] for key in moved} <= allowed
        norms = [m for m in getattr(model, other).modules() if isinstance(m, nn.BatchNorm)]
        assert any("running_" in key for key in moved) == (statistics == "batch" and bool(norms))
        before = model.state_dict()


@each
def test_the_frozen_network_costs_no_gradients_of_weights(case):
    """A hook counts: in the generator's phase one for each kernel of its own, and no other."""
    model = case.create(critic_steps=1)
    batch = case.batch()
    for name, phase in phases(model).items():
        model.freeze()
        phase.module.unfreeze()
        for p in model.parameters():
            p.grad = None
        with hooks.Timer() as timer:
            loss_of(phase, batch).backward()
        own = {id(p) for p in phase.module.parameters()}
        learned = [p for p in model.parameters() if p.grad is not None]
        assert learned
        assert {id(p) for p in learned} <= own
        kernels = sum(p.ndim == 4 for p in learned)
        counted = timer.calls["conv2d_weight_grad", "forward"]
        if name == "generator":
            assert counted == kernels
        else:  # of reals and fakes, and those of a penalty
            assert kernels <= counted <= 6 * kernels


@pytest.mark.parametrize(
    ("name", "preset"),
    [(c, p) for c in sorted({c.name for c in CASES}) for p in models.find(c).recipes],
)
def test_every_preset_makes_a_model_and_trains_it(name, preset):
    recipe = models.find(name).recipe(preset)
    shape = {"ring": (2,), "grid": (2,), "stacked-digits": (8, 8, 3)}.get(recipe.data, (8, 8))
    short = {"phase_images": 8, "batch_sizes": (), "width": 4} if name in GROWING else {}
    model = models.create(name, preset=preset, image_shape=shape, **short)
    x, y = Random(0).uniform((12, *shape)), np.arange(12) % 10 if model.classes else None
    before = model.state_dict()
    options = recipe.training(batch_size=4, epochs=2)
    data = [x] if y is None else [x, y]
    trainer = Trainer(model, model.stages(options), data, options)
    rows = trainer.train()
    for name in ("discriminator_loss", "generator_loss"):
        assert np.isfinite(rows[-1][name])
    after = model.state_dict()
    for key in ("generator.body", "discriminator.body"):
        assert any((before[k] != after[k]).any() for k in before if k.startswith(key))


@each
def test_samples(case):
    model = case.create()
    rng = Random(5)
    before = model.state_dict()
    made = model.sample(7, rng=Random(5)).numpy()
    assert made.shape == (7, *case.shape)
    assert np.isfinite(made).all()
    if model.signed:
        assert made.min() >= 0
        assert made.max() <= 1
    np.testing.assert_array_equal(made, model.sample(7, rng=rng).numpy())
    assert (made != model.sample(7, rng=rng).numpy()).any()
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    if model.classes:
        one = model.sample(4, rng=Random(5), label=2).numpy()
        np.testing.assert_array_equal(
            one, model.sample(4, rng=Random(5), label=[2, 2, 2, 2]).numpy()
        )
        assert (one != model.sample(4, rng=Random(5), label=1).numpy()).any()
        for wrong, message in (
            (3, "labels go from 0 to 2; 3 is none"),
            (-1, "-1 is none"),
            ([0, 1], "one number, or 4 of them"),
            (0.5, "labels are whole numbers from 0 to 2"),
        ):
            with pytest.raises(ValueError, match=message):
                model.sample(4, rng=rng, label=wrong)
    else:
        with pytest.raises(ValueError, match="trained without labels"):
            model.sample(4, rng=rng, label=0)
    with pytest.raises(ValueError, match=r"latents are arrays \(n, 3\)"):
        model.generate(np.zeros((2, 4), np.float32))


@each
def test_data_that_does_not_fill_a_batch(case):
    """Batches that are not full are left out, so nothing at all would be learned."""
    model = case.create()
    message = rf"{case.name}: 6 samples to fit do not fill one batch of 8 in stage 'train.*'.*; set"
    with pytest.raises(ValueError, match=f"{message} batch_size to 6 or less, or give more data$"):
        fit(model, *case.batch(6), batch_size=8, verbose=False)
    fit(case.create(), *case.batch(8), epochs=1, batch_size=8, verbose=False)


@pytest.mark.parametrize(
    ("packing", "good", "poor"),
    [(1, (2, 3, 4, 6, 9, 10, 16), (1, 5, 7, 25)), (2, (4, 6, 8, 12), (2, 10, 14))],
)
def test_batches_without_groups_to_compare(packing, good, poor):
    model = models.create("dcgan", image_shape=(8, 8), packing=packing, minibatch="stddev")
    for size in good:
        model.stages(model.recipe().training(batch_size=size))
    for size in poor:
        with pytest.raises(ValueError, match=rf"dcgan: batch_size .* 'stddev' .*, not {size}$"):
            model.stages(model.recipe().training(batch_size=size))


@each
def test_training_reports_both_sides(case):
    model = case.create()
    data, valid = case.batch(16), case.batch(9, seed=1)
    held_out = tuple(valid) if len(valid) > 1 else valid[0]
    history = fit(model, *data, epochs=1, batch_size=8, validation_data=held_out, verbose=False)
    for name in ("discriminator_loss", "real_score", "fake_score", "valid_discriminator_loss"):
        assert np.isfinite(history[name]).all(), name
    assert ("penalty" in history) == (
        model.switches.penalises and model.switches.penalty_every == 1
    )
