"""Convolutions in PyTorch, in one of its two memory formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.peers.convolution import Passes
from benchmarks.shapes import CONVOLUTIONS, Convolution

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def load(name: str, threads: int, layout: str) -> Passes:
    """The convolution of that name."""
    torch.set_num_threads(threads)
    return Passes(passes(CONVOLUTIONS[name], layout, "cpu"), sample)


def passes(c: Convolution, layout: str, device: str) -> dict[str, Callable[[], Any]]:
    """Each pass of a convolution as a function that does it and returns the result."""
    images, kernel, gradient = (torch.from_numpy(a).to(device) for a in c.operands())
    x, gy = (in_format(a.permute(0, 3, 1, 2), layout) for a in (images, gradient))
    w = in_format(kernel.permute(3, 2, 0, 1), layout)  # transposed ones too: (in, out, kh, kw)
    stride, padding, extra = [c.stride] * 2, [c.around] * 2, [c.extra] * 2

    def backward(wanted: int) -> Any:
        mask = [wanted == i for i in range(3)]
        options = stride, padding, [1, 1], c.transposed, extra, 1, mask
        return torch.ops.aten.convolution_backward(gy, x, w, None, *options)[wanted]

    def forward() -> Any:
        if c.transposed:
            return F.conv_transpose2d(x, w, None, stride, padding, extra)
        return F.conv2d(x, w, None, stride, padding)

    parts = {
        "forward": forward,
        "input": lambda: backward(0),
        "weight": lambda: backward(1),
    }
    return {part: torch.no_grad()(do) for part, do in parts.items()}


def in_format(x: Any, layout: str) -> Any:
    """x laid out anew."""
    return x.contiguous(memory_format=FORMATS[layout])


def sample(part: str, y: Any) -> list[float]:
    """Its norm, and its first number."""
    return [float(torch.linalg.vector_norm(y)), float(y.flatten()[0])]
