"""Convolution, its transpose and its weight gradient."""

import numpy as np

from tests.op_cases.activation import REFERENCE, TORCH
from tests.op_cases.case import Case, grid, normal, torch
from tinygen import ops

SHAPES = [
    ((2, 4, 5, 1), (3, 3, 1, 1)),
    ((1, 7, 3, 4), (1, 1, 4, 3)),
    ((3, 4, 4, 2), (4, 2, 2, 5)),
    ((2, 1, 1, 3), (3, 3, 3, 17)),
    ((1, 9, 6, 19), (2, 3, 19, 2)),
]
BACK = [  # for the transposed one, whose kernels have the channels the other way round
    ((2, 4, 5, 1), (3, 3, 1, 1)),
    ((3, 2, 2, 5), (5, 2, 2, 5)),
    ((2, 1, 1, 17), (3, 3, 3, 17)),
    ((1, 5, 3, 2), (2, 1, 19, 2)),
]
STRIDES = grid(stride=[1, 2, (3, 1)], padding=["same", "valid"])
PADS = grid(padding=[1, ((2, 0), (1, 3))], stride=[1, 2])
DILATED = grid(dilation=[2, (1, 3)], padding=["same", 2])
ACTIVATIONS = grid(activation=["selu", "leaky_relu", "sigmoid", "gelu"])


