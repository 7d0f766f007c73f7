"""The stand-in for CuPy is no more than CuPy, and no less than the library asks of it."""

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest
import tinygen_kernels
from shim import cupy_standin
from shim.cupy_standin import CUPY, ndarray

import tinygen

# What every class has that is written in Python.
PYTHONS = {"host", "__dict__", "__module__", "__weakref__"}
PACKAGES = Path(tinygen.__file__).parent, Path(tinygen_kernels.__file__).parent


def names_in_use():
    """The names that the library looks up in what may be CuPy, with where."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute) and of_cupy(node.value):
                    yield node.attr, f"{path.name}:{node.lineno}"


def of_cupy(node):
    """Whether an expression is one of those by which the library comes to CuPy."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("array_module", "module_of")
    return ast.unparse(node) in ("xp", "cupy", "foreign[0]")


def test_what_the_library_uses_is_there():
    used = dict(names_in_use())
    assert {"where", "asarray", "cuda", "zeros"} <= used.keys()
    assert not {name: place for name, place in used.items() if not hasattr(CUPY, name)}


def test_what_is_there_is_cupys():
    """On a machine with CuPy: it needs no card for this."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        pytest.skip("the lists of names are compared where CuPy is installed")
    own = {n for n in vars(CUPY) if not n.startswith("_")}
    assert not [name for name in own if not hasattr(cupy, name)]
    own = {n for n in dir(ndarray) if not hasattr(object, n)} - PYTHONS
    assert not [name for name in own if not hasattr(cupy.ndarray, name)]
    for part in ("cuda", "cuda.runtime", "cuda.nvrtc"):
        ours, theirs = CUPY, cupy
        for name in part.split("."):
            ours, theirs = getattr(ours, name), getattr(theirs, name)
        own = [n for n in vars(ours) if not n.startswith("_")]
        assert not [name for name in own if not hasattr(theirs, name)]
    for mine, real in (
        (cupy_standin.Stream, cupy.cuda.Stream),
        (cupy_standin.Graph, cupy.cuda.Graph),
        (cupy_standin.MemoryPool, cupy.cuda.MemoryPool),
    ):
        own = [n for n in vars(mine) if not n.startswith("_")]
        assert not [name for name in own if not hasattr(real, name)]


def test_arrays_keep_apart_from_numpy():
    x, y = CUPY.arange(3.0), np.arange(3.0)
    for meet in (
        lambda: x + y,
        lambda: y + x,
        lambda: np.exp(x),
        lambda: np.concatenate([x, x]),
        lambda: np.asarray(x),
        lambda: CUPY.where(x > 1, y, x),
        lambda: x[np.array([1])],
        lambda: x[[1]],
        lambda: x.__setitem__(slice(None), y),
        lambda: x.__iadd__(y),
    ):
        with pytest.raises(TypeError):
            meet()
    assert type(np.float32(2) * x) is type(x * np.float32(2)) is ndarray
    assert type(x.sum()) is type(x[0]) is ndarray
    assert x.sum().shape == ()
    assert x[1:].base is x.reshape(3, 1)[1:].base is x
    assert (x + 1).base is None
    np.testing.assert_array_equal((2.0**x).get(), [1, 2, 4])
    x += 1
    x[0] = 7
    np.testing.assert_array_equal(x.get(), [7, 2, 3])
    assert float(x[0]) == x.max().item() == 7
    assert np.isnan(CUPY.empty(3).get()).all()


def test_a_recording_is_done_again_in_the_same_memory():
    x, stream = CUPY.asarray(np.arange(3.0)), CUPY.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        y = (x * x).reshape(3, 1)
        total = y.sum()
        total += 1
        z = CUPY.zeros(3)
        z[1:] = y[:2, 0]
        for wait in (x.get, total.item, lambda: float(total), lambda: bool(total == 1)):
            with pytest.raises(RuntimeError, match="StreamCaptureUnsupported"):
                wait()
        with pytest.raises(RuntimeError, match="StreamCaptureUnsupported"):
            CUPY.asarray(np.zeros(2))
        with pytest.raises(RuntimeError, match="StreamCaptureUnsupported"):
            CUPY.concatenate([x] * 9)
        graph = stream.end_capture()
    np.testing.assert_array_equal(z.get(), 0)  # what it does to arrays is not done yet
    for _ in range(2):
        graph.launch()
        assert total.item() == 6
    x += 1
    graph.launch()
    np.testing.assert_array_equal(y.get()[:, 0], [1, 4, 9])
    np.testing.assert_array_equal(z.get(), [0, 1, 4])
    assert total.item() == 15
