"""Adversarial networks from the shell: labels, ways between latents, points, scores."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_errors import failing
from tinygen.cli import main
from tinygen.ops.random import Random

SMALL = ["--batch-size", "16", "--set", "latents=4", "--set", "widths=[3, 4]", "--epochs", "1"]
DATA = ["--data", "clothes", "--size", "8", "--channels", "1"]
GROWING = ("latents=4", "width=4", "maps=16", "phase_images=32")
TINY = [*SMALL[:2], "--epochs", "1", *(word for s in GROWING for word in ("--set", s))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with runs of conditional GANs, of one without labels, and of one on points."""
    folder = tmp_path_factory.mktemp("runs")
    for label in ("boots", "coats", "dresses"):
        (folder / "clothes" / label).mkdir(parents=True)
        for i in range(30):
            image = Random(i).stream(label).integers(0, 255, (8, 8)).astype(np.uint8)
            Image.fromarray(image).save(folder / "clothes" / label / f"{i}.png")
    images = ["--data", str(folder / "clothes"), *DATA[2:]]
    for name in ("cgan", "dcgan"):
        call = ["train", name, *images, *SMALL, "--set", "deviation=0.5"]
        assert main([*call, "--out", str(folder / name)]) == 0
    for name in ("progan", "stylegan"):
        call = ["train", name, *images, *TINY, "--set", "classes=3"]
        assert main([*call, "--out", str(folder / name)]) == 0
    points = ["train", "gan", "--preset", "ring", "--set", "count=500", *SMALL]
    assert main([*points, "--out", str(folder / "ring")]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(runs, monkeypatch):
    monkeypatch.chdir(runs)


def opened(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", ["cgan", "progan", "stylegan"])
def test_samples_of_a_class_by_number_or_name(name):
    call = ["sample", name, "-n", "4", "--seed", "2"]
    for label, out in (("1", "a.png"), ("coats", "b.png"), ("COA", "c.png"), ("0", "d.png")):
        assert main([*call, "--label", label, "--out", out]) == 0
    assert main([*call, "--out", "e.png"]) == 0
    a, b, c, d, e = (opened(f"{name}.png") for name in "abcde")
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c)
    assert (a != d).any()
    assert a.shape == e.shape


def test_truncation_draws_samples_towards_one():
    call = ["sample", "stylegan", "-n", "4", "--label", "1"]
    plain, as_it_is, rows = (
        [*call, "--out", "a.png"],
        [*call, "--truncation", "1", "--out", "b.png"],
        [*call, "--truncation", "1", "0.5", "--out", "c.png"],
    )
    for given in (plain, as_it_is, rows):
        assert main(given) == 0
    np.testing.assert_array_equal(opened("a.png"), opened("b.png"))
    assert opened("c.png").shape[0] > 1.8 * opened("a.png").shape[0]
    for wrong in ("11", "x", "nan"):
        with pytest.raises(SystemExit):
            main([*call, "--truncation", wrong])


def test_a_grid_of_mixed_styles():
    call = ["style-mix", "stylegan", "--rows", "2", "--cols", "3"]
    for layers in ("coarse", "0-3"):
        assert main([*call, "--layers", layers, "--out", f"{layers}.png"]) == 0
    part, whole = opened("coarse.png"), opened("0-3.png")
    assert part.shape == whole.shape
    assert (part != whole).any()
    for row in (64, 124):  # with all styles of the columns a row of images is that on top
        np.testing.assert_array_equal(whole[row : row + 56, -180:], whole[4:60, -180:])
    assert Path("stylegan/mixing.png").is_file()
    assert Path("stylegan/truncation.png").is_file()
    assert Path("stylegan/noise.png").is_file()


def test_a_picture_is_projected():
    call = ["project", "stylegan", "--steps", "3", "--pixels-alone", "--out", "p.png"]
    assert main([*call, "2"]) == 0
    first = np.load("p.npz")
    assert first["distances"].shape == (3,)
    assert main([*call, "clothes/coats/0.png", "--layered"]) == 0
    assert np.load("p.npz")["w"].shape == (4, 4)
    assert opened("p.png").std() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("project stylegan 9000 --pixels-alone", "validation images are from 0 to"),
        ("project dcgan 1", "dcgan has no styles to project into"),
        ("style-mix dcgan", "dcgan has no styles to mix; stylegan has"),
        ("style-mix stylegan --layers 4", "layers go from 0 to 3, there is none 4"),
        ("style-mix stylegan --layers rough", "layers are coarse, middle, fine, or numbers"),
        ("sample dcgan --truncation 0.7", "has no styles to truncate; leave --truncation out"),
        ("sample cgan --label 3", "no class '3'; known are boots, coats, dresses"),
        ("sample progan --label 3", "no class '3'; known are boots, coats, dresses"),
        ("train progan --data clothes --size 8 --set classes=2", "clothes has 3 classes, not 2"),
        ("sample cgan --label socks", "no class 'socks'"),
        ("sample cgan --label -1", "no class '-1'; known are boots, coats, dresses"),
        ("sample dcgan --label 1", "dcgan was trained without labels"),
        ("sample ring --label 1", "gan was trained without labels"),
        ("sample dcgan --mixture 3", "leave --mixture out"),
        ("interpolate dcgan --images 1 2", "encodes no images"),
        ("interpolate dcgan --animate --out a.png", "--animate writes a .webp"),
        ("interpolate dcgan --out a.webp", "--animate writes a .webp and nothing else does"),
        ("interpolate dcgan --animate --kind bilinear", "--kind linear or spherical"),
        ("interpolate dcgan --animate --images 1 2", "leave --images out"),
    ],
)
def test_what_cannot_be_asked_for(capsys, call, message):
    code, line = failing(capsys, *call.split())
    assert (code, message in line) == (2, True), line


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("dcgan --batch-size 80", "72 samples to fit do not fill one batch of 80 in stage 'train'"),
        ("progan --set batch_sizes=[16,90]", "set batch_sizes to 72 or less, or give more data"),
    ],
)
def test_data_that_does_not_fill_a_batch(capsys, call, message):
    code, line = failing(capsys, "train", *call.split(), *DATA, "--out", "none")
    assert (code, message in line) == (1, True), line
    assert not Path("none").exists()


