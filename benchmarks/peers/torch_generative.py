"""Training steps of models that make new images in PyTorch: a VAE and GANs."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.games import DCGAN, GAN, AdversarialProblem, ConditionalGAN
from benchmarks.peers.torch_autoencoders import dense_layers
from benchmarks.peers.torch_updates import (
    Candidates,
    Weights,
    candidates,
    in_both_layouts,
    linear,
    optimizer,
    tensors,
    updates,
    with_weights,
)
from benchmarks.problems import VariationalAutoencoder
from benchmarks.subject import TrainingStep


class VAE(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """The variational autoencoder."""

    def __init__(self, problem: VariationalAutoencoder) -> None:
        super().__init__()
        weights, depth = problem.weights(), len(problem.sizes) - 1
        self.encoder = nn.Sequential(nn.Flatten(), *dense_layers(weights[:depth], nn.SELU()))
        self.mean, self.log_var = (linear(*w) for w in weights[depth : depth + 2])
        decoder = dense_layers(weights[depth + 2 :], nn.Sigmoid())
        self.decoder = nn.Sequential(*decoder, nn.Unflatten(1, (28, 28)))

    def forward(self, x: Any, noise: Any) -> Any:
        """Reconstructions, and means and log-variances of the codings."""
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        return self.decoder(mean + torch.exp(log_var / 2) * noise), mean, log_var


def vae(problem: VariationalAutoencoder, compiled: bool) -> Candidates:
    """The variational autoencoder, in every way to update it."""

    def loss_of(net: Any, batch: Any) -> Any:
        x, noise = batch
        y, mean, log_var = net(x, noise)
        latent = -0.5 * (1 + log_var - log_var.exp() - mean.square()).sum(-1)
        return F.binary_cross_entropy(y, x) + latent.mean() / 784

    return candidates(functools.partial(VAE, problem), problem, compiled, loss_of)


def gan(problem: GAN, compiled: bool) -> Candidates:
    """The dense GAN, in every way to update it."""

    def networks() -> tuple[Any, Any]:
        generator, discriminator = problem.weights()
        return (
            nn.Sequential(*dense_layers(generator, nn.Sigmoid()), nn.Unflatten(1, (28, 28))),
            nn.Sequential(nn.Flatten(), *dense_layers(discriminator, nn.Identity())),
        )

    return adversarial(networks, problem, tensors(problem.batches()), compiled)


class StyleBlock(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """A block of StyleGAN's generator."""

    def __init__(self, problem: Any) -> None:
        super().__init__()
        names = []
        for i, (w, b, s, c) in enumerate(problem.weights()):
            for name, part in (("w", w.transpose(3, 2, 0, 1)), ("b", b), ("s", s), ("c", c)):
                names.append(f"{name}{i}")
                self.register_parameter(names[-1], nn.Parameter(tensors(part.copy())))
        blur = torch.tensor([1.0, 2.0, 1.0])
        kernel = (blur[:, None] * blur / 16).expand(problem.channels[1], 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel)

    def forward(self, x: Any, style: Any) -> Any:
        """Images of twice as many pixels."""
        x = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), self.w0, padding=1)
        x = F.conv2d(x, self.kernel, padding=1, groups=x.shape[1]) + self.b0[:, None, None]
        x = styled(x, style @ self.s0 + self.c0)
        x = F.conv2d(x, self.w1, self.b1, padding=1)
        return styled(x, style @ self.s1 + self.c1)


def styled(x: Any, style: Any) -> Any:
    """LeakyReLU, then instance norm with the style's scale and shift."""
    scale, shift = style.unflatten(1, (2, -1))[..., None, None].unbind(1)
    return F.instance_norm(F.leaky_relu(x, 0.2), eps=1e-8) * (1 + scale) + shift


def style_block(problem: Any, compiled: bool) -> Candidates:
    """The block, in both memory formats and every way to update it."""

    def loss_of(net: Any, batch: Any) -> Any:
        x, style, target = batch
        return F.mse_loss(net(x, style), target)

    def ways(layout: Any) -> Candidates:
        def network() -> Any:
            return StyleBlock(problem).to(memory_format=layout)

        def images(x: Any) -> Any:
            return x.permute(0, 3, 1, 2).contiguous(memory_format=layout)

        batches = [(images(x), s, images(t)) for x, s, t in tensors(problem.batches())]
        return candidates(network, problem, compiled, loss_of, batches)

    return in_both_layouts(ways)


