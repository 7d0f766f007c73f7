"""tinygen data list, fetch, show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ._parts import add_command, at_most, picture, positive, usage

USUAL, MOST_POINTS = 64, 2500  # samples that are shown
EXAMPLE = """examples:
  tinygen data list
  tinygen data fetch fashion-mnist
  tinygen data show faces --size 64 --out faces.png
"""


def add_to(commands: Any) -> None:
    """The command and its three parts."""
    command = add_command(
        commands, "data", "List, fetch and show data sets.", EXAMPLE, run_list, computes=False
    )
    parts = command.add_subparsers(dest="part", required=True, metavar="list|fetch|show")
    what = "What there is, and whether it is here."
    add_command(parts, "list", what, "example:\n  tinygen data list", run_list, computes=False)
    what = "Download a data set and check it."
    fetch = add_command(
        parts, "fetch", what, "example:\n  tinygen data fetch mnist", run_fetch, computes=False
    )
    fetch.add_argument("name", metavar="NAME", help="one of those that 'tinygen data list' lists")
    what = "Draw a plate of its first images."
    example = "examples:\n  tinygen data show faces --size 64\n  tinygen data show photos -n 9"
    show = add_command(parts, "show", what, example, run_show, computes=False)
    show.add_argument("name", metavar="NAME", help="a data set, a folder, an .npz or a .txt file")
    show.add_argument("-n", type=at_most(10_000), help="how many (default 64, and 2,500 points)")
    show.add_argument("--size", type=positive, help="height and width in pixels")
    show.add_argument("--channels", type=int, choices=[1, 3], help="1 for grey, 3 for RGB")
    show.add_argument("--out", type=picture, metavar="FILE", help="default NAME.png")


def run_list(options: argparse.Namespace) -> int:
    """A line a data set."""
    from .. import data

    for name in data.names():
        here = "here" if data.is_here(name) else "not here"
        print(f"{name:16}{here:11}{data.describe(name).description}")
    print("\nWhat is not here: tinygen data fetch NAME")
    print("Also a folder of images, an .npz file with an array `images`, or a .txt file.")
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Download and check."""
    from .. import data

    usage(data.describe, options.name)
    for path in data.fetch(options.name, progress=True):
        print(path)
    if not data.describe(options.name).needs_network:
        print(f"{options.name} needs no files: tinygen draws it")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """A plate of images, panels of series, or lines of text."""
    from .. import data
    from ..data.mixtures import SIGMA
    from ..training.data_options import check_source
    from ..view import plate, save_png
    from ..view.field import draw_points
    from ..view.sequences import draw_series

    usage(check_source, options.name)
    dataset = data.load(options.name, size=options.size, channels=options.channels)
    path = options.out or Path(f"{dataset.name}.png")
    print(dataset)
    most = options.n or (MOST_POINTS if dataset.kind == "points" else USUAL)
    samples = dataset.images[:most]
    if dataset.kind == "series":
        print(save_png(draw_series(samples), path))
    elif dataset.kind == "points":
        if dataset.images.shape[1] != 2:
            raise ValueError(f"{dataset.name}: only points of a plane are shown")
        middle, sigma = data.centres(dataset.name), SIGMA[dataset.name]
        title = f"{len(samples):,} points of {dataset.name}"
        print(save_png(draw_points(samples, middle, sigma, title=title), path))
    elif dataset.kind == "characters":
        print("".join(f"{line}\n" for line in data.as_text(samples, dataset.alphabet)), end="")
    else:
        print(save_png(plate(samples), path))
    return 0
