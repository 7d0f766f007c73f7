"""exp, log and what follows from them, written so that LLVM turns loops over them into SIMD.

Numba calls the C library for these, one element at a time. The float32 forms here are short
polynomials after range reduction, with relative errors of about 2e-7; float64 keeps the library's.
They take the fast-math flags of the kernel that calls them; where the order of their roundings
counts, as in log1p, that must not allow reassociation.

Source of the coefficients: Moshier's Cephes library (expf, logf).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

F, I = np.float32, np.int32  # noqa: E741  (the two types that these formulas are made of)

LOG2_E = F(1.44269504088896341)
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)
EXP_LOWEST, EXP_HIGHEST = F(-87.3), F(88.72)


@register_jitable
def _expm1_and_scale(x):  # type: ignore[no-untyped-def]
    """(expm1(r), 2^(n-1)) for x = n log 2 + r with |r| <= log(2) / 2."""
    x = EXP_LOWEST if x < EXP_LOWEST else x  # NaN stays: it fails both comparisons
    x = EXP_HIGHEST if x > EXP_HIGHEST else x
    n = np.floor(x * LOG2_E + F(0.5))
    r = x - n * LN2_HIGH - n * LN2_LOW
    s = r * r
    # in pairs, by powers of s: half as many products that wait for one another
    high = F(1.9875691500e-4) * r + F(1.3981999507e-3)
    middle = F(8.3334519073e-3) * r + F(4.1665795894e-2)
    low = F(1.6666665459e-1) * r + F(5.0000001201e-1)
    half_scale = I((I(n) + I(126)) << I(23)).view(F)
    return ((high * s + middle) * s + low) * s + r, half_scale


@register_jitable
def _exp32(x):  # type: ignore[no-untyped-def]
    p, half_scale = _expm1_and_scale(x)
    return (p * half_scale + half_scale) * F(2.0)


@register_jitable
def _expm1_32(x):  # type: ignore[no-untyped-def]
    p, half_scale = _expm1_and_scale(x)
    return (p * half_scale + (half_scale - F(0.5))) * F(2.0)


@register_jitable
def _log_normal32(x):  # type: ignore[no-untyped-def]
    """log x where x is a positive, normal, finite number; anything else gives nonsense."""
    bits = F(x).view(I)
    # x = m 2^e with m in [sqrt(1/2), sqrt(2))
    e = I(I(bits - I(0x3F3504F3)) >> I(23))
    m = I(bits - I(e << I(23))).view(F) - F(1.0)
    z = m * m
    p = F(7.0376836292e-2)
    p = p * m + F(-1.1514610310e-1)
    p = p * m + F(1.1676998740e-1)
    p = p * m + F(-1.2420140846e-1)
    p = p * m + F(1.4249322787e-1)
    p = p * m + F(-1.6668057665e-1)
    p = p * m + F(2.0000714765e-1)
    p = p * m + F(-2.4999993993e-1)
    p = p * m + F(3.3333331174e-1)
    k = F(e)
    return m + (p * m * z + k * LN2_LOW - F(0.5) * z) + k * LN2_HIGH


@register_jitable
def _log32(x):  # type: ignore[no-untyped-def]
    y = _log_normal32(x)
    y = F(-np.inf) if x == F(0.0) else y
    y = F(np.nan) if x < F(0.0) else y
    return x if x > F(3.4e38) or x != x else y


@register_jitable
def _log1p32(x):  # type: ignore[no-untyped-def]
    u = F(1.0) + x
    return _log32(u) + (x - (u - F(1.0))) / u


def _by_type(
    name: str, single: Callable[..., Any], double: Callable[..., Any]
) -> Callable[..., Any]:
    """A function that compiles to `single` for float32 and to `double` for float64."""

    def function(x: Any) -> Any:
        return double(x)

    function.__name__ = name

    @overload(function)
    def choose(x):  # type: ignore[no-untyped-def]
        if x == types.float32:
            return lambda x: single(x)
        return lambda x: double(x)

    return function


exp = _by_type("exp", _exp32, math.exp)
expm1 = _by_type("expm1", _expm1_32, math.expm1)
log1p = _by_type("log1p", _log1p32, math.log1p)
log_normal = _by_type("log_normal", _log_normal32, math.log)
