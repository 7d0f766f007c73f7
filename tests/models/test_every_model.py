"""What holds for every model with one network; see tests/models/cases.py for the table."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen
from tests.models.cases import ALONE, ALPHABET, CASES, each, samples
from tests.training.toys import resumes_exactly
from tinygen import Random, gradcheck, gradgradcheck, models, ops, tensor
from tinygen.training import Trainer, evaluate, fit


def test_every_model_has_a_case():
    assert {case.name for case in CASES} == {*ALONE}
    assert len({str(case) for case in CASES}) == len(CASES)


@each()
def test_gradients_of_the_whole_loss(case):
    shape = case.tiny_shape
    model = case.create(shape, **case.tiny).to(dtype="float64")
    real = ~np.isnan(case.samples(3, shape))  # where there is something, in sequences
    x = tensor(Random(1).uniform((3, *shape), 0.1, 0.9, dtype=np.float64), requires_grad=True)

    def whole(x, *parameters):
        x = x if real.all() else ops.where(real, x, np.nan)
        return model.loss(x, *case.targets(3), rng=Random(0))  # the same noise every time

    inputs = [x, *model.parameters()]
    assert gradcheck(whole, inputs)
    assert gradgradcheck(whole, inputs)


@each()
def test_one_batch_can_be_learned_by_heart(case):
    x, targets = case.batch(), case.targets(8)
    model = case.create(x.shape[1:], **case.by_heart)
    before = evaluate(model, x, *targets)
    fit(model, x, *targets, batch_size=8, verbose=False, **case.fit)
    after = evaluate(model, x, *targets)
    assert after["loss"] < case.least < before["loss"]
    for name in {"accuracy", "rounded_accuracy"} & after.keys():
        assert before[name] < 0.9 < 0.99 < after[name]
    assert (case.kind == "series") != any("accuracy" in name for name in after)


@pytest.mark.parametrize(("case", "shape"), [(c, s) for c in CASES for s in c.shapes], ids=str)
def test_samples_of_any_shape(case, shape):
    arrays = x, *_ = case.arrays(6, shape)
    model = case.create(shape, **case.few)
    before = evaluate(model, *arrays)
    fit(model, *arrays, epochs=3, batch_size=4, optimizer="sgd", learning_rate=0.05, verbose=False)
    assert evaluate(model, *arrays)["loss"] < before["loss"]
    if not case.has_codings:
        assert model.features(x).shape == (6, case.few["features"])
        return
    codings = model.encode(x)
    assert codings.shape == (6, case.few.get("codings", codings.shape[1]))
    assert model.decode(codings).shape == model.reconstruct(x).shape == x.shape
    np.testing.assert_array_equal(np.isnan(model.reconstruct(x).numpy()), np.isnan(x))


@each()
def test_noise_comes_from_the_stream_that_is_given_and_from_nowhere_else(case):
    model, (x, *targets) = case.create(), case.arrays(4)
    losses = [model.loss(x, *targets, rng=Random(seed)).item() for seed in (0, 0, 1)]
    first, again, other = losses
    assert first == again
    assert (first != other) == case.draws
    model.eval()  # in inference codings and reconstructions are one function of the sample
    for use in (model.encode, model.reconstruct) if case.has_codings else (model.features, model):
        np.testing.assert_array_equal(use(x, rng=Random(0)).numpy(), use(x).numpy())


@each()
def test_a_run_that_goes_on_from_any_step_ends_as_if_it_had_not_stopped(case):
    def make(*callbacks):
        model = case.create()
        options = model.recipe().training(epochs=2, batch_size=8, seed=3)
        arrays, valid = case.arrays(38), case.arrays(11, seed=1)
        stages = model.stages(options)
        return Trainer(model, stages, arrays, options, valid=valid, callbacks=callbacks)

    resumes_exactly(make, steps=10)


@each()
def test_saved_models_come_back(case, tmp_path):
    model = case.create(seed=3)
    model.parameters()[0].data[0, 0] = 3.0  # not what the seed gives
    path = tmp_path / "a model.safetensors"
    model.save(path)
    found = tinygen.load(path)
    assert (found.name, found.config, found.training) == (model.name, model.config, False)
    mine, yours = model.state_dict(), found.state_dict()
    assert list(mine) == list(yours)
    for name in mine:
        np.testing.assert_array_equal(mine[name], yours[name], err_msg=name)
    arrays = case.arrays(3)
    assert found.measures(*arrays, rng=Random(1)) == model.eval().measures(*arrays, rng=Random(1))


@pytest.mark.parametrize(
    ("name", "preset"), [(n, p) for n in ALONE for p in models.find(n).recipes]
)
def test_every_preset_makes_a_model_and_trains_it(name, preset):
    recipe, shape = models.find(name).recipe(preset), (8, 8)
    kind = {".txt": "characters", "series": "series"}.get(recipe.data, "images")
    config = {"image_shape": shape}
    if kind != "images":
        config["kind"] = kind
    if kind == "characters":
        config["alphabet"] = ALPHABET[:8]
    case = next(case for case in CASES if case.name == name)
    if case.classes:
        config["classes"] = case.classes
    model = models.create(name, preset=preset, **config)
    assert model.config == {**models.options(name), **recipe.config, **config}
    before = model.state_dict()
    history = fit(model, samples(kind, 8, shape), *case.targets(8), epochs=1, verbose=False)
    assert np.isfinite(history["loss"]).all()
    assert all((before[key] != after).any() for key, after in model.state_dict().items())


# What is refused


@each()
def test_samples_that_the_model_was_not_made_for(case):
    model, (x, *targets) = case.create(), case.arrays(4)
    whole = np.where(np.isnan(x), 0, x * 255).astype(np.uint8)
    uses = [model.encode, model.reconstruct] if case.has_codings else [model.features, model]
    for figure in (model.loss, model.measures):
        uses.append(lambda x, figure=figure: figure(x, *targets, rng=Random(0)))
    for use in uses:
        with pytest.raises(TypeError, match=r"x holds integers \(uint8\); .* floats"):
            use(whole)
        for other in (x[:, 1:], x[:, :, 1:], x[..., None].repeat(3, axis=-1), x[0]):
            with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
                use(other)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"x holds integers \(uint8\)"):
        fit(model, whole, *targets, verbose=False)
    with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
        fit(model, x[:, 1:], *targets, verbose=False)
    wrong = (x[:, :, 1:], *targets) if targets else x[:, :, 1:]
    with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
        fit(model, x, *targets, validation_data=wrong, verbose=False)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
