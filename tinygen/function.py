"""Function: an operation with its gradient, and the node that records a call of it.

`core.Tensor` is what flows between Functions; `gradients` runs them backwards.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .backend import Array, as_array, beside, device_of, foreign, is_array
from .config import hooks, state
from .core import Edge, Tensor, TensorLike
from .promotion import FLOAT32, FLOAT64, FLOATS, promote

_ndarray = np.ndarray


class Function:
    """An operation: how to compute it and its gradient. One object is one call, and one node.

    `forward` takes arrays and returns an array, or a tuple of them. What backward will need it
    hands to `save` (inputs), `save_output` and `save_constant` (what has no gradient: a mask,
    indices). `backward` takes the gradient of each output and returns that of each input (None
    where there is none), as Tensors; written with ops, it is differentiable in its turn. It may
    skip what is not `needed`. Attributes that forward sets are constants in it.

    All arrays that forward gets are of one type, float32 or float64, by the rule in `promotion`: an
    op that can do with other types says what it `takes`.

    >>> import tinygen
    >>> class Cube(tinygen.Function):
    ...     '''y = x^3,  gx = 3 x^2 gy.'''
    ...
    ...     def forward(self, x):
    ...         self.save(x)
    ...         return x**3
    ...
    ...     def backward(self, gy):
    ...         (x,) = self.saved
    ...         return 3 * x * x * gy
    >>> x = tinygen.tensor(2.0, requires_grad=True)
    >>> (gx,) = tinygen.grad(Cube()(x), x, create_graph=True)
    >>> gx.item(), tinygen.grad(gx, x)[0].item()
    (12.0, 12.0)
    """

    name: ClassVar[str] = "function"
    takes: ClassVar[str] = FLOATS  # or NUMBERS, or ANY: see `promotion`
    apart: ClassVar[Container[int]] = ()  # inputs that keep their own type: masks, positions
    forward: Callable[..., Any]
    backward: Callable[..., Any]

    edges: Sequence[Edge | None] | None = None  # None before recording and once freed
    needed: Sequence[Any] = ()  # true for the inputs whose gradient this backward pass asks for
    sequence: int = 0
    outputs: list[tuple[tuple[int, ...], Any]] | None = None  # shapes and dtypes, if several

    _numbers = itertools.count(1)
    _kept: tuple[Any, ...] | None = None  # what forward saves; None: it need not
    _saved: Sequence[Any] = ()  # Tensors; an output as (array, index), so that there is no cycle
    _version: int = 0  # of all saved Tensors together: versions only grow

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            stem = cls.__name__.removesuffix("Function")
            cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).lower()

    def __call__(self, *inputs: TensorLike) -> Tensor:
        """Run forward on the arrays of `inputs`, and record it if a gradient may be asked for.

        Where forward returns a tuple, so does this.
        """
        arrays: list[Any] = []
        edges: list[Edge | None] = []
        recording = False
        common, uniform = None, True  # the type of the arrays, and whether they have one
        for x in inputs:
            edge: Edge | None = None
            if isinstance(x, Tensor):
                array = x.array
                if x.requires_grad:
                    edge = x.edge or (x, 0)
                    recording = True
            elif type(x) is float or type(x) is int:
                arrays.append(x)
                edges.append(None)
                continue
            else:
                array = as_array(x)
                uniform = uniform and array is x
            if array.dtype is not common:
                uniform = uniform and common is None
                common = array.dtype
            arrays.append(array)
            edges.append(edge)
        if not uniform or (common is not FLOAT32 and common is not FLOAT64):
            promoted = promote(self.name, self.takes, inputs, self.apart)
            if promoted is not inputs:
                return self(*promoted)
        if recording and not state.grad_enabled:
            recording = False
        if foreign:
            inputs, arrays = _together(self.name, inputs, arrays)
        if recording:
            if self.sequence:
                raise RuntimeError(f"{self.name}: one Function object is one call; make another")
            self._kept, self.edges = (), edges
            if len({*map(id, arrays)}) < len(arrays):
                _tell_apart(arrays)
        try:
            result = self.forward(*arrays) if not hooks else run_hooked(self, "forward", arrays)
        except ValueError as error:
            shapes = ", ".join(str(a.shape) if is_array(a) else repr(a) for a in arrays)
            raise ValueError(f"{self.name} of shapes {shapes}: {error}") from error
        if recording:
            self.sequence = next(Function._numbers)
            if self._kept:
                self._resolve(inputs, arrays, result)
        if type(result) is not tuple:
            return wrap(result, (self, 0) if recording else None)
        self.outputs = [(y.shape, y.dtype) for y in result]
        outputs = [wrap(y, (self, i) if recording else None) for i, y in enumerate(result)]
        return tuple(outputs)  # type: ignore[return-value]  # a tuple for a tuple

    def save(self, *arrays: Any) -> None:
        """Keep inputs for backward, where each comes back on its own edge; None stays None.

        Outputs may be among them. The call raises RuntimeError for any other array, also for a copy
        or a view of an input: it would come back as a constant, and the second order be wrong.
        """
        if self._kept is not None:
            self._kept += arrays

    def save_output(self, y: Array) -> Array:
        """Keep an output for backward, where it comes back on its own edge."""
        if self._kept is not None:
            self._kept += (y,)
        return y

    def save_constant(self, *arrays: Any) -> None:
        """Keep arrays for backward as constants: masks, indices, what has no gradient.

        What is a smooth function of an input is none, unless backward uses it only where no
        gradient is being recorded.
        """
        if self._kept is not None:
            self._kept += tuple(map(_Constant, arrays))

    def _resolve(self, inputs: Sequence[Any], arrays: Sequence[Any], result: Any) -> None:
        """Find out for each array that forward saved which input or output it is."""
        saved: list[Any] = []
        version = 0
        for array in self._kept or ():
            for source, own in zip(inputs, arrays):  # noqa: B905  (as many, and a hot loop)
                if own is array:
                    x = source
                    break
            else:
                x = (array, 0) if array is result else self._output_or_constant(array, result)
            if isinstance(x, Tensor):
                version += x.version
            elif is_array(x):
                x = wrap(x)
            saved.append(x)
        self._saved = saved
        self._version = version
        self._kept = None

    def _output_or_constant(self, array: Any, result: Any) -> Any:
        """One of several outputs as (array, index); a constant as an array."""
        if type(array) is _Constant:
            return array.value
        for i, y in enumerate(result if type(result) is tuple else ()):
            if array is y:
                return array, i
        if array is None:
            return None
        what = f"an array of shape {array.shape}" if is_array(array) else repr(array)
        raise RuntimeError(
            f"{self.name}: forward saved {what}, which is neither an input nor an output of this "
            "call (a copy or a view of one is not it), so its part of the gradient would be lost. "
            "save() the input itself and compute the rest again in backward, with ops; what is "
            "meant as a constant, such as a mask, goes to save_constant()"
        )

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """What `save` and `save_output` kept, in that order, as Tensors on their edges."""
        saved: list[Any] = []
        version = 0
        for x in self._saved:
            if isinstance(x, Tensor):
                version += x.version
                saved.append(x)
            else:
                saved.append(wrap(x[0], (self, x[1])) if type(x) is tuple else x)
        if version != self._version:
            raise RuntimeError(
                f"{self.name} saved a tensor that was changed before its backward: call backward "
                "before the optimiser's step or load_state_dict, or run forward again"
            )
        return tuple(saved)

    def free(self) -> None:
        """Let go of the saved tensors and of the nodes behind this one."""
        self.edges = None
        self._saved = ()


class _Constant(NamedTuple):
    """What `save_constant` was given."""

    value: Any


def _together(
    op: str, inputs: tuple[Any, ...], arrays: list[Any]
) -> tuple[tuple[Any, ...], list[Any]]:
    """The inputs with constants on the device of the others, so that all arrays are of one kind."""
    like = next((a for a in arrays if device_of(a) != "cpu"), None)
    if like is None or all(a is like or device_of(a) != "cpu" for a in arrays if is_array(a)):
        return inputs, arrays
    moved = list(inputs)
    for i, (x, array) in enumerate(zip(inputs, arrays, strict=True)):
        if is_array(array) and device_of(array) == "cpu":
            if isinstance(x, Tensor) and x.requires_grad:
                raise ValueError(
                    f"{op}: input {i} of shape {x.shape} is on 'cpu', others are on "
                    f"{device_of(like)!r}; bring model and data together with .to(device=...)"
                )
            moved[i] = arrays[i] = beside(array, like)
    return tuple(moved), arrays


def _tell_apart(arrays: list[Any]) -> None:
    """Give inputs that share one array a view each, so that `save` can tell which one it got."""
    for i in range(1, len(arrays)):
        if is_array(arrays[i]) and any(arrays[i] is a for a in arrays[:i]):
            arrays[i] = arrays[i].view()


def wrap(data: Any, edge: tuple[Function, int] | None = None) -> Tensor:
    """A Tensor made by an operation; without an edge it is a constant."""
    y = _new(Tensor)
    y.array = data if type(data) is _ndarray else as_array(data)
    y.requires_grad = edge is not None
    y.edge = edge
    return y


_new = Tensor.__new__


def run_hooked(op: Function, phase: str, inputs: Sequence[Any]) -> Any:
    """Run forward or backward with every hook around it."""
    around = tuple(hooks)
    for hook in around:
        hook.before(op, phase, inputs)
    outputs = getattr(op, phase)(*inputs)
    for hook in reversed(around):
        hook.after(op, phase, inputs, outputs)
    return outputs
