"""A line of the house may import only from lines above it, and from its own (see CONTRIBUTING)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import tinygen_kernels

import tinygen

PACKAGE = Path(tinygen.__file__).parent
KERNELS = Path(tinygen_kernels.__file__).parent

# From the top down, as in the tour of the house. Files of one line may import each other.
HOUSE = [
    "interruption",
    "config",
    "backend",
    "system",
    "names",
    "ranges",
    "core",
    "numpy_calls",
    "promotion",
    "function",
    "gradients",
    "hooks",
    "ops",
    "nn",
    "optim",
    "data",
    "models",
    "metrics",
    "training",
    "latent",
    "view",
    "cli",
]
# The package itself shows the names of all lines to its users, so no line may import from it.
FACADE = ["__init__", "__main__"]

# The few imports that go down. Each is inside a function, at work when a user asks for it, or for
# type checkers alone.
SEAMS = {
    ("core.py", "function"): "the type of an edge names the Function that made a Tensor",
    ("core.py", "numpy_calls"): "NumPy asks a Tensor what its functions do with one",
    ("core.py", "gradients"): "Tensor.backward is a method of what backward is made of",
    ("nn/module.py", "training.checkpoint"): "Module.save writes the file of a trained model",
}


class Import(NamedTuple):
    """An import statement, wherever it stands: in a function it counts as at the top."""

    file: str  # relative to the package
    line: int
    module: str  # in full
    late: bool  # inside a function, or for type checkers alone


def files(package: Path) -> Iterator[str]:
    return (path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py")))


def imports(package: Path, file: str) -> Iterator[Import]:
    """The modules that a file imports, also by importlib; `from . import x` is one of x."""
    tree = ast.parse((package / file).read_text("utf-8"))
    late = {
        node
        for block in ast.walk(tree)
        if isinstance(block, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = list(imported_from(package, file, node))
        elif isinstance(node, ast.Call):
            modules = list(imported_by_name(node))
        else:
            continue
        for module in modules:
            yield Import(file, node.lineno, module, node in late)


def imported_from(package: Path, file: str, node: ast.ImportFrom) -> Iterator[str]:
    """What `from a.b import c` imports: the module a.b.c if there is one, else a.b."""
    here = [package.name, *Path(file).parent.parts]
    above = here[: len(here) - node.level + 1] if node.level else []
    source = [*above, *(node.module.split(".") if node.module else [])]
    for alias in node.names:
        inside = package.parent.joinpath(*source, alias.name)
        is_module = inside.is_dir() or inside.with_suffix(".py").is_file()
        yield ".".join([*source, alias.name] if is_module else source)


def imported_by_name(node: ast.Call) -> Iterator[str]:
    """The module that importlib.import_module("...") or __import__("...") imports."""
    name = ast.unparse(node.func).split(".")[-1]
    if name in ("import_module", "__import__") and node.args:
        argument = node.args[0]
        if isinstance(argument, ast.Constant):
            yield str(argument.value)
        elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
            yield str(argument.values[0].value).rstrip(".")  # f"tinygen.{name}" may be any of it


def line_of(part: str) -> int:
    """The line of a module or file such as "nn.module" or "nn/module.py", from the top."""
    return HOUSE.index(Path(part).parts[0].removesuffix(".py").split(".")[0])


ALL = [found for file in files(PACKAGE) for found in imports(PACKAGE, file)]
INSIDE = [found for found in ALL if found.file.removesuffix(".py") not in FACADE]


def test_every_file_has_its_line():
    lines = {Path(file).parts[0].removesuffix(".py") for file in files(PACKAGE)}
    assert lines <= {*HOUSE, *FACADE}


def test_no_line_imports_from_below():
    wrong = []
    for found in INSIDE:
        root, _, module = found.module.partition(".")
        if root != "tinygen":
            continue
        if not module:
            wrong.append(f"{found.file}:{found.line} imports from the package itself")
        elif line_of(module) > line_of(found.file) and (found.file, module) not in SEAMS:
            wrong.append(f"{found.file}:{found.line} imports {module}, which is below it")
    assert wrong == []


def test_the_seams_are_still_there_and_late():
    """An exception that is no longer needed is taken off the list."""
    late = {(f.file, f.module.removeprefix("tinygen.")) for f in INSIDE if f.late}
    assert set(SEAMS) <= late


def test_only_the_backend_names_cupy_and_the_kernels():
    special = ("cupy", "cupyx", "cupy_backends", "tinygen_kernels")
    named = {found.file for found in ALL if found.module.split(".")[0] in special}
    assert named == {"backend.py"}


def test_nothing_else_speaks_of_cupy():
    """Not even in passing: what goes for arrays of a card is said of arrays of a card."""
    for package, allowed in ((PACKAGE, ("backend.py",)), (KERNELS, ("cuda/", "__init__.py"))):
        spoken = [f for f in files(package) if "cupy" in (package / f).read_text("utf-8").lower()]
        assert spoken
        assert not [file for file in spoken if not file.startswith(allowed)]


def test_names_and_config_import_nothing_of_ours():
    assert not [
        found
        for found in INSIDE
        if found.file in ("names.py", "ranges.py", "config.py")
        and found.module.startswith("tinygen")
    ]


def test_the_kernels_know_nothing_of_tinygen():
    found = [each for file in files(KERNELS) for each in imports(KERNELS, file)]
    assert found
    assert not [each for each in found if each.module.split(".")[0] == "tinygen"]


def test_the_reference_needs_numpy_alone():
    """It is the specification: whoever reads or runs it needs no compiler."""
    found = [
        each
        for file in files(KERNELS)
        if file.startswith("reference/")
        for each in imports(KERNELS, file)
    ]
    roots = {each.module.split(".")[0] for each in found} - set(sys.stdlib_module_names)
    assert roots <= {"numpy", "tinygen_kernels"}
    ours = {each.module for each in found if each.module.startswith("tinygen_kernels.")}
    plain = tuple(f"tinygen_kernels.{name}" for name in ("reference", "geometry", "bands"))
    assert all(module.startswith(plain) for module in ours)


def test_importing_tinygen_leaves_the_heavy_packages_out():
    heavy = ["numba", "scipy", "PIL", "matplotlib", "sklearn", "cupy", "pooch", "tqdm", "torch"]
    heavy += ["tinygen_kernels.cpu", "tinygen_kernels.reference"]
    code = f"import sys, tinygen; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PACKAGE.parent,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ..core import Tensor", ["tinygen.core"]),
        ("from .. import ops, config", ["tinygen.ops", "tinygen.config"]),
        ("from . import initializers", ["tinygen.nn.initializers"]),
        ("from .module import Module", ["tinygen.nn.module"]),
        ("from .. import __version__", ["tinygen"]),
        ("import tinygen.nn.module as m", ["tinygen.nn.module"]),
        ("from tinygen.training import checkpoint", ["tinygen.training.checkpoint"]),
        ("def f():\n    import cupy", ["cupy"]),
        ("import importlib\nimportlib.import_module('tinygen.cli')", ["importlib", "tinygen.cli"]),
        ("import_module(f'tinygen.models.{name}')", ["tinygen.models"]),
    ],
)
def test_the_reader_of_imports_reads_them(tmp_path, source, expected):
    package = tmp_path / "tinygen"
    for name in ("core", "config", "ops/__init__", "nn/initializers", "nn/module"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").touch()
    (package / "training").mkdir()
    (package / "training" / "checkpoint.py").touch()
    (package / "nn" / "example.py").write_text(source)
    assert [found.module for found in imports(package, "nn/example.py")] == expected
