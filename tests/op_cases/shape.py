"""Moving elements about."""

import numpy as np

from tests.op_cases.case import Case, grid, labels, normal, torch
from tinygen import ops

INDICES = [
    1, -1, (slice(1, 3), -1), (None, 2), (..., 0), (0, ..., None, 1), (),
    np.array([2, 0, 2]), [0, 0], (np.array([[1], [2]]), np.array([0, 0])),
    (slice(None), np.array([1, 1, 0])), np.arange(12).reshape(4, 3) % 3 == 1,
    (np.array([True, False, True, True]), 1), (np.array(2), slice(0, 0)),
]  # fmt: skip


def torch_index(index):
    """PyTorch understands its own tensors best."""
    if isinstance(index, tuple):
        return tuple(map(torch_index, index))
    return torch.as_tensor(index) if isinstance(index, (list, np.ndarray)) else index


def scatter_add(x, index, shape):
    y = np.zeros(shape)
    np.add.at(y, index, x)
    return y


def torch_scatter_add(x, index, shape):
    index = torch_index(index if isinstance(index, tuple) else (index,))
    return torch.zeros(shape, dtype=x.dtype).index_put(index, x, accumulate=True)


def torch_split(x, lengths, axis):
    n = x.shape[axis]
    return torch.split(x, n // lengths if isinstance(lengths, int) else list(lengths), axis)


def numpy_split(x, lengths, axis):
    return np.split(x, lengths if isinstance(lengths, int) else np.cumsum(lengths)[:-1], axis)


CASES = [
    Case(
        "reshape",
        ops.reshape,
        [normal(2, 6)],
        options=grid(shape=[(3, 4), (-1, 1, 2), 12, -1]),
        empty=[((0, 3),)],
        empty_options=grid(shape=[(3, 0), (0,), (2, 0, 5)]),
        reference=np.reshape,
        torch=lambda x, shape: x.reshape(shape),
    ),
    Case(
        "reshape",
        ops.reshape,
        [normal()],
        options=grid(shape=[(1, 1), ()]),
        label="of one",
        reference=np.reshape,
        torch=lambda x, shape: x.reshape(shape),
    ),
    Case(
        "transpose",
        ops.transpose,
        [normal(2, 3, 4)],
        empty=[((2, 0, 3),)],
        options=grid(axes=[None, (1, 2, 0), (-1, 0, 1)]),
        reference=np.transpose,
        torch=lambda x, axes: x.permute(axes or (2, 1, 0)),
    ),
    Case(
        "astype",
        lambda x: ops.astype(ops.astype(x, "float64"), x.dtype),
        [normal(2, 3)],
        shapes=[((),)],
        empty=[((0, 3),)],
        label="and back",
        reference=lambda x: x,
        torch=lambda x: x.double().to(x.dtype),
    ),
    Case(
        "concatenate",
        lambda *xs, axis: ops.concatenate(xs, axis),
        [normal(2, 3), normal(2, 3)],
        options=grid(axis=[0, 1, -1]),
        empty=[((0, 3), (0, 3))],
        reference=lambda *xs, axis: np.concatenate(xs, axis),
        torch=lambda *xs, axis: torch.cat(xs, axis),
    ),
    Case(
        "concatenate",
        lambda *xs: ops.concatenate(xs, 1),
        [normal(2, 3), normal(2, 0), normal(2, 1)],
        label="of three",
        reference=lambda *xs: np.concatenate(xs, 1),
        torch=lambda *xs: torch.cat(xs, 1),
    ),
    Case(
        "stack",
        lambda *xs, axis: ops.stack(xs, axis),
        [normal(2, 3), normal(2, 3)],
        options=grid(axis=[0, 1, 2, -1, -2]),
        empty=[((0, 3), (0, 3))],
        reference=lambda *xs, axis: np.stack(xs, axis),
        torch=lambda *xs, axis: torch.stack(xs, axis),
    ),
    Case(
        "split",
        ops.split,
        [normal(2, 6)],
        options=grid(lengths=[2, (1, 0, 5)], axis=[1, -1]),
        empty=[((0, 6),)],
        reference=numpy_split,
        torch=torch_split,
    ),
    Case(
        "pad",
        ops.pad,
        [normal(2, 3)],
        empty=[((0, 3),)],
        options=grid(widths=[((1, 0), (2, 3)), ((0, 0), (0, 1))], value=[0.0, -1.5]),
        reference=lambda x, widths, value: np.pad(x, widths, constant_values=value),
        torch=lambda x, widths, value: torch.nn.functional.pad(
            x, (*widths[1], *widths[0]), value=value
        ),
    ),
    Case(
        "getitem",
        ops.getitem,
        [normal(4, 3)],
        options=grid(index=INDICES),
        empty=[((0, 3),)],
        empty_options=grid(index=[slice(None), (..., 1), (None, ...), np.zeros(0, int)]),
        reference=lambda x, index: x[index],
        torch=lambda x, index: x[torch_index(index)],
    ),
    Case(
        "getitem",
        ops.getitem,
        [normal(4, 3)],
        label="backwards",
        options=grid(index=[slice(None, None, -2), (slice(1, None, -1), [2, 2])]),
        reference=lambda x, index: x[index],
        torch="PyTorch has no negative steps",
    ),
    Case(
        "scatter_add",
        ops.scatter_add,
        [normal(3)],
        options=[
            {"index": np.array([2, 0, 2]), "shape": (4,)},
            {"index": ([1, 1, 1], [0, 3, 0]), "shape": (2, 4)},
        ],
        empty=[((0, 3),)],
        empty_options=[{"index": np.zeros(0, int), "shape": (4, 3)}],
        reference=scatter_add,
        torch=torch_scatter_add,
    ),
    Case(
        "scatter_add",
        ops.scatter_add,
        [normal(2, 3)],
        label="without repeats",
        options=[
            {"index": slice(1, 3), "shape": (3, 3)},
            {"index": (..., slice(None, None, -2)), "shape": (2, 6)},
        ],
        reference=scatter_add,
        torch="its index_put takes no slices",
    ),
    Case(
        "take",
        ops.take,
        [normal(4, 3), labels(3, 2, 2)],
        options=grid(axis=[0, 1, -1]),
        shapes=[((4, 3), ())],
        empty=[((4, 3), (0,))],
        reference=lambda x, i, axis: np.take(x, i, axis),
        torch=lambda x, i, axis: x[(slice(None),) * (axis % x.ndim) + (i,)],
    ),
    Case(
        "take_along_axis",
        ops.take_along_axis,
        [normal(4, 3), labels(3, 4, 2)],
        options=grid(axis=[1, -1]),
        shapes=[((4, 3), (1, 2))],
        empty=[((0, 3), (0, 2)), ((4, 3), (4, 0))],
        reference=np.take_along_axis,
        torch=lambda x, i, axis: torch.take_along_dim(x, i, axis),
    ),
    Case(
        "take_along_axis",
        ops.take_along_axis,
        [normal(4, 3), labels(4, 2, 3)],
        options=grid(axis=[0, -2]),
        label="columns",
        reference=np.take_along_axis,
        torch=lambda x, i, axis: torch.take_along_dim(x, i, axis),
    ),
    Case(
        "expand_dims",
        ops.expand_dims,
        [normal(2, 3)],
        options=grid(axis=[0, 1, 2, -1, -3]),
        empty=[((0, 3),)],
        reference=np.expand_dims,
        torch=lambda x, axis: x.unsqueeze(axis),
    ),
    Case(
        "squeeze",
        ops.squeeze,
        [normal(1, 3, 1)],
        options=grid(axis=[None, 0, -1]),
        empty=[((1, 0, 1),)],
        reference=np.squeeze,
        torch=lambda x, axis: x.squeeze() if axis is None else x.squeeze(axis),
    ),
    Case(
        "repeat",
        ops.repeat,
        [normal(2, 3)],
        options=grid(repeats=[0, 1, 3], axis=[0, 1, -1]),
        empty=[((0, 3),)],
        reference=np.repeat,
        torch=lambda x, repeats, axis: torch.repeat_interleave(x, repeats, axis),
    ),
    Case(
        "flip",
        ops.flip,
        [normal(2, 3)],
        options=grid(axis=[None, 0, -1, (0, 1)]),
        empty=[((0, 3),)],
        reference=np.flip,
        torch=lambda x, axis: x.flip((0, 1) if axis is None else axis),
    ),
]
