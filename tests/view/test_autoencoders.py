"""The chapter's figures of autoencoders show what they say, pixel by pixel where that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tests.models.cases import samples as sequences
from tests.view.runs import NAMES, images, labelled, opened, subject_of
from tinygen import models
from tinygen.data.plane import noisy_plane
from tinygen.latent import HashIndex, decode, encode, hash_codes, reconstruct
from tinygen.ops.random import Random
from tinygen.view import FIGURES, Subject, plate, save_png
from tinygen.view.autoencoders import (
    activations,
    codings_map,
    denoising,
    far_apart,
    interpolation,
    lying,
    nearest_images,
    samples,
    with_noise,
)
from tinygen.view.axes import BLUE, GREEN, GREY, ORANGE
from tinygen.view.codings import look_alikes, square
from tinygen.view.embedding import TEN
from tinygen.view.plate import SHOWN
from tinygen.view.projection import projection
from tinygen.view.sequences import small_curves
from tinygen.view.subject import Unfit

# What the chapter shows of each model, in the order of the page; "curves" is there for all.
CHAPTER = {
    "linear-ae": ("projection", "reconstructions", "tsne"),
    "stacked-ae": ("reconstructions", "tsne"),
    "tied-ae": ("reconstructions", "tsne"),
    "conv-ae": ("reconstructions", "tsne"),
    "recurrent-ae": ("reconstructions", "tsne"),
    "gru-ae": ("reconstructions", "tsne"),
    "denoising-ae": ("denoising", "reconstructions", "tsne"),
    "sparse-l1-ae": ("activations", "reconstructions", "tsne"),
    "sparse-kl-ae": ("activations", "reconstructions", "tsne"),
    "hashing-ae": ("look-alikes", "reconstructions", "tsne"),
    "vae": ("samples", "interpolation", "reconstructions", "tsne"),
}
# Some model that has the figure.
MODELS = {
    **{figure: name for name, figures in CHAPTER.items() for figure in figures},
    "curves": "stacked-ae",
    "reconstructions": "stacked-ae",
    "tsne": "stacked-ae",
}
ROWS = [{"epoch": 1, "stage": "train", "loss": 0.5}, {"epoch": 2, "stage": "train", "loss": 0.25}]


def subject(folder: Path, name: str, data: Any = None, **config: Any) -> Subject:
    """A model with its first weights, and 40 labelled images of 8 x 8."""
    data = labelled(40, 8, 8) if data is None else data
    shape = data.floats().shape[1:] if hasattr(data, "floats") else data.shape[1:]
    return subject_of(models.create(name, image_shape=shape, **config), data, folder, ROWS)


def pixels(picture: Any, folder: Path) -> np.ndarray:
    return opened(save_png(picture, folder / "picture.png")).astype(int)


def colours(found: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, found.reshape(-1, 3).tolist()))


def rgb(color: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(color))


def test_every_model_has_the_figures_of_the_chapter():
    autoencoders = [n for n in models.names() if issubclass(models.find(n), models.Autoencoder)]
    assert {name: models.find(name).figures for name in autoencoders} == {
        name: (*figures, "curves") for name, figures in CHAPTER.items()
    }


# Another model, other data: another picture


def other_weights(drawn: Subject) -> Subject:
    config = {**drawn.model.config, "seed": 1}
    model = models.create(drawn.model.name, **config)
    return replace(drawn, experiment=replace(drawn.experiment, model=model))


def other_samples(drawn: Subject) -> Subject:
    shown = [1 - x if x.min() >= 0 else -x[::-1] for x in (drawn.train, drawn.samples)]
    valid = [shown[1]] if drawn.experiment.valid else []
    return replace(drawn, experiment=replace(drawn.experiment, train=[shown[0]], valid=valid))


def other_rows(drawn: Subject) -> Subject:
    return replace(drawn, rows=[ROWS[0], {**ROWS[1], "loss": 0.3}])


CHANGES: list[tuple[str, Callable[[Subject], Subject]]] = [
    *((figure, other_weights) for figure in MODELS if figure != "curves"),
    *((figure, other_samples) for figure in MODELS if figure not in ("curves", "samples")),
    ("curves", other_rows),
]


def with_epochs(drawn: Subject, folder: Path) -> Subject:
    """The same in a folder of its own, with a picture for its epochs."""
    drawn = replace(drawn, folder=folder)
    if drawn.kind == "images":
        made = reconstruct(drawn.model, drawn.samples[:SHOWN])
        for row in ROWS:
            path = folder / "samples" / f"epoch-{row['epoch']:04d}.png"
            save_png(plate(made, SHOWN, scale=1, gap=0), path)
    return drawn


@pytest.mark.parametrize(("figure", "change"), CHANGES)
def test_a_figure_shows_its_model_and_its_data(tmp_path, figure, change):
    data = noisy_plane(20) if figure == "projection" else labelled(40, 8, 8)
    first = with_epochs(subject(tmp_path, MODELS[figure], data), tmp_path / "a")
    second = with_epochs(change(first), tmp_path / "b")
    one, again, other = (
        pixels(FIGURES[figure](drawn), drawn.folder) for drawn in (first, first, second)
    )
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or (one != other).any()


# A map of codings


def legend(figure: Any) -> dict[str, str]:
    """The names in a map's legend with their colours; none without a legend."""
    found = figure.axes[0].get_legend()
    if found is None:
        return {}
    handles = [rgb_of(handle.get_facecolor()[0]) for handle in found.legend_handles]
    return dict(zip((t.get_text() for t in found.get_texts()), handles, strict=True))


