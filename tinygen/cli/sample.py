"""tinygen sample."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ._parts import UsageError, add_command, at_most, number, picture, progress_bar, seed, usage

EXAMPLE = """examples:
  tinygen sample runs/vae -n 40 --seed 1          new images, from the prior
  tinygen sample runs/stacked-ae                  reconstructions of 20 validation images
  tinygen sample runs/stacked-ae --mixture 20     new images, from a mixture of 20 Gaussians
  tinygen sample runs/cgan --label 3              new images of one class
  tinygen sample runs/stylegan --truncation 0.7   new images with styles nearer to their mean
  tinygen sample runs/stylegan -n 8 --truncation 1 0.7 0.5 0.3 0   the same latents, more and more
"""


def add_to(commands: Any) -> None:
    """The command."""
    command = add_command(
        commands,
        "sample",
        "Draw what a trained model makes: new images, or of a plain autoencoder reconstructions.",
        EXAMPLE,
        run,
    )
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "-n", type=at_most(10_000), default=20, help="how many, up to 10,000 (default 20)"
    )
    command.add_argument(
        "--mixture",
        type=at_most(100),
        metavar="K",
        help="decode draws from a mixture of K Gaussians, fitted to codings of training images",
    )
    command.add_argument(
        "--label", metavar="L", help="of a conditional GAN: a class, by number or name"
    )
    command.add_argument(
        "--truncation",
        type=number(-10.0, 10.0),
        nargs="+",
        metavar="PSI",
        help="of StyleGAN: how far styles are from their mean, 1 as they are; several: a row each",
    )
    command.add_argument("--seed", type=seed, metavar="S", help="of new images (default 0)")
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/sample.png)"
    )


def run(options: argparse.Namespace) -> int:
    """A plate of new images; or originals and reconstructions, in pairs of rows."""
    import numpy as np

    from ..models import Adversarial
    from ..training.experiment import restore
    from ..view import plate, save_png
    from ..view.adversarial import of_plane
    from ..view.plate import SHOWN

    experiment, folder = restore(options.run_folder)
    model: Any = experiment.model
    path = options.out or folder / "sample.png"
    label = _label(experiment, options.label)
    if options.truncation and not hasattr(model, "truncate"):
        raise UsageError(f"{model.name} has no styles to truncate; leave --truncation out")
    if experiment.samples.ndim < 3 and isinstance(model, Adversarial):
        made = _new_images(experiment, None, options.n, options.seed or 0)
        print(save_png(of_plane(model, made, experiment.dataset), path))
        return 0
    if experiment.samples.ndim < 3:
        raise ValueError(f"{folder}: the model was trained on points, not on images")
    if options.mixture and not hasattr(model, "decode"):
        raise UsageError(f"{model.name} has no codings to fit a mixture to; leave --mixture out")
    if options.mixture or hasattr(model, "sample"):
        if model.kind != "images":
            raise UsageError(f"--mixture draws images; {folder} makes {model.kind}")
        given = experiment, options.mixture, options.n, options.seed or 0, label
        if len(values := options.truncation or []) > 1:
            rows = [_new_images(*given, value) for value in values]
            captions = [f"{value:g}" for value in values]
            print(save_png(plate(np.concatenate(rows), options.n, captions=captions), path))
            return 0
        made = _new_images(*given, *values)
        print(save_png(plate(made, min(options.n, SHOWN)), path))
    elif not hasattr(model, "reconstruct"):
        raise UsageError(f"{model.name} makes no images; tinygen evaluate and report look at it")
    elif options.seed is not None:
        raise UsageError(f"{model.name} has nothing to draw; --mixture K samples its codings")
    else:
        print(_reconstructions(model, experiment.samples[: options.n], path))
    return 0


def _label(experiment: Any, given: str | None) -> int | None:
    """The class that was asked for, by its number or its name."""
    from ..latent import index_of

    if given is None:
        return None
    count = getattr(experiment.model, "classes", 0)
    if not count:
        raise UsageError(f"{experiment.model.name} was trained without labels; leave --label out")
    dataset = experiment.dataset
    names = list(dataset.class_names) if dataset is not None else []
    if given.isdecimal() and len(given) < 10 and int(given) < count:
        return int(given)
    if names:
        return usage(index_of, given, names)
    raise UsageError(f"--label is from 0 to {count - 1}; not {given!r:.80}")


def _new_images(
    experiment: Any,
    components: int | None,
    n: int,
    seed: int,
    label: int | None = None,
    truncation: float | None = None,
) -> Any:
    """Images from codings of a fitted mixture, or else of the prior."""
    from ..config import no_grad
    from ..latent import decode, encode, fit_mixture
    from ..latent.mixture import AXES, CODINGS, ITERATIONS
    from ..ops.random import Random

    model, rng = experiment.model.eval(), Random(seed, "sample")
    if components:
        codings = encode(model, experiment.train[0])
        n_fitted, width = min(len(codings), CODINGS), codings.shape[1]
        first = f", in the first {AXES} of {width} principal components" if width > AXES else ""
        print(
            f"a mixture of {components} Gaussians is fitted to {n_fitted:,} codings{first}",
            flush=True,
        )
        with progress_bar("EM", ITERATIONS) as show:
            mixture = fit_mixture(codings, components, seed=seed, progress=show)
        return decode(model, mixture.sample(n, rng=rng))
    asked = {"label": label, "truncation": truncation}
    named = {name: value for name, value in asked.items() if value is not None}
    with no_grad():
        return model.sample(n, rng=rng, **named).numpy()


def _reconstructions(model: Any, samples: Any, path: Path) -> Path:
    """Originals over reconstructions."""
    import numpy as np

    from ..latent import reconstruct
    from ..view import plate, save_png
    from ..view.plate import SHOWN
    from ..view.sequences import draw_sequences

    made = reconstruct(model, samples)
    if model.kind != "images":
        return save_png(draw_sequences(model, samples, made), path)
    rows, captions = [], []
    for start in range(0, len(samples), SHOWN):
        for caption, part in (("original", samples), ("reconstruction", made)):
            row = part[start : start + SHOWN]
            blank = np.ones((min(SHOWN, len(samples)) - len(row), *row.shape[1:]), row.dtype)
            rows.append(np.concatenate([row, blank]))
            captions.append(caption)
    return save_png(plate(np.concatenate(rows), len(rows[0]), captions=captions), path)
