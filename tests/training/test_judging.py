"""Feature networks and the judging of samples by them."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest

from tinygen import Random, data, metrics, models
from tinygen.data import Dataset
from tinygen.metrics import Judgement, Score, frechet_distance
from tinygen.models.classifier import Classifier
from tinygen.models.regressor import Regressor
from tinygen.training import Interrupted, extractors
from tinygen.training import feature_network as networks
from tinygen.training.judging import judge, lines, report, tables


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Three classes of 8 x 8 images: bright in the left, in the right, or nowhere."""
    rng = Random(0)
    labels = np.arange(300) % 3
    images = (rng.uniform((300, 8, 8, 1)) * 90).astype(np.uint8)
    images[labels == 0, :, :4] += 150
    images[labels == 1, :, 4:] += 150
    splits = {"train": slice(0, 200), "valid": slice(200, 230), "test": slice(230, 300)}
    return Dataset("halves", images, labels, class_names=("left", "right", "no"), splits=splits)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, and a recipe that takes no time."""
    monkeypatch.setenv("TINYGEN_CACHE_DIR", str(tmp_path))
    short = dataclasses.replace(Classifier.recipe(), epochs=3, batch_size=20)
    monkeypatch.setattr(Classifier, "recipes", {"text": short})
    return tmp_path


@pytest.fixture(scope="module")
def network(dataset) -> networks.FeatureNetwork:
    model = models.create("classifier", image_shape=(8, 8), classes=3, seed=1)
    return networks.of_model(model, "toy", dataset.class_names)


def test_a_feature_network_is_trained_once(cache, dataset, monkeypatch):
    told: list[str] = []
    first = networks.feature_network(dataset, say=told.append)
    assert "training a classifier of halves" in told[0]
    assert "accuracy" in told[1]
    x = dataset.test.floats()
    assert first.classes == ("left", "right", "no")
    assert first.features(x).shape == (70, 128)
    assert first.features(x).dtype == np.float64
    right = first.probabilities(x).argmax(axis=1) == dataset.test.labels
    assert right.mean() > 0.9
    monkeypatch.setattr(networks, "fit", None)  # it is not trained again
    again = networks.feature_network(dataset, say=told.append)
    assert (again.hash, len(told)) == (first.hash, 2)
    np.testing.assert_array_equal(again.features(x), first.features(x))


def test_other_data_and_other_recipes_make_other_networks(cache, dataset, monkeypatch):
    told: list[str] = []
    first = networks.feature_network(dataset, say=told.append)
    images = dataset.images.copy()
    images[0, 0, 0] ^= 1
    changed = dataclasses.replace(dataset, images=images)
    assert networks.feature_network(changed, say=told.append).hash != first.hash
    longer = dataclasses.replace(Classifier.recipe(), epochs=4)
    monkeypatch.setattr(Classifier, "recipes", {"text": longer})
    assert networks.feature_network(dataset, say=told.append).hash != first.hash
    assert len(told) == 6


def test_the_hash_is_that_of_the_weights(dataset):
    """Where a machine rounds otherwise, its network is another one."""
    model = models.create("classifier", image_shape=(8, 8), classes=3, seed=1)
    first = networks.of_model(model, "one", dataset.class_names)
    assert networks.of_model(model, "other name", dataset.class_names).hash == first.hash
    weight = model.head.weight.data
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    assert networks.of_model(model, "one", dataset.class_names).hash != first.hash
    with pytest.raises(TypeError, match="of a classifier or a regressor, not of stacked-ae"):
        networks.of_model(models.create("stacked-ae"), "wrong")


def test_data_with_factors_is_judged_by_a_regressor_of_them(cache, monkeypatch):
    short = dataclasses.replace(Regressor.recipe(), epochs=1)
    monkeypatch.setattr(Regressor, "recipes", {"text": short})
    told: list[str] = []
    faces = data.load("faces", count=100, size=8)
    network = networks.feature_network(faces, say=told.append)
    assert "training a regressor of faces" in told[0]
    assert "R2" in told[1]
    x = faces.floats()
    found = report(x[:40], x[40:70], x[70:], network)
    assert found.histogram is None
    assert found.floor < found.ceiling
    assert {"frechet_distance", "recall"} <= found.samples.scores.keys()
    assert "classifier_score" not in found.samples.scores
    with pytest.raises(ValueError, match="classifier_score needs a feature network with classes"):
        judge(x[:40], x[40:], network, names=["classifier_score"])


def test_a_process_waits_while_another_one_trains_the_network(cache, dataset):
    """The second finds what the first has made, and does not train it again."""
    told: list[str] = []
    folder = cache / "tinygen" / "features" / "halves"
    folder.mkdir(parents=True)

    def second():
        with networks._alone_in(folder, told.append):
            done.append((folder / "made").exists())

    done: list[bool] = []
    with networks._alone_in(folder, told.append):
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        (folder / "made").touch()
        assert not done
    thread.join()
    assert done == [True]
    assert [line.partition(": ")[2] for line in told] == [
        "another process is training this network; waiting for it"
    ]


def test_a_damaged_network_is_trained_anew(cache, dataset):
    told: list[str] = []
    first = networks.feature_network(dataset, say=told.append)
    (path,) = cache.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    again = networks.feature_network(dataset, say=told.append)
    assert any("it is trained anew" in line for line in told)
    x = dataset.test.floats()
    np.testing.assert_array_equal(again.features(x), first.features(x))


def test_a_network_whose_training_is_interrupted_is_not_kept(cache, dataset, monkeypatch):
    def stopped(*args, **kwargs):
        raise Interrupted(2, "stopped in epoch 3 of 14")

    with monkeypatch.context() as patch:
        patch.setattr(networks, "fit", stopped)
        with pytest.raises(Interrupted, match="classifier of halves to judge by was trained"):
            networks.feature_network(dataset, say=lambda line: None)
    assert not [*cache.rglob("*.safetensors")]
    assert networks.feature_network(dataset, say=lambda line: None).classes  # the lock is free


@pytest.mark.parametrize(
    ("name", "config"),
    [("classifier", {"classes": 3, "seed": 1}), ("classifier", {"classes": 4}), ("linear-ae", {})],
)
def test_a_model_that_does_not_fit_is_replaced(cache, dataset, name, config):
    told: list[str] = []
    first = networks.feature_network(dataset, say=told.append)
    (path,) = cache.rglob("*.safetensors")
    shape = (3,) if name == "linear-ae" else (8, 8)
    models.create(name, image_shape=shape, **config).save(path)
    again = networks.feature_network(dataset, say=told.append)
    assert told[2] == f"{path}: a {name} with other settings than asked for; it is trained anew"
    assert again.hash == first.hash
    assert networks.feature_network(dataset, say=told.append).hash == first.hash
    assert len(told) == 5


def test_a_report_works_out_once_what_reals_need(network, dataset, monkeypatch):
    seen, radii = [], []
    real_radii = metrics.real_radii

    def extract(images):
        seen.append(len(images))
        return network.extract(images)

    def counted(features, k):
        radii.append(k)
        return real_radii(features, k)

    monkeypatch.setattr(metrics, "real_radii", counted)
    x = dataset.floats()
    found = report(x[:60], x[60:110], x[110:150], dataclasses.replace(network, extract=extract))
    assert sorted(seen) == [40, 40, 40, 50]  # samples, floor, ceiling; reals
    assert sorted(radii) == [3, 5]
    plain = metrics.precision_recall(*(network.features(part) for part in (x[60:110], x[:40])))
    assert found.samples.scores["recall"] == plain.recall


def test_images_that_a_network_was_not_made_for(network, dataset):
    x = dataset.test.floats()
    for wrong, message in (
        (x[:, 1:], r"images of \(8, 8\), not \(7, 8\)"),
        (x * 255, r"floats in \[0, 1\], not float32"),
        ((x * 255).astype(np.uint8), r"floats in \[0, 1\], not uint8"),
        (x[:0], "there are no images"),
    ):
        with pytest.raises(ValueError, match=message):
            network(wrong)
    with pytest.raises(ValueError, match="has no labels"):
        networks.feature_network(dataclasses.replace(dataset, labels=None))


def test_an_extractor_of_ones_own(dataset):
    x = dataset.test.floats()
    own = extractors.of_function(lambda x: x.reshape(len(x), -1)[:, ::7], "every seventh", "1")
    np.testing.assert_array_equal(own.features(x), x.reshape(70, -1)[:, ::7].astype(np.float64))
    other = extractors.of_function(lambda x: x.reshape(len(x), -1)[:, ::7], "every seventh", "2")
    assert own.hash != other.hash
    with pytest.raises(ValueError, match="every seventh has no classes"):
        own.probabilities(x)
    flat = extractors.of_function(lambda x: x[0], "wrong")
    with pytest.raises(ValueError, match=r"made an array \(8, 8\), not \(70, features\)"):
        flat(x)


def test_an_onnx_file_gives_features(tmp_path, dataset):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    x = dataset.test.floats()
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])],
        "flat",
        [helper.make_tensor_value_info("x", kind, ["n", 8, 8, 1])],
        [helper.make_tensor_value_info("y", kind, ["n", 64])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "flat.onnx"
    path.write_bytes(model.SerializeToString())
    found = extractors.of_onnx(path)
    np.testing.assert_array_equal(found.features(x), x.reshape(70, 64).astype(np.float64))
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"flat\.onnx is no ONNX model"):
        extractors.of_onnx(path)


def test_reals_are_better_than_noise(network, dataset):
    x = dataset.floats()
    found = report(x[100:170], x[:70], x[170:270], network, seed=3)
    assert found.samples < found.ceiling
    assert found.floor < found.ceiling
    assert found.histogram.sum() == 70
    assert found.expected > 0
    scores = found.samples.scores
    features = [network.features(part) for part in (x[:70], x[100:170])]
    assert float(scores["frechet_distance"]) == float(frechet_distance(*features))
    again = report(x[100:170], x[:70], x[170:270], network, seed=3)
    assert again.samples == found.samples
    shown = "\n".join(lines(found))
    for part in (
        "samples",
        "floor",
        "ceiling",
        "70 samples against 70 reals, seed 3",
        network.hash,
    ):
        assert part in shown
    stored = tables(found)
    assert stored["samples"]["scores"]["precision"]["value"] == float(scores["precision"])


def test_without_a_network_images_are_compared(dataset):
    x = np.kron(dataset.floats(), np.ones((1, 2, 2), np.float32))
    found = judge(x[:50], x[50:100], None)
    assert list(found.scores) == [
        "sliced_wasserstein", "sliced_wasserstein_reals", "ms_ssim_diversity",
    ]  # fmt: skip
    assert found.extractor == ""
    with pytest.raises(ValueError, match="recall needs a feature network"):
        judge(x[:50], x[50:100], None, names=["recall"])
    with pytest.raises(ValueError, match="unknown metric 'frechet', did you mean"):
        judge(x[:50], x[50:100], None, names=["frechet"])


def test_scores_of_other_networks_or_counts_are_not_compared():
    a = Judgement({"frechet_distance": Score(2.0), "recall": 0.5}, "ab", 100, 100)
    b = Judgement({"frechet_distance": Score(3.0)}, "ab", 100, 100)
    assert a < b
    assert sorted([b, a]) == [a, b]
    assert a.compare(b) == {"frechet_distance": (2.0, 3.0)}
    for other, message in (
        (dataclasses.replace(b, extractor="cd"), "different feature networks"),
        (dataclasses.replace(b, real=99), "different counts of reals"),
        (dataclasses.replace(b, fake=99), "different counts of fakes"),
        (dataclasses.replace(b, seed=1), "different seeds"),
    ):
        for use in (lambda other: a < other, a.compare, lambda other: sorted([a, other])):
            with pytest.raises(ValueError, match=message):
                use(other)
    with pytest.raises(ValueError, match="no frechet_distance to rank by"):
        _ = a < Judgement({"recall": 0.4}, "ab", 100, 100)
