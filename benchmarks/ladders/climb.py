"""All rungs of a ladder in turn, each in a process of its own, and one table."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from benchmarks import libraries, machine, report
from benchmarks.command_line import parser_for
from benchmarks.harness import Contestant, Quietness, Worker, WorkerDiedError, take_turns

from .ladder import LADDERS, TOLERANCE


def climb(name: str, sizes: list[int], chosen: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The table of a ladder and its figures; WorkerDiedError says which rung broke."""
    ladder = LADDERS[name]
    left_out = []
    with contextlib.ExitStack() as stack:
        contestants = []
        for rung in ladder.rungs:
            library = "torch" if rung.endswith("torch") else "tinygen"
            python = chosen.torch_python if library == "torch" else None
            try:
                worker = stack.enter_context(Worker(library, chosen.threads, python))
            except libraries.NotInstalledError as error:
                left_out.append(f"left out: {rung}: {error}")
                continue
            c = Contestant.load(rung, worker, "benchmarks.ladders.ladder", rung, sizes=sizes)
            contestants.append(c)
        errors = {c.label: c.check(1)[0] for c in contestants}
        quiet = take_turns(contestants, chosen.blocks, chosen.seconds, warm_up=5.0)
    rows, before = [], 0.0
    flops = contestants[0].loading["facts"]["flops"]
    for c in contestants:
        time, far = c.time(), errors[c.label]
        rate, faster = f"{flops / time / 1e9:.1f}", f"{before / time:.2f}" if before else ""
        agrees = f"{far:.0e}" if far <= TOLERANCE else f"{far:.0e} DISAGREES"
        rows.append([c.label, report.seconds(time), rate, faster, agrees])
        before = time
    header = [name, "time", "GFLOP/s", "times as fast", "from NumPy"]
    shape = ", ".join(f"{k} {v}" for k, v in zip(ladder.names, sizes, strict=True))
    lines = [
        f"{shape}: {flops / 2e6:.1f} million multiply-adds; GFLOP/s by this count",
        report.table(header, rows),
        *left_out,
        report.quietness(Quietness(*quiet)),
    ]
    figures = {c.label: {**c.as_json(), "error": errors[c.label]} for c in contestants}
    return "\n".join(lines), figures


def main(arguments: list[str] | None = None) -> int:
    """Climb both ladders, or one."""
    parser = parser_for("ladders", sys.modules[__package__].__doc__)
    parser.add_argument("ladder", nargs="?", choices=list(LADDERS), help="(default: both)")
    parser.add_argument("--sizes", nargs="+", type=int, help="of the ladder named: " + all_sizes())
    libraries.add_arguments(parser, seconds=0.2, blocks=5)
    chosen = parser.parse_args(arguments)
    names = [chosen.ladder] if chosen.ladder else list(LADDERS)
    if chosen.sizes and [len(chosen.sizes)] != [len(LADDERS[name].sizes) for name in names]:
        parser.error(f"--sizes are for one ladder, all of them: {all_sizes()}")
    description = machine.description()
    print(machine.describe(description), f"{chosen.threads} threads", sep="\n")
    figures: dict[str, Any] = {}
    for name in names:
        sizes = chosen.sizes or list(LADDERS[name].sizes)
        try:
            text, figures[name] = climb(name, sizes, chosen)
        except WorkerDiedError as error:
            print(error, file=sys.stderr)
            return 1
        print("\n" + text, flush=True)
    if chosen.json:
        contents = {"machine": description, "threads": chosen.threads, "ladders": figures}
        report.write_json(chosen.json, contents)
    found = [rung["error"] for ladder in figures.values() for rung in ladder.values()]
    return int(not all(error <= TOLERANCE for error in found))


def all_sizes() -> str:
    """What the sizes of each ladder are."""
    return "; ".join(f"{name}: {' '.join(ladder.names)}" for name, ladder in LADDERS.items())
