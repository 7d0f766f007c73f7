"""tinygen interpolate."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

from ._parts import UsageError, add_command, at_most, picture_or_animation, seed
from ._trained import looked_at

EXAMPLE = """examples:
  tinygen interpolate runs/vae                              from one image to another, six times
  tinygen interpolate runs/vae --kind spherical --steps 12
  tinygen interpolate runs/vae --kind bilinear --images 3 14 15 92
  tinygen interpolate runs/dcgan --seed 1                   between latents drawn by chance
  tinygen interpolate runs/dcgan --animate --steps 16       an animation that ends where it began
"""

TILES, STOPS = 24, 4  # of an animation: images side by side, and codings that each goes through
FRAME_SECONDS = 0.08


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
        "--animate", action="store_true", help="a .webp that moves instead of a .png with rows"
    )
    command.add_argument(
        "--out",
        type=picture_or_animation,
        metavar="FILE",
        help="a .png or, of --animate, a .webp (default RUN/interpolation-KIND.png)",
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
    if options.out and (options.out.suffix.lower() == ".webp") != options.animate:
        raise UsageError(f"--animate writes a .webp and nothing else does, not {options.out.name}")
    subject = looked_at(options.run_folder, "images")
    model, steps = subject.model, options.steps
    if options.animate:
        return _animated(options, subject)
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


def _animated(options: argparse.Namespace, subject: Any) -> int:
    """Images that change into others and back, side by side."""
    import numpy as np

    from ..latent import decode, linear, spherical
    from ..models import Adversarial
    from ..ops.random import Random
    from ..view.adversarial import generated
    from ..view.animation import save_animation
    from ..view.plate import plate

    model, rng = subject.model, Random(options.seed, "interpolation")
    drawn = isinstance(model, Adversarial)
    kind = options.kind or ("spherical" if drawn else "linear")
    if kind == "bilinear":
        raise UsageError("--animate goes along ways: --kind linear or spherical")
    if options.images is not None:
        raise UsageError("--animate chooses by --seed; leave --images out")
    path = options.out or subject.folder / f"interpolation-{kind}.webp"
    if drawn:
        stops = model.draw_latents(TILES * STOPS, rng=rng)
    else:
        stops = subject.codings[rng.integers(0, len(subject.codings), (TILES * STOPS,))]
    way = linear if kind == "linear" else spherical
    rounds = [[*tile, tile[0]] for tile in stops.reshape(TILES, STOPS, -1)]
    ways = np.stack(
        [np.concatenate([way(a, b, options.steps)[:-1] for a, b in pairwise(r)]) for r in rounds],
        axis=1,
    )  # (frames, tiles, d)
    labels = np.arange(TILES) % model.classes if drawn and model.classes else None
    frames = [
        plate(generated(model, z, labels) if drawn else decode(model, z), columns=8) for z in ways
    ]
    print(save_animation(frames, path, FRAME_SECONDS))
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
