"""Pooling, window by window."""

import numpy as np

from tests.op_cases.case import Case, distinct, grid, normal, torch
from tests.op_cases.conv import both, pads
from tinygen import ops

WINDOWS = [
    {},
    {"size": 3},
    *grid(size=[3, (2, 1)], stride=[1, 2, (3, 1)], padding=["same", "valid"]),
    *grid(size=[3, (4, 2)], padding=[1, ((2, 0), (1, 0))]),
]
SHAPES = [((1, 2, 2, 1),), ((2, 6, 7, 4),), ((3, 5, 4, 33),)]
EMPTY = [((0, 5, 4, 3),), ((2, 5, 4, 0),)]


def windows(x, size=2, stride=None, padding="valid"):
    """Each window without its padding, as ((i, j), pixels), and the size of the output."""
    (kh, kw), (sh, sw) = both(size), both(size if stride is None else stride)
    (top, bottom), (left, right) = pads(x, (kh, kw), (sh, sw), padding, 1)
    h, w = x.shape[1:3]
    shape = (h + top + bottom - kh) // sh + 1, (w + left + right - kw) // sw + 1
    found = []
    for i, j in np.ndindex(shape):
        r, c = i * sh - top, j * sw - left
        found.append(((i, j), x[:, max(r, 0) : r + kh, max(c, 0) : c + kw]))
    return found, shape


def pool(x, combine, **options):
    found, shape = windows(x, **options)
    y = np.zeros((len(x), *shape, x.shape[3]))
    for (i, j), pixels in found:
        y[:, i, j] = combine(pixels, axis=(1, 2))
    return y


def torch_pool(x, combine, **options):
    """PyTorch's own pooling pads only symmetrically; its maximum and mean are the same."""
    found, shape = windows(x, **options)
    rows = torch.stack([combine(pixels, (1, 2)) for _, pixels in found], 1)
    return rows.reshape(len(x), *shape, x.shape[3])


CASES = [
    Case(
        "max_pool2d",
        ops.max_pool2d,
        [distinct(2, 5, 6, 3)],
        options=WINDOWS,
        empty=EMPTY,
        reference=lambda x, **options: pool(x, np.max, **options),
        torch=lambda x, **options: torch_pool(x, torch.amax, **options),
    ),
    Case(
        "max_pool2d",
        ops.max_pool2d,
        [distinct(2, 4, 4, 16)],
        shapes=SHAPES,
        label="shapes",
        reference=lambda x, **options: pool(x, np.max, **options),
        torch=lambda x: torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(
            0, 2, 3, 1
        ),
    ),
    Case(
        "max_pool2d",
        ops.max_pool2d,
        [distinct(1, 18, 17, 2)],
        options=[{"size": 17, "stride": 1}],
        label="of windows with over 256 places",
        reference=lambda x, **options: pool(x, np.max, **options),
        torch=lambda x, **options: torch_pool(x, torch.amax, **options),
    ),
    Case(
        "avg_pool2d",
        ops.avg_pool2d,
        [normal(2, 5, 6, 3)],
        options=WINDOWS,
        empty=EMPTY,
        reference=lambda x, **options: pool(x, np.mean, **options),
        torch=lambda x, **options: torch_pool(x, torch.mean, **options),
    ),
    Case(
        "avg_pool2d",
        ops.avg_pool2d,
        [normal(2, 5, 6, 3)],
        options=grid(size=[3, (2, 3)], stride=[1, 2], padding=[0, 1]),
        shapes=SHAPES[1:],
        label="as PyTorch does it",
        reference=lambda x, **options: pool(x, np.mean, **options),
        torch=lambda x, size, stride, padding: torch.nn.functional.avg_pool2d(
            x.permute(0, 3, 1, 2), size, stride, padding, count_include_pad=False
        ).permute(0, 2, 3, 1),
    ),
    Case(
        "global_avg_pool2d",
        ops.global_avg_pool2d,
        [normal(2, 5, 6, 3)],
        options=grid(keepdims=[False, True]),
        shapes=[((2, 1, 1, 4),), ((1, 9, 8, 17),)],
        empty=EMPTY,
        reference=lambda x, keepdims: x.mean((1, 2), keepdims=keepdims),
        torch=lambda x, keepdims: x.mean((1, 2), keepdims),
    ),
]
