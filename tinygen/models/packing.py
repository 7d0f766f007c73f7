"""Packing: a discriminator that sees several samples at once (PacGAN, Lin et al. 2018)."""

from __future__ import annotations

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..ranges import whole


def pack(x: TensorLike, size: int) -> Tensor:
    """Packs of samples, side by side on the last axis: (n, ..., c) -> (n / size, ..., size c).

    Samples that follow each other make up a pack, so those of a batch must be independent. A
    discriminator of packs gives n / size scores, and only its first layer is larger.

    Args:
        x: samples of at least one axis each, such as images (n, h, w, channels).
        size: samples in a pack; 1 leaves them as they are.

    Raises ValueError if the samples make up no whole packs.

    >>> pack([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], 2).numpy()
    array([[1., 2., 3., 4.],
           [5., 6., 7., 8.]], dtype=float32)
    """
    whole("pack: size", size)
    x = x if isinstance(x, Tensor) else Tensor(x)
    shape = data_of(x).shape
    if len(shape) < 2:
        raise ValueError(f"pack: needs samples (n, ..., features), got shape {shape}")
    n, *places, features = shape
    if n % size:
        raise ValueError(
            f"pack: {n} samples make up no whole packs of {size}: choose a batch size that is a "
            "multiple, and drop the remainder of an epoch"
        )
    if size == 1:
        return x
    groups = ops.reshape(x, (n // size, size, *places, features))
    last = len(shape) - 1
    order = (0, *range(2, last + 1), 1, last + 1)
    return ops.reshape(ops.transpose(groups, order), (n // size, *places, size * features))
