"""Style mixing: which layers, whose styles; what noise leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models
from tinygen.latent import layers_of, mixed_styles, variation


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("coarse", 18, range(4)),
        ("middle", 18, range(4, 8)),
        ("fine", 18, range(8, 18)),
        ("coarse", 8, [0, 1]),
        ("middle", 8, [2, 3]),
        ("fine, 0", 8, [0, 4, 5, 6, 7]),
        ("0-2,5", 8, [0, 1, 2, 5]),
        ("7", 8, [7]),
    ],
)
def test_layers_by_name_and_number(text, count, expected):
    assert layers_of(text, count) == list(expected)


@pytest.mark.parametrize("text", ["", "rough", "2-", "-1", "3-2", "1.5", "0-2;5", "²"])
def test_texts_that_name_no_layers(text):
    with pytest.raises(ValueError, match="layers are coarse, middle, fine, or numbers"):
        layers_of(text, 8)


def test_layers_that_are_not_there():
    with pytest.raises(ValueError, match="layers go from 0 to 7, there is none 8"):
        layers_of("6-8", 8)
    with pytest.raises(ValueError, match="layers go from 0 to 2, not 3"):
        mixed_styles(np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), [3])
    with pytest.raises(ValueError, match="styles are two arrays"):
        mixed_styles(np.zeros((1, 3, 2)), np.zeros((1, 4, 2)), [0])


def test_every_pair_has_the_second_styles_in_the_layers_that_are_chosen():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 5, 2)), rng.random((4, 5, 2))
    mixed = mixed_styles(a, b, [1, 4])
    assert mixed.shape == (3, 4, 5, 2)
    for i in range(3):
        for j in range(4):
            for layer in range(5):
                expected = (b[j] if layer in (1, 4) else a[i])[layer]
                np.testing.assert_array_equal(mixed[i, j, layer], expected)
    np.testing.assert_array_equal(mixed_styles(a, a, [0, 2])[1, 1], a[1])


def test_variation_is_the_spread_over_draws_of_noise():
    model = models.create(
        "stylegan", image_shape=(8, 8, 3), latents=3, width=4, maps=16, mapping_layers=1
    ).eval()
    w = model.map(Random(0).normal((2, 3)))
    still, drawn, spread = variation(model, w, 3, rng=Random(1))
    assert (still.shape, drawn.shape) == ((2, 8, 8, 3), (2, 3, 8, 8, 3))
    np.testing.assert_array_equal(spread, 0)  # noise has no strength at the start
    np.testing.assert_array_equal(drawn, still[:, None].repeat(3, 1))
    for module in model.generator.modules():
        if hasattr(module, "strength"):
            module.strength.data[...] = 0.5
    model.average.load_state_dict(model.generator.state_dict())
    changed, drawn, spread = variation(model, w, 3, rng=Random(1))
    np.testing.assert_array_equal(changed, still)
    np.testing.assert_allclose(spread, drawn.std(1).mean(-1), rtol=1e-5)
    assert spread.min() > 0
