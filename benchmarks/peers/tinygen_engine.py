"""Chains of small operations in tinygen."""

from __future__ import annotations

import tinygen
from benchmarks.peers.chains import Chain, build
from tinygen import ops


def load(name: str, threads: int, single: bool) -> Chain:
    """The chain of that name."""
    tinygen.set_threads(threads)
    return build(name, single, lambda a, requires_grad: tinygen.Tensor(a, requires_grad), ops)
