"""All libraries' steps are of the same work: losses and counts of operations agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import growing, harness, problem, steps
from benchmarks.peers import tinygen_growing, tinygen_steps
from benchmarks.problems import PROBLEMS
from tinygen import hooks

DISTINCT = [name for name in PROBLEMS if not name.endswith("-64")]  # which is -32, larger


def sized(name: str) -> problem.Problem:
    """The problem of that name; of growing networks one of two levels."""
    found = PROBLEMS[name]
    if isinstance(found, growing.ProGAN):
        return replace(found, batch=8, side=8, channels=(8, 4), latents=6)
    return found


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "POOL", steps.STEPS_COMPARED)
    monkeypatch.setattr(growing, "BATCHES", steps.STEPS_COMPARED)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if PROBLEMS[name].flops > 3e8 else [])
        for name in DISTINCT
    ],
)
def test_losses_agree_with_all_ways_of_pytorch(name: str) -> None:
    pytest.importorskip("torch")
    from benchmarks.peers import torch_steps

    problem = sized(name)
    ours = tinygen_steps.MODELS[name](problem).check(steps.STEPS_COMPARED)
    for way, make in torch_steps.MODELS[name](problem, False).items():
        theirs = make().check(steps.STEPS_COMPARED)
        assert harness.disagreement(ours, theirs) <= problem.tolerance, way


@pytest.mark.parametrize("name", [name for name in DISTINCT if name != "recurrent-ae"])
def test_flops_are_those_that_pytorch_counts(name: str) -> None:
    """Nothing is counted twice, and nothing computed in vain, such as gradients of frozen weights.

    Not of LSTMs, since the count does not see into oneDNN's.
    """
    pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from benchmarks.peers import torch_steps

    class Counter(TorchDispatchMode):
        """Adds up operations, also of gradients of gradients, which FlopCounterMode does not."""

        flops = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = function(*args, **(kwargs or {}))
            count = flop_registry.get(function._overloadpacket)
            self.flops += count(*args, **(kwargs or {}), out_val=out) if count else 0
            return out

    problem = sized(name)
    make = next(iter(torch_steps.MODELS[name](problem, False).values()))
    step = make()
    with Counter() as counter:
        step.run(1)
    if name == "wgan-gp" or isinstance(problem, growing.ProGAN):
        # PyTorch's second derivative of a convolution pads it, and cuts it again; blur is one, too
        assert problem.flops < counter.flops < 1.2 * problem.flops
    else:
        assert counter.flops == problem.flops


def test_tinygen_computes_no_weight_gradients_of_a_frozen_discriminator() -> None:
    step = tinygen_steps.MODELS["dcgan"](PROBLEMS["dcgan"])
    with hooks.Timer() as timer:
        step.run(1)
    assert timer.calls["conv2d_weight_grad", "forward"] == 4  # two in each phase


@pytest.mark.parametrize("name", [n for n in PROBLEMS if isinstance(PROBLEMS[n], growing.ProGAN)])
def test_sizes_of_growing_networks_are_those_of_the_librarys_models(name: str) -> None:
    found = PROBLEMS[name]
    assert isinstance(found, growing.ProGAN)
    generator, discriminator = tinygen_growing.networks(found)
    for net, weights in zip((generator, discriminator), found.weights(), strict=True):
        own = {k: p.shape for k, p in net.named_parameters()}
        unused = {k for k in own if "rgb" in k}  # of the levels below
        assert own.keys() - unused <= weights.keys() <= own.keys()
        assert all(own[k] == w.shape for k, w in weights.items())
