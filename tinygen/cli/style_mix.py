"""tinygen style-mix."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import UsageError, add_command, at_most, number, picture, seed, usage
from ._trained import looked_at

EXAMPLE = """examples:
  tinygen style-mix runs/stylegan                              middle styles of the columns
  tinygen style-mix runs/stylegan --layers coarse --rows 4 --cols 8
  tinygen style-mix runs/stylegan --layers 0-1,6 --truncation 0.7 --seed 3
"""


def add_to(commands: Any) -> None:
    """The command."""
    what = "Draw images with the styles of others in some layers, as a grid."
    command = add_command(commands, "style-mix", what, EXAMPLE, run)
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    for name, default in (("rows", 4), ("cols", 6)):
        command.add_argument(
            f"--{name}", type=at_most(50), default=default, metavar="N", help=f"default {default}"
        )
    command.add_argument(
        "--layers",
        default="middle",
        metavar="L",
        help="that come from the columns: coarse, middle, fine, or such as 0-2,5 (default middle)",
    )
    command.add_argument(
        "--truncation", type=number(-10.0, 10.0), default=1.0, metavar="PSI", help="default 1: none"
    )
    command.add_argument("--seed", type=seed, default=0, metavar="S", help="of latents (default 0)")
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/style-mix.png)"
    )


def run(options: argparse.Namespace) -> int:
    """The grid."""
    from ..latent import layers_of
    from ..view import save_png
    from ..view.styles import mixing_grid, styles_of

    subject = looked_at(options.run_folder, "images")
    model = subject.model
    if not hasattr(model, "truncate"):
        raise UsageError(f"{model.name} has no styles to mix; stylegan has")
    layers = usage(layers_of, options.layers, model.layers)
    w = styles_of(model, options.rows + options.cols, options.seed, options.truncation)
    picture = mixing_grid(model, w[: options.rows], w[options.rows :], layers)
    print(save_png(picture, options.out or subject.folder / "style-mix.png"))
    return 0
