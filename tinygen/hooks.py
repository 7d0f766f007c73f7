"""Looking over the engine's shoulder: hooks run around every op's forward and backward.

Each is a context manager; TINYGEN_DEBUG=1, 2 or 3 switches some of them on for a whole process.

>>> import tinygen
>>> x = tinygen.tensor([1.0, 2.0], requires_grad=True)
>>> with tinygen.hooks.Timer() as timer:
...     (x * x).sum().backward()
>>> sorted(name for name, phase in timer.calls)
['add', 'broadcast_to', 'multiply', 'multiply', 'reshape', 'sum', 'sum']
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from .backend import array_module, as_array, is_array
from .config import hooks
from .core import data_of
from .function import Function, run_hooked

HERE = str(Path(__file__).parent) + os.sep


class Hook:
    """Base: within a `with` block, `before` and `after` are called around every op.

    `phase` is "forward" or "backward"; inputs and outputs are arrays or Tensors.
    """

    def before(self, op: Function, phase: str, inputs: Sequence[Any]) -> None:
        """Called before an op computes."""

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """Called when it has."""

    def __enter__(self) -> Self:
        hooks.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        hooks.remove(self)


def _arrays(values: Any) -> list[Any]:
    """The arrays among the inputs or outputs of an op."""
    several = values if isinstance(values, (tuple, list)) else [values]
    return [as_array(data_of(v)) for v in several if v is not None]


def _finite(a: Any) -> bool:
    """Whether an array of floats has neither NaN nor infinity; any other array passes."""
    return a.dtype.kind != "f" or bool(array_module(a).isfinite(a).all())


class Timer(Hook):
    """How often each op ran, and for how long: `seconds` and `calls` by (op, phase).

    The time of an op's backward includes that of the ops it is made of. Of a card it is only the
    time to tell it what to do.
    """

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.calls: Counter[tuple[str, str]] = Counter()
        self._started: list[float] = []

    def before(self, op: Function, phase: str, inputs: Sequence[Any]) -> None:
        """Start the clock."""
        self._started.append(time.perf_counter())

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """Stop it."""
        self.seconds[op.name, phase] += time.perf_counter() - self._started.pop()
        self.calls[op.name, phase] += 1

    def table(self) -> str:
        """A line an op, the slowest first."""
        order = sorted(self.seconds, key=self.seconds.__getitem__, reverse=True)
        rows = (
            f"{name:32} {phase:8} {self.calls[name, phase]:>8,} calls "
            f"{1e3 * self.seconds[name, phase]:>10.3f} ms"
            for name, phase in order
        )
        return "\n".join(rows)


class Memory(Hook):
    """How many bytes each op made: `bytes` by (op, phase)."""

    def __init__(self) -> None:
        self.bytes: Counter[tuple[str, str]] = Counter()

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """Count new arrays; views count nothing."""
        made = sum(a.nbytes for a in _arrays(outputs) if not is_array(a.base))
        self.bytes[op.name, phase] += made


class NaNFinder(Hook):
    """Raises FloatingPointError at the first op that makes a NaN, or an infinity, out of none."""

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """Look at what came out."""
        bad = [a for a in _arrays(outputs) if not _finite(a)]
        if not bad or not all(map(_finite, _arrays(inputs))):
            return
        what = "NaN" if array_module(bad[0]).isnan(bad[0]).any() else "infinity"
        shapes = ", ".join(str(a.shape) for a in _arrays(inputs))
        where = f"the {phase} of {op.name}"
        outer = _in_backward_of() if phase == "forward" else None
        if outer is not None:
            where, op = f"the backward of {outer.name} (in its {op.name})", outer
        place = getattr(op, "place", None)
        raise FloatingPointError(
            f"{where} made the first {what}, from inputs of shapes {shapes}"
            + (f"; the op was called at {place}" if place else "")
        )


def _in_backward_of() -> Function | None:
    """The op whose backward is at work, made of other ops; None if there is none."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]  # None ends the loop
        if frame.f_code is run_hooked.__code__ and frame.f_locals["phase"] == "backward":
            op: Function = frame.f_locals["op"]
            return op
    return None


class Places(Hook):
    """Notes on each op where it was called, for other hooks to tell."""

    def before(self, op: Function, phase: str, inputs: Sequence[Any]) -> None:
        """Find the innermost line outside this package."""
        if phase == "forward":
            stack = traceback.extract_stack()
            outside = [f for f in stack if not f.filename.startswith(HERE)]
            last = outside[-1] if outside else stack[0]
            op.place = f"{last.filename}:{last.lineno}"  # type: ignore[attr-defined]  # for this


class Printer(Hook):
    """Prints every op with the shapes that go in and come out, to stderr."""

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """One line."""
        going = ", ".join(str(a.shape) for a in _arrays(inputs))
        coming = ", ".join(f"{a.shape} {a.dtype}" for a in _arrays(outputs))
        print(f"{phase:8} {op.name:24} {going} -> {coming}", file=sys.stderr)


class Recorder(Hook):
    """Keeps the graph as it grows: `nodes` are (op, shape of the output), in order."""

    def __init__(self) -> None:
        self.nodes: list[tuple[Function, tuple[int, ...]]] = []
        self._names: dict[int, str] = {}  # by id of the op, which is kept in nodes
        self._edges: list[tuple[str, str]] = []

    def after(self, op: Function, phase: str, inputs: Sequence[Any], outputs: Any) -> None:
        """Note the op, and its edges: backward frees them."""
        if phase != "forward":
            return
        for a in _arrays(outputs)[:1]:
            name = self._names[id(op)] = f"{op.name}.{len(self.nodes)}"
            self.nodes.append((op, a.shape))
            sources = [self._names.get(id(edge[0])) for edge in op.edges or () if edge is not None]
            self._edges += [(source, name) for source in sources if source is not None]

    def edges(self) -> list[tuple[str, str]]:
        """Pairs of names (from, to), one for each edge among the recorded ops."""
        return list(self._edges)


def switch_on(level: int) -> None:
    """What TINYGEN_DEBUG does: 1 finds NaN, 2 also tells where ops were called, 3 prints them."""
    if level >= 2:
        hooks.append(Places())
    if level >= 1:
        hooks.append(NaNFinder())
    if level >= 3:
        hooks.append(Printer())
