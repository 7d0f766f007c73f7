"""Which moments batch norm uses: those of the batch, or running ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..nn import BatchNorm, Module


def batch_norms(network: Module) -> list[BatchNorm]:
    """The layers of batch norm in a network."""
    return [m for m in network.modules() if isinstance(m, BatchNorm)]


@contextmanager
def statistics(network: Module, which: str) -> Iterator[None]:
    """Within the block batch norm uses the moments of the batch, as in training, or running ones.

    In inference mode it uses the running ones anyway.

    Args:
        network: whose layers these are.
        which: "batch" or "running".
    """
    changed = []
    if which == "running" and network.training:
        changed = [m for m in batch_norms(network) if m.training]
    for m in changed:
        m.training = False
    try:
        yield
    finally:
        for m in changed:
            m.training = True
