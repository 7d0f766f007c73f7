"""Convolutions, pass by pass: tinygen against PyTorch in the better of its two memory formats.

    python -m benchmarks.ops [SHAPE ...]

Each shape of `benchmarks/shapes.py`: forward, gradient of the input, gradient of the weights; times
in milliseconds beside PyTorch's better ones, and their ratios. Results must agree, or the command
ends with 1. A SHAPE is any part of a name, such as "512-512" or "5x5".
"""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .harness import Contestant, Quietness, Worker, disagreement, take_turns
from .shapes import CONVOLUTIONS

PARTS = ("forward", "input", "weight", "total")
LAYOUTS = ("NCHW", "channels_last")
TOLERANCE = 1e-3  # of single numbers of a result, which Winograd's way leaves 1e-5 of the largest


def best(contestants: list[Contestant], part: str) -> float:
    """The shortest median among them; for all passes together, of the better of each."""
    if part == "total":
        return sum(best(contestants, each) for each in PARTS[:3])
    return min(c.time(part) for c in contestants)


def main(arguments: list[str] | None = None) -> int:
    """Measure all shapes, or those asked for."""
    parser = parser_for("ops", __doc__)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help="a part of a shape's name")
    libraries.add_arguments(parser, seconds=0.15, blocks=7)
    chosen = parser.parse_args(arguments)
    names = [
        name for name in CONVOLUTIONS
        if not chosen.shapes or any(part in name for part in chosen.shapes)
    ]  # fmt: skip
    if not names:
        parser.error(f"no shape has {chosen.shapes} in it: choose from {', '.join(CONVOLUTIONS)}")
    description = machine.description()
    print(machine.describe(description), f"{chosen.threads} threads", sep="\n")
    rows, quiet, failed = [], [], False
    figures: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Worker("tinygen", chosen.threads))
        theirs = stack.enter_context(Worker("torch", chosen.threads, chosen.torch_python))
        for name in names:
            contestants = [Contestant.load("tinygen", ours, "benchmarks.peers.tinygen_ops", name)]
            contestants += [
                Contestant.load(layout, theirs, "benchmarks.peers.torch_ops", name, layout=layout)
                for layout in LAYOUTS
            ]
            values = [c.check(1) for c in contestants]
            far = max(disagreement(values[0], other) for other in values[1:])
            quiet.append(take_turns(contestants, chosen.blocks, chosen.seconds, warm_up=5.0))
            failed = failed or not far <= TOLERANCE
            rows.append([name + ("" if far <= TOLERANCE else f" DISAGREES by {far:.1e}")])
            for part in PARTS:
                mine, other = contestants[0].time(part), best(contestants[1:], part)
                rows[-1] += [f"{mine * 1e3:.2f}", f"{other * 1e3:.2f}", f"{mine / other:.2f}"]
            rate = 3 * CONVOLUTIONS[name].flops / contestants[0].time("total") / 1e9
            rows[-1].append(f"{rate:.0f}")
            figures[name] = {c.label: c.as_json() for c in contestants}
            print(" ".join(rows[-1]), flush=True)
    header = ["", *(cell for part in PARTS for cell in (part, "torch", "ratio")), "GFLOP/s"]
    print("\n" + report.table(header, rows))
    for i, part in enumerate(PARTS):
        middle = statistics.geometric_mean(float(row[3 * i + 3]) for row in rows)
        print(f"{part}: geometric mean of the ratios {middle:.2f}")
    print(report.quietness(Quietness(*map(max, zip(*quiet, strict=True)))))
    print("\n" + report.versions(contestants))
    if chosen.json:
        contents = {"machine": description, "threads": chosen.threads, "shapes": figures}
        report.write_json(chosen.json, contents)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
