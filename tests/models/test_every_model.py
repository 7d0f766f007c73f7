"""What holds for every autoencoder of the chapter; see tests/models/cases.py for the table."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygen
from tests.models.cases import ALPHABET, AUTOENCODERS, CASES, each, samples
from tests.training.toys import States, whole_state
from tinygen import Random, gradcheck, gradgradcheck, models, ops, tensor
from tinygen.training import Trainer, evaluate, fit


def test_every_model_has_a_case():
    assert {case.name for case in CASES} == {*AUTOENCODERS}
    assert len({str(case) for case in CASES}) == len(CASES)


@each()
def test_gradients_of_the_whole_loss(case):
    shape = case.tiny_shape
    model = case.create(shape, **case.tiny).to(dtype="float64")
    real = ~np.isnan(case.samples(3, shape))  # where there is something, in sequences
    x = tensor(Random(1).uniform((3, *shape), 0.1, 0.9, dtype=np.float64), requires_grad=True)

    def whole(x, *parameters):
        x = x if real.all() else ops.where(real, x, np.nan)
        return model.loss(x, rng=Random(0))  # the same noise every time

    inputs = [x, *model.parameters()]
    assert gradcheck(whole, inputs)
    assert gradgradcheck(whole, inputs)


@each()
def test_one_batch_can_be_learned_by_heart(case):
    x = case.batch()
    model = case.create(x.shape[1:], **case.by_heart)
    before = evaluate(model, x)
    fit(model, x, batch_size=8, verbose=False, **case.fit)
    after = evaluate(model, x)
    assert after["loss"] < case.least < before["loss"]
    for name in {"accuracy", "rounded_accuracy"} & after.keys():
        assert before[name] < 0.9 < 0.99 < after[name]
    assert (case.kind == "series") != any("accuracy" in name for name in after)


@pytest.mark.parametrize(("case", "shape"), [(c, s) for c in CASES for s in c.shapes], ids=str)
def test_samples_of_any_shape(case, shape):
    x = case.samples(6, shape)
    model = case.create(shape, **case.few)
    before = evaluate(model, x)
    fit(model, x, epochs=3, batch_size=4, optimizer="sgd", learning_rate=0.05, verbose=False)
    codings = model.encode(x)
    assert codings.shape == (6, case.few.get("codings", codings.shape[1]))
    assert model.decode(codings).shape == model.reconstruct(x).shape == x.shape
    np.testing.assert_array_equal(np.isnan(model.reconstruct(x).numpy()), np.isnan(x))
    assert evaluate(model, x)["loss"] < before["loss"]


@each()
def test_noise_comes_from_the_stream_that_is_given_and_from_nowhere_else(case):
    model, x = case.create(), case.samples(4)
    first, again, other = (model.loss(x, rng=Random(seed)).item() for seed in (0, 0, 1))
    assert first == again
    assert (first != other) == case.draws
    model.eval()  # in inference codings and reconstructions are one function of the sample
    for use in (model.encode, model.reconstruct):
        np.testing.assert_array_equal(use(x, rng=Random(0)).numpy(), use(x).numpy())


@each()
def test_a_run_that_goes_on_from_any_step_ends_as_if_it_had_not_stopped(case):
    def make(*callbacks):
        model = case.create()
        options = model.recipe().training(epochs=2, batch_size=8, seed=3)
        x, valid = case.samples(38), case.samples(11, seed=1)
        stages = model.stages(options)
        return Trainer(model, stages, [x], options, valid=[valid], callbacks=callbacks)

    states = States()
    whole = make(states)
    whole.train()
    assert len(states.taken) == whole.step == 10
    for arrays, meta in states.taken:
        again = make()
        again.load_state(arrays, json.loads(meta))
        again.train()
        assert whole_state(again) == whole_state(whole)


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
    x = case.samples(3)
    assert found.measures(x, rng=Random(1)) == model.eval().measures(x, rng=Random(1))


@pytest.mark.parametrize(
    ("name", "preset"), [(n, p) for n in AUTOENCODERS for p in models.find(n).recipes]
)
def test_every_preset_makes_a_model_and_trains_it(name, preset):
    recipe, shape = models.find(name).recipe(preset), (8, 8)
    kind = {".txt": "characters", "series": "series"}.get(recipe.data, "images")
    config = {"image_shape": shape}
    if kind != "images":
        config["kind"] = kind
    if kind == "characters":
        config["alphabet"] = ALPHABET[:8]
    model = models.create(name, preset=preset, **config)
    assert model.config == {**models.options(name), **recipe.config, **config}
    before = model.state_dict()
    history = fit(model, samples(kind, 8, shape), epochs=1, verbose=False)
    assert np.isfinite(history["loss"]).all()
    assert all((before[key] != after).any() for key, after in model.state_dict().items())


# What is refused


@each()
def test_samples_that_the_model_was_not_made_for(case):
    model, x = case.create(), case.samples(4)
    whole = np.where(np.isnan(x), 0, x * 255).astype(np.uint8)
    ways = (model.encode, model.reconstruct, lambda x: model.loss(x, rng=Random(0)))
    for use in (*ways, lambda x: evaluate(model, x)):
        with pytest.raises(TypeError, match=r"x holds integers \(uint8\); .* floats"):
            use(whole)
        for other in (x[:, 1:], x[:, :, 1:], x[..., None].repeat(3, axis=-1), x[0]):
            with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
                use(other)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"x holds integers \(uint8\)"):
        fit(model, whole, verbose=False)
    with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
        fit(model, x[:, 1:], verbose=False)
    with pytest.raises(ValueError, match=f"{case.name} was made for samples of shape"):
        fit(model, x, validation_data=x[:, :, 1:], verbose=False)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
