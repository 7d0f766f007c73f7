"""explore, interpolate, sample and evaluate: what a trained model's codings are good for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.data import write_images
from tinygen import latent, metrics, models
from tinygen.cli import main
from tinygen.ops.random import Random
from tinygen.training import evaluate
from tinygen.training.experiment import restore
from tinygen.training.judge_samples import samples_of

COMMANDS = {
    "explore RUN tsne": "tsne.png",
    "explore RUN activations": "activations.png",
    "explore RUN look-alikes": "look-alikes.png",
    "explore RUN outliers": "outliers.png",
    "explore RUN arithmetic --add 0 --remove 1": "arithmetic.png",
    "interpolate RUN": "interpolation-linear.png",
    "interpolate RUN --kind spherical": "interpolation-spherical.png",
    "interpolate RUN --kind bilinear": "interpolation-bilinear.png",
    "sample RUN --mixture 2": "sample.png",
}


def train(folder: Path, name: str, *more: str) -> str:
    """The folder of a short run on 60 images of three classes, or on other data."""
    data = [] if "--data" in more else ["--data", write_images(folder)]
    call = ["train", name, *data, "--set", "size=6", "--set", "codings=4", "--epochs", "2", *more]
    assert main([*call, "--out", str(folder / name)]) == 0
    return str(folder / name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Trained models by name; "faces" is a stacked autoencoder of data with factors."""
    folder = tmp_path_factory.mktemp("runs")
    names = ("stacked-ae", "sparse-kl-ae", "hashing-ae", "vae")
    found = {name: train(folder, name) for name in names}
    (folder / "faces").mkdir()
    faces = ["--data", "faces", "--set", "channels=3", "--set", "count=60"]
    return {**found, "faces": train(folder / "faces", "stacked-ae", *faces)}


def printed(capsys, command: str, run: str, *more: str) -> list[str]:
    """The lines that a command prints."""
    capsys.readouterr()
    assert main([run if word == "RUN" else word for word in command.split()] + list(more)) == 0
    return capsys.readouterr().out.splitlines()


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def drawn(path) -> float:
    """The share of the middle of a picture that is not of the one colour it has most of.

    An empty canvas, and a frame with its labels around nothing, have next to none.
    """
    picture = pixels(path).astype(int)
    height, width, _ = picture.shape
    middle = picture[height // 4 : -height // 4, width // 4 : -width // 4] @ (1, 256, 65536)
    return 1 - np.unique(middle, return_counts=True)[1].max() / middle.size


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["stacked-ae", "hashing-ae", "vae"])
def test_every_command_writes_a_picture_and_says_where(capsys, tmp_path, runs, command, name):
    path = f"{runs[name]}/{COMMANDS[command]}"
    assert printed(capsys, command, runs[name])[-1] == path
    first = pixels(path)
    assert "tsne" in command or drawn(path) > 0.1
    other = str(tmp_path / "a folder" / "other.png")
    assert printed(capsys, command, runs[name], "--out", other)[-1] == other
    np.testing.assert_array_equal(pixels(other), first)  # it repeats
    printed(capsys, command, runs["sparse-kl-ae"], "--out", other)
    assert not np.array_equal(pixels(other), first)  # and is another one of another model


def test_coloured_images_and_factors_instead_of_labels(capsys, tmp_path, runs):
    maps = []
    for command in ("explore RUN tsne", "explore RUN tsne --by glasses -n 5"):
        path = printed(capsys, command, runs["faces"], "--out", str(tmp_path / "a.png"))[-1]
        maps.append(pixels(path))
    assert not np.array_equal(*maps)
    for command in (
        "explore RUN look-alikes --by smile -k 3 -n 2",
        "explore RUN arithmetic --by smile --add high --remove low",
        "interpolate RUN --images 0 3 2 5 --steps 2",
    ):
        path = printed(capsys, command, runs["faces"], "--out", str(tmp_path / "a.png"))[-1]
        assert drawn(path) > 0.1


# explore


def test_activations_are_those_of_the_codings(capsys, runs):
    (line, _) = printed(capsys, "explore RUN activations", runs["sparse-kl-ae"])
    experiment, _ = restore(runs["sparse-kl-ae"])
    means = latent.encode(experiment.model, experiment.samples).mean(axis=0)
    assert line == (
        f"mean activation {means.mean():.4g}; of the units {means.min():.4g} to {means.max():.4g}"
    )


@pytest.mark.parametrize("name", ["stacked-ae", "hashing-ae"])
def test_look_alikes_are_judged_by_their_classes(capsys, runs, name):
    (line, _) = printed(capsys, "explore RUN look-alikes -k 48", runs[name])
    assert line == "of the 48 nearest 33.3% are of the query's class"  # of all there are


def test_outliers_are_counted(capsys, tmp_path, runs):
    run = runs["stacked-ae"]
    first, second, _ = printed(capsys, "explore RUN outliers --percentile 0", run)
    assert first.endswith("0 % of the training images are below")
    assert second == "6 of 6 images (100.0%) of images are above"
    np.savez(tmp_path / "dark.npz", images=np.zeros((4, 9, 9), np.uint8))
    told = printed(capsys, "explore RUN outliers --error binary_cross_entropy --data",
                   run, str(tmp_path / "dark.npz"))  # fmt: skip
    assert "of 4 images" in told[1]


