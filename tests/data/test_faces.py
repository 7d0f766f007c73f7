"""The cartoon faces: what each factor does to a picture, and that nothing else does anything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygen.data import drawing, faces, portrait
from tinygen.data.faces import FACTORS, cached_faces, draw

CATEGORIES = [factor for factor in FACTORS if factor.kind == "category"]
CONTINUOUS = [factor for factor in FACTORS if factor.kind == "continuous"]
SYMMETRIC = ("bald", "buzz", "spiky", "curly", "bob", "long", "bun", "pigtails")


def names(factors: list[Any]) -> list[str]:
    return [factor.name for factor in factors]


def values(factor: Any, steps: int = 5) -> Any:
    """All values of a category, or a few of a continuous factor from low to high."""
    return list(factor.values) or np.linspace(factor.low, factor.high, steps)


def box_mean(images: Any, scale: int) -> Any:
    n, h, w, c = images.shape
    return images.reshape(n, h // scale, scale, w // scale, scale, c).mean((2, 4))


def difference(a: Any, b: Any) -> Any:
    return np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))


# A face is a function of the seed and its number.


@pytest.mark.parametrize("size", [8, 28, 64, 96])
def test_a_face_does_not_depend_on_the_faces_drawn_with_it(size, monkeypatch):
    together = faces.faces(23, size, seed=3, first=40)
    for chunk, threads in ((1, 1), (7 * 64**2, 3)):
        monkeypatch.setattr(faces, "CHUNK", chunk)
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        np.testing.assert_array_equal(
            faces.faces(23, size, seed=3, first=40).images, together.images
        )
    alone = faces.faces(1, size, seed=3, first=57)
    np.testing.assert_array_equal(alone.images[0], together.images[17])
    for name, drawn in alone.factors.items():
        assert drawn[0] == together.factors[name][17]


def test_the_factors_draw_the_face():
    images, factors = faces.faces(9, 32, seed=1)
    np.testing.assert_array_equal(draw(factors, 32), images)


def test_seeds_give_other_faces():
    assert (faces.faces(4, 16, seed=1).images != faces.faces(4, 16, seed=2).images).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 5, 28, 63, 65, 256])
def test_shapes_and_types(size, channels):
    images, factors = faces.faces(3, size, channels=channels)
    assert images.shape == (3, size, size, channels)
    assert images.dtype == np.uint8
    assert set(factors) == set(names(FACTORS))
    assert images.std(axis=(1, 2, 3)).min() > 10  # there is something in every picture


def test_no_faces():
    images, factors = faces.faces(0, 8)
    assert images.shape == (0, 8, 8, 3)
    assert all(drawn.shape == (0,) for drawn in factors.values())


# The factors are drawn as promised.


def test_factors_keep_their_ranges_and_frequencies():
    n = 20_000
    factors = faces.faces(0, 4).factors | faces.sample_factors(n, seed=5, first=0)
    for factor in CATEGORIES:
        weights = np.array(factor.weights or (1,) * len(factor.values), float)
        share = np.bincount(factors[factor.name], minlength=len(weights)) / n
        np.testing.assert_allclose(share, weights / weights.sum(), atol=4 / np.sqrt(n))
        assert factors[factor.name].dtype == np.int64
    for factor in CONTINUOUS:
        unit = (factors[factor.name] - factor.low) / (factor.high - factor.low)
        assert unit.min() >= 0
        assert unit.max() < 1
        np.testing.assert_allclose(
            np.quantile(unit, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02
        )
        assert factors[factor.name].dtype == np.float32


def test_factors_are_independent():
    factors = faces.sample_factors(20_000, seed=6, first=0)
    table = np.array([factors[name] for name in names(FACTORS)], float)
    correlation = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


# Each factor shows, and shows where it should.


@pytest.mark.parametrize("size", [28, 64])
@pytest.mark.parametrize("factor", FACTORS, ids=names(FACTORS))
def test_every_value_looks_different_from_every_other(factor, size):
    images = draw({factor.name: values(factor)}, size).astype(int)
    for i in range(len(images)):
        for j in range(i):
            assert np.abs(images[i] - images[j]).max() > 8, (i, j)


@pytest.mark.parametrize("factor", CONTINUOUS, ids=names(CONTINUOUS))
def test_a_continuous_factor_changes_the_picture_smoothly(factor):
    images = draw({factor.name: np.linspace(factor.low, factor.high, 65)}, 64).astype(float)
    steps = difference(images[1:], images[:-1]).mean((1, 2, 3))
    assert steps.max() < 0.02 * 255
    assert steps.max() < 8 * np.median(steps) + 0.1
    away = difference(images, images[:1]).mean((1, 2, 3))
    assert away[-1] > 10 * steps.mean()
    assert np.all(np.diff(away[::8]) > 0)


# Rows and columns, as shares of the picture, beyond which a factor changes nothing.
REGIONS = {
    "eye_colour": (0.40, 0.66, 0.25, 0.75),
    "eyes": (0.40, 0.66, 0.25, 0.75),
    "eye_size": (0.40, 0.66, 0.25, 0.75),
    "glasses": (0.35, 0.70, 0.15, 0.85),
    "smile": (0.50, 0.85, 0.20, 0.80),
    "beard": (0.50, 0.90, 0.15, 0.85),
    "shirt": (0.75, 1.00, 0.00, 1.00),
    "outfit": (0.75, 1.00, 0.00, 1.00),
    "hair_colour": (0.00, 0.60, 0.00, 1.00),
}


@pytest.mark.parametrize("name", REGIONS)
def test_a_factor_keeps_to_its_region(name):
    (factor,) = (factor for factor in FACTORS if factor.name == name)
    images = draw({name: values(factor)}, 64)
    changed = (images != images[:1]).any(axis=(0, 3))
    top, bottom, left, right = (round(64 * share) for share in REGIONS[name])
    changed[top:bottom, left:right] = False
    assert not changed.any()


def test_the_background_fills_the_corners_and_nothing_of_the_face():
    images = draw({"background": values(FACTORS[0])}, 64)
    assert len(np.unique(images[:, 0, 0], axis=0)) == len(images)
    assert (images[:, 20:60, 28:36] == images[:1, 20:60, 28:36]).all()


@pytest.mark.parametrize("style", SYMMETRIC)
def test_the_mirrored_pose_gives_the_mirrored_picture(style):
    poses, tilts = np.array([0.0, 0.7, 1.0, -0.4]), np.array([0.0, 0.5, -1.0, 0.3])
    given = {"hair_style": style, "glasses": "square", "beard": "full", "age": 70}
    images = draw({**given, "pose": poses, "tilt": tilts}, 64)
    mirrored = draw({**given, "pose": -poses, "tilt": -tilts}, 64)
    assert difference(images, mirrored[:, :, ::-1]).max() <= 1


def test_the_corners_of_the_mouth_rise_with_the_smile():
    images = draw({"smile": np.linspace(-1, 1, 9), "skin": "porcelain"}, 256, channels=1)
    dark = images[:, 170:212, 96:160, 0] < 150  # the mouth and nothing else
    upper_lip = dark.argmax(axis=1)
    corners = [
        lip[mask.any(axis=0)][[0, -1]].mean() for lip, mask in zip(upper_lip, dark, strict=True)
    ]
    sag = upper_lip[:, 32] - corners
    assert np.all(np.diff(sag) > 0)
    assert sag[0] < 0 < sag[-1]


def test_the_eyes_move_with_the_pose_and_the_bun_with_the_tilt():
    turn = draw({"pose": np.linspace(-1, 1, 9), "eye_colour": "blue"}, 128).astype(float)
    assert np.all(np.diff(centre_of(turn[..., 2] - turn[..., 0] > 60, slice(50, 80))) > 0.5)
    lean = draw({"tilt": np.linspace(-1, 1, 9), "hair_style": "bun", "hair_colour": "black"}, 128)
    assert np.all(np.diff(centre_of(lean.max(axis=3) < 70, slice(0, 30))) > 0.5)


def centre_of(mask: Any, rows: slice) -> Any:
    """The mean column of the pixels in a mask within the middle of some rows."""
    part = mask[:, rows, 32:96]
    return (part * np.arange(64.0)).sum((1, 2)) / part.sum((1, 2))


def test_hair_greys_with_age_and_keeps_a_tint():
    ages = np.linspace(18, 80, 9)
    images = draw({"age": ages, "hair_colour": "auburn", "hair_style": "curly"}, 64).astype(float)
    colour = images[:, 12, 32]
    tint = colour.max(1) - colour.min(1)
    assert np.all(np.diff(tint) <= 0)
    assert tint[-1] < 0.4 * tint[0]
    assert tint[-1] > 5


def test_some_factors_can_be_read_off_by_a_linear_model():
    n, held_out = 1500, 300
    images, factors = faces.faces(n, 20, seed=2)
    x = np.c_[images.reshape(n, -1) / 255.0, np.ones(n)]
    train, test = slice(0, n - held_out), slice(n - held_out, n)
    gram = x[train].T @ x[train] + 1.0 * np.eye(x.shape[1])
    for name in ("pose", "tilt", "age"):
        y = factors[name].astype(float)
        error = x[test] @ np.linalg.solve(gram, x[train].T @ y[train]) - y[test]
        assert 1 - error.var() / y[test].var() > 0.5, name


# The picture is the same at every size and in grey.


@pytest.mark.parametrize("size", [4, 8, 16, 32])
def test_a_small_picture_is_the_mean_of_the_large_one(size):
    small = faces.faces(30, size, seed=8).images
    large = faces.faces(30, 64, seed=8).images
    assert difference(small, box_mean(large, 64 // size)).max() <= 1.01


@pytest.mark.parametrize("size", [28, 64, 128])
def test_edges_are_blended_as_areas(size):
    fine = faces.faces(20, 256 // size * size if 256 % size == 0 else 252, seed=9).images
    coarse = faces.faces(20, size, seed=9).images
    gap = difference(coarse, box_mean(fine, fine.shape[1] // size))
    assert gap.mean() < 1.0
    assert np.quantile(gap, 0.99) < 20


def test_grey_is_the_luma_of_the_colours():
    colour, grey = (faces.faces(20, 48, channels=c, seed=10).images for c in (3, 1))
    assert difference(grey[..., 0], colour @ np.array([0.299, 0.587, 0.114])).max() <= 1.01


def test_no_part_of_a_face_is_cut_off_by_its_window(monkeypatch):
    factors = faces.sample_factors(150, seed=11, first=0)
    for name in ("pose", "tilt", "smile", "eye_size"):  # the extremes reach furthest
        factors[name] = np.sign(factors[name])
    images = draw(factors, 48)
    monkeypatch.setattr(drawing.Canvas, "cut", lambda self, plane, window: plane)
    np.testing.assert_array_equal(draw(factors, 48), images)


# Shapes are what they say.


def grid(size: int = 400) -> tuple[Any, Any, float]:
    canvas = drawing.Canvas.blank(1, size, drawing.Window(-1, 1, -1, 1))
    return canvas.x, canvas.y, 2 / size


def hull_of_discs(x: Any, y: Any) -> Any:
    """The distance to the hull of discs of radii 0.3 at (0, 0) and 0.1 at (0, 0.5), by sampling."""
    shares = np.linspace(0, 1, 2001)[:, None]
    x, y = x.ravel()[None, ::97], y.ravel()[None, ::97]
    return (np.hypot(x, y - 0.5 * shares) - (0.3 - 0.2 * shares)).min(0)


def test_distances():
    x, y, _ = grid()
    np.testing.assert_allclose(
        drawing.teardrop(x, y, 0.5, 0.3, 0.1).ravel()[::97], hull_of_discs(x, y), atol=1e-5
    )
    stroke = drawing.stroke(x, y, (-0.3, 0.2), (0.4, -0.1), 0.1)
    t = np.clip(((x + 0.3) * 0.7 - (y - 0.2) * 0.3) / 0.58, 0, 1)
    line = np.hypot(x + 0.3 - 0.7 * t, y - 0.2 + 0.3 * t)
    np.testing.assert_allclose(stroke, line - 0.1, atol=1e-5)
    square = drawing.box(x, y, 0.5, 0.4, 0.1)
    np.testing.assert_allclose(square[0, 200, 390:], x[0, 200, 390:] - 0.5, atol=1e-6)
    near = np.abs(drawing.ellipse(x, y, 0.6, 0.3)) < 0.01
    np.testing.assert_allclose((x[near] / 0.6) ** 2 + (y[near] / 0.3) ** 2, 1, atol=0.1)


@pytest.mark.parametrize("size", [16, 33, 64])
def test_coverage_adds_up_to_the_area(size):
    canvas = drawing.Canvas.blank(1, size, drawing.Window(-1, 1, -1, 1))
    pixel = (2 / size) ** 2
    disc = canvas.coverage(drawing.circle(canvas.x - 0.03, canvas.y, 0.6)).sum() * pixel
    assert disc == pytest.approx(np.pi * 0.36, rel=0.005)
    white = np.ones((3, 1, 1, 1), np.float32)
    canvas.draw(drawing.stroke(canvas.x, canvas.y, (-0.5, 0.1), (0.5, 0.1)), 0.02, white)
    assert canvas.pixels[0].sum() * pixel == pytest.approx(
        0.02, rel=0.1
    )  # 0.16 to 0.64 pixels thick


# What cannot be drawn is refused in words.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1, "size": 3}, "size 3 is not from 4 to 256"),
        ({"n": 1, "size": 257}, "size 257 is not from 4 to 256"),
        ({"n": 1, "channels": 2}, r"channels must be 3 \(RGB\) or 1 \(grey\), not 2"),
        ({"n": -1}, "n=-1"),
        ({"n": 1, "first": -5}, "first=-5"),
        ({"n": 1, "seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_faces_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        faces.faces(**arguments)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"smiles": 1}, "no factor 'smiles'. Did you mean 'smile'?"),
        ({"smile": 1.5}, "factor 'smile': 1.5 is not a number from -1 to 1"),
        ({"smile": [0, np.nan]}, "factor 'smile': nan is not a number"),
        ({"smile": "broad"}, "factor 'smile': broad is not a number"),
        ({"age": 17}, "factor 'age': 17 is not a number from 18 to 80"),
        ({"skin": 6}, "factor 'skin': 6 is not an index from 0 to 5"),
        ({"skin": [0, -1]}, "factor 'skin': -1 is not an index"),
        ({"skin": 0.5}, "factor 'skin': 0.5 is not an index"),
        ({"hair_style": "bobb"}, "no value 'bobb'. Did you mean 'bob'?"),
        ({"smile": [0, 1], "age": [20, 30, 40]}, "do not fit together: smile (2,), age (3,)"),
        ({"smile": [[0, 1]]}, "do not fit together"),
    ],
)
def test_draw_refuses(factors, message):
    with pytest.raises(ValueError, match="factor") as refusal:
        draw(factors, 8)
    assert message in str(refusal.value)


# The cache holds what was drawn, or nothing.


@pytest.fixture
def cached(tmp_path: Path) -> Any:
    def load() -> Any:
        return cached_faces(6, 12, 1, 4, tmp_path / "faces")

    return load


def assert_same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.images, b.images)
    for name in names(FACTORS):
        np.testing.assert_array_equal(a.factors[name], b.factors[name], strict=True)


def test_the_cache_gives_back_what_was_drawn(cached, tmp_path, monkeypatch):
    drawn = cached()
    assert_same(drawn, faces.faces(6, 12, channels=1, seed=4))
    (path,) = (tmp_path / "faces").iterdir()  # one file, and no scratch file beside it
    assert path.name.endswith(".npz")
    monkeypatch.setattr(faces, "draw", None)  # a second drawing would fail
    assert_same(cached(), drawn)


def test_different_faces_have_different_files(tmp_path):
    for n, size, channels, seed in (
        (2, 8, 1, 0),
        (3, 8, 1, 0),
        (2, 9, 1, 0),
        (2, 8, 3, 0),
        (2, 8, 1, 1),
    ):
        assert cached_faces(n, size, channels, seed, tmp_path).images.shape == (
            n,
            size,
            size,
            channels,
        )
    assert len(list(tmp_path.iterdir())) == 5


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": flip_a_byte,
    "not an archive": lambda content: b"\x80\x04N." * 100,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_drawn_again_and_mended(cached, tmp_path, kind):
    drawn = cached()
    (path,) = (tmp_path / "faces").iterdir()
    sound = path.read_bytes()
    path.write_bytes(DAMAGE[kind](sound))
    assert_same(cached(), drawn)
    assert_same(faces._load(path, drawn.images.shape), drawn)


def test_a_file_of_other_faces_is_not_taken(cached, tmp_path):
    drawn = cached()
    (path,) = (tmp_path / "faces").iterdir()
    np.savez(path, images=drawn.images[:3], **{k: v[:3] for k, v in drawn.factors.items()})
    assert_same(cached(), drawn)


def test_a_changed_source_has_another_hash(tmp_path, monkeypatch):
    before = faces._source_hash()
    for name in faces.SOURCES:
        shutil.copy(Path(faces.__file__).with_name(name), tmp_path)
    monkeypatch.setattr(faces, "__file__", str(tmp_path / "faces.py"))
    assert faces._source_hash() == before
    with open(tmp_path / "hair.py", "a") as source:
        source.write("# another parting\n")
    assert faces._source_hash() != before


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept there"):
        drawn = cached_faces(2, 8, 1, 0, tmp_path / "file")
    assert drawn.images.shape == (2, 8, 8, 1)


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        cached_faces(2, 8, 1, 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_source_of_the_drawing_is_hashed():
    folder = Path(faces.__file__).parent
    imported = {Path(str(module.__file__)).name for module in (faces, portrait, drawing)}
    assert imported <= set(faces.SOURCES)
    assert all((folder / name).exists() for name in faces.SOURCES)
