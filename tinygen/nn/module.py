"""Module: an object whose attributes hold parameters, buffers and other modules."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..backend import Array, to_device, to_numpy
from ..config import no_grad
from ..core import Buffer, Parameter, Tensor, TensorLike
from ..names import nearest
from ..ops.random import Random


class Module:
    """Base of all layers and models: assign parameters and modules to attributes, define forward.

    A Parameter is trained; a Buffer is part of the state but not trained. Both are found by
    walking the attributes in the order of their assignment, through lists, tuples and dicts; one
    that is reached twice counts once, under its first name.

    >>> import tinygen
    >>> class Scale(tinygen.nn.Module):
    ...     def __init__(self):
    ...         self.factor = tinygen.Parameter(2.0)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tinygen.tensor([1.0, 3.0])).numpy()
    array([2., 6.], dtype=float32)
    """

    training: bool = True  # dropout, noise and batch norm behave differently in inference
    forward: Callable[..., Any]

    _takes_rng: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if "forward" in cls.__dict__:
            parameters = inspect.signature(cls.forward).parameters
            cls._takes_rng = "rng" in parameters or any(
                p.kind is p.VAR_KEYWORD for p in parameters.values()
            )

    def __call__(self, x: TensorLike, *, rng: Random | None = None) -> Any:
        """Run forward. `rng` is where noise is drawn, if there is any; see tinygen.Random."""
        y = self.forward(x, rng=rng) if self._takes_rng else self.forward(x)
        if _watchers:
            for watch in _watchers:
                watch(self, y)
        return y

    def _walk(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        """This module and all that it holds, each once and outermost first, with their names."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            name, node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield name, node
            if isinstance(node, Module):
                below = [(f"{name}.{k}" if name else k, v) for k, v in _held(node)]
                stack.extend(reversed(below))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module ("") and all below it, with their names."""
        return ((name, m) for name, m in self._walk() if isinstance(m, Module))

    def modules(self) -> list[Module]:
        """This module and all below it."""
        return [m for _, m in self.named_modules()]

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and all below it, with their names."""
        return ((name, p) for name, p in self._walk() if isinstance(p, Parameter))

    def parameters(self) -> list[Parameter]:
        """The parameters of this module and all below it."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """The tensors that are state but not trained, with their names."""
        return ((name, b) for name, b in self._walk() if isinstance(b, Buffer))

    def buffers(self) -> list[Buffer]:
        """The tensors that are state but not trained."""
        return [b for _, b in self.named_buffers()]

    def state_dict(self) -> dict[str, Array]:
        """A copy of all parameters and buffers by name, as NumPy arrays."""
        both = [*self.named_parameters(), *self.named_buffers()]
        return {name: to_numpy(t.data).copy() for name, t in both}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy arrays into the parameters and buffers of the same names, in place.

        Raises ValueError, before anything is changed, for names or shapes that do not fit.
        """
        own: dict[str, Tensor] = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        missing = [name for name in own if name not in state]
        unknown = [name for name in state if name not in own]
        if missing or unknown:
            parts = [f"missing {', '.join(missing)}"] if missing else []
            parts += [f"unknown {name!r}{nearest(name, own)}" for name in unknown]
            raise ValueError(f"{type(self).__name__}.load_state_dict: {'; '.join(parts)}")
        for name, t in own.items():
            shape = np.shape(state[name])
            if shape != t.shape:
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: {name} has shape {t.shape}, "
                    f"the given one {shape}"
                )
        arrays = {name: np.asarray(state[name], t.dtype) for name, t in own.items()}
        for name, t in own.items():
            t.data[...] = to_device(arrays[name], t.device)
            t.version += 1

    def train(self, mode: bool = True) -> Self:
        """Behave as in training, here and below."""
        for m in self.modules():
            m.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in inference, here and below."""
        return self.train(False)

    def freeze(self) -> Self:
        """Ask for no gradients of the parameters here and below."""
        for p in self.parameters():
            p.requires_grad = False
        return self

    def unfreeze(self) -> Self:
        """Ask for the gradients of the parameters here and below."""
        for p in self.parameters():
            p.requires_grad = True
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of the parameters."""
        for p in self.parameters():
            p.grad = None

    def to(self, device: str | None = None, dtype: Any = None) -> Self:
        """Move parameters and buffers to a device, convert the floating ones to a type."""
        for t in [*self.parameters(), *self.buffers()]:
            array = to_device(t.data, device)
            if dtype is not None and array.dtype.kind == "f":
                array = array.astype(dtype, copy=False)
            if array is not t.data:
                t.data, t.grad = array, None
        return self

    @property
    def device(self) -> str:
        """Where the parameters live: "cpu" or "cuda"."""
        return next((p.device for p in self.parameters()), "cpu")

    @property
    def dtype(self) -> Any:
        """The type of the parameters."""
        return next((p.dtype for p in self.parameters()), np.dtype(np.float32))

    def penalty(self) -> Tensor | float:
        """The sum of what the ActivityRegularizers below made of the last forward; else 0."""
        total: Tensor | float = 0.0
        for m in self.modules():
            total = total + getattr(m, "last_penalty", 0.0)
        return total

    def save(self, path: Any) -> None:
        """Write a model that `tinygen.models.create` built to a file for `tinygen.load`."""
        from ..training.checkpoint import save_model

        save_model(self, path)

    def summary(self, input_shape: tuple[int, ...]) -> None:
        """Print the layers, their output shapes and parameter counts for one input sample."""
        rows = summary_rows(self, input_shape)
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for a, b, c in rows:
            print(f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}")

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle keep; what a forward left behind is kept without its graph."""
        return {
            name: value.detach() if isinstance(value, Tensor) and not value.is_leaf else value
            for name, value in vars(self).items()
        }

    @reprlib.recursive_repr("...")  # a part may point back to the whole
    def __repr__(self) -> str:
        below = [(k, m) for k, m in _held(self) if isinstance(m, Module)]
        lines = [f"{k}: {c!r}".replace("\n", "\n  ") for k, c in below]
        inside = "".join(f"\n  {line}" for line in lines) + ("\n" if lines else "")
        return f"{type(self).__name__}({self.describe()}{inside})"

    def describe(self) -> str:
        """The settings that repr() shows between the parentheses."""
        return ""


# Functions called with every module and its output; `summary` puts one here for a moment.
_watchers: list[Callable[[Module, Any], object]] = []


def _held(node: Any) -> Iterator[tuple[str, Any]]:
    """The modules, parameters and buffers in the attributes of a module or in a container."""
    if isinstance(node, dict):
        items: Any = node.items()
    else:
        items = vars(node).items() if isinstance(node, Module) else enumerate(node)
    for key, value in items:
        if isinstance(value, (Module, Parameter, Buffer)):
            yield str(key), value
        elif isinstance(value, (list, tuple, dict)):
            yield from ((f"{key}.{k}", v) for k, v in _held(value))


def summary_rows(model: Module, input_shape: tuple[int, ...]) -> list[tuple[str, str, str]]:
    """What `Module.summary` prints: name and kind of each layer, output shape, parameters."""
    shapes: dict[int, tuple[int, ...]] = {}
    modes = [(m, m.training) for m in model.modules()]
    _watchers.append(lambda m, y: shapes.setdefault(id(m), getattr(y, "shape", ())))
    try:
        with no_grad():
            model.eval()(Tensor(np.zeros((1, *input_shape), model.dtype)))
    finally:
        _watchers.pop()
        for m, training in modes:
            m.training = training
    rows = [("layer", "output", "parameters")]
    for name, m in model.named_modules():
        own = sum(p.size for _, p in _held(m) if isinstance(p, Parameter))
        if id(m) in shapes and (own or len(m.modules()) == 1):
            label = f"{name} ({type(m).__name__})" if name else type(m).__name__
            shape = ", ".join(["n", *map(str, shapes[id(m)][1:])])
            rows.append((label, f"({shape})", f"{own:,}"))
    total = sum(p.size for p in model.parameters())
    return [*rows, ("total", "", f"{total:,}")]


class Sequential(Module):
    """Layers one after the other; any callable on tensors can be one of them.

    >>> import tinygen
    >>> from tinygen import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Dense(6, 4, activation="selu"), nn.Dense(4, 2))
    >>> net(tinygen.tensor([[[1, 2, 3], [4, 5, 6]]])).shape
    (1, 2)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.layers = list(layers)

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Any:
        """Through all layers in order."""
        for layer in self.layers:
            x = layer(x, rng=rng) if isinstance(layer, Module) else layer(x)
        return x

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)
