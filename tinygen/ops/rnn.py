"""Recurrent layers over whole sequences, each one op: a plain one, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..backend import Array, array_module, beside, kernels
from ..config import state as config
from ..core import Tensor, TensorLike, data_of
from ..function import Function, wrap
from .activation import sigmoid, tanh
from .matmul import dense
from .reduce import sum
from .selection import where
from .shape import concatenate, reshape, split, stack, transpose

Kept: TypeAlias = Sequence[Tensor]


class Cell(NamedTuple):
    """One step of a kind of layer, made of ops.

    Args:
        gates: how many columns of the weights there are for each unit.
        sides: how many biases: on the side of the input, and on the recurrent one.
        step: (z, r, h, c) -> new h, new c, and what `grad` wants to know. z comes from the input,
            r from h; see the reference kernel for the formulas.
        grad: (kept, gh, gc) -> the gradients of z and r, that of h where it does not go through r,
            and that of c; None for 0.
    """

    gates: int
    sides: int
    step: Callable[[Tensor, Tensor, Tensor, Any], tuple[Tensor, Any, Kept]]
    grad: Callable[[Kept, Tensor, Any], tuple[Tensor, Tensor, Tensor | None, Any]]


def _simple_step(z: Tensor, r: Tensor, h: Tensor, c: None) -> tuple[Tensor, None, Kept]:
    new = tanh(z + r)
    return new, None, (new,)


def _simple_grad(kept: Kept, gh: Tensor, gc: None) -> tuple[Tensor, Tensor, None, None]:
    (h,) = kept
    gz = gh * (1.0 - h * h)
    return gz, gz, None, None


def _lstm_step(z: Tensor, r: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Kept]:
    i, f, g, o = split(z + r, 4, -1)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    new = f * c + i * g
    t = tanh(new)
    return o * t, new, (i, f, g, o, t, c)


def _lstm_grad(kept: Kept, gh: Tensor, gc: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
    i, f, g, o, t, c = kept
    gc = gc + gh * o * (1.0 - t * t)
    gi, gf = gc * g * i * (1.0 - i), gc * c * f * (1.0 - f)
    gg, go = gc * i * (1.0 - g * g), gh * t * o * (1.0 - o)
    gz = concatenate([gi, gf, gg, go], -1)
    return gz, gz, None, gc * f


def _gru_step(z: Tensor, r: Tensor, h: Tensor, c: None) -> tuple[Tensor, None, Kept]:
    (z, k, g), (rz, rk, rg) = split(z, 3, -1), split(r, 3, -1)
    z, k = sigmoid(z + rz), sigmoid(k + rk)
    g = tanh(g + k * rg)
    return z * h + (1.0 - z) * g, None, (z, k, g, rg, h)


def _gru_grad(kept: Kept, gh: Tensor, gc: None) -> tuple[Tensor, Tensor, Tensor, None]:
    z, k, g, rg, h = kept
    gg = gh * (1.0 - z) * (1.0 - g * g)
    to_z, to_k = gh * (h - g) * z * (1.0 - z), gg * rg * k * (1.0 - k)
    return concatenate([to_z, to_k, gg], -1), concatenate([to_z, to_k, gg * k], -1), gh * z, None


CELLS = {
    "simple_rnn": Cell(1, 1, _simple_step, _simple_grad),
    "lstm": Cell(4, 1, _lstm_step, _lstm_grad),
    "gru": Cell(3, 2, _gru_step, _gru_grad),
}


class RecurrentFunction(Function):
    """h after every step, or after the last one; with `final_cell` also c after the last one.

    The gradient goes back through time in one kernel. When a graph is being recorded, it is worked
    out step by step with ops instead, which can be differentiated.
    """

    def __init__(
        self, cell: str, mask: Array | None, return_sequences: bool, final_cell: bool
    ) -> None:
        self.name = cell  # type: ignore[misc]  # one class serves all kinds
        self.cell, self.mask = cell, mask  # (n, t)
        self.return_sequences, self.final_cell = return_sequences, final_cell

    def forward(  # (n, t, i), (i, g u), (u, g u), (g u) or (sides, g u), (n, u), (n, u)
        self, x: Array, w: Array, u: Array, b: Array, h: Array, c: Array | None = None
    ) -> Array | tuple[Array, Array]:
        self.mask = beside(self.mask, x)
        biases = b.reshape(CELLS[self.cell].sides, w.shape[1])
        states, memory, gates = kernels(x).recurrent(
            self.cell, _swapped(x), w, u, biases, h, h[:, :0] if c is None else c,
            _swapped(self.mask),
        )  # fmt: skip
        self.save(x, w, u, b, h, c)
        self.save_constant(states, memory, gates)  # for the kernel; ops compute them again
        y = _swapped(states[1:]) if self.return_sequences else states[-1].copy()
        return (y, memory[-1].copy()) if self.final_cell else y

    def backward(self, gy: Tensor, gc: Tensor | None = None) -> tuple[Tensor | None, ...]:
        x, w, u, b, h, c, *after = self.saved
        needed = (*self.needed, False)[:6]  # there may be no c
        if config.grad_enabled:
            gradients = self._unrolled_grad(x, w, u, b, h, c, gy, gc)
        else:
            nothing = array_module(gy.array).zeros(h.shape, gy.dtype)
            gx, gw, gu, gb, *others = kernels(x.array).recurrent_grad(
                self.cell, _swapped(x.array), w.array, u.array, _swapped(self.mask),
                tuple(a.array for a in after),
                _swapped(gy.array) if self.return_sequences else None,
                nothing if self.return_sequences else gy.array,
                nothing if gc is None else gc.array, needed,
            )  # fmt: skip
            gb = None if gb is None else gb.reshape(b.shape)
            arrays = _swapped(gx), gw, gu, gb, *others
            gradients = tuple(None if a is None else wrap(a) for a in arrays)
        return gradients[: len(self.needed)]

    def _unrolled_grad(
        self, x: Tensor, w: Tensor, u: Tensor, b: Tensor, h: Tensor, c: Tensor | None,
        gy: Tensor, gc: Tensor | None,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        """The gradients of all inputs, by ops alone: forward again, then back through time."""
        cell, steps, final_cell = CELLS[self.cell], x.shape[1], gc
        biases = [reshape(part, (part.size,)) for part in split(b, cell.sides)]
        zs = [_step_of(z) for z in split(dense(x, w, biases[0]), steps, 1)]
        masks = [None if self.mask is None else self.mask[:, t, None] for t in range(steps)]
        states, kept = [h], []
        for z, valid in zip(zs, masks, strict=True):
            r = dense(states[-1], u, biases[1] if cell.sides == 2 else None)
            new_h, new_c, known = cell.step(z, r, states[-1], c)
            states.append(_choose(valid, new_h, states[-1]))
            c = _choose(valid, new_c, c)
            kept.append(known)
        zero = Tensor(array_module(gy.array).zeros(h.shape, gy.dtype))
        gh = zero if self.return_sequences else gy
        gc = zero if final_cell is None else final_cell
        gys = [_step_of(g) for g in split(gy, steps, 1)] if self.return_sequences else None
        gzs, grs = [], []
        for t in reversed(range(steps)):
            gh = gh + gys[t] if gys else gh
            gz, gr, rest, new_gc = cell.grad(kept[t], gh, gc)
            gz, gr = _choose(masks[t], gz, 0.0), _choose(masks[t], gr, 0.0)
            rest = _choose(masks[t], zero if rest is None else rest, gh)
            gh = gr @ transpose(u) + rest
            gc = _choose(masks[t], new_gc, gc)
            gzs.append(gz)
            grs.append(gr)
        gz, gr = stack(gzs[::-1], 1), stack(grs[::-1], 1)
        flat_z, flat_r = _rows(gz), _rows(gr)
        gb = [sum(flat_z, axis=0), sum(flat_r, axis=0)][: cell.sides]
        return (
            gz @ transpose(w),
            transpose(_rows(x)) @ flat_z,
            transpose(_rows(stack(states[:-1], 1))) @ flat_r,
            reshape(stack(gb, 0), b.shape),
            gh,
            gc,
        )


def _swapped(x: Any) -> Any:
    """An array with time first instead of the batch, or the other way round."""
    return None if x is None else x.swapaxes(0, 1)


def _step_of(x: Tensor) -> Tensor:
    """(n, 1, k) -> (n, k)."""
    return reshape(x, (x.shape[0], x.shape[2]))


def _rows(x: Tensor) -> Tensor:
    """(n, t, k) -> (n t, k)."""
    return reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _choose(valid: Array | None, new: Any, old: Any) -> Any:
    """`new` where valid, else `old`."""
    return new if valid is None or new is None else where(valid, new, old)


def _recurrent(
    name: str,
    x: TensorLike,
    w: TensorLike,
    u: TensorLike,
    b: TensorLike | None,
    state: Sequence[TensorLike],
    mask: Any,
    return_sequences: bool,
    return_state: bool,
) -> Any:
    """What simple_rnn, lstm and gru have in common."""
    cell, x_shape, w_shape = CELLS[name], data_of(x).shape, data_of(w).shape
    if len(x_shape) != 3 or x_shape[1] == 0:
        raise ValueError(f"{name}: x must be (batch, steps, inputs), 1 step or more, got {x_shape}")
    n, steps, inputs = x_shape
    units = data_of(u).shape[0]
    columns = cell.gates * units
    if w_shape != (inputs, columns) or data_of(u).shape != (units, columns):
        raise ValueError(
            f"{name}: for x of shape {x_shape} the weights must be ({inputs}, {cell.gates} units) "
            f"and (units, {cell.gates} units), got {w_shape} and {data_of(u).shape}"
        )
    bias_shape = (cell.sides, columns) if cell.sides > 1 else (columns,)
    if b is not None and data_of(b).shape != bias_shape:
        raise ValueError(f"{name}: the bias must be {bias_shape}, got {data_of(b).shape}")
    for s in state:
        if data_of(s).shape != (n, units):
            raise ValueError(f"{name}: the state must be {(n, units)}, got {data_of(s).shape}")
    if mask is not None:
        mask = data_of(mask)
        if mask.shape != (n, steps) or mask.dtype != bool:
            raise ValueError(
                f"{name}: the mask must be booleans of shape {(n, steps)}, "
                f"got {mask.dtype} of shape {mask.shape}"
            )
    xp, dtype = array_module(data_of(x), data_of(w)), data_of(x).dtype
    state = state or [xp.zeros((n, units), dtype) for _ in range(2 if name == "lstm" else 1)]
    b = xp.zeros(bias_shape, dtype) if b is None else b
    function = RecurrentFunction(name, mask, return_sequences, return_state and name == "lstm")
    outputs: Any = function(x, w, u, b, *state)
    if not return_state:
        return outputs
    y, *cells = outputs if name == "lstm" else (outputs,)
    return (y, y[:, -1] if return_sequences else y, *cells)


def simple_rnn(
    x: TensorLike,
    w: TensorLike,
    u: TensorLike,
    b: TensorLike | None = None,
    state: TensorLike | None = None,
    *,
    mask: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
) -> Any:
    """h' = tanh(x w + h u + b) over a sequence (Elman 1990).

    Args:
        x: the sequences (batch, steps, inputs).
        w: weights of the input (inputs, units).
        u: recurrent weights (units, units).
        b: bias (units,), or None.
        state: h before the first step (batch, units); 0 by default.
        mask: booleans (batch, steps); where False, a step leaves the state as it was, and what
            comes out is that state again. Sequences of unequal lengths are padded and masked.
        return_sequences: give h after every step (batch, steps, units), not only the last one.
        return_state: give (output, h after the last step).
    """
    initial = () if state is None else (state,)
    return _recurrent("simple_rnn", x, w, u, b, initial, mask, return_sequences, return_state)


def lstm(
    x: TensorLike,
    w: TensorLike,
    u: TensorLike,
    b: TensorLike | None = None,
    state: tuple[TensorLike, TensorLike] | None = None,
    *,
    mask: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
) -> Any:
    """Long short-term memory over a sequence (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    i, f, g, o = x w + h u + b, with the sigmoid on i, f, o and tanh on g; then c' = f c + i g and
    h' = o tanh(c').

    Args:
        x: the sequences (batch, steps, inputs).
        w: weights of the input (inputs, 4 units); gates in the order i, f, g, o.
        u: recurrent weights (units, 4 units).
        b: bias (4 units,), or None.
        state: (h, c) before the first step, each (batch, units); 0 by default.
        mask: booleans (batch, steps); see simple_rnn.
        return_sequences: give h after every step (batch, steps, units), not only the last one.
        return_state: give (output, h, c), the last two after the last step.
    """
    initial = () if state is None else tuple(state)
    if len(initial) not in (0, 2):
        raise ValueError(f"lstm: the state must be a pair (h, c), got {len(initial)} parts")
    return _recurrent("lstm", x, w, u, b, initial, mask, return_sequences, return_state)


def gru(
    x: TensorLike,
    w: TensorLike,
    u: TensorLike,
    b: TensorLike | None = None,
    state: TensorLike | None = None,
    *,
    mask: Any = None,
    return_sequences: bool = False,
    return_state: bool = False,
) -> Any:
    """Gated recurrent units over a sequence (Cho et al. 2014), reset after the product.

    With (xz, xr, xg) = x w + b[0] and (hz, hr, hg) = h u + b[1]:  z = sigmoid(xz + hz),
    r = sigmoid(xr + hr), g = tanh(xg + r hg) and h' = z h + (1 - z) g. That is Keras's default and
    PyTorch's form.

    Args:
        x: the sequences (batch, steps, inputs).
        w: weights of the input (inputs, 3 units); gates in the order z, r, g.
        u: recurrent weights (units, 3 units).
        b: biases (2, 3 units), or None.
        state: h before the first step (batch, units); 0 by default.
        mask: booleans (batch, steps); see simple_rnn.
        return_sequences: give h after every step (batch, steps, units), not only the last one.
        return_state: give (output, h after the last step).
    """
    initial = () if state is None else (state,)
    return _recurrent("gru", x, w, u, b, initial, mask, return_sequences, return_state)
