"""Module: an object whose attributes hold parameters, buffers and other modules."""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ..backend import Array, is_array, to_device, to_numpy
from ..config import no_grad
from ..core import Buffer, Parameter, Tensor
from ..names import nearest
from ..ops.random import Random, default_rng
from .state import array_for, not_finite

NOTHING: Any = object()  # stands for a first input that was not given


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

    # The place of `rng` among the inputs of forward: 1 is the first, inf by name alone, 0 nowhere.
    _rng_place: ClassVar[float] = math.inf
    _takes_any_name: ClassVar[bool] = False
    _wants_rng: ClassVar[bool] = True  # whether there is any use in calling it with rng=

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "forward"):
            inputs = list(inspect.signature(cls.forward).parameters.values())[1:]
            places = {
                p.name: math.inf if p.kind is p.KEYWORD_ONLY else i + 1.0
                for i, p in enumerate(inputs)
            }
            cls._rng_place = places.get("rng", 0)
            cls._takes_any_name = any(p.kind is p.VAR_KEYWORD for p in inputs)
            own_call = cls.__call__ is not Module.__call__
            cls._wants_rng = bool(cls._rng_place) or cls._takes_any_name or own_call

    def __call__(
        self, x: Any = NOTHING, /, *more: Any, rng: Random | None = None, **named: Any
    ) -> Any:
        """Run forward on all inputs that it takes, by position and by name.

        `rng` is where noise is drawn, if there is any: forward gets it if it has a parameter of
        that name, and by default it gets the stream of the process; see tinygen.Random. Modules
        that draw nothing may be given one all the same.

        Raises TypeError, with what forward takes, for inputs that do not fit.
        """
        try:
            if more or named or x is NOTHING:
                inputs = () if x is NOTHING else (x, *more)
                if len(inputs) < self._rng_place:
                    named["rng"] = rng or default_rng()
                elif rng is not None and (self._takes_any_name or self._rng_place):
                    named["rng"] = rng
                y = self.forward(*inputs, **named)
            elif self._rng_place:
                y = self.forward(x, rng=rng or default_rng())
            elif rng is not None and self._takes_any_name:
                y = self.forward(x, rng=rng)
            else:
                y = self.forward(x)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                self._check_inputs(() if x is NOTHING else (x, *more), named)  # forward not entered
            raise
        if _watchers:
            for watch in _watchers:
                watch(self, y)
        return y

    def _check_inputs(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Raise TypeError, with what forward takes, if it cannot be called with these inputs."""
        signature = inspect.signature(self.forward)
        try:
            signature.bind(*inputs, **named)
        except TypeError as misfit:
            plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
            takes = inspect.Signature(plain)
            raise TypeError(f"{type(self).__name__} takes {takes}: {misfit}") from None

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

    def load_state_dict(self, state: Mapping[str, Any], *, check_finite: bool = True) -> None:
        """Copy arrays into the parameters and buffers of the same names, in place.

        Args:
            state: arrays, tensors or nested lists by name; of floats, any precision will do.
            check_finite: refuse NaN and infinities; False loads them, to look at what went wrong.

        Raises ValueError, before anything is changed, for names, shapes, types or numbers that do
        not fit.
        """
        own: dict[str, Tensor] = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        where = f"{type(self).__name__}.load_state_dict"
        missing = [name for name in own if name not in state]
        unknown = [name for name in state if name not in own]
        if missing or unknown:
            parts = [f"missing {', '.join(missing)}"] if missing else []
            parts += [f"unknown {name!r}{nearest(name, own)}" for name in unknown]
            raise ValueError(f"{where}: {'; '.join(parts)}")
        arrays = {name: array_for(t, state[name], f"{where}: {name}") for name, t in own.items()}
        wrong = not_finite(arrays) if check_finite else ""
        if wrong:
            raise ValueError(f"{where}: {wrong}; check_finite=False loads them all the same")
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

    def summary(self, input_shape: Any, *more: Any, **named: Any) -> None:
        """Print the layers, their output shapes and parameter counts.

        Args:
            input_shape: the shape of one input sample, without the axis of the batch; it stands
                for a batch of zeros of the model's type. An input that needs others, such as
                labels, is given as an array itself, a batch of one.
            more: the same for further inputs of forward, by position.
            named: the same, by name.

        >>> from tinygen import nn
        >>> nn.AdaIN(512, 16).summary((4, 4, 16), (512,))
        layer          output   parameters
        style (Dense)  (n, 32)      16,416
        total                       16,416
        """
        print_rows(summary_rows(self, input_shape, *more, **named))

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


def print_rows(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print the rows of a summary in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for a, b, c in rows:
        print(f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}".rstrip())


def summary_rows(model: Module, *inputs: Any, **named: Any) -> list[tuple[str, str, str]]:
    """What `Module.summary` prints: name and kind of each layer, output shape, parameters."""
    outputs: dict[int, str] = {}
    modes = [(m, m.training) for m in model.modules()]
    _watchers.append(lambda m, y: outputs.setdefault(id(m), _shape_of(y)))
    try:
        samples = [_sample(model, each) for each in inputs]
        by_name = {name: _sample(model, each) for name, each in named.items()}
        if model._rng_place and "rng" not in by_name:
            by_name["rng"] = Random()  # the process's stream goes on as if nothing had been drawn
        with no_grad():
            model.eval()(*samples, **by_name)
    finally:
        _watchers.pop()
        for m, training in modes:
            m.training = training
    rows = [("layer", "output", "parameters")]
    for name, m in model.named_modules():
        own = sum(p.size for _, p in _held(m) if isinstance(p, Parameter))
        if id(m) in outputs and (own or len(m.modules()) == 1):
            label = f"{name} ({type(m).__name__})" if name else type(m).__name__
            rows.append((label, outputs[id(m)], f"{own:,}"))
    total = sum(p.size for p in model.parameters())
    return [*rows, ("total", "", f"{total:,}")]


def _sample(model: Module, given: Any) -> Any:
    """A batch of one zero sample of the shape `given`; an array or tensor itself."""
    if isinstance(given, Tensor) or is_array(given):
        return given
    if not isinstance(given, (tuple, list)):
        raise TypeError(
            "summary: an input is the shape of one sample, such as (28, 28), or an array with a "
            f"batch of one, not {given!r}"
        )
    return Tensor(to_device(np.zeros((1, *given), model.dtype), model.device))


def _shape_of(y: Any) -> str:
    """The shape of an output, or the shapes of several, where n stands for the batch."""
    if isinstance(y, (tuple, list)):
        return ", ".join(map(_shape_of, y))
    shape = getattr(y, "shape", None)
    if shape is None:
        return type(y).__name__
    return f"({', '.join(['n', *map(str, shape[1:])])})" if shape else "()"


class Sequential(Module):
    """Layers one after the other; any callable on tensors can be one of them.

    The first layer gets all inputs, by position and by name; each other layer gets the one output
    of the layer before it.

    >>> import tinygen
    >>> from tinygen import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Dense(6, 4, activation="selu"), nn.Dense(4, 2))
    >>> net(tinygen.tensor([[[1, 2, 3], [4, 5, 6]]])).shape
    (1, 2)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(f"Sequential: layer {i} is no layer or function, but {layer!r}")
        self.layers = list(layers)

    def forward(self, *inputs: Any, rng: Random | None = None, **named: Any) -> Any:
        """Through all layers in order."""
        several = len(inputs) != 1 or bool(named)
        x, rest = inputs[0] if inputs else None, self.layers
        try:
            if several:
                if not rest:
                    raise TypeError("Sequential without layers takes one input, which it returns")
                first, *rest = rest
                if isinstance(first, Module) and first._wants_rng:
                    named["rng"] = rng
                x = first(*inputs, **named)
            for layer in rest:
                wants = isinstance(layer, Module) and layer._wants_rng
                x = layer(x, rng=rng) if wants else layer(x)
        except TypeError as error:
            if several:
                error.add_note("of a Sequential, only the first layer gets all inputs")
            raise
        return x

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)
