"""NumPy's functions and kinds of arrays: what they do with Tensors, and Tensors with them."""

import re

import numpy as np
import pytest

import tinygen
from tinygen import Random, Tensor, nn, ops, tensor
from tinygen.data import Loader

A = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])

# Functions of two tensors, and the op that an error names.
CALLS = {
    "stack": (lambda x, y: np.stack([x, y]), ".stack"),
    "concatenate": (lambda x, y: np.concatenate([x, y]), ".concatenate"),
    "vstack": (lambda x, y: np.vstack((x, y)), ".concatenate"),
    "block": (lambda x, y: np.block([[x, y]]), ".concatenate"),
    "clip": (lambda x, y: np.clip(x, -1, 1), ".clip"),
    "clip to": (lambda x, y: np.clip(A, x, 9), ".clip"),
    "norm": (lambda x, y: np.linalg.norm(x), ".norm"),
    "mean": (lambda x, y: np.mean(x), ".mean"),
    "sum": (lambda x, y: np.sum(x, axis=0), ".sum"),
    "max": (lambda x, y: np.max(x), ".max"),
    "amin": (lambda x, y: np.amin(x), ".min"),
    "std": (lambda x, y: np.std(x), ".var"),
    "where": (lambda x, y: np.where(A > 0, x, y), ".where"),
    "dot": (lambda x, y: np.dot(x, y.T), ".matmul"),
    "einsum": (lambda x, y: np.einsum("ij,ij->i", x, y), ".matmul"),
    "transpose": (lambda x, y: np.transpose(x), ".transpose"),
    "swapaxes": (lambda x, y: np.swapaxes(x, 0, 1), ".transpose"),
    "ravel": (lambda x, y: np.ravel(x), ".reshape"),
    "pad": (lambda x, y: np.pad(x, 1), ".pad"),
    "cumsum": (lambda x, y: np.cumsum(x), ","),
    "allclose": (lambda x, y: np.allclose(x, b=y), ","),
}
VALUES = {
    "asarray": lambda x: np.asarray(x),
    "array": lambda x: np.array([x, x]),
    "another type": lambda x: np.asarray(x, np.float32),
    "scalar": lambda x: np.float32(x.sum()),
    "item": lambda x: np.zeros_like(A).__setitem__(0, x[0]),
    "full": lambda x: np.full(A.shape, x),
    "testing": lambda x: np.testing.assert_array_equal(x, A),
    "tensor": lambda x: tensor([x, x]),
    "op": lambda x: ops.add([x, x], 1.0),
    "ufunc": lambda x: np.exp(x),
    "ufunc of two": lambda x: np.add(A, x),
}


@pytest.mark.parametrize(("call", "op"), CALLS.values(), ids=CALLS)
def test_functions_of_numpy_lose_no_gradient(call, op):
    constants = Tensor(A), Tensor(2 * A)
    np.testing.assert_array_equal(call(*constants), call(A, 2 * A))
    x = Tensor(A, requires_grad=True)
    for moving in (x, x * 2.0):
        for inputs in ((moving, constants[1]), (moving, moving)):
            with pytest.raises(
                TypeError, match=re.escape(f"use tinygen.ops{op}") + r".*\.numpy\(\)"
            ):
                call(*inputs)
        with tinygen.no_grad(), pytest.raises(TypeError, match=r"tinygen\.ops"):
            call(moving, moving)


@pytest.mark.parametrize("read", VALUES.values(), ids=VALUES)
def test_nothing_else_reads_the_values_of_a_tensor_with_a_gradient(read):
    x = Tensor(A, requires_grad=True)
    for moving in (x, x * 1.0):
        with pytest.raises(TypeError, match=r"tinygen\.ops|does not support ufuncs"):
            read(moving)
    read(Tensor(A).numpy())
    assert x.numpy() is A  # the explicit way


def test_functions_that_read_no_values():
    x = Tensor(A, requires_grad=True)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
    np.testing.assert_array_equal(np.ones_like(x), np.ones((2, 3)))


# --- Kinds of arrays -----------------------------------------------------------------------------

MASKED = np.ma.array(A, mask=A < 0)
MATRIX = A.view(np.matrix)  # its own constructor warns
B = A[:, :2]

# What arrays are given to.
ENTRIES = {
    "Tensor": lambda a: Tensor(a),
    "tensor": lambda a: tensor(a),
    "op": lambda a: ops.exp(a),
    "loss": lambda a: ops.mse(Tensor(A), a),
    "softmax": lambda a: ops.softmax(a),
    "where": lambda a: ops.where(a, 1.0, A),
    "layer": lambda a: nn.Dense(3, 2, rng=Random(0)).to(dtype="float64")(a),
    "multiply": lambda a: Tensor(A) * a,
    "from the left": lambda a: a * Tensor(A),
    "matmul": lambda a: Tensor(A.T) @ a,
    "matmul from the left": lambda a: a @ Tensor(A.T),
    "compare": lambda a: Tensor(A) < a,
    "equal": lambda a: Tensor(A) == a,
    "seed": lambda a: tinygen.grad(X * 2.0, X, a)[0],
}
X = Tensor(A, requires_grad=True)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize("kind", [np.matrix, np.recarray, np.memmap])
def test_arrays_of_other_kinds_are_plain_arrays(entry, kind, tmp_path):
    if kind is np.memmap:
        array = np.memmap(tmp_path / "a", A.dtype, "w+", shape=A.shape)
        array[...] = A
    else:
        array = A.view(kind)
    found = entry(array)
    assert type(found) is Tensor
    assert type(found.data) is np.ndarray
    np.testing.assert_array_equal(found.data, entry(A).data)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_masked_arrays_are_refused(entry):
    for masked in (MASKED, np.ma.array(A)):
        with pytest.raises(TypeError, match=r"would lose its mask.*\.filled\(value\)"):
            entry(masked)
    entry(MASKED.filled(0.5))


def test_a_file_mapped_to_memory_is_shared(tmp_path):
    array = np.memmap(tmp_path / "a", "float32", "w+", shape=(3,))
    x = Tensor(array)
    array[1] = 7
    np.testing.assert_array_equal(x.data, [0, 7, 0])
    x.data = array
    assert type(x.data) is np.ndarray
    assert np.shares_memory(x.data, array)


def test_indices_and_new_data_may_not_be_masked_either():
    masked = np.ma.array([0, 1], mask=[0, 1])
    for wrong in (
        lambda: Tensor(A)[masked],
        lambda: ops.take(A, masked),
        lambda: ops.softmax_cross_entropy(A, masked),
        lambda: ops.embedding(masked, A),
        lambda: setattr(Tensor(A), "data", MASKED),
        lambda: Loader(MASKED, batch_size=1),
    ):
        with pytest.raises(TypeError, match="would lose its mask"):
            wrong()
