"""Gradients that are no numbers: clipping them is refused, with nothing changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tinygen_kernels import using

from tests.cuda.equipment import every_backend
from tinygen import Parameter, Tensor, optim

CLIPS = [{"clip_norm": 1.0}, {"clip_value": 1.0}, {"clip_norm": 1.0, "clip_value": 1e3}]


def pair(wrong: float) -> list[Parameter]:
    """Two parameters, of whose gradients the first holds a number that is none."""
    ps = [Parameter(np.ones(3, np.float32)) for _ in range(2)]
    for p, values in zip(ps, ([0.5, wrong, 0.5], [1e6] * 3), strict=True):
        p.grad = Tensor(np.float32(values))
    return ps


@every_backend
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("clip", CLIPS, ids=["norm", "value", "both"])
@pytest.mark.parametrize("name", optim.BY_NAME)
def test_a_gradient_that_is_no_number(name, clip, wrong, backend):
    ps = pair(wrong)
    optimizer = optim.create(name, ps, **clip)
    state = optimizer.state_dict()
    with using(backend):
        if "clip_value" in clip and math.isinf(wrong):  # has a limit: it is a number again
            optimizer.step()
            assert all(np.isfinite(p.data).all() for p in ps)
            return
        with pytest.raises(FloatingPointError, match=r"\.step: .*that of 0 holds NaN or infinity"):
            optimizer.step()
    assert all((p.data == 1).all() for p in ps)
    assert [p.version for p in ps] == [0, 0]
    for key, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_a_norm_that_overflows():
    p = Parameter(np.ones(2))
    p.grad = Tensor(np.full(2, 1e200))
    with pytest.raises(FloatingPointError, match="a norm of inf, they overflow"):
        optim.SGD([p], clip_norm=1.0).step()
    assert (p.data == 1).all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_clip_grad_norm_of_what_is_no_number(wrong):
    ps = pair(wrong)
    with pytest.raises(FloatingPointError, match=r"clip_grad_norm: .*that of 0 holds NaN"):
        optim.clip_grad_norm(ps, 1.0)
    assert (ps[1].grad.data == 1e6).all()
    for limit in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="clip_grad_norm: max_norm must be"):
            optim.clip_grad_norm(ps, limit)
