"""Maps halve and double, and every image comes back in its own size."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models
from tinygen.nn import Conv2D, Conv2DTranspose


def shapes(module, x: np.ndarray, *layers: type) -> list[tuple[int, ...]]:
    """The shapes that those layers make of x."""
    found = []
    for layer in module:
        x = layer(x)
        if isinstance(layer, layers):
            found.append(x.shape[1:])
    return found


def test_the_maps_of_the_text():
    model = models.create("conv-ae")
    x = np.zeros((2, 28, 28), np.float32)
    assert shapes(model.encoder, x, Conv2D) == [(28, 28, 16), (14, 14, 32), (7, 7, 64)]
    codings = model.encode(x)
    assert codings.shape == (2, 3 * 3 * 64)
    up = shapes(model.decoder, codings, Conv2DTranspose)
    assert up == [(7, 7, 32), (14, 14, 16), (28, 28, 1)]
    # 3 x 3 kernels from each number of channels to the next, and biases
    ways = [(1, 16), (16, 32), (32, 64), (64, 32), (32, 16), (16, 1)]
    assert sum(p.size for p in model.parameters()) == sum(9 * a * b + b for a, b in ways)


def test_the_maps_of_the_third_edition():
    model = models.create("conv-ae", preset="ed3")
    x = Random(0).uniform((2, 28, 28))
    codings = model.encode(x)
    assert codings.shape == (2, 30)
    up = shapes(model.decoder, codings, Conv2DTranspose)
    assert up == [(7, 7, 32), (14, 14, 16), (28, 28, 1)]
    *down, _ = model.encoder
    maps = x
    for layer in down:
        maps = layer(maps)
    np.testing.assert_allclose(codings.numpy(), maps.numpy().mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("height", range(4, 12))
def test_images_of_any_size_come_back(height):
    for shape in ((height, 7), (5, height, 3)):
        model = models.create("conv-ae", image_shape=shape, widths=(2, 3))
        x = Random(0).uniform((2, *shape))
        maps = (height // 4) * (7 // 4 if len(shape) == 2 else 5 // 4)
        assert model.encode(x).shape == (2, 3 * maps)
        assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"image_shape": (7, 28)}, r"7 x 28 pixels cannot be halved 3 times.*at least 8"),
        ({"image_shape": (28, 5, 3)}, r"28 x 5 pixels cannot be halved 3 times"),
        ({"image_shape": (3, 3), "widths": (4, 4)}, "3 x 3 pixels cannot be halved 2 times"),
        ({"image_shape": (64,)}, r"needs images \(height, width\)"),
        ({"image_shape": (2, 8, 8, 3)}, r"needs images \(height, width\)"),
        ({"widths": ()}, "at least one width"),
        ({"output": "identity"}, "output must be 'sigmoid'"),
        ({"codings": 0}, "codings must be from 1 to"),
    ],
)
def test_settings_that_make_no_sense(config, message):
    with pytest.raises(ValueError, match=message):
        models.create("conv-ae", **config)
