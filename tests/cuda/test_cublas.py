"""The binding of cuBLAS, with a library of our own in its place that does what cuBLAS documents."""

import ctypes
import itertools
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shim
from tinygen_kernels.cuda import cublas, matmul
from tinygen_kernels.precision import current, using_precision

from .equipment import needs_compiler

pytestmark = needs_compiler

FIELDS = ("calls", "batched", "compute", "type", "ta", "tb", "stream", "workspace", "room")


class Record(ctypes.Structure):
    """What the stand-in was given last."""

    _fields_ = [(name, ctypes.c_longlong) for name in FIELDS]


class Memory:
    """So many bytes, at an address such as cudaMalloc gives."""

    def __init__(self, size):
        self.room = np.empty(size + 256, np.uint8)
        self.ptr = -(-self.room.ctypes.data // 256) * 256


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """The path of the stand-in, compiled."""
    folder = tmp_path_factory.mktemp("cuda") / "lib64"
    folder.mkdir()
    path = folder / "libcublas.so.13"
    source = Path(__file__).with_name("cublas_stand_in.cpp")
    command = [shim.compiler(), "-O1", "-shared", "-fPIC", str(source), "-o", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def record(stand_in):
    """A function that tells what the stand-in was given last."""
    library = ctypes.CDLL(str(stand_in))
    library.last_record.restype = ctypes.POINTER(Record)
    return lambda: library.last_record().contents


@pytest.fixture
def failing(stand_in):
    """A function that makes the stand-in give a status from now on."""
    status = ctypes.c_int.in_dll(ctypes.CDLL(str(stand_in)), "fail_with")
    yield lambda n: setattr(status, "value", n)
    status.value = 0


@pytest.fixture
def handle(stand_in):
    """A handle for products of NumPy arrays."""
    made = cublas.Handle(cublas.Library(str(stand_in)), Memory)
    made.enter(0)
    return made


def normal(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_product(handle, x, y):
    z = cublas.product(handle, x, y)
    expected = x.astype(float) @ y.astype(float)
    assert (z.dtype, z.shape) == (x.dtype, expected.shape)
    assert z.flags.c_contiguous
    bound = 20 * np.finfo(x.dtype).eps * (x.shape[-1] + 1)
    np.testing.assert_allclose(z, expected, rtol=bound, atol=bound)


def turned(x):
    """The transposes of a stack of matrices."""
    return np.swapaxes(x, -1, -2)


def part_of_larger(x):
    """The same numbers, as the left upper parts of larger matrices by rows."""
    larger = np.full((*x.shape[:-2], x.shape[-2] + 1, x.shape[-1] + 3), np.nan, x.dtype)
    larger[..., :-1, :-3] = x
    return larger[..., :-1, :-3]


def between_other_bytes(x):
    """The same numbers, at distances that are no multiple of their size."""
    fields = np.zeros(x.shape, [("byte", "u1"), ("x", x.dtype)])
    fields["x"] = x
    return fields["x"]


# How a stack of matrices may lie in memory, and whether cuBLAS takes it as it lies.
LAYOUTS = {
    "by rows": (lambda x: x.copy(), True),
    "by columns": (lambda x: turned(turned(x).copy()), True),
    "part of larger ones by rows": (part_of_larger, True),
    "part of larger ones by columns": (lambda x: turned(part_of_larger(turned(x))), True),
    "with gaps": (lambda x: np.repeat(x, 2, -1)[..., ::2], False),
    "upside down": (lambda x: x[..., ::-1, :].copy()[..., ::-1, :], False),
    "always the first row": (lambda x: np.broadcast_to(x[..., :1, :], x.shape), False),
    "between other bytes": (between_other_bytes, False),
}
SIZES = [(1, 1, 1), (5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1), (1, 7, 1), (1, 1, 3)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [(), (4,), (3, 2)], ids=str)
def test_every_pair_of_layouts(handle, record, batch, dtype):
    for n, k, m in SIZES:
        x, y = normal(*batch, n, k, dtype=dtype), normal(*batch, k, m, dtype=dtype, seed=1)
        for (left, _), (right, _) in itertools.product(LAYOUTS.values(), LAYOUTS.values()):
            before = record().calls
            assert_product(handle, left(x), right(y))
            assert record().calls == before + 1
            assert record().type == (0 if dtype == "float32" else 1)


@pytest.mark.parametrize("batch", [(), (4,), (3, 2)], ids=str)
@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_copied_that_need_not_be(name, batch):
    layout, fits = LAYOUTS[name]
    x = layout(normal(*batch, 5, 7))
    assert np.shares_memory(cublas.operand(x, batch).array, x) == fits


def test_transposes_are_recognised(handle, record):
    x, y, weights = normal(32, 7), normal(32, 5), normal(7, 5)
    pairs = [(x, weights, (0, 0)), (x.T, y, (0, 1)), (y, weights.T, (1, 0))]
    for left, right, transposed in pairs:
        assert_product(handle, left, right)
        assert (record().ta, record().tb) == transposed
        for operand in (left, right):
            assert cublas.operand(operand, ()).array is operand


BROADCASTS = [
    ((4, 2, 3), (3, 5), 0),  # one product of 8 rows
    ((4, 1, 2, 3), (1, 3, 5), 0),
    ((2, 3), (4, 3, 5), 1),
    ((1, 2, 3), (4, 3, 5), 1),
    ((5, 4, 2, 3), (1, 1, 1, 3, 5), 0),
    ((5, 1, 2, 3), (4, 3, 6), 1),
    ((5, 1, 2, 3), (5, 4, 3, 6), 1),
    ((2, 1, 3, 2, 3), (2, 4, 1, 3, 2), 1),
    ((1, 1, 2, 3), (3, 2), 0),
]


@pytest.mark.parametrize(("left", "right", "batched"), BROADCASTS, ids=str)
def test_axes_before_the_matrices_broadcast(handle, record, left, right, batched):
    before = record().batched
    x, y = normal(*left), normal(*right, seed=1)
    assert_product(handle, x, y)
    assert record().batched == before + batched
    assert_product(handle, x.copy("F"), y)
    assert_product(handle, turned(y), turned(x))
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    assert_product(handle, np.broadcast_to(x, (2, *batch, *left[-2:])), y)


def test_one_matrix_for_all_products_is_not_copied():
    y = normal(3, 5)
    for x in (y, y[None], np.broadcast_to(y, (4, 3, 5))):
        taken = cublas.operand(x, (4,))
        assert taken.step == 0
        assert np.shares_memory(taken.array, y)


NOTHING = [
    ((0, 3), (3, 4)),
    ((3, 0), (0, 4)),
    ((3, 4), (4, 0)),
    ((0, 2, 3), (3, 4)),
    ((2, 3, 0), (2, 0, 4)),
    ((0, 2, 3), (0, 3, 4)),
    ((1, 3, 0), (2, 0, 4)),
]


@pytest.mark.parametrize(("left", "right"), NOTHING, ids=str)
def test_products_of_nothing(handle, record, left, right):
    before = record().calls
    np.testing.assert_array_equal(
        cublas.product(handle, np.zeros(left), np.zeros(right)), np.zeros(left) @ np.zeros(right)
    )
    assert record().calls == before


@pytest.mark.parametrize(
    ("left", "right"), [((3, 4), (3, 4)), ((3,), (3, 4)), ((2, 3, 4), (3, 4, 5))], ids=str
)
def test_a_product_that_does_not_fit_is_an_error(handle, left, right):
    with pytest.raises(ValueError, match="mismatch"):
        cublas.product(handle, np.zeros(left), np.zeros(right))


def test_precision(handle, record):
    x = normal(3, 3, dtype="float32")
    codes = {}
    for name in ("float32", "3xtf32", "tf32", "bf16"):
        with using_precision(name):
            assert current() == name
            cublas.product(handle, x, x)
            codes[name] = record().compute
            cublas.product(handle, x.astype(float), x.astype(float))
            assert record().compute == 70  # float64 has only one
    # CUBLAS_COMPUTE_32F, and with FAST_TF32 and FAST_16BF
    assert codes == {"float32": 68, "3xtf32": 68, "tf32": 77, "bf16": 75}
    assert current() == "float32"
    with pytest.raises(ValueError, match="choose from"), using_precision("half"):
        pass


def test_each_stream_has_its_workspace(handle, record):
    """A change of stream takes the workspace away, and two streams must not share one."""
    x, used = normal(3, 3), {}
    for stream in (0, 16, 16, 0, 32, 16):
        handle.enter(stream)
        cublas.product(handle, x, x)
        assert record().stream == stream
        assert record().room == cublas.WORKSPACE == 32 << 20
        assert used.setdefault(stream, record().workspace) == record().workspace
    assert len(set(used.values())) == 3


def test_errors_have_names(handle, stand_in, failing):
    failing(13)
    with pytest.raises(cublas.CublasError, match="cublasGemmEx: CUBLAS_STATUS_EXECUTION_FAILED"):
        cublas.product(handle, np.ones((2, 2)), np.ones((2, 2)))
    failing(99)
    with pytest.raises(cublas.CublasError, match="StridedBatchedEx: status 99"):
        cublas.product(handle, np.ones((2, 2, 2)), np.ones((2, 2, 2)))
    failing(1)
    with pytest.raises(cublas.CublasError, match="cublasCreate_v2: CUBLAS_STATUS_NOT_INITIALIZED"):
        cublas.Handle(cublas.Library(str(stand_in)), Memory)


# --- With what there is of CuPy ------------------------------------------------------------------


@pytest.fixture
def cupy(monkeypatch):
    """What the binding needs of CuPy: a current device and stream, memory, a version."""
    module = SimpleNamespace(device=0, stream=0, version=13000, matmul=lambda x, y: "by CuPy")
    module.cuda = SimpleNamespace(
        Memory=Memory,
        get_current_stream=lambda: SimpleNamespace(ptr=module.stream),
        runtime=SimpleNamespace(
            getDevice=lambda: module.device, runtimeGetVersion=lambda: module.version
        ),
    )
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(cublas, "_local", threading.local())
    monkeypatch.setattr(cublas._OfThread, "free", {})
    for cached in (cublas.library, matmul._there_is_cublas):
        cached.cache_clear()
    yield module
    for cached in (cublas.library, matmul._there_is_cublas):
        cached.cache_clear()


@pytest.fixture
def toolkit(stand_in, monkeypatch):
    """A CUDA toolkit that consists of the stand-in, and nothing that would be taken before it."""
    monkeypatch.setenv("CUDA_PATH", str(stand_in.parent.parent))
    monkeypatch.setattr(cublas.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "prefix", "/nowhere")


def test_a_handle_for_each_device_and_thread(cupy, toolkit, stand_in, record):
    assert cublas.status() == str(stand_in)
    first = cublas.handle()
    cupy.stream = 48
    assert cublas.handle() is first
    cublas.product(first, np.ones((2, 2)), np.ones((2, 2)))
    assert record().stream == 48
    cupy.device = 1
    assert cublas.handle() is not first
    cupy.device, others = 0, []
    for _ in range(2):  # the second thread gets what the first has left
        thread = threading.Thread(target=lambda: others.append(cublas.handle()))
        thread.start()
        thread.join()
    assert others[0] is others[1] is not first
    assert cublas.handle() is first


@pytest.mark.parametrize(("version", "order"), [(13000, [13, 12]), (12090, [12, 13])])
def test_where_it_is_looked_for(cupy, toolkit, stand_in, monkeypatch, version, order):
    """The version of CuPy's CUDA first; packages of pip, of conda, the toolkit, the loader."""
    packages = SimpleNamespace(submodule_search_locations=["/site/nvidia"])
    monkeypatch.setattr(cublas.importlib.util, "find_spec", lambda name: packages)
    monkeypatch.delenv("CUDA_HOME", raising=False)
    cupy.version = version
    expected = []
    for n in order:
        name = f"libcublas.so.{n}"
        expected += [f"/site/nvidia/cu{n}/lib/{name}", f"/site/nvidia/cublas/lib/{name}"]
        expected += [f"/nowhere/lib/{name}", str(stand_in.with_name(name))]
        expected += [f"/usr/local/cuda/lib64/{name}", name]
    assert list(cublas.places()) == expected


def test_what_is_said_where_there_is_no_cublas(cupy, monkeypatch, tmp_path):
    monkeypatch.setattr(cublas, "places", lambda: iter([str(tmp_path / "libcublas.so.13")]))
    assert "install nvidia-cublas" in cublas.status()
    assert str(tmp_path) in cublas.status()
    on_card = SimpleNamespace(dtype=np.dtype("float32"))
    with pytest.warns(RuntimeWarning, match="captured steps cannot use: cuBLAS was not found"):
        assert matmul.matmul(on_card, on_card) == "by CuPy"
    assert matmul.matmul(on_card, on_card) == "by CuPy"  # said once
    (tmp_path / "libcublas.so.13").write_text("no library")
    cublas.library.cache_clear()
    with pytest.raises(OSError, match=r"libcublas.so.13 \("):
        cublas.library()


def test_integers_go_to_cupy_and_numpy_arrays_to_numpy(cupy, toolkit):
    assert matmul.matmul(*[SimpleNamespace(dtype=np.dtype("int64"))] * 2) == "by CuPy"
    np.testing.assert_array_equal(matmul.matmul(np.ones((2, 3)), np.ones((3, 1))), [[3], [3]])
