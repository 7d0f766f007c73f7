"""The help page: what can be measured, how to install the peers, how long it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import benchmarks

from .libraries import LIBRARIES


def modules() -> dict[str, ModuleType]:
    """The benchmarks: the modules here with a `main` that takes arguments."""
    names = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name != "__main__"]
    found = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {
        name: module
        for name, module in found.items()
        if "arguments" in inspect.signature(getattr(module, "main", lambda: None)).parameters
    }


def page() -> str:
    """The whole text."""
    lines = ["tinygen's benchmarks. Each takes --help; run them from the root of a checkout.", ""]
    for module in modules().values():
        lines += [line.rstrip() for line in (module.__doc__ or "").strip().splitlines()] + [""]
    lines += [
        "Peers are looked for in the Python that runs the benchmark; one that it does not have is",
        "left out, and the table says so. A peer that does not get on with the others can have an",
        "environment of its own:",
        "",
    ]
    for library in LIBRARIES.values():
        if library.name != "tinygen":
            lines.append(f"    {library.name:6} {library.install}")
            lines.append(f"           --{library.name}-python PATH, or {library.variable}=PATH")
    lines += [
        "",
        "torch.compile needs g++. For figures to be trusted the machine must be quiet: the line",
        "under each table says what other processes took meanwhile.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