def rgb_of(color: Any) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in color[:3])


def test_classes_have_colours_on_a_map_and_names_in_its_legend(tmp_path):
    figure = codings_map(subject(tmp_path, "stacked-ae"))
    assert legend(figure) == dict(zip(NAMES, TEN, strict=False))
    found = colours(pixels(figure, tmp_path))
    assert {rgb(color) for color in TEN[:3]} <= found  # in the legend, and around thumbnails
    assert not {rgb(color) for color in TEN[3:]} & found


def test_data_without_labels_gives_a_map_without_colours(tmp_path):
    figure = codings_map(subject(tmp_path, "stacked-ae", labelled(40, 8, 8, labels=False)))
    assert legend(figure) == {}
    found = pixels(figure, tmp_path)
    assert np.ptp(found, axis=2).max() <= np.ptp(rgb(GREY))  # no more colour than this grey has
    assert rgb(GREY) in colours(found)


def test_each_point_has_the_colour_of_its_class(tmp_path):
    drawn = subject(tmp_path, "linear-ae")
    (axis,) = codings_map(drawn).axes
    codings = encode(drawn.model, drawn.samples)
    low, high = codings.min(axis=0), codings.max(axis=0)
    places = (codings - (low + high) / 2) / (high - low).max() + 0.5  # two codings as they are
    assert drawn.classes is not None
    for group in axis.collections:
        kind = NAMES.index(group.get_label())
        assert rgb_of(group.get_facecolor()[0]) == TEN[kind]
        expected = places[drawn.classes.shown == kind]
        np.testing.assert_allclose(group.get_offsets(), expected, atol=1e-5)


@pytest.mark.parametrize(("codings", "words"), [(2, "the two codings"), (3, "t-SNE of the 3 codi")])
def test_a_map_says_what_it_is(tmp_path, codings, words):
    (axis,) = codings_map(subject(tmp_path, "stacked-ae", codings=codings)).axes
    title = axis.get_title(loc="left")
    assert title.startswith(f"stacked-ae: {words}")
    assert title.endswith("of 10 samples of toys")


def test_a_map_shows_no_more_than_was_asked_for(tmp_path):
    (axis,) = codings_map(subject(tmp_path, "stacked-ae"), n=7).axes
    assert sum(len(group.get_offsets()) for group in axis.collections) == 7