def failing(capsys, command: str, run: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main([run if word == "RUN" else word for word in command.split()])
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("faces", "explore RUN arithmetic --add a --remove b", "no labels; go by one of its fac"),
        ("faces", "explore RUN tsne --by glases", "no factor 'glases', did you mean 'glasses'?"),
        ("vae", "explore RUN tsne --by glasses", "no factor 'glasses'; it has no factors at all"),
        ("vae", "explore RUN arithmetic --add 0 --remove 9", "no class '9'; known are 0, 1, 2"),
        ("vae", "explore RUN outliers --percentile 101", "from 0 to 100, not 101"),
        ("vae", "explore RUN outliers --data nowhere", "there is no such file or folder"),
        ("vae", "interpolate RUN --steps 1", "--steps must be at least 2"),
        ("vae", "interpolate RUN --images 1 2 3", "3 is an odd number"),
        ("vae", "interpolate RUN --images 0 6", "--images are from 0 to 5, not 6"),
        ("vae", "interpolate RUN --images -1 5", "--images are from 0 to 5, not -1"),
        ("vae", "interpolate RUN --kind bilinear --images 1 2", "between 4 images, not 2"),
        ("vae", "explore RUN traverse --image 6", "--image is from 0 to 5, not 6"),
        ("stacked-ae", "sample RUN --seed 3", "nothing to draw; --mixture K samples its codings"),
    ],
)
def test_what_makes_no_sense(capsys, runs, name, command, message):
    code, line = failing(capsys, command, runs[name])
    assert (code, message in line) == (2, True), line


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("stacked-ae", "explore RUN traverse", "stacked-ae has single points for codings"),
        ("vae", "explore RUN look-alikes -k 49", "k must be from 1 to 48"),
        ("vae", "explore RUN tsne --perplexity 6", "above 0 and below 6, not 6"),
        ("vae", "sample RUN --mixture 49", "49 components need as many codings"),
    ],
)
def test_what_model_and_data_do_not_allow(capsys, runs, name, command, message):
    code, line = failing(capsys, command, runs[name])
    assert (code, message in line) == (1, True), line


# explore traverse


def scores(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("mutual", "DCI"))]


@pytest.mark.parametrize("more", [(), ("--image", "2", "-n", "3", "--steps", "5")])
def test_codings_are_traversed_in_the_order_of_what_they_carry(capsys, runs, more):
    *lines, gap, path = printed(capsys, "explore RUN traverse", runs["vae"], *more)
    experiment, _ = restore(runs["vae"])
    carried = latent.divergences(experiment.model, experiment.samples)
    order = np.argsort(-carried)[: 3 if more else 4]
    for line, j in zip(lines, order, strict=True):
        assert line.startswith(f"coding {j}: {carried[j]:.2f} nats  label ")
    assert gap.startswith("mutual information gap (MIG) ")  # of a single factor there is no DCI
    assert path == f"{runs['vae']}/traverse.png"
    assert drawn(path) > 0.1


def test_what_codings_tell_of_known_factors(capsys, tmp_path):
    data = ["--data", "faces", "--set", "channels=3", "--set", "count=80", "--epochs", "1"]
    small = ["--set", "size=8", "--set", "codings=3", "--set", "filters=[4]"]
    run = str(tmp_path / "run")
    assert main(["train", "vae", *data, *small, "--out", run]) == 0
    lines = printed(capsys, "explore RUN traverse", run)
    experiment, _ = restore(run)
    dataset = experiment.dataset
    assert dataset is not None
    found = metrics.mig(latent.encode(experiment.model, dataset.floats()), dataset.factors)
    names = list(dataset.factors)
    for line in lines[:3]:
        words = line.split()
        told = found.information[:, int(words[1].rstrip(":"))]
        assert line.endswith(f"{names[told.argmax()].replace('_', ' ')} {told.max():.2f}")
    assert scores(lines)[0] == f"mutual information gap (MIG) {found.score:.3f}"
    assert scores(lines)[1].startswith("DCI: disentanglement 0.")
    assert scores(printed(capsys, "explore RUN traverse", run)) == scores(lines)  # it repeats


def test_without_labels_and_factors_there_are_no_scores(capsys, tmp_path):
    np.savez(tmp_path / "a.npz", images=Random(0).integers(0, 255, (30, 6, 6)).astype(np.uint8))
    run = train(tmp_path, "vae", "--data", str(tmp_path / "a.npz"))
    lines = printed(capsys, "explore RUN traverse", run)
    assert (len(lines), scores(lines)) == (5, [])
    assert lines[0].endswith("nats")


@pytest.mark.parametrize("command", COMMANDS)
def test_codings_of_points_are_no_pictures(capsys, tmp_path, command):
    assert main(["train", "linear-ae", "--steps", "1", "--out", str(tmp_path / "run")]) == 0
    code, line = failing(capsys, command, str(tmp_path / "run"))
    assert code == 1
    assert "the model was trained on points, not on images" in line


