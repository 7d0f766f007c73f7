"""The cost of a node: one recorded operation on 8 float32 elements, forward and backward.

    python -m benchmarks.engine

There is next to no arithmetic in it, so this is what tinygen's and PyTorch's engines themselves
cost. Measured in a chain of 100 nodes, and for one node with a `backward()` of its own, whose cost
of starting and of filling `.grad` then counts in full. "both" asks for the gradient of both
operands; the product of matrices is 8 x 8; exp takes turns with a negation in the chain, because
alone it would overflow. The values and gradients of the two must agree, or the command ends with 1.
Takes 20 blocks of 0.1 s for each, about two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .harness import Contestant, Quietness, Worker, disagreement, ratio, take_turns
from .peers.chains import LENGTH

OPERATIONS = ("multiply", "multiply, both", "add", "tanh", "exp", "matmul", "matmul, both")
PARTS = ("forward", "backward", "total")
TOLERANCE = 1e-4


def measure(
    tinygen: Worker, torch: Worker | None, name: str, single: bool, chosen: argparse.Namespace
) -> tuple[list[Contestant], Quietness, float]:
    """Both libraries' chains, after their turns, and how far their values are apart."""
    contestants = [
        Contestant.load(
            worker.library, worker, f"benchmarks.peers.{worker.library}_engine", name, single=single
        )
        for worker in (tinygen, torch)
        if worker is not None
    ]
    values = [c.check(1) for c in contestants]
    far = disagreement(values[0], values[-1])
    return contestants, take_turns(contestants, chosen.blocks, chosen.seconds), far


def row(name: str, contestants: list[Contestant], nodes: int) -> list[str]:
    """Microseconds a node, forward, backward and both, ours beside theirs."""
    cells = [name]
    for part in PARTS:
        cells += [f"{c.time(part) / nodes * 1e6:.2f}" for c in contestants]
        if len(contestants) > 1:
            cells.append(report.spread(ratio(contestants[0], contestants[1], part)))
    return cells


def main(arguments: list[str] | None = None) -> int:
    """Measure all operations, in chains and alone."""
    parser = parser_for("engine", __doc__)
    libraries.add_arguments(parser, seconds=0.1)
    chosen = parser.parse_args(arguments)
    description = machine.description()
    print(machine.describe(description), f"{chosen.threads} threads", sep="\n")
    figures: dict[str, Any] = {}
    failed = False
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Worker("tinygen", chosen.threads))
        theirs = None
        try:
            theirs = stack.enter_context(Worker("torch", chosen.threads, chosen.torch_python))
        except libraries.NotInstalledError as error:
            print(f"left out: torch: {error}")
        contestants: list[Contestant] = []
        for single in (False, True):
            rows, quiet = [], []
            for name in OPERATIONS:
                contestants, quietness, far = measure(ours, theirs, name, single, chosen)
                rows.append(row(name, contestants, 1 if single else LENGTH))
                quiet.append(quietness)
                if not far <= TOLERANCE:
                    failed = True
                    rows[-1][0] += f" DISAGREES by {far:.1e}"
                figures.setdefault("one" if single else "chain", {})[name] = {
                    c.worker.library: c.as_json() for c in contestants
                }
            title = "one node and its backward()" if single else f"a chain of {LENGTH}, per node"
            beside = ["torch", "ratio"] if len(contestants) > 1 else []
            header = ["us", *(cell for part in PARTS for cell in (part, *beside))]
            print(f"\n{title}", report.table(header, rows), sep="\n")
            print(report.quietness(Quietness(*map(max, zip(*quiet, strict=True)))), flush=True)
        print("\n" + report.versions(contestants))
    if chosen.json:
        contents = {"machine": description, "threads": chosen.threads, "operations": figures}
        report.write_json(chosen.json, contents)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
