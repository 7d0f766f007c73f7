"""proto"""
from __future__ import annotations
from typing import Any, NamedTuple
import numpy as np
from .factors import *
from .factors import complete_factors, sample_factors
from .portrait import paint_portraits
from .hair import STYLES
def sample(n, seed=0, first=0):
    return sample_factors(n, seed, first)

def draw(f, size, channels=3):
    f = complete_factors(f)
    n = len(f["skin"])
    k = -(-64 // size)
    out = np.empty((n, size, size, channels), np.uint8)
    B = max(1, 2**16 // (size*k)**2)
    for s in range(len(STYLES)):
        m = np.flatnonzero(f["hair_style"] == s)
        for i in range(0, len(m), B):
            mm = m[i:i+B]
            im = paint_portraits({a: b[mm] for a, b in f.items()}, size*k)
            assert im.dtype == np.float32
            im = im.reshape(3, len(mm), size, k, size, k).mean((3, 5))
            im = im.transpose(1, 2, 3, 0)
            if channels == 1:
                im = im @ np.array([[.299], [.587], [.114]], np.float32)
            out[mm] = np.floor(im*255+.5)
    return out
