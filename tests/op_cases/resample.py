"""Resampling: zeros inserted, padded, convolved and left out in so many words."""

import numpy as np

from tests.op_cases.case import Case, grid, integers, normal, torch
from tests.op_cases.conv import both
from tinygen import ops

RANK_TWO = [[1.0, 2.0, -1.0], [0.5, 3.0, 2.0]]
FILTERS = [(1,), (1, 3, 3, 1), (1, 2, 4), RANK_TWO]
SHAPES = [((1, 1, 1, 1),), ((2, 3, 5, 17),)]
EMPTY = [((0, 4, 3, 2),), ((2, 4, 3, 0),)]


def plane(f):
    """The filter with both axes."""
    f = np.asarray(f, float)
    return np.outer(f, f) if f.ndim == 1 else f


def upfirdn2d(x, f, up=1, down=1, padding=0, flip_filter=False, gain=1.0):
    (uh, uw), (dh, dw) = both(up), both(down)
    n, h, w, c = x.shape
    wide = np.zeros((n, h * uh, w * uw, c))
    wide[:, ::uh, ::uw] = x
    pads = ((padding,) * 2,) * 2 if isinstance(padding, int) else padding
    wide = np.pad(wide, ((0, 0), *np.maximum(pads, 0), (0, 0)))
    (top, bottom), (left, right) = -np.minimum(pads, 0)
    wide = wide[:, top : wide.shape[1] - bottom, left : wide.shape[2] - right]
    kernel = plane(f) if flip_filter else plane(f)[::-1, ::-1]
    kh, kw = kernel.shape
    y = np.zeros((n, wide.shape[1] - kh + 1, wide.shape[2] - kw + 1, c))
    for i, j in np.ndindex(*y.shape[1:3]):
        y[:, i, j] = gain * np.einsum("nabc,ab->nc", wide[:, i : i + kh, j : j + kw], kernel)
    return y[:, ::dh, ::dw]


def torch_upfirdn2d(x, f, up=1, down=1, padding=0, flip_filter=False, gain=1.0):
    (uh, uw), (dh, dw) = both(up), both(down)
    n, h, w, c = x.shape
    wide = torch.zeros(n, c, h, uh, w, uw, dtype=x.dtype)
    wide[:, :, :, 0, :, 0] = x.permute(0, 3, 1, 2)
    (top, bottom), (left, right) = ((padding,) * 2,) * 2 if isinstance(padding, int) else padding
    wide = torch.nn.functional.pad(wide.reshape(n, c, h * uh, w * uw), (left, right, top, bottom))
    kernel = torch.tensor(plane(f), dtype=x.dtype) * gain
    kernel = (kernel if flip_filter else kernel.flip(0, 1)).expand(c, 1, -1, -1)
    y = torch.nn.functional.conv2d(wide, kernel, groups=c) if c and n else wide[
        :, :, : wide.shape[2] - kernel.shape[2] + 1, : wide.shape[3] - kernel.shape[3] + 1
    ]  # fmt: skip
    return y[:, :, ::dh, ::dw].permute(0, 2, 3, 1)