def pads(x, kernel, stride, padding, dilation):
    """((top, bottom), (left, right)), worked out one direction at a time."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        found = []
        for n, k, s, d in zip(x.shape[1:3], kernel, both(stride), both(dilation), strict=True):
            total = max((int(np.ceil(n / s)) - 1) * s + (k - 1) * d + 1 - n, 0)
            found.append((total // 2, total - total // 2))
        return tuple(found)
    return ((padding,) * 2,) * 2 if isinstance(padding, int) else padding


def both(value):
    return (value, value) if isinstance(value, int) else value


def conv2d(x, w, b=0.0, stride=1, padding="same", dilation=1, groups=1, activation=None):
    """Straight from the definition, one output pixel at a time."""
    (sh, sw), (dh, dw) = both(stride), both(dilation)
    kh, kw, per_group, outputs = w.shape
    x = np.pad(x, ((0, 0), *pads(x, (kh, kw), stride, padding, dilation), (0, 0)))
    oh = (x.shape[1] - dh * (kh - 1) - 1) // sh + 1
    ow = (x.shape[2] - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((len(x), oh, ow, outputs))
    share = outputs // groups
    for i, j, o in np.ndindex(oh, ow, outputs):
        first = o // share * per_group
        seen = x[:, i * sh : i * sh + dh * kh : dh, j * sw : j * sw + dw * kw : dw]
        y[:, i, j, o] = (seen[..., first : first + per_group] * w[..., o]).sum((1, 2, 3))
    return REFERENCE[activation or "identity"](y + b)


def torch_conv2d(x, w, b=None, stride=1, padding="same", dilation=1, groups=1, activation=None):
    (top, bottom), (left, right) = pads(x, w.shape[:2], stride, padding, dilation)
    x = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = torch.nn.functional.conv2d(
        x, w.permute(3, 2, 0, 1), b, both(stride), 0, both(dilation), groups
    ).permute(0, 2, 3, 1)
    return TORCH[activation or "identity"](y)


def frame(x, w, stride, padding, dilation, output_padding):
    """Of the whole that a transposed convolution makes: the first pixel kept, and how many."""
    reach = [d * (k - 1) + 1 for k, d in zip(w.shape[:2], both(dilation), strict=True)]
    found = []
    for axis, (n, s, r) in enumerate(zip(x.shape[1:3], both(stride), reach, strict=True)):
        more = None if output_padding is None else both(output_padding)[axis]
        if padding == "same" and more is None:
            found.append((max((n - 1) * s + r - n * s, 0) // 2, n * s))
        elif padding == "valid" and more is None:
            found.append((0, (n - 1) * s + max(r, s)))
        else:
            names = {"same": (r // 2, r // 2), "valid": (0, 0)}
            sides = padding if isinstance(padding, tuple) else (padding, padding)
            around = names[padding] if isinstance(padding, str) else sides[axis]
            around = (around, around) if isinstance(around, int) else around
            found.append((around[0], (n - 1) * s + r - sum(around) + (more or 0)))
    (top, height), (left, width) = found
    return slice(top, top + height), slice(left, left + width)


def conv2d_transpose(
    x, w, b=0.0, stride=1, padding="same", dilation=1, groups=1, activation=None,
    output_padding=None,
):  # fmt: skip
    """Every pixel adds its multiple of the kernel to an image that is large enough for all."""
    rows, columns = frame(x, w, stride, padding, dilation, output_padding)
    (sh, sw), (dh, dw) = both(stride), both(dilation)
    kh, kw, per_group, inputs = w.shape
    n, height, width, _ = x.shape
    whole = np.zeros((n, rows.stop + height * sh + dh * kh, columns.stop + width * sw + dw * kw,
                      per_group * groups))  # fmt: skip
    share = inputs // groups
    for i, j, p, q, c in np.ndindex(height, width, kh, kw, inputs):
        first = c // share * per_group
        whole[:, i * sh + p * dh, j * sw + q * dw, first : first + per_group] += (
            x[:, i, j, c, None] * w[p, q, :, c]
        )
    return REFERENCE[activation or "identity"](whole[:, rows, columns] + b)


def conv2d_weight_grad(x, gy, kernel, stride=1, padding="same", dilation=1, groups=1):
    """Every weight's sum over the places where it is used, of what it sees times gy."""
    (sh, sw), (dh, dw), (kh, kw) = both(stride), both(dilation), both(kernel)
    x = np.pad(x, ((0, 0), *pads(x, (kh, kw), stride, padding, dilation), (0, 0)))
    oh, ow, outputs = gy.shape[1:]
    gw = np.zeros((kh, kw, x.shape[3] // groups, outputs))
    for i, j, c, o in np.ndindex(*gw.shape):
        channel = o // (outputs // groups) * gw.shape[2] + c
        seen = x[:, i * dh : i * dh + sh * oh : sh, j * dw : j * dw + sw * ow : sw, channel]
        gw[i, j, c, o] = (seen * gy[..., o]).sum()
    return gw


def torch_conv2d_transpose(
    x, w, b=None, stride=1, padding="same", dilation=1, groups=1, activation=None,
    output_padding=None,
):  # fmt: skip
    """PyTorch's whole, with pixels of 0 added where stride leaves some, then cut."""
    rows, columns = frame(x, w, stride, padding, dilation, output_padding)
    y = torch.nn.functional.conv_transpose2d(
        x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), None, both(stride), 0, 0, groups,
        both(dilation),
    )  # fmt: skip
    y = torch.nn.functional.pad(y, (0, columns.stop, 0, rows.stop))[:, :, rows, columns]
    return TORCH[activation or "identity"](y.permute(0, 2, 3, 1) + (0.0 if b is None else b))


def torch_weight_grad(x, gy, kernel, stride=1, padding="same", dilation=1, groups=1):
    w = torch.zeros(
        *both(kernel), x.shape[3] // groups, gy.shape[3], dtype=x.dtype, requires_grad=True
    )
    y = torch_conv2d(x, w, None, stride, padding, dilation, groups)
    gw = torch.autograd.grad(y, w, gy, create_graph=True)[0]
    return gw + 0.0 * (x.sum() + gy.sum())  # of a batch of none, PyTorch forgets where it came from


CASES = [
    Case(
        "conv2d",
        ops.conv2d,
        [normal(2, 5, 4, 3), normal(3, 3, 3, 2)],
        options=[{}, *STRIDES, *PADS, *DILATED],
        empty=[((0, 5, 4, 3), (3, 3, 3, 2))],
        tolerance=8,
        reference=conv2d,
        torch=torch_conv2d,
    ),
    Case(
        "conv2d",
        ops.conv2d,
        [normal(1, 6, 6, 2), normal(5, 5, 2, 3)],
        options=[{}, {"stride": 2}],
        shapes=SHAPES,
        label="shapes",
        tolerance=8,
        reference=conv2d,
        torch=torch_conv2d,
    ),
    Case(
        "conv2d",
        ops.conv2d,
        [normal(2, 5, 4, 3), normal(5, 3, 3, 2), normal(2)],
        options=[{}, *ACTIVATIONS],
        label="with bias",
        tolerance=8,
        reference=conv2d,
        torch=torch_conv2d,
    ),
    Case(
        "conv2d",
        ops.conv2d,
        [normal(2, 5, 4, 6), normal(3, 2, 2, 9), normal(9)],
        options=grid(groups=[3], stride=[1, 2]),
        label="in groups",
        tolerance=8,
        reference=conv2d,
        torch=torch_conv2d,
    ),
    Case(
        "conv2d_transpose",
        ops.conv2d_transpose,
        [normal(2, 3, 4, 3), normal(3, 3, 2, 3)],
        options=[
            {},
            *STRIDES,
            *PADS[:2],
            *DILATED,
            {"stride": 2, "output_padding": 1},
            {"stride": 3, "padding": 1, "output_padding": (0, 2)},
            {"stride": (4, 3), "padding": "valid", "output_padding": 1},
        ],
        empty=[((0, 3, 2, 3), (3, 3, 2, 3))],
        empty_options=[{}, *STRIDES],
        tolerance=8,
        spreads_nan=True,
        reference=conv2d_transpose,
        torch=torch_conv2d_transpose,
    ),
    Case(
        "conv2d_transpose",
        ops.conv2d_transpose,
        [normal(1, 3, 3, 2), normal(5, 5, 3, 2)],
        options=[{}, {"stride": 2}],
        shapes=BACK,
        label="shapes",
        tolerance=8,
        spreads_nan=True,
        reference=conv2d_transpose,
        torch=torch_conv2d_transpose,
    ),
    Case(
        "conv2d_transpose",
        ops.conv2d_transpose,
        [normal(2, 3, 4, 6), normal(5, 3, 3, 6), normal(9)],
        options=[{"groups": 3}, {"groups": 3, "stride": 2, "activation": "sigmoid"}],
        label="in groups",
        tolerance=8,
        spreads_nan=True,
        reference=conv2d_transpose,
        torch=torch_conv2d_transpose,
    ),
    Case(
        "conv2d_weight_grad",
        ops.conv2d_weight_grad,
        [normal(2, 5, 4, 3), normal(2, 5, 4, 2)],
        options=grid(kernel=[3, (1, 2), (5, 4)]),
        empty=[((0, 5, 4, 3), (0, 5, 4, 2))],
        tolerance=8,
        reference=conv2d_weight_grad,
        torch=torch_weight_grad,
    ),
    Case(
        "conv2d_weight_grad",
        ops.conv2d_weight_grad,
        [normal(2, 7, 5, 4), normal(2, 4, 3, 6)],
        options=grid(kernel=[3, 4], stride=[2], groups=[1, 2]),
        label="strided",
        tolerance=8,
        reference=conv2d_weight_grad,
        torch=torch_weight_grad,
    ),
]
