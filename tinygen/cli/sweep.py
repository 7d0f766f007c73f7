"""tinygen sweep."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..system import require
from ._parts import UsageError, add_command, assignment, at_most, positive, usage

EXAMPLE = """examples:
  tinygen sweep stacked-ae --set codings=2,5,10,20,30,50   against PCA of the same width
  tinygen sweep sparse-kl-ae --set target=0.05,0.06,0.07,0.08,0.09,0.1 --seeds 3
  tinygen sweep stacked-ae --set learning_rate=0.5,1,1.5 --set codings=10 --epochs 5
"""
PANELS = 4
FIGURES = ("loss", "reconstruction_loss", "latent_loss", "sparsity_loss", "mse", "rounded_accuracy")


def add_to(commands: Any) -> None:
    """The command."""
    command = add_command(
        commands,
        "sweep",
        "Train a model for several values of a setting; the same command goes on if interrupted.",
        EXAMPLE,
        run,
    )
    command.add_argument("name", metavar="NAME", help="a model, such as stacked-ae")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=choices,
        metavar="KEY=V1,V2,...",
        help="the setting and its values; with one value, a setting that stays",
    )
    command.add_argument("--seeds", type=at_most(1000), default=1, metavar="N", help="default 1")
    command.add_argument("--preset", help="one of the model's recipes (default: the chapter's)")
    command.add_argument("--data", help="a data set, a folder of images or an .npz file")
    command.add_argument("--epochs", type=positive, metavar="N", help="passes over the data")
    command.add_argument("--quick", action="store_true", help="little data, two epochs")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="the sweep's folder (default runs/sweep-NAME-KEY)"
    )


def choices(text: str) -> tuple[str, list[Any]]:
    """KEY=V1,V2,...: the key, and the values as in KEY=VALUE; commas in brackets do not part."""
    key, value = assignment(text)
    if not isinstance(value, str):
        return key, [value]
    try:
        return key, list(json.loads(f"[{value}]"))
    except (ValueError, RecursionError):
        return key, [assignment(f"{key}={part}")[1] for part in value.split(",")]


def run(options: argparse.Namespace) -> int:
    """Every run that is not done yet, then the figure."""
    from ..training.results import Results
    from ..training.settings import settings
    from ..training.sweep import check_same, pca_reference, plan_sweep, train_member

    key, values, fixed = _setting(options.set)
    require("tomli_w", "matplotlib", "scipy")

    def settings_of(value: Any, seed: int) -> dict[str, Any]:
        return settings(
            options.name,
            preset=options.preset,
            data=options.data,
            epochs=options.epochs,
            seed=seed,
            overrides={**fixed, key: value},
            quick=options.quick,
        )

    members = usage(plan_sweep, key, values, range(options.seeds), settings_of)
    folder = options.out or Path("runs") / f"sweep-{options.name}-{key}"
    results = Results(folder / "sweep.json", {"model": options.name, "setting": key})
    results.check_figures()
    for member in members:
        check_same(member, folder / member.name)  # before hours are spent on the others
    for number, member in enumerate(members, 1):
        if member.name in results.rows:
            continue
        try:
            results.add(member.name, train_member(member, folder / member.name))
        except KeyboardInterrupt:
            done = f"{len(results.rows)} of {len(members)} runs are done"
            print(f"\n{done} in {folder}; the same command goes on", file=sys.stderr)
            raise
        told = _told(results.rows[member.name])
        print(f"{number}/{len(members)}  {member.name}  {told}", flush=True)
    references = {}
    if key.split(".")[-1] == "codings":
        wanted = [f"pca/{value}" for value in values]
        if any(name not in results.rows for name in wanted):
            errors = pca_reference(members[0].settings, values)
            for name, error in zip(wanted, errors, strict=True):
                results.add(name, {"mse": error})
        errors = [results.figure(name, "mse") for name in wanted]
        references["mse"] = ("PCA of the same width", errors)
    if key.split(".")[-1] == "target":
        references["activation"] = ("the target", values)
    return _show(options, key, values, members, results, references)


def _setting(given: list[tuple[str, list[Any]]]) -> tuple[str, list[Any], dict[str, Any]]:
    """The one setting that varies with its values, and those that stay."""
    varied = [(key, values) for key, values in given if len(values) > 1]
    if len(varied) != 1:
        raise UsageError(
            "give one setting several values, such as --set codings=2,5,10; "
            f"{len(varied) or 'none'} of those given has more than one"
        )
    (key, values), *_ = varied
    return key, values, {k: v[0] for k, v in given if len(v) == 1}


def _show(
    options: argparse.Namespace,
    key: str,
    values: list[Any],
    members: Any,
    results: Any,
    references: dict[str, Any],
) -> int:
    """The table and the figure."""
    from ..view.compared import draw_sweep

    known = results.rows[members[0].name]
    names = [*references, *(name for name in FIGURES if name in known and name not in references)]
    names = [name for name in names if name in known][:PANELS]
    figures = {
        name: [
            [results.figure(m.name, name) for m in members if m.value == value] for value in values
        ]
        for name in names
    }
    print(f"\n{key:14}" + "".join(f"{name.replace('_', ' '):>22}" for name in names))
    for i, value in enumerate(values):
        cells = [_spread(figures[name][i]) for name in names]
        print(f"{value!s:14}" + "".join(f"{cell:>22}" for cell in cells))
    for name, (label, known) in references.items():
        print(f"{label}: {name} " + ", ".join(f"{value:.4g}" for value in known))
    path = results.path.with_suffix(".png")
    title = f"{options.name}, {options.seeds} seed{'s' * (options.seeds > 1)}"
    draw_sweep(key, values, figures, references, path, title=title)
    print(f"\n{path}\n{results.path}")
    return 0


def _spread(figures: list[float]) -> str:
    from ..metrics import interval

    return str(interval(figures)) if len(figures) > 1 else f"{figures[0]:.4f}"


def _told(row: dict[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in row.items())
