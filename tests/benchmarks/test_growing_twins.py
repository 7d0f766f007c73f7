"""Whole networks of progressive growing and StyleGAN against PyTorch's, in float64.

Outputs, gradients, and gradients of gradients, of all their layers at once: equalised learning
rate, pixel norm, minibatch deviation, mapping, noise, blur, adaptive instance norm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import growing
from benchmarks.peers import tinygen_growing
from tinygen import Tensor, grad, ops

SMALL = {"side": 16, "channels": (12, 8, 4), "latents": 5}
PROBLEMS = {
    "progan": growing.ProGAN("progan", 8, "", **SMALL),
    "stylegan": growing.StyleGAN("stylegan", 8, "", **SMALL),
}
LAST = len(SMALL["channels"]) - 1


def layers(network: Any, generator: bool, styled: bool) -> list[Any]:
    """Those of the last level, in the order in which the twin has them."""
    if not generator:
        body = [layer for level in range(LAST, 0, -1) for layer in network.body[level - 1]]
        return [network.from_rgb[LAST], *body, network.last, network.dense, network.head]
    body = [layer for block in network.body for layer in block]
    first = network.mapping.layers if styled else [network.dense]
    return [*first, *body, network.to_rgb[LAST]]


def pairs(ours: Any, theirs: Any, generator: bool, styled: bool) -> list[tuple[Any, Any]]:
    """Parameters of ours with those of the twin."""
    if not generator:
        twins = [theirs.rgb, *theirs.body, theirs.last, theirs.dense, theirs.head]
    else:
        first = theirs.mapping if styled else [theirs.dense]
        twins = [*first, *theirs.body, theirs.rgb]
    found = [(ours.constant, theirs.constant)] if generator and styled else []
    for a, b in zip(layers(ours, generator, styled), twins, strict=True):
        if hasattr(a, "noise"):  # a layer with a style
            found += [(a.bias, b.bias), (a.noise.strength, b.strength)]
            found += [(a.style.weight, b.style.weight), (a.style.bias, b.style.bias)]
            found += [] if a.conv is None else [(a.conv.weight, b.conv.weight)]
        else:
            found += [(a.weight, b.weight), (a.bias, b.bias)]
    return found


def as_ours(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels (out, in, h, w) and weights (out, in) in our order of axes."""
    array = array.detach().numpy()
    return (array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T).reshape(shape)


def close(a: np.ndarray, b: np.ndarray, name: str) -> None:
    """To ten digits of the largest number."""
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * abs(b).max(), err_msg=name)


@pytest.mark.parametrize("generator", [True, False], ids=["generator", "discriminator"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_of_both_orders_are_pytorchs(name: str, generator: bool) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    from benchmarks.peers import torch_growing

    problem, styled, rng = PROBLEMS[name], name == "stylegan", np.random.default_rng(0)
    ours = tinygen_growing.networks(problem)[0 if generator else 1].to(dtype="float64")
    kind = torch_growing.Discriminator
    if generator:
        kind = torch_growing.StyleGenerator if styled else torch_growing.Generator
    theirs = kind(problem, torch.contiguous_format).double()
    matched = pairs(ours, theirs, generator, styled)
    assert len(matched) == len(list(theirs.parameters()))
    for p, q in matched:  # both were rounded to float32 by themselves: the same from here on
        p.data[...] = as_ours(q, p.shape)

    sides = problem.noises if styled and generator else []
    maps = [rng.standard_normal((problem.batch, side, side, 1)) for side in sides]
    image = (problem.batch, problem.side, problem.side, 3)
    x = rng.standard_normal((problem.batch, problem.latents) if generator else image)
    v = rng.standard_normal(image if generator else (problem.batch, 1))

    given = Tensor(x, requires_grad=True)
    y = ours.synthesis(ours.map(given), maps) if maps else ours(given)
    (slope,) = grad(ops.sum(y * v), given, create_graph=True)
    (ops.sum(ops.square(slope)) + ops.sum(y * v)).backward()

    other = torch.tensor(x if generator else x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    flat = [torch.from_numpy(m.reshape(len(m), -1)) for m in maps]
    z = theirs(torch.cat([other, *flat], 1))
    weighted = torch.from_numpy(v.transpose(0, 3, 1, 2).copy() if generator else v)
    (slope_of,) = torch.autograd.grad((z * weighted).sum(), other, create_graph=True)
    (slope_of.square().sum() + (z * weighted).sum()).backward()

    images = lambda t: t.detach().numpy().transpose(0, 2, 3, 1)  # noqa: E731
    close(y.numpy(), images(z) if generator else z.detach().numpy(), "output")
    close(slope.numpy(), slope_of.detach().numpy() if generator else images(slope_of), "slope")
    names = {id(p): key for key, p in ours.named_parameters()}
    for p, q in matched:
        close(p.grad.numpy(), as_ours(q.grad, p.shape), names[id(p)])
