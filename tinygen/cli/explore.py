"""tinygen explore: maps, histograms, look-alikes, outliers, arithmetic, traversals of codings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._parts import UsageError, add_command, at_most, picture, seed, usage
from ._trained import restored

EXAMPLE = """examples:
  tinygen explore runs/stacked-ae tsne
  tinygen explore runs/sparse-kl-ae activations
  tinygen explore runs/hashing-ae look-alikes
  tinygen explore runs/stacked-ae outliers --percentile 99.5
  tinygen explore runs/vae arithmetic --to dress --add pullover --remove t-shirt
  tinygen explore runs/vae traverse --image 3
"""
ERROR_NAMES = {"mse": "mean squared error", "binary_cross_entropy": "binary cross-entropy"}
FAR = 3.0  # standard deviations of the prior that a traversal goes to either side
FORESTS = 2000  # samples that DCI's forests learn from, and are tested on


def add_to(commands: Any) -> None:
    """The command and its parts."""
    command = add_command(
        commands, "explore", "Look at the codings of a trained model.", EXAMPLE, run_tsne
    )
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    parts = command.add_subparsers(dest="what", required=True, metavar="WHAT")

    tsne = _part(parts, "tsne", "A map of the codings by t-SNE, with thumbnails.", run_tsne, 3000)
    tsne.add_argument("--perplexity", type=float, metavar="P", help="neighbours (default 30)")
    tsne.add_argument("--seed", type=seed, default=0, metavar="S", help="default 0")
    _add_by(tsne)

    _part(parts, "activations", "Histograms of the codings, and of their means.", run_activations)

    alike = _part(
        parts,
        "look-alikes",
        "Images with the nearest codes: by bits of a hashing autoencoder, else by distance.",
        run_look_alikes,
        8,
    )
    alike.add_argument("-k", type=at_most(100), default=9, help="look-alikes of each (default 9)")
    _add_by(alike)

    outliers = _part(
        parts, "outliers", "Images that are reproduced worst, and best.", run_outliers, 10
    )
    outliers.add_argument("--error", default="mse", choices=list(ERROR_NAMES), help="default mse")
    outliers.add_argument(
        "--percentile",
        type=float,
        default=99.0,
        metavar="P",
        help="of the training data that is no outlier (default 99)",
    )
    outliers.add_argument("--data", help="score these images instead: a data set, folder or .npz")

    arithmetic = _part(
        parts, "arithmetic", "Add what one class has and another has not.", run_arithmetic, 6
    )
    arithmetic.add_argument("--add", required=True, metavar="CLASS", help="its mean is added")
    arithmetic.add_argument("--remove", required=True, metavar="CLASS", help="its mean taken away")
    arithmetic.add_argument("--to", metavar="CLASS", help="whose images (default: --remove's)")
    _add_by(arithmetic)

    traverse = _part(
        parts,
        "traverse",
        "What each coding of a VAE does, and which known factor it tells most of.",
        run_traverse,
        10,
    )
    traverse.add_argument(
        "--image", type=int, metavar="I", help="around its codings (default: the prior's mean)"
    )
    traverse.add_argument(
        "--steps", type=at_most(100), default=7, metavar="N", help="images of each (default 7)"
    )


def _part(
    parts: Any,
    name: str,
    description: str,
    run: Callable[[argparse.Namespace], int],
    count: int | None = None,
) -> argparse.ArgumentParser:
    """A part with the options that all have."""
    example = f"example:\n  {EXAMPLES[name]}\n"
    part = add_command(parts, name, description, example, run)
    if count is not None:
        part.add_argument(
            "-n", type=at_most(100_000), default=count, help=f"how many (default {count})"
        )
    part.add_argument(
        "--out", type=picture, metavar="FILE", help=f"a .png (default RUN/{name}.png)"
    )
    return part


EXAMPLES = {line.split()[3]: line.strip() for line in EXAMPLE.splitlines()[1:]}


def _add_by(part: argparse.ArgumentParser) -> None:
    part.add_argument("--by", metavar="FACTOR", help="of faces, instead of labels: glasses, smile")


def _path(options: argparse.Namespace, folder: Path) -> Path:
    return options.out or folder / f"{options.what}.png"


def run_tsne(options: argparse.Namespace) -> int:
    """The map."""
    from ..view import save_png
    from ..view.autoencoders import codings_map

    subject = restored(options.run_folder, "images", "series", by=options.by)
    figure = codings_map(subject, n=options.n, perplexity=options.perplexity, seed=options.seed)
    print(save_png(figure, _path(options, subject.folder)))
    return 0


def run_activations(options: argparse.Namespace) -> int:
    """The histograms."""
    from ..latent import mean_activations
    from ..view import save_png
    from ..view.autoencoders import activations

    subject = restored(options.run_folder, "images", "series", "characters")
    means = mean_activations(subject.codings)
    print(
        f"mean activation {means.mean():.4g}; of the units {means.min():.4g} to {means.max():.4g}"
    )
    print(save_png(activations(subject), _path(options, subject.folder)))
    return 0


def run_look_alikes(options: argparse.Namespace) -> int:
    """Validation images, and the training images with the nearest codes."""
    from ..view import save_png
    from ..view.autoencoders import nearest_images, right_class

    subject = restored(options.run_folder, "images", by=options.by)
    sheet = nearest_images(subject, n=options.n, k=options.k)
    if subject.classes:
        right = right_class(subject, options.k)
        print(f"of the {options.k} nearest {right:.1%} are of the query's class")
    print(save_png(sheet, _path(options, subject.folder)))
    return 0


def run_outliers(options: argparse.Namespace) -> int:
    """Scores, and a plate of both ends."""
    from ..latent import reconstruct, reconstruction_errors, threshold
    from ..view import save_png
    from ..view.codings import outliers

    subject = restored(options.run_folder, "images")
    model, images, name = subject.model, subject.samples, subject.source
    if options.data:
        images, name = _other_images(options.data, images.shape[1:]), options.data
    known = reconstruct(model, subject.train)
    usual = reconstruction_errors(subject.train, known, options.error)
    limit = usage(threshold, usual, options.percentile)
    made = reconstruct(model, images)
    scores = reconstruction_errors(images, made, options.error)
    above = int((scores > limit).sum())
    told = f"{above:,} of {len(scores):,} images ({above / len(scores):.1%}) of {name} are above"
    note = f"threshold {limit:.4f}: {options.percentile:g} % of the training images are below"
    print(f"{note}\n{told}")
    title = f"{model.name}: outliers by {ERROR_NAMES[options.error]}"
    sheet = outliers(
        images, made, scores, limit, shown=options.n, title=title, note=f"{note}; {told}"
    )
    print(save_png(sheet, _path(options, subject.folder)))
    return 0


def _other_images(source: str, shape: tuple[int, ...]) -> Any:
    """The images of another data set, brought to the shape that the model knows."""
    from ..data import load
    from ..training.data_options import check_source

    usage(check_source, source)
    channels = shape[2] if len(shape) == 3 else 1
    images = load(source, size=shape[0], channels=channels).floats()
    if images.shape[1:] != shape:
        raise ValueError(f"{source}: images of {images.shape[1:]}, the model knows {shape}")
    return images


def run_arithmetic(options: argparse.Namespace) -> int:
    """Codings moved by the difference of two classes, decoded."""
    import numpy as np

    from ..latent import analogy, class_mean, decode, encode, index_of
    from ..view import save_png
    from ..view.codings import arithmetic
    from ..view.subject import classes_of

    subject = restored(options.run_folder, "images", by=options.by)
    model = subject.model
    labels, shown, names = usage(classes_of, subject.experiment, options.by)
    wanted = (options.to or options.remove, options.add, options.remove)
    to, add, remove = (usage(index_of, name, names) for name in wanted)
    codings = encode(model, subject.train)
    images = subject.samples[shown == to][: options.n]
    centres = np.stack([class_mean(codings, labels, i) for i in (to, add, remove)])
    starts = np.concatenate([centres[:1], encode(model, images)]) if len(images) else centres[:1]
    ends = decode(model, analogy(codings, labels, add, remove, starts))
    sheet = arithmetic(
        np.concatenate([decode(model, centres), ends[:1]]),
        np.stack([images, decode(model, starts)[1:]]),
        ends[1:],
        (names[to], names[add], names[remove]),
        title=f"{model.name}: {names[to]} + {names[add]} - {names[remove]}",
    )
    print(save_png(sheet, _path(options, subject.folder)))
    return 0


def run_traverse(options: argparse.Namespace) -> int:
    """A row a coding, those that carry most first; how far they stand for single factors."""
    import numpy as np

    from ..latent import decode, divergences, encode, traverse
    from ..view import save_png
    from ..view.codings import traversals

    subject = restored(options.run_folder, "images")
    model, images, which = subject.model, subject.samples, options.image
    if which is not None and not 0 <= which < len(images):
        raise UsageError(f"--image is from 0 to {len(images) - 1}, not {which}")
    carried = divergences(model, images)
    order = np.argsort(-carried, kind="stable")[: options.n].tolist()
    dataset = subject.experiment.dataset
    factors = _factors(dataset)
    shares, scores = _judged(model, dataset, factors) if factors else (None, [])
    names, captions = list(factors), []
    for j in order:
        caption = f"coding {j}: {carried[j]:.2f} nats"
        if shares is not None:
            most = int(shares[:, j].argmax())
            caption += f"\n{names[most].replace('_', ' ')} {shares[most, j]:.2f}"
        captions.append(caption)
        print(caption.replace("\n", "  "))
    for line in scores:
        print(line)
    start, image = np.zeros(len(carried), model.dtype), None
    if which is not None:
        start = encode(model, images[which : which + 1])[0]
        image = (images[which], decode(model, start[np.newaxis])[0])
    values = np.linspace(-FAR, FAR, options.steps)
    ways = traverse(start, order, values)
    decoded = decode(model, ways.reshape(-1, len(start)))
    note = ["nats: divergence from the prior"]
    if shares is not None:
        note[0] += "; name and number: the factor that it tells most of, and what share of it"
    sheet = traversals(
        decoded.reshape(*ways.shape[:2], *images.shape[1:]),
        values,
        start[order],
        captions,
        image=image,
        title=f"{model.name}: each coding from {-FAR:g} to {FAR:g}",
        note="\n".join([*note, *scores]),
    )
    print(save_png(sheet, _path(options, subject.folder)))
    return 0


def _factors(dataset: Any) -> dict[str, Any]:
    """What is known of the images: the factors that they were drawn from, or their labels."""
    if dataset is None or dataset.factors or dataset.labels is None:
        return {} if dataset is None else dict(dataset.factors)
    return {"label": dataset.labels}


def _judged(model: Any, dataset: Any, factors: dict[str, Any]) -> tuple[Any, list[str]]:
    """The share of each factor that each coding tells, (factors, codings), and the scores."""
    from ..latent import encode
    from ..metrics import dci, mig
    from ..ops.random import Random

    codings = encode(model, dataset.floats())
    gap = mig(codings, factors)
    scores = [f"mutual information gap (MIG) {gap.score:.3f}"]
    if len(factors) > 1 and codings.shape[1] > 1:
        rows = Random(0, "dci").permutation(len(codings))[:FORESTS]
        some = {name: values[rows] for name, values in factors.items()}
        found = dci(codings[rows], some, rng=Random(0, "forests"))
        scores.append(
            f"DCI: disentanglement {found.disentanglement:.3f}, completeness "
            f"{found.completeness:.3f}, informativeness {found.informativeness:.3f}"
        )
    return gap.information, scores
