"""tinygen interpolate."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import UsageError, add_command, at_most, picture, seed
from ._trained import looked_at

EXAMPLE = """examples:
  tinygen interpolate runs/vae                              from one image to another, six times
  tinygen interpolate runs/vae --kind spherical --steps 12
  tinygen interpolate runs/vae --kind bilinear --images 3 14 15 92
  tinygen interpolate runs/dcgan --seed 1                   between latents drawn by chance
"""


def add_to(commands: Any) -> None:
    """The command."""
    what = "Draw the images on the way from one coding, or latent, to another."
    command = add_command(commands, "interpolate", what, EXAMPLE, run)
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "--kind",
        choices=["linear", "spherical", "bilinear"],
        help="along a line, an arc, or on a grid between four (default linear; of GANs spherical)",
    )
    command.add_argument(
        "--steps", type=at_most(100), default=8, metavar="N", help="up to 100 (default 8)"
    )
    command.add_argument(
        "--images",
        type=int,
        nargs="+",
        metavar="I",
        help="numbers of validation images: pairs, or four for bilinear (default: by chance)",
    )
    command.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="of the choice of images, or of latents"
    )
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/interpolation-KIND.png)"
    )


def run(options: argparse.Namespace) -> int:
    """Rows between pairs, or a grid between four."""
    import numpy as np

    from ..latent import decode, linear, spherical
    from ..models import Adversarial
    from ..view import save_png
    from ..view.autoencoders import interpolation
    from ..view.codings import walks

    if options.steps < 2:
        raise UsageError("--steps must be at least 2: both ends are among them")
    subject = looked_at(options.run_folder, "images")
    model, steps = subject.model, options.steps
    if isinstance(model, Adversarial):
        options.kind = options.kind or "spherical"
        return _between_latents(options, subject)
    options.kind = options.kind or "linear"
    chosen = _chosen(options, len(subject.samples))
    path = options.out or subject.folder / f"interpolation-{options.kind}.png"
    if options.kind == "bilinear":
        print(save_png(interpolation(subject, corners=chosen, side=steps), path))
        return 0
    way = linear if options.kind == "linear" else spherical
    codings = subject.codings[chosen]
    ways = np.stack([way(a, b, steps) for a, b in codings.reshape(-1, 2, codings.shape[1])])
    made = decode(model, ways.reshape(-1, codings.shape[1]))
    ends = subject.samples[chosen].reshape(-1, 2, *subject.samples.shape[1:])
    title = f"{model.name}: {options.kind} interpolation of codings"
    print(save_png(walks(ends, made.reshape(len(ends), steps, *made.shape[1:]), title=title), path))
    return 0


def _between_latents(options: argparse.Namespace, subject: Any) -> int:
    """The same between latents drawn by chance, since there is nothing that encodes images."""
    import numpy as np

    from ..ops.random import Random
    from ..view import save_png
    from ..view.adversarial import WAYS, generated, interpolation
    from ..view.codings import walks

    if options.images is not None:
        raise UsageError(f"{subject.model.name} encodes no images; --seed chooses other latents")
    path = options.out or subject.folder / f"interpolation-{options.kind}.png"
    model, steps = subject.model, options.steps
    if options.kind == "bilinear":
        print(save_png(interpolation(subject, side=steps, seed=options.seed), path))
        return 0
    ends = model.draw_latents(12, rng=Random(options.seed, "interpolation")).reshape(6, 2, -1)
    ways = np.stack([WAYS[options.kind](a, b, steps) for a, b in ends])
    labels = np.arange(6).repeat(steps) % model.classes if model.classes else None
    made = generated(model, ways.reshape(6 * steps, -1), labels)
    made = made.reshape(6, steps, *made.shape[1:])
    title = f"{model.name}: {options.kind} interpolation of latents"
    print(save_png(walks(made[:, [0, -1]], made, title=title), path))
    return 0


def _chosen(options: argparse.Namespace, n: int) -> Any:
    """The numbers of the images: as told, or by chance."""
    from ..ops.random import Random

    chosen = options.images
    if chosen is None:
        count = 4 if options.kind == "bilinear" else 12
        if n < 4:
            raise ValueError(f"{options.run_folder}: {n} images are too few to go between")
        return Random(options.seed, "interpolation").permutation(n)[: min(count, n // 2 * 2)]
    if options.kind == "bilinear" and len(chosen) != 4:
        raise UsageError(f"--kind bilinear goes between 4 images, not {len(chosen)}")
    if len(chosen) % 2:
        raise UsageError(f"--images are pairs, {len(chosen)} is an odd number of them")
    outside = [i for i in chosen if not 0 <= i < n]
    if outside:
        raise UsageError(f"--images are from 0 to {n - 1}, not {outside[0]}")
    return chosen