# sample


def test_a_vae_draws_new_images_from_its_prior(capsys, tmp_path, runs):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    run = runs["vae"]
    for path, seed in zip(paths, ("0", "0", "1"), strict=False):
        printed(capsys, "sample RUN -n 9", run, "--seed", seed, "--out", path)
    printed(capsys, "sample RUN -n 9", run, "--out", paths[3])
    first, again, other, default = map(pixels, paths)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, default)
    assert (first != other).any()
    assert first.shape == (4 + 64, 4 + 9 * 64, 3)


# evaluate


def test_evaluate_measures_validation_and_test_data(capsys, runs):
    out = json.loads("".join(printed(capsys, "evaluate RUN --json", runs["stacked-ae"])))
    experiment, _ = restore(runs["stacked-ae"])
    assert (out["run"], out["model"]) == (runs["stacked-ae"], "stacked-ae")
    for part, arrays in (("validation", experiment.valid), ("test", experiment.test)):
        assert out[part] == {"samples": 6, **evaluate(experiment.model, *arrays)}
    head, *lines = printed(capsys, "evaluate RUN", runs["stacked-ae"])
    assert head.split() == ["samples", "loss", "rounded", "accuracy"]
    for line, part in zip(lines, ("validation", "test"), strict=True):
        row = out[part]
        numbers = [f"{row[name]:.4f}" for name in ("loss", "rounded_accuracy")]
        assert line.split() == [part, "6", *numbers]


def test_evaluate_gives_the_likelihood_of_a_vae_in_nats(capsys, runs):
    call = "evaluate RUN --samples 7 --seed 3"
    out = json.loads("".join(printed(capsys, f"{call} --json", runs["vae"])))
    experiment, _ = restore(runs["vae"])
    found = latent.negative_log_likelihood(experiment.model, experiment.test[0], 7, seed=3)
    assert out["test"]["negative_log_likelihood"] == found.mean
    assert out["test"]["standard_error"] == found.standard_error
    lines = printed(capsys, call, runs["vae"])
    assert lines[-1].endswith(f"{found.mean:.2f} +- {found.standard_error:.2f} nats")


def test_evaluate_judges_reconstructions_and_samples_of_a_vae(capsys, runs):
    for name, kind in (("stacked-ae", "reconstructions"), ("vae", "samples")):
        call = "evaluate RUN --n 6 --metrics precision recall"
        lines = printed(capsys, call, runs[name])
        assert f"6 {kind} against 6 reals, seed 0" in "\n".join(lines)
        assert lines[-1] == f"the page shows them: {runs[name]}/report.html"
        page = Path(runs[name], "report.html").read_text()
        assert f"Scores of {kind}" in page
        assert "other weights than those that were judged" not in page
        found = json.loads(Path(runs[name], "evaluation.json").read_text())["judgement"]
        experiment, _ = restore(runs[name])
        (real,), network = experiment.test, experiment.feature_network()
        made = (
            latent.reconstruct(experiment.model, real)
            if kind == "reconstructions"
            else samples_of(experiment.model, 6)
        )
        expected = metrics.precision_recall(*(network.features(x) for x in (real, made)))
        assert found["kind"] == kind
        for metric, value in expected._asdict().items():
            assert found["samples"]["scores"][metric]["value"] == float(value)


def test_evaluate_says_when_there_are_fewer_images(capsys, runs):
    for name, counts in (
        ("vae", "48 samples against 6 reals"),
        ("stacked-ae", "6 reconstructions against 6 reals"),
    ):
        capsys.readouterr()
        call = ["evaluate", runs[name], "--n", "500", "--metrics", "precision"]
        assert main(call) == 0
        shown = capsys.readouterr()
        assert f"images has too few images: {counts} are judged" in shown.err
        assert counts in shown.out


def test_a_classifier_makes_nothing_to_judge(capsys, tmp_path):
    run, data = str(tmp_path / "run"), write_images(tmp_path)
    call = ["train", "classifier", "--data", data, "--steps", "1", "--set", "widths=[2]"]
    assert main([*call, "--size", "6", "--out", run]) == 0
    code, line = failing(capsys, "evaluate RUN --n 9", run)
    assert code == 2
    assert "classifier makes no images to judge by --n, --metrics and --features" in line


def test_evaluate_where_all_data_was_trained_on(capsys, tmp_path):
    assert main(["train", "linear-ae", "--steps", "1", "--out", str(tmp_path / "run")]) == 0
    _, line = printed(capsys, "evaluate RUN", str(tmp_path / "run"))
    assert line.split()[:2] == ["training", "60"]


def test_models_without_codings_are_told_apart(monkeypatch, capsys, runs):
    monkeypatch.setattr(models, "Autoencoder", type("Other", (), {}))
    code, line = failing(capsys, "explore RUN tsne", runs["vae"])
    assert code == 1
    assert "vae has no codings; an autoencoder does" in line