def test_maps_lie():
    tall = np.array([[0.0, 0.0], [1.0, 5.0], [0.5, 2.0]])
    assert np.ptp(lying(tall), axis=0).tolist() == [5, 1]
    np.testing.assert_array_equal(lying(lying(tall)), lying(tall))
    for a, b in ((0, 1), (1, 2)):  # what is near stays near
        assert np.linalg.norm(tall[a] - tall[b]) == np.linalg.norm(lying(tall)[a] - lying(tall)[b])


@pytest.mark.parametrize("name", ["recurrent-ae", "gru-ae"])
def test_thumbnails_of_series_are_curves(tmp_path, name):
    x = sequences("series", 6, (9, 1))
    drawn = subject(tmp_path, name, x, preset="series", kind="series")
    (axis,) = codings_map(drawn).axes
    curves = 255 - small_curves(x)  # dark on paper
    assert axis.images
    for image in axis.images:
        pixels = image.get_array()
        assert (pixels == curves[..., np.newaxis]).all(axis=(1, 2, 3)).sum() == 1


# The other figures


def test_a_projection_shows_points_what_becomes_of_them_and_their_codings(tmp_path):
    drawn = subject(tmp_path, "linear-ae", noisy_plane(20))
    space, plane = projection(drawn).axes
    data, made = (np.stack(dots._offsets3d, axis=1) for dots in space.collections[:2])
    np.testing.assert_allclose(data, drawn.samples)
    np.testing.assert_allclose(made, reconstruct(drawn.model, drawn.samples), atol=1e-6)
    np.testing.assert_array_equal(plane.collections[0].get_offsets(), drawn.codings)
    told = [text.get_text() for text in space.get_legend().get_texts()]
    assert told == ["data", "reconstruction"]


@pytest.mark.parametrize("noise", ["gaussian", "dropout"])
def test_a_triptych_has_clean_noisy_and_restored_images(tmp_path, noise):
    drawn = subject(tmp_path, "denoising-ae", noise=noise)
    sheet, clean, model = pixels(denoising(drawn), tmp_path), drawn.samples[:SHOWN], drawn.model
    noisy = with_noise(model.noise, clean)
    shown = noisy / 2 if noise == "dropout" else noisy
    for row, expected in enumerate((clean, shown, reconstruct(model, noisy))):
        strip = np.asarray(plate(expected, SHOWN))
        part = sheet[60 * row : 60 * row + 64, sheet.shape[1] - strip.shape[1] :]
        np.testing.assert_array_equal(part[4:60, 4:], strip[4:60, 4:])
    if noise == "dropout":  # what is left is as bright as it was
        np.testing.assert_array_equal(shown[shown > 0], clean[shown > 0])
        assert 0.4 < (shown == 0).mean() < 0.6


@pytest.mark.parametrize(("name", "targets"), [("sparse-kl-ae", 1), ("sparse-l1-ae", 0)])
def test_histograms_are_those_of_the_samples_codings(tmp_path, name, targets):
    drawn = subject(tmp_path, name)
    codings = encode(drawn.model, drawn.samples)
    (first, _) = axes = activations(drawn).axes
    heights = [bar.get_height() for bar in first.patches]
    expected = np.histogram(codings, len(heights), (0, 1))[0] / codings.size
    np.testing.assert_allclose(heights, 100 * expected)
    assert [len(axis.lines) for axis in axes] == [1 + targets] * 2
    assert first.get_title(loc="left") == f"{name}: 300 codings of 10 samples"


