"""Recurrent layers, one step after the other."""

import numpy as np

from tests.op_cases.case import Case, booleans, grid, normal, torch
from tinygen import ops

BOTH = grid(return_sequences=[True, False])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simple_step(x, h, w, u, b):
    return (np.tanh(x @ w + h @ u + b),)


def lstm_step(x, h, c, w, u, b):
    i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, w, u, b):
    input_bias, recurrent_bias = b
    xz, xr, xg = np.split(x @ w + input_bias, 3, axis=1)
    hz, hr, hg = np.split(h @ u + recurrent_bias, 3, axis=1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    return (z * h + (1 - z) * np.tanh(xg + r * hg),)


def torch_simple_step(x, h, w, u, b):
    return (torch.rnn_tanh_cell(x, h, w.T, u.T, b, torch.zeros_like(b)),)


def torch_lstm_step(x, h, c, w, u, b):
    return torch.lstm_cell(x, (h, c), w.T, u.T, b, torch.zeros_like(b))


def torch_gru_step(x, h, w, u, b):
    """PyTorch has the reset gate first."""
    w, u, input_bias, recurrent_bias = (
        torch.cat([r, z, g]) for z, r, g in (p.chunk(3) for p in (w.T, u.T, *b))
    )
    return (torch.gru_cell(x, h, w, u, input_bias, recurrent_bias),)


# name -> (number of gates, of states, of biases, the step in NumPy, in PyTorch)
CELLS = {
    "simple_rnn": (1, 1, 1, simple_step, torch_simple_step),
    "lstm": (4, 2, 1, lstm_step, torch_lstm_step),
    "gru": (3, 1, 2, gru_step, torch_gru_step),
}


def unrolled(step, x, w, u, b, state, mask, return_sequences):
    """The output, and the state at the end, in the library that x comes from."""
    library = np if isinstance(x, np.ndarray) else torch
    outputs = []
    for t in range(x.shape[1]):
        valid = mask[:, t, None]
        new = step(x[:, t], *state, w, u, b)
        state = [library.where(valid, a, s) for a, s in zip(new, state, strict=True)]
        outputs.append(state[0])
    return [library.stack(outputs, 1) if return_sequences else state[0], *state]


def from_nothing(step, sides):
    """A step's whole sequence, from a state of 0; the biases are 0 if not given."""

    def run(x, w, u, b=None, return_sequences=False):
        library = np if isinstance(x, np.ndarray) else torch
        mask = library.ones(x.shape[:2], dtype=bool)
        zero = library.zeros((len(x), len(u)), dtype=x.dtype)
        if b is None:
            shape = (u.shape[1],) if sides == 1 else (2, u.shape[1])
            b = library.zeros(shape, dtype=x.dtype)
        state = [zero, zero] if step in (lstm_step, torch_lstm_step) else [zero]
        return unrolled(step, x, w, u, b, state, mask, return_sequences)[0]

    return run


def from_state(step):
    """A step's whole sequence, from a given state, with a mask."""
    return lambda x, w, u, b, *rest, return_sequences: unrolled(
        step, x, w, u, b, rest[:-1], rest[-1], return_sequences
    )


def op_from_state(op):
    def run(x, w, u, b, *rest, return_sequences):
        state = rest[:-1] if len(rest) == 3 else rest[0]
        return op(x, w, u, b, state, mask=rest[-1], return_sequences=return_sequences,
                  return_state=True)  # fmt: skip

    return run


def cases(name):
    gates, states, sides, step, torch_step = CELLS[name]
    op = getattr(ops, name)

    def shapes(n, steps, inputs, units):
        columns = gates * units
        bias = (columns,) if sides == 1 else (2, columns)
        return (n, steps, inputs), (inputs, columns), (units, columns), bias

    def samplers(n, steps, inputs, units):
        return [normal(*shape) for shape in shapes(n, steps, inputs, units)]

    return [
        Case(
            name,
            op,
            samplers(2, 3, 2, 3),
            options=BOTH,
            shapes=[shapes(1, 1, 1, 1), shapes(3, 2, 1, 2)],
            empty=[shapes(0, 2, 3, 2), shapes(2, 2, 0, 2), shapes(2, 2, 3, 0)],
            tolerance=8,
            reference=from_nothing(step, sides),
            torch=from_nothing(torch_step, sides),
        ),
        Case(
            name,
            op,
            samplers(2, 3, 2, 3)[:3],
            label="without bias",
            tolerance=8,
            reference=from_nothing(step, sides),
            torch=from_nothing(torch_step, sides),
        ),
        Case(
            name,
            op_from_state(op),
            [*samplers(3, 4, 2, 2), *[normal(3, 2)] * states, booleans(3, 4)],
            options=BOTH,
            label="from a state, masked",
            tolerance=8,
            reference=from_state(step),
            torch=from_state(torch_step),
        ),
    ]


CASES = [case for name in CELLS for case in cases(name)]
