"""Chains of small operations in PyTorch, eager."""

from __future__ import annotations

import torch

from benchmarks.peers.chains import Chain, build


def load(name: str, threads: int, single: bool) -> Chain:
    """The chain of that name."""
    torch.set_num_threads(threads)
    return build(
        name, single, lambda a, requires_grad: torch.tensor(a, requires_grad=requires_grad), torch
    )