def blur(x, f, run):
    kernel = plane(f) / plane(f).sum()
    around = tuple((k // 2, (k - 1) // 2) for k in kernel.shape)
    return run(x, kernel, padding=around)


def upsample(x, method, factor, run):
    """StyleGAN2's: the filter in the middle of the zeros, its sum the number of them."""
    factors, kernel = both(factor), plane(method) / plane(method).sum()
    around = tuple(
        ((k + up - 1) // 2, (k - up) // 2) for k, up in zip(kernel.shape, factors, strict=True)
    )
    return run(x, kernel, factors, 1, around, gain=factors[0] * factors[1])


def downsample(x, method, factor, run):
    factors, kernel = both(factor), plane(method) / plane(method).sum()
    around = tuple(
        ((k - n + 1) // 2, (k - n) // 2) for k, n in zip(kernel.shape, factors, strict=True)
    )
    return run(x, kernel, 1, factors, around)


def nearest(x, factor=2):
    down, across = both(factor)
    return x.repeat(down, 1).repeat(across, 2)


def bilinear(x, factor):
    """Each output pixel from the four around it; beyond the border the border goes on."""
    for axis, n in zip((1, 2), both(factor), strict=True):
        last = x.shape[axis] - 1
        rows = []
        for i in range(x.shape[axis] * n):
            place = min(max((i + 0.5) / n - 0.5, 0), last)
            below = int(place)
            above = min(below + 1, last)
            share = place - below
            lower, upper = x.take(below, axis), x.take(above, axis)
            rows.append(lower * (1 - share) + upper * share if share else lower)
        x = np.stack(rows, axis)
    return x


def torch_interpolate(x, factor=2, **options):
    y = torch.nn.functional.interpolate(
        x.permute(0, 3, 1, 2), scale_factor=tuple(map(float, both(factor))), **options
    )
    return y.permute(0, 2, 3, 1)


def average(x, factor=2):
    """The means of blocks; what does not fill one is left out."""
    (down, across), (n, h, w, c) = both(factor), x.shape
    x = x[:, : h // down * down, : w // across * across]
    return x.reshape(n, h // down, down, w // across, across, c).mean((2, 4))


def translate(x, shifts):
    """Pixel by pixel, where it comes from inside of the image."""
    y = np.zeros_like(x)
    for n, i, j in np.ndindex(*x.shape[:3]):
        row, column = i - shifts[n, 0], j - shifts[n, 1]
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            y[n, i, j] = x[n, row, column]
    return y


def torch_translate(x, shifts):
    """Rolled, and what came round taken away."""
    rows, columns = torch.arange(x.shape[1])[:, None], torch.arange(x.shape[2])
    images = []
    for image, (down, right) in zip(x, shifts.tolist(), strict=True):
        rolled = torch.roll(image, (down, right), (0, 1))
        row, column = rows - down, columns - right
        inside = (row >= 0) & (row < x.shape[1]) & (column >= 0) & (column < x.shape[2])
        images.append(torch.where(inside[:, :, None], rolled, 0.0))
    return torch.stack(images) if images else x


CASES = [
    Case(
        "translate2d",
        ops.translate2d,
        [normal(8, 5, 4, 3), integers(-6, 6, 8, 2)],
        shapes=[((2, 1, 1, 1), (2, 2)), ((40, 3, 2, 1), (40, 2))],
        empty=[((0, 4, 3, 2), (0, 2)), ((2, 4, 3, 0), (2, 2))],
        reference=translate,
        torch=torch_translate,
    ),
    Case(
        "upfirdn2d",
        ops.upfirdn2d,
        [normal(2, 5, 4, 3)],
        options=[
            *grid(f=FILTERS, up=[1, 2, (3, 1)], down=[1, 2], padding=[1, 3]),
            *grid(f=FILTERS[1:], up=[2], padding=[((2, 1), (-1, 3)), ((-2, 2), (1, -1))]),
            *grid(f=[FILTERS[2], RANK_TWO], flip_filter=[True], gain=[2.5]),
            *grid(f=[range(1, 8)], up=[1, 3], down=[(5, 2)], padding=[4]),
        ],
        shapes=[((2, 3, 5, 17),)],
        empty=EMPTY,
        empty_options=grid(f=[(1, 3, 3, 1)], up=[1, 2], padding=[2]),
        tolerance=20,
        reference=upfirdn2d,
        torch=torch_upfirdn2d,
    ),
    Case(
        "blur2d",
        ops.blur2d,
        [normal(2, 5, 4, 3)],
        options=grid(f=[(1, 2, 1), *FILTERS[1:]]),
        shapes=SHAPES,
        empty=EMPTY,
        tolerance=4,
        reference=lambda x, f: blur(x, f, upfirdn2d),
        torch=lambda x, f: blur(x, f, torch_upfirdn2d),
    ),
    Case(
        "upsample2d",
        ops.upsample2d,
        [normal(2, 5, 4, 3)],
        options=[{}, {"factor": (1, 3)}],
        shapes=SHAPES,
        empty=EMPTY,
        reference=nearest,
        torch=lambda x, factor=2: torch.repeat_interleave(
            torch.repeat_interleave(x, both(factor)[0], 1), both(factor)[1], 2
        ),
    ),
    Case(
        "upsample2d",
        lambda x, factor: ops.upsample2d(x, factor, "bilinear"),
        [normal(2, 5, 4, 3)],
        options=grid(factor=[2, (1, 3)]),
        shapes=SHAPES,
        label="bilinear",
        reference=bilinear,
        torch=lambda x, factor: torch_interpolate(x, factor, mode="bilinear"),
    ),
    Case(
        "upsample2d",
        ops.upsample2d,
        [normal(2, 5, 4, 3)],
        options=grid(method=[(1, 3, 3, 1), (1, 2, 1)], factor=[2, (3, 1)]),
        shapes=SHAPES,
        label="filtered",
        tolerance=4,
        reference=lambda x, method, factor: upsample(x, method, factor, upfirdn2d),
        torch=lambda x, method, factor: upsample(x, method, factor, torch_upfirdn2d),
    ),
    Case(
        "downsample2d",
        ops.downsample2d,
        [normal(2, 5, 4, 3)],
        options=[{}, {"factor": (1, 3)}],
        shapes=[((2, 4, 6, 17),)],
        empty=EMPTY[:1],
        reference=average,
        torch=lambda x, factor=2: torch.nn.functional.avg_pool2d(
            x.permute(0, 3, 1, 2), factor
        ).permute(0, 2, 3, 1),
    ),
    Case(
        "downsample2d",
        ops.downsample2d,
        [normal(2, 5, 4, 3)],
        options=grid(method=[(1, 3, 3, 1), (1, 2, 1)], factor=[2, (3, 1)]),
        shapes=[((2, 4, 6, 17),)],
        label="filtered",
        tolerance=4,
        reference=lambda x, method, factor: downsample(x, method, factor, upfirdn2d),
        torch=lambda x, method, factor: downsample(x, method, factor, torch_upfirdn2d),
    ),
]
