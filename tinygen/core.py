"""The engine: Tensor here, Function in `function`, the backward pass in `gradients`.

A Tensor is an array and, if it was computed from something that requires a gradient, the Function
that made it. A Function is both the rule (forward, backward) and the node of the recorded graph:
one object for each call. Its `edges` lead to where its inputs came from: (Function, output index),
or (Tensor, 0) for a leaf. `backward` works on Tensors, so with `create_graph=True` the gradient
computation is recorded like any other, and can itself be differentiated.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Union

import numpy as np

from .backend import (
    Array,
    as_array,
    beside,
    device_of,
    from_python,
    is_array,
    of_numbers,
    to_device,
    to_numpy,
)

if TYPE_CHECKING:
    from .function import Function

TensorLike: TypeAlias = Union["Tensor", Array, float]
Edge: TypeAlias = tuple[Union["Function", "Tensor"], int]

_ndarray = np.ndarray

# What the operators and methods of Tensor call; tinygen.ops fills it.
OPS: dict[str, Callable[..., Tensor]] = {}


class Tensor:
    """An array that gradients can flow through.

    Comparisons (`<`, `==`, `!=` ...) give masks, element by element; `x in t` asks whether an
    element is x. As a key of a dict or in a set a Tensor stands for itself, whatever its values
    (hash by identity); lists compare by value, so there ask `any(t is x for t in tensors)`.

    Args:
        data: an array, which is shared and keeps its dtype (in the byte order of this machine), or
            a Tensor that requires no gradient;
            Python numbers become float32.
        requires_grad: collect the gradient of this tensor in `.grad` at `backward()`.

    >>> import tinygen
    >>> x = tinygen.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """

    __array_ufunc__ = None  # array * tensor comes to Tensor.__rmul__

    array: Array  # what `data` shows
    requires_grad: bool
    grad: Tensor | None = None
    edge: tuple[Function, int] | None = None  # what it was computed by; None for a leaf
    version: int = 0  # how often the contents were replaced

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.array = data if type(data) is _ndarray else _leaf_array(data)
        if not self.array.dtype.isnative:
            self.array = self.array.astype(self.array.dtype.newbyteorder("="))
        if requires_grad and self.array.dtype.kind != "f":
            raise TypeError(f"a gradient needs a floating type, this tensor is {self.array.dtype}")
        self.requires_grad = requires_grad

    @property
    def data(self) -> Array:
        """The array, shared.

        Giving the tensor another array makes what ops saved of the old one stale: their backward
        raises. Writing into the array (`t.data[...] = 0`) goes unnoticed, and gives wrong gradients
        of what was computed from it before; add 1 to `version` with it, as optimisers do.
        """
        return self.array

    @data.setter
    def data(self, array: Array) -> None:
        array = array if type(array) is _ndarray else as_array(data_of(array))
        if self.requires_grad and array.dtype.kind != "f":
            raise TypeError(f"a gradient needs a floating type, the new data is {array.dtype}")
        self.array = array
        self.version += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size

    @property
    def device(self) -> str:
        """Where the array lives: "cpu" or "cuda"."""
        return device_of(self.array)

    @property
    def is_leaf(self) -> bool:
        """Whether it was given, not computed from something that requires a gradient."""
        return self.edge is None

    def item(self) -> float:
        """The one element as a Python number; raises ValueError if there are more, or none."""
        if self.array.size != 1:
            raise ValueError(
                f"a tensor of shape {self.shape} is not one number: take its mean or its sum, or "
                "numpy() for all of them"
            )
        value: float = to_numpy(self.array).item()
        return value

    def numpy(self) -> Array:
        """The array, on the CPU; shared if it is there already."""
        return to_numpy(self.array)

    def detach(self) -> Tensor:
        """The same array as a constant, without the graph."""
        return Tensor(self.array)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(
        self,
        grad: TensorLike | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf that it was computed from.

        Args:
            grad: the gradient to start with, of this tensor's shape; 1 for a single element.
            retain_graph: keep the graph for another backward; by default only if `create_graph`.
            create_graph: record the computation of the gradients, so that they can be
                differentiated. `.grad` then holds the graph, which holds this leaf: a cycle that
                only the garbage collector frees. `tinygen.grad` returns gradients without one.
        """
        from .gradients import backward

        backward(self, grad, retain_graph, create_graph)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See tinygen.ops.sum."""
        return OPS["sum"](self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See tinygen.ops.mean."""
        return OPS["mean"](self, axis, keepdims)

    def var(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """See tinygen.ops.var."""
        return OPS["var"](self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """See tinygen.ops.reshape; takes a tuple or the lengths one by one."""
        return OPS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """See tinygen.ops.transpose; without arguments reverses the axes."""
        return OPS["transpose"](self, axes[0] if len(axes) == 1 else axes or None)

    def astype(self, dtype: Any) -> Tensor:
        """See tinygen.ops.astype."""
        return OPS["astype"](self, dtype)

    def to(self, device: str | None = None, dtype: Any = None) -> Tensor:
        """The tensor on another device or of another type; a constant if it has to move."""
        x = self if device in (None, self.device) else Tensor(to_device(self.array, device))
        return x if dtype is None else x.astype(dtype)

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return OPS["transpose"](self, None)

    def __add__(self, other: TensorLike) -> Tensor:
        return OPS["add"](self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return OPS["add"](other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return OPS["subtract"](self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return OPS["subtract"](other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return OPS["multiply"](self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return OPS["multiply"](other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return OPS["divide"](self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return OPS["divide"](other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return OPS["power"](self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return OPS["power"](other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return OPS["matmul"](self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return OPS["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return OPS["negative"](self)

    def __abs__(self) -> Tensor:
        return OPS["abs"](self)

    def __getitem__(self, index: Any) -> Tensor:
        return OPS["getitem"](self, index)

    def __lt__(self, other: Any) -> Tensor:
        return _compared(self, other, operator.lt)

    def __le__(self, other: Any) -> Tensor:
        return _compared(self, other, operator.le)

    def __gt__(self, other: Any) -> Tensor:
        return _compared(self, other, operator.gt)

    def __ge__(self, other: Any) -> Tensor:
        return _compared(self, other, operator.ge)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # a mask, no truth
        return _compared(self, other, operator.eq) if _has_elements(other) else NotImplemented

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]  # a mask, no truth
        return _compared(self, other, operator.ne) if _has_elements(other) else NotImplemented

    __hash__ = object.__hash__

    def __contains__(self, value: object) -> bool:
        plain: Any = value.array if isinstance(value, Tensor) else value
        if np.size(plain) != 1:
            raise TypeError(
                "`in` looks for a single number among the elements; for rows compare with == first"
            )
        equal: Any = self == value
        return isinstance(equal, Tensor) and bool(Tensor(as_array(equal.array.any())))

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        pieces = OPS["split"](self, len(self)) if len(self) else ()
        return iter([OPS["reshape"](piece, self.shape[1:]) for piece in pieces])

    def __len__(self) -> int:
        return len(self.array)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        """The one element in a format such as ".3f"; without a format, as str()."""
        return format(self.item(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                f"an array cannot carry on the gradient of this tensor (shape {self.shape}): use "
                "tinygen.ops, such as ops.stack for a list of tensors, or take its values with "
                ".numpy()"
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        from .numpy_calls import call

        return call(function, args, kwargs)

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.array), separator=", ", prefix="Tensor(")
        made_by = f", made by {self.edge[0].name}" if self.edge is not None else ""
        grad = ", requires_grad=True" if self.requires_grad and self.is_leaf else made_by
        return f"{type(self).__name__}({text}, dtype={self.dtype}{grad})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = _new(type(self))
        memo[id(self)] = copied
        state = self._leaf_state()
        array = state.pop("array").copy()  # its own, even if something else is a name for this one
        vars(copied).update(copy.deepcopy(state, memo), array=array)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps; it comes back on the CPU."""
        return {**self._leaf_state(), "array": to_numpy(self.array)}

    def _leaf_state(self) -> dict[str, Any]:
        """All attributes of a leaf; its gradient without a graph."""
        if not self.is_leaf:
            raise TypeError(
                "only a leaf can be copied or pickled; this tensor has a graph, which would be "
                "left behind: detach() it first"
            )
        return {**vars(self), "grad": None if self.grad is None else self.grad.detach()}


_new = Tensor.__new__


class Parameter(Tensor):
    """A leaf that a Module owns and an optimiser changes."""

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)


class Buffer(Tensor):
    """A leaf that is part of a Module's state but not trained, such as a running mean."""


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf tensor. Arrays keep their dtype and are shared; Python numbers become float32.

    NumPy's scalars keep their dtype here too; in arithmetic they give way to that of arrays.
    """
    array = _leaf_array(data, dtype)
    return Tensor(array if dtype is None else array.astype(dtype, copy=False), requires_grad)


def data_of(x: TensorLike | None) -> Any:
    """The array behind a Tensor; one of a number or a list of numbers; None of None.

    Floating numbers are float32 here; in an op they give way to the type of arrays.
    """
    if isinstance(x, Tensor):
        return x.array
    return as_array(x) if is_array(x) else None if x is None else of_numbers(x)


def _leaf_array(data: Any, dtype: Any = None) -> Array:
    """The array of a new leaf: shared with an array or a constant, or made of Python numbers."""
    if isinstance(data, Tensor):
        if data.requires_grad:
            raise TypeError(
                "a new leaf would leave behind the gradient of the tensor that it is made of: "
                "detach() that one first"
            )
        return data.array
    return as_array(data) if is_array(data) else from_python(data, dtype)


def _has_elements(x: object) -> bool:
    """Whether a Tensor can be equal to x element by element; None and texts it never is."""
    return isinstance(x, (Tensor, int, float, complex, np.generic, list, tuple)) or is_array(x)


def _compared(x: Tensor, other: Any, comparison: Callable[[Any, Any], Any]) -> Tensor:
    """A mask; NumPy scalars are as weak as Python's numbers."""
    if isinstance(other, Tensor) or is_array(other):
        other = data_of(other)
    elif isinstance(other, np.generic):
        other = other.item()
    return Tensor(as_array(comparison(beside(x.array, other), beside(other, x.array))))
