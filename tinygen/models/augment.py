"""Differentiable augmentation (DiffAugment, Zhao et al. 2020) of all that a discriminator sees.

D learns from T(x) and T(G(z)), and G from D(T(G(z))): because reals and fakes are changed in the
same random ways, what a generator must match is the data itself, not the changed data, as long as
the changes can be told back from their distribution. So nothing of T leaks into samples, while a
small data set lasts longer. Each change is an affine function of the pixels, so gradients of any
order flow through it to the generator.

Every sample gets random numbers of its own, those of its place in the draw. Reals and fakes are
changed by separate calls, which draw separately: with the same numbers for both a discriminator
could compare them pair by pair.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import Array, array_module, device_of
from ..core import Tensor, TensorLike, data_of
from ..names import nearest
from ..ops.random import Random, default_rng
from ..promotion import float_type

POLICIES = ("color", "translation", "cutout")
BRIGHTNESS = 0.25  # the most that is added to all pixels, as a part of their range
SATURATION = (0.0, 2.0)  # factors of the distance of a pixel's channels from their mean
CONTRAST = (0.5, 1.5)  # factors of the distance of all values of an image from their mean
TRANSLATION = 0.125  # the longest way, as a part of the side
CUTOUT = 0.5  # the side of the square, as a part of that of the image


def policies(text: str) -> tuple[str, ...]:
    """The names in a list with commas, in their order.

    Raises ValueError for unknown names, and for one that comes twice.

    >>> policies("translation, color")
    ('translation', 'color')
    """
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        if name not in POLICIES:
            raise ValueError(f"augment: there is no {name!r:.80}{nearest(name, POLICIES)}")
    if len({*names}) < len(names):
        raise ValueError(f"augment: a name comes twice in {text!r:.80}")
    return names


def augment(x: TensorLike, policy: str, *, span: float = 2.0, rng: Random | None = None) -> Tensor:
    """Images changed at random, each in its own way, in the order of the policy.

    Args:
        x: images (n, h, w) or (n, h, w, channels).
        policy: names with commas between them: "color" (`brightness`, `saturation`, `contrast`),
            "translation", "cutout"; "" leaves the images as they are.
        span: length of the range of the pixels: 2 for [-1, 1].
        rng: where the changes are drawn; by default the process's stream.

    Raises ValueError for unknown names, and for samples that are no images.
    """
    y = x if isinstance(x, Tensor) else Tensor(x)
    shape, names = y.shape, policies(policy)
    if not names:
        return y
    if len(shape) not in (3, 4):
        raise ValueError(f"augment: changes images (n, h, w) or (n, h, w, channels), not {shape}")
    stream = (rng or default_rng()).on(device_of(y.array))
    y = ops.reshape(y, (*shape, 1)) if len(shape) == 3 else y
    for name in names:
        if name == "color":
            y = brightness(y, span, rng=stream)
            y = contrast(saturation(y, rng=stream), rng=stream)
        else:
            y = translation(y, rng=stream) if name == "translation" else cutout(y, rng=stream)
    return ops.reshape(y, shape)


def brightness(x: Tensor, span: float = 2.0, *, rng: Random) -> Tensor:
    """One number from U(-span / 4, span / 4) added to all of an image (n, h, w, c)."""
    return x + _factors(x, -BRIGHTNESS * span, BRIGHTNESS * span, rng)


def saturation(x: Tensor, *, rng: Random) -> Tensor:
    """The channels of a pixel brought nearer to their mean, or further from it, by U(0, 2).

    That is a product of each pixel and s I + (1 - s) / c. An image of one channel has no colours to
    change: it stays as it is.
    """
    n, height, width, channels = x.shape
    if channels < 2:
        return x
    s = _factors(x, *SATURATION, rng).reshape(n, 1, 1)
    same = array_module(x.array).eye(channels, dtype=s.dtype)
    mixing = s * same + (1.0 - s) / channels
    pixels = ops.matmul(ops.reshape(x, (n, height * width, channels)), mixing)
    return ops.reshape(pixels, x.shape)


def contrast(x: Tensor, *, rng: Random) -> Tensor:
    """All values of an image brought nearer to their mean, or further from it, by U(1/2, 3/2)."""
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * _factors(x, *CONTRAST, rng)


def translation(x: Tensor, *, rng: Random) -> Tensor:
    """Images moved by up to an eighth of their sides, in whole pixels, zeros behind them."""
    n, *sides, _ = x.shape
    reach = [_rounded(side * TRANSLATION) for side in sides]
    shifts = [rng.integers(-far, far + 1, (n,)) for far in reach]
    return ops.translate2d(x, array_module(x.array).stack(shifts, axis=1))


def cutout(x: Tensor, *, rng: Random) -> Tensor:
    """Zeros in a rectangle of half the sides, of which a part may lie beyond the border.

    Its centre is drawn from all pixels of the image; for an even length there is one place more, so
    that both borders are alike.
    """
    n, *sides, _ = x.shape
    inside: list[Array] = []
    for side in sides:
        length = _rounded(side * CUTOUT)
        first = rng.integers(0, side + 1 - length % 2, (n, 1)) - length // 2
        place = array_module(x.array).arange(side)
        inside.append((place >= first) & (place < first + length))
    rows, columns = inside
    return ops.where((rows[:, :, None] & columns[:, None, :])[..., None], 0.0, x)


def _factors(x: Tensor, low: float, high: float, rng: Random) -> Array:
    """One number for each image."""
    dtype: Any = float_type(data_of(x).dtype)
    return rng.uniform((len(x.array), 1, 1, 1), low, high, dtype=dtype)


def _rounded(length: float) -> int:
    """To whole pixels, halves up."""
    return int(length + 0.5)