def test_images_that_are_not_square_are_cropped_for_growing_networks(capsys, no_pictures):
    Path("wide").mkdir()
    for i in range(20):
        image = Random(i).integers(0, 255, (6, 12)).astype(np.uint8)
        Image.fromarray(image).save(f"wide/{i}.png")
    call = ["train", "progan", "--data", "wide", "--channels", "1", *TINY, "--out", "cropped"]
    code, line = failing(capsys, *call, "--size", "12")
    assert (code, "square images of 4, 8, 16" in line, "--size" in line) == (2, True, True), line
    assert main([*call, "--size", "8"]) == 0
    assert "images of 12 x 6 grey become 8 x 8 grey" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["explore dcgan tsne", "explore cgan look-alikes", "pretrain dcgan"]
)
def test_what_needs_codings_says_so(capsys, command):
    code, line = failing(capsys, *command.split())
    assert code in (1, 2)
    assert "has no codings; an autoencoder does" in line


@pytest.mark.parametrize("kind", ["linear", "spherical", "bilinear"])
@pytest.mark.parametrize("name", ["cgan", "dcgan"])
def test_ways_between_latents(name, kind):
    call = ["interpolate", name, "--kind", kind, "--steps", "3"]
    assert main([*call, "--out", "one.png"]) == 0
    assert main([*call, "--seed", "1", "--out", "other.png"]) == 0
    assert (opened("one.png") != opened("other.png")).any()
    assert main(["interpolate", name]) == 0
    assert Path(name, "interpolation-spherical.png").exists()  # keeps the norm of latents


@pytest.mark.parametrize("name", ["cgan", "dcgan"])
def test_an_animation_ends_where_it_began(name):
    assert main(["interpolate", name, "--animate", "--steps", "3", "--out", "moving.webp"]) == 0
    with Image.open("moving.webp") as moving:
        assert (moving.format, moving.n_frames) == ("WEBP", 8)  # two steps to each of four stops
        frames = []
        for i in range(8):
            moving.seek(i)
            frames.append(np.asarray(moving.convert("RGB")).astype(int))
    assert all((a != b).any() for a, b in pairwise(frames))


def test_pictures_of_a_run():
    for name in ("samples", "progress", "interpolation", "nearest", "curves"):
        assert opened(f"cgan/{name}.png").std() > 0
    assert {p.stem for p in Path("ring").glob("*.png")} >= {"curves", "plane"}
    assert main(["report", "cgan"]) == 0
    page = Path("cgan/report.html").read_text()
    for text in ("nearest", "generator", "discriminator"):
        assert text in page.lower()


def test_points_are_drawn_over_their_modes(capsys):
    assert main(["sample", "ring", "-n", "200"]) == 0
    assert opened("ring/sample.png").std() > 0
    for name in ("ring", "grid"):
        assert main(["data", "show", name, "--out", f"{name}.png"]) == 0
    code, line = failing(capsys, "evaluate", "ring", "--n", "10")
    assert (code, "only images are judged" in line) == (2, True)


def test_scores_beside_floor_and_ceiling(capsys):
    call = ["evaluate", "dcgan", "--n", "9", "--metrics", "frechet_distance", "precision"]
    assert main(call) == 0
    shown = capsys.readouterr()
    assert "judging ceiling: precision" in shown.err
    assert "9 samples against 9 reals" in shown.out
    found = json.loads(Path("dcgan/evaluation.json").read_text())["judgement"]
    assert found["samples"]["scores"].keys() == {"frechet_distance", "precision"}
    assert found["samples"]["extractor"] == found["floor"]["extractor"]
    assert sum(found["classes"]) == 9
    code, line = failing(capsys, "evaluate", "dcgan", "--metrics", "fid")
    assert (code, "unknown metric 'fid'" in line) == (2, True)