@pytest.mark.parametrize("labels", [True, False])
def test_look_alikes_are_those_with_the_nearest_codes(tmp_path, labels):
    drawn = subject(tmp_path, "hashing-ae", labelled(40, 8, 8, labels=labels))
    rows, distances = HashIndex(hash_codes(drawn.model, drawn.train)).query(
        hash_codes(drawn.model, drawn.samples[:4]), 5
    )
    texts = [["1 bit" if d == 1 else f"{d} bits" for d in row] for row in distances]
    kinds, same = (), None
    if labels:
        kinds = [NAMES[(30 + i) % 3] for i in range(4)]
        same = rows % 3 == np.arange(30, 34)[:, np.newaxis] % 3
    plain = look_alikes(drawn.samples[:4], drawn.train[rows], texts, kinds, same)
    sheet = np.asarray(nearest_images(drawn, n=4, k=5)).astype(int)
    expected = np.asarray(plain)
    np.testing.assert_array_equal(  # below title and note
        sheet[-expected.shape[0] + 12 :, : expected.shape[1] - 6], expected[12:, :-6]
    )
    assert ({rgb(GREEN), rgb(ORANGE)} <= colours(sheet)) == labels
    assert rgb(BLUE) in colours(sheet)


def test_other_models_find_look_alikes_by_the_distance_of_codings(tmp_path):
    drawn = subject(tmp_path, "stacked-ae")
    codings, known = (encode(drawn.model, x) for x in (drawn.samples, drawn.train))
    apart = np.sqrt(np.square(codings[:, np.newaxis] - known).sum(axis=2))
    rows, distances = drawn.nearest(10, 4)
    np.testing.assert_array_equal(rows, np.argsort(apart, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :4], rtol=1e-4)


def test_few_images_have_few_look_alikes(tmp_path):
    few = nearest_images(subject(tmp_path, "hashing-ae", images(4, 8, 8)))
    assert few.size == nearest_images(subject(tmp_path, "hashing-ae", images(4, 8, 8)), k=4).size


def test_samples_are_what_the_prior_decodes_to(tmp_path):
    drawn = subject(tmp_path, "vae")
    z = Random(0, "figures/samples").normal((50, 10), dtype=np.float32)
    expected = np.asarray(plate(decode(drawn.model, z), SHOWN))
    found = np.asarray(samples(drawn)).astype(int)
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= 1  # rounded after batches of another size


def test_corners_of_an_interpolation_are_reconstructions(tmp_path):
    drawn = subject(tmp_path, "vae")
    chosen = [3, 1, 4, 0]
    sheet = np.asarray(interpolation(drawn, corners=chosen, side=3)).astype(int)
    made = reconstruct(drawn.model, drawn.samples[chosen])
    grid = np.zeros((3, 3, 8, 8))
    grid[::2, ::2] = made.reshape(2, 2, 8, 8)
    expected = np.asarray(square(grid)).astype(int)
    below = sheet[-expected.shape[0] :]
    for rows in (slice(15, 79), slice(-79, -15)):
        for columns in (slice(15, 79), slice(-79, -15)):
            corner = below[:, : expected.shape[1]][rows, columns]
            assert abs(corner - expected[rows, columns]).max() <= 1


def test_corners_are_unlike_each_other():
    codings = np.array([[0.0, 0], [0, 1], [9, 0], [9, 9], [8, 9], [0, 9]])
    assert far_apart(codings, 4) == [0, 3, 2, 5]


# What there is no figure of


@pytest.mark.parametrize(
    ("figure", "data", "message"),
    [
        ("tsne", noisy_plane(9), "the model was trained on points, not on images or series"),
        ("tsne", images(3, 8, 8), "3 images are too few, the figure needs 4"),
        ("interpolation", images(3, 8, 8), "3 images are too few, the figure needs 4"),
        ("projection", images(5, 8, 8), "the model was trained on images, not on points"),
        ("projection", images(5, 9), "the points have 9 dimensions, the figure needs 3"),
        ("reconstructions", images(5, 8, 8), "there are no pictures of its epochs"),
    ],
)
def test_why_there_is_no_such_figure(tmp_path, figure, data, message):
    with pytest.raises(Unfit, match=f"^{tmp_path}: {message}"):
        FIGURES[figure](subject(tmp_path, "linear-ae", data))
