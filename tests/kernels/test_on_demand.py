"""Compiling less: what becomes machine code, and that nobody sees a difference."""

from __future__ import annotations

from tests.kernels.processes import LINE, finish, start


def test_only_what_is_called_becomes_machine_code(tmp_path):
    """Not the functions that are linked into a kernel, nor the forms of a loop's body."""
    code = """
import numpy as np
from tinygen_kernels.cpu import matmul
from tinygen_kernels.cpu.on_demand import OnDemand
libraries, start = [], OnDemand.__init__
def listed(self, *arguments):
    start(self, *arguments)
    libraries.append(self)
OnDemand.__init__ = listed
a = np.ones((256, 256), np.float32)
print((matmul.matmul(a, a) == 256).all())
made = {library.name.split(".")[0]: library._made for library in libraries}
for kind in ("_product", "_make_rectangle", "rectangle", "share"):
    print(kind, made[kind])
print({library._made for library in libraries if library.of_a_loop})
"""
    expected = "True\n_product True\n_make_rectangle True\nrectangle False\nshare False\n{False}\n"
    assert finish(start(code, tmp_path)) == (expected, LINE)


def test_a_kernel_from_the_cache_is_not_taken_for_one_of_the_same_name(tmp_path, monkeypatch):
    """Closures of one function differ in nothing but their number, which counts in each process."""
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # else sets of options tell some of them apart
    code = """
import numpy as np
from tinygen_kernels.cpu.turn import turn
from tinygen_kernels.cpu import activation
a, b = np.arange(600.0).reshape(1, 20, 30), np.float64([-1, 2])
for dtype in {}:
    print((turn(a.astype(dtype)) == a.swapaxes(1, 2)).all())
for name in {}:
    print(activation.activate(b, name, 0.5).tolist())
"""
    first, both = (
        code.format("['f4']", "['relu']"),
        code.format("'f4', 'f8'", "'relu', 'leaky_relu'"),
    )
    assert finish(start(first, tmp_path)) == ("True\n[0.0, 2.0]\n", LINE)
    assert finish(start(both, tmp_path)) == ("True\nTrue\n[0.0, 2.0]\n[-0.5, 2.0]\n", LINE)


def test_numba_goes_on_when_a_kernel_is_gone(tmp_path):
    """LLVM never lets go of code, and asks who it belongs to when it makes machine code of it."""
    script = tmp_path / "script.py"
    script.write_text("""
import gc
import numba
import numpy as np
from tinygen_kernels.cpu.jit import jit

def make():
    @numba.njit
    def largest(x):
        return np.sort(x)[-1]
    @jit(parallel=True)
    def kernel(x):
        total = 0.0
        for i in numba.prange(len(x)):
            total += largest(x[i])
        return total
    return kernel

kernel = make()
print(kernel(np.ones((3, 3))))
del kernel
gc.collect()
print(numba.njit(lambda x: 2 * x)(4))
""")
    run = f"import runpy; runpy.run_path({str(script)!r})"
    assert finish(start(run, tmp_path)) == ("3.0\n8\n", LINE)


def test_errors_come_out_of_functions_that_are_linked_into_a_kernel(tmp_path):
    """Numba's message needs what belongs to the function, not to the kernel."""
    script = tmp_path / "script.py"
    script.write_text("""
import numpy as np
from numba import prange
from numba.extending import register_jitable
from tinygen_kernels.cpu.jit import Loop

@register_jitable
def checked(x, i):
    if x[i] < 0:
        raise ValueError("below zero", i)
    return np.sqrt(x[i])

@Loop
def roots(x, y):
    first = checked(x, 0)
    for i in prange(len(x)):
        y[i] = checked(x, i) + first

for kernel in (roots.alone, roots.shared):
    x = np.ones(4)
    kernel(x, x)
    print(x.tolist())
    try:
        kernel(-np.ones(4), x)
    except ValueError as error:
        print(error.args)
""")
    run = f"import runpy; runpy.run_path({str(script)!r})"
    expected = "[2.0, 2.0, 2.0, 2.0]\n('below zero', 0)\n" * 2
    assert finish(start(run, tmp_path)) == (expected, LINE)
    assert finish(start(run, tmp_path)) == (expected, "")


def test_numbas_own_way_to_compile_comes_back(tmp_path):
    code = """
import numba, numpy as np
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import cpu_target
x = np.ones(3)
numba.njit(lambda x: x)(x)
from tinygen_kernels.cpu import optim
optim._sgd_plain.alone(x, np.ones(3), 2.0)
try:
    optim._sgd_plain.alone("no array", x, 2.0)
except numba.TypingError:
    print(cpu_target.target_context.codegen()._library_class is JITCodeLibrary)
print(numba.njit(lambda x: np.sort(x).sum())(x))
"""
    for _ in range(2):
        assert finish(start(code, tmp_path))[0] == "True\n9.0\n"
