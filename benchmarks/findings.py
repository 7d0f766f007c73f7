"""Findings: runs that were made to fail, and healthy ones, and what is said of each.

    python -m benchmarks.findings [--only WORD ...] [--json FILE]

Each run that fails does so on purpose: a discriminator or a generator that learns far too fast, a
critic that nothing keeps Lipschitz, a loss whose gradient vanishes, next to no data, one latent. A
fault is named if a finding of one of the kinds that fit it is there at the end. Findings in healthy
runs are false alarms. Most limits of the rules were set on Fashion-MNIST at 28 x 28 pixels; here
data and sizes are others. RESULTS.md tells which were set with runs like these in sight.
The command ends with 1 if a fault is not named. About 15 minutes on two cores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygen.training.experiment import Experiment
from tinygen.training.findings import findings_of
from tinygen.training.settings import settings

from . import machine, report
from .command_line import parser_for

SMALL = {"size": 16, "channels": 1, "count": 4000}
FACES = {"size": 16, "channels": 3, "count": 4000}
SHOWN = ("valid_separation", "diversity", "nearest_sample", "nearest_real", "valid_fake_score")


@dataclass(frozen=True)
class Case:
    """A run, and the findings of which one is due; none of a healthy one.

    Attributes:
        name: what is done.
        model: its name.
        data: a data set.
        epochs: passes over it.
        due: names of findings.
        preset: of the model.
        overrides: of settings.
    """

    name: str
    model: str
    data: str
    epochs: int
    due: tuple[str, ...] = ()
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


FAST, SLOW = "discriminator.learning_rate", "generator.learning_rate"
CASES = [
    Case("gan, modern, ring", "gan", "ring", 8, preset="ring-modern"),
    Case("gan, text", "gan", "faces", 10, overrides=FACES),
    Case("gan, modern", "gan", "faces", 25, preset="modern", overrides=FACES),
    Case("dcgan, text", "dcgan", "faces", 8, overrides=FACES),
    Case("dcgan, paper", "dcgan", "stacked-digits", 5, preset="digits"),
    Case("wgan", "wgan", "faces", 8, overrides=FACES),
    Case("wgan-gp", "wgan-gp", "faces", 8, overrides=FACES),
    Case("sngan", "sngan", "faces", 8, overrides=FACES),
    Case("cgan", "cgan", "fashion-mnist", 8, overrides=SMALL),
    Case(
        "a discriminator 100 times as fast", "gan", "faces", 6, ("separation",),
        overrides={**FACES, FAST: 0.001, SLOW: 1e-5},
    ),
    Case(
        "minimax, a fast discriminator", "gan", "faces", 8, ("vanishing gradient",),
        overrides={**FACES, "loss": "minimax", "critic_steps": 5, FAST: 0.001, SLOW: 1e-4},
    ),
    Case(
        "a generator 100 times as fast", "gan", "faces", 10, ("low fidelity",),
        overrides={**FACES, SLOW: 0.05},
    ),
    Case(
        "a discriminator 1,000 times as slow", "gan", "faces", 6, ("collapse",), preset="modern",
        overrides={
            **FACES, "loss": "non_saturating", "r1": 0, "r2": 0, "average": 0, FAST: 2e-6,
            SLOW: 2e-3,
        },
    ),
    Case(
        "one latent", "dcgan", "faces", 4, ("collapse",), overrides={**FACES, "latents": 1},
    ),
    Case(
        "80 images", "gan", "faces", 400, ("memorisation",), preset="modern",
        overrides={
            "size": 8, "channels": 1, "count": 100, "batch_size": 16, "loss": "non_saturating",
            "r1": 0, "r2": 0, "average": 0, "discriminator_widths": [512, 512], FAST: 1e-3,
            SLOW: 5e-5,
        },
    ),
    Case(
        "a critic without a constraint", "gan", "faces", 8, ("divergence",),
        overrides={**FACES, "loss": "wasserstein", "critic_steps": 5, "learning_rate": 0.005},
    ),
    Case(
        "learning rates of 0.1", "gan", "faces", 6, ("divergence",), preset="modern",
        overrides={**FACES, "r1": 0, "r2": 0, "learning_rate": 0.1},
    ),
    Case("a small generator, grid", "gan", "grid", 3, ("missing modes",), preset="grid",
         overrides={"widths": [8], "count": 20000}),
]  # fmt: skip


def run(case: Case) -> dict[str, Any]:
    """Train it; what was found, and the last figures."""
    wanted = settings(
        case.model,
        preset=case.preset,
        data=case.data,
        epochs=case.epochs,
        overrides=dict(case.overrides),
    )
    experiment = Experiment.build(wanted)
    try:
        rows, error = experiment.trainer(show=False).train(), ""
    except ValueError as broken:  # NaN: training ended by itself, which names the fault too
        rows, error = [], str(broken)
    found = findings_of(experiment, rows)
    names = [finding.name for finding in found] + (["divergence"] if error else [])
    return {
        "case": case.name,
        "model": case.model,
        "data": case.data,
        "due": case.due,
        "found": names,
        "texts": [finding.text for finding in found] + [error] * bool(error),
        "last": {k: v for k, v in rows[-1].items() if isinstance(v, float)} if rows else {},
    }


def is_named(result: Mapping[str, Any]) -> bool:
    """Whether one of the findings that are due is there."""
    return bool({*result["due"]} & {*result["found"]})


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """A row for each run, and the two rates."""
    rows = []
    for result in results:
        last = [result["last"].get(name) for name in SHOWN]
        said = ", ".join(result["found"]) or "nothing"
        good = is_named(result) if result["due"] else not result["found"]
        figures = ["" if v is None else f"{v:.3g}" for v in last]
        rows.append(
            [f"{result['case']}: {result['model']} on {result['data']}", *figures, said,
             "" if good else "MISSED" if result["due"] else "FALSE ALARM"]
        )  # fmt: skip
    header = ["", *(name.replace("_", " ").removeprefix("valid ") for name in SHOWN), "said", ""]
    failing = [r for r in results if r["due"]]
    healthy = [r for r in results if not r["due"]]
    named, alarmed = sum(map(is_named, failing)), sum(bool(r["found"]) for r in healthy)
    return "\n".join(
        [
            report.table(header, rows),
            f"named: {named} of {len(failing)} faults; "
            f"false alarms: in {alarmed} of {len(healthy)} healthy runs",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Train, and print the table."""
    parser = parser_for("findings", __doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="in the runs' names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    chosen = parser.parse_args(arguments)
    cases = [c for c in CASES if not chosen.only or any(word in c.name for word in chosen.only)]
    if not cases:
        parser.error(f"no run is called so; there are {', '.join(c.name for c in CASES)}")
    results = []
    for case in cases:
        results.append(run(case))
        print(f"{case.name}: {json.dumps(results[-1]['found'])}", file=sys.stderr, flush=True)
    print(table(results))
    for result in results:
        for text in result["texts"]:
            print(f"{result['case']}: {text}")
    if chosen.json:
        report.write_json(chosen.json, {"machine": machine.description(), "runs": results})
    return int(not all(is_named(r) for r in results if r["due"]))


if __name__ == "__main__":
    raise SystemExit(main())