class Arrange(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """Vectors as images of `channels`, or images as vectors where that is None.

    A vector has the order that images have in memory, so nothing is moved.
    """

    def __init__(self, layout: Any, channels: int | None = None) -> None:
        super().__init__()
        self.last, self.channels = layout is torch.channels_last, channels

    def forward(self, x: Any) -> Any:
        """The same numbers."""
        if self.channels is None:
            return (x.permute(0, 2, 3, 1) if self.last else x).flatten(1)
        if self.last:
            return x.view(len(x), 7, 7, self.channels).permute(0, 3, 1, 2)
        return x.view(len(x), self.channels, 7, 7)


def dcgan(problem: DCGAN, compiled: bool) -> Candidates:
    """The convolutional GAN, in both memory formats and every way to update it."""

    def ways(layout: Any) -> Candidates:
        networks = functools.partial(dcgan_networks, problem, layout)
        return adversarial(networks, problem, dcgan_batches(problem, layout), compiled)

    return in_both_layouts(ways)


def dcgan_batches(problem: DCGAN, layout: Any) -> list[Any]:
    """The problem's batches with mirrored images, see `dcgan_networks`."""
    return [
        (images.flip(1, 2).permute(0, 3, 1, 2).contiguous(memory_format=layout), *rest)
        for images, *rest in tensors(problem.batches())
    ]


def dcgan_networks(problem: DCGAN, layout: Any) -> tuple[Any, Any]:
    """The generator and the discriminator of the convolutional GAN, with the problem's weights.

    With a stride of 2, TensorFlow's "same" pads one pixel before and two after; PyTorch's padding
    of 2 is one that pads two before and uses one after. So everything is mirrored here: images, and
    the rows and columns of all weights. Numbers and costs are the same, and no image is padded by
    copying.
    """
    few, many = problem.channels
    (project, enlarge, draw), (see, shrink, judge) = problem.weights()

    def kernel(layer: Any, w: Any, b: Any) -> Any:
        return with_weights(layer, w[::-1, ::-1].transpose(3, 2, 0, 1), b)

    def norm(channels: int) -> Any:
        layer = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
        layer.num_batches_tracked = None  # a count that only serves averages without momentum
        return layer

    generator = nn.Sequential(
        linear(places(project[0].T, layout).T, project[1]),
        Arrange(layout, many),
        norm(many),
        kernel(nn.ConvTranspose2d(many, few, 5, 2, 2, 1), *enlarge),
        nn.SELU(inplace=True),
        norm(few),
        kernel(nn.ConvTranspose2d(few, 1, 5, 2, 2, 1), *draw),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        kernel(nn.Conv2d(problem.seen, few, 5, 2, 2), *see),
        nn.LeakyReLU(0.2, inplace=True),
        kernel(nn.Conv2d(few, many, 5, 2, 2), *shrink),
        nn.LeakyReLU(0.2, inplace=True),
        Arrange(layout),
        linear(places(judge[0], layout), judge[1]),
    )
    return generator.to(memory_format=layout), discriminator.to(memory_format=layout)


def places(w: Any, layout: Any) -> Any:
    """Weights mirrored along the 7 x 7 x channels of the first axis, in the order of memory."""
    images = w.reshape(7, 7, len(w) // 49, -1)[::-1, ::-1]
    order = (2, 0, 1, 3) if layout is torch.contiguous_format else (0, 1, 2, 3)
    return images.transpose(order).reshape(w.shape)


def adversarial(
    networks: Callable[[], tuple[Any, Any]],
    problem: AdversarialProblem,
    batches: Any,
    compiled: bool,
) -> Candidates:
    """Both phases in one step, in every way to update the networks."""
    both = torch.arange(2.0).repeat_interleave(problem.batch)[:, None]
    real = both[problem.batch :]
    loss_of = F.binary_cross_entropy_with_logits

    def judged(discriminator: Any, fakes: Any, images: Any) -> Any:
        return loss_of(discriminator(torch.cat([fakes, images])), both)

    def generated(discriminator: Any, fakes: Any) -> Any:
        return loss_of(discriminator(fakes), real)

    return game(networks, problem, batches, compiled, judged, generated)


def game(
    networks: Callable[[], tuple[Any, Any]],
    problem: AdversarialProblem,
    batches: Any,
    compiled: bool,
    judged: Callable[..., Any],
    generated: Callable[..., Any],
    *,
    double: bool = False,
) -> Candidates:
    """Both phases in one step, in every way to update the networks.

    Args:
        networks: makes the generator and the discriminator.
        problem: its problem.
        batches: the pool; what follows the noise of a batch goes to both losses.
        compiled: whether to compile the losses, or all of the step.
        judged: the discriminator's loss of it, of fakes, of reals and of the rest of a batch.
        generated: the generator's of the discriminator, of fakes and of the rest.
        double: the discriminator's loss has a gradient in it, which torch.compile cannot
            differentiate again but in a step that is compiled as a whole.
    """

    def usual(how: dict[str, bool]) -> TrainingStep:
        generator, discriminator = networks()
        generating, judging = (optimizer(net, problem, how) for net in (generator, discriminator))

        def judge(images: Any, noise: Any, *rest: Any) -> Any:
            with torch.no_grad():
                fakes = generator(noise, *labels_of(problem, rest))
            return judged(discriminator, fakes, images, *rest)

        def generate(noise: Any, *rest: Any) -> Any:
            fakes = generator(noise, *labels_of(problem, rest))
            return generated(discriminator, fakes, *rest)

        if compiled:  # the backward of a compiled function is compiled too
            judge = judge if double else torch.compile(judge)
            generate = torch.compile(generate)

        def step(batch: Any) -> Any:
            images, first, second, *rest = batch
            generator.eval()
            discriminator.requires_grad_(True)
            judging.zero_grad()
            one = judge(images, first, *rest)
            one.backward()
            judging.step()

            generator.train()
            discriminator.requires_grad_(False)
            generating.zero_grad()
            other = generate(second, *rest)
            other.backward()
            generating.step()
            return one.detach() + other.detach()

        return TrainingStep(step, batches)

    def whole() -> TrainingStep:
        """Both phases and updates compiled as one function of the weights."""
        generator, discriminator = networks()
        g, d = Weights(generator, problem), Weights(discriminator, problem)
        moments, own = dict(generator.named_buffers()), dict(discriminator.named_buffers())
        in_inference = copy.deepcopy(generator).eval()
        call = torch.func.functional_call

        def judge(d: Any, fakes: Any, images: Any, *rest: Any) -> Any:
            net = lambda *x: call(discriminator, {**d, **own}, x)  # noqa: E731
            return judged(net, fakes, images, *rest)

        def generate(g: Any, d: Any, noise: Any, *rest: Any) -> Any:
            fakes = call(generator, {**g, **moments}, (noise, *labels_of(problem, rest)))
            return generated(lambda *x: call(discriminator, {**d, **own}, x), fakes, *rest)

        def step(batch: Any) -> Any:
            images, first, second, *rest = batch
            given = first, *labels_of(problem, rest)
            fakes = call(in_inference, {**g.values, **moments}, given)
            gradients, one = torch.func.grad_and_value(judge)(d.values, fakes, images, *rest)
            d.update(gradients)
            gradients, other = torch.func.grad_and_value(generate)(
                g.values, d.values, second, *rest
            )
            g.update(gradients)
            return one + other

        return TrainingStep(torch.compile(step), batches)

    ways: Candidates = {k: functools.partial(usual, how) for k, how in updates(problem).items()}
    if compiled:
        ways["whole step"] = whole
    return ways


def labels_of(problem: AdversarialProblem, rest: Any) -> Any:
    """What the generator is given beside noise: the labels of a conditional one."""
    return rest if isinstance(problem, ConditionalGAN) else ()
