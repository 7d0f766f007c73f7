"""Metrics of samples: the time and the memory of each, 10,000 against 10,000, and their values.

    python -m benchmarks.metrics [--n 10000]

Reals are test images of Fashion-MNIST, fakes are training images under slight noise; features are
those of the library's own classifier, which is trained if it is not in the cache. Every metric is
worked out in a process of its own, first on few samples, then on all, of which the time and the
memory beyond the data count. Other packages get the same features: torch-fidelity, prdc, SciPy's
square root of a matrix, scikit-image; their values are beside ours. Precision and recall take
k = 5 here, as prdc does. The command ends with 1 where values disagree.

torch-fidelity does not get on with the tests of this checkout, and brings torchvision; give it an
environment of its own, by --fidelity-python.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import data
from tinygen.metrics import disturb
from tinygen.ops.random import Random
from tinygen.training.feature_network import feature_network

from . import libraries, machine, report
from .command_line import parser_for
from .libraries import ROOT

PEERS = {
    "frechet distance": ("fidelity", "scipy"),
    "kernel distance": ("fidelity",),
    "four of neighbours": ("fidelity", "prdc"),
    "classifier score": ("fidelity",),
    "sliced wasserstein": (),
    "the same, reals'": (),
    "ms-ssim diversity": (),
    "ssim of pairs": ("skimage",),
    "nearest real": (),
}
TOLERANCE = 1e-5  # of a value
APART = 4  # standard errors between values of other draws
MIB = 1 << 20

Answer = dict[str, Any]


def prepared(n: int, folder: Path) -> Path:
    """A file with n reals and n fakes, their features, and the probabilities of the fakes."""
    fashion = data.load("fashion-mnist")
    network = feature_network(fashion)
    real = fashion.test.floats()[:n]
    some = np.clip(fashion.train.floats()[:n], 0, 1)
    fake = disturb(some, "noise", 0.1, rng=Random(0)).astype(np.float32)
    features, probabilities = network(fake)
    assert probabilities is not None
    path = folder / "samples.npz"
    np.savez(
        path,
        real=real,
        fake=fake,
        real_features=network.features(real),
        fake_features=features,
        probabilities=probabilities,
    )
    return path


def answer(library: str, metric: str, path: Path, chosen: argparse.Namespace) -> Answer | str:
    """What a process found, or why there is none."""
    python = chosen.fidelity_python if library == "fidelity" else None
    done = subprocess.run(
        [python or sys.executable, "-m", "benchmarks.peers.sample_metrics", library, metric, path],
        capture_output=True,
        cwd=ROOT,
        env=libraries.environment(chosen.threads),
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        if "ModuleNotFoundError" in last[0] and library != "tinygen":
            return f"{library}: {last[0].partition(': ')[2]}"
        raise RuntimeError(f"{library}, {metric}: {done.stderr}")
    found: Answer = json.loads(done.stdout.splitlines()[-1])
    return found


def compared(path: Path, chosen: argparse.Namespace) -> tuple[list[list[str]], list[str], Answer]:
    """A row for each metric, what was left out or disagrees, and all figures."""
    rows, said, figures = [], list[str](), dict[str, Any]()
    for metric, peers in PEERS.items():
        taking_part = {name: list[Answer]() for name in ("tinygen", *peers)}
        for _ in range(chosen.repeats):
            for library in list(taking_part):
                found = answer(library, metric, path, chosen)
                if isinstance(found, str):
                    said.append(f"left out: {found}")
                    del taking_part[library]
                else:
                    taking_part[library].append(found)
        figures[metric] = taking_part
        ours, *_ = taking_part.values()
        mine = statistics.median(a["seconds"] for a in ours)
        row = [metric, report.seconds(mine), f"{max(a['memory'] for a in ours) / MIB:.0f} MiB"]
        cells = []
        for library, theirs in list(taking_part.items())[1:]:
            its = statistics.median(a["seconds"] for a in theirs)
            cells.append(f"{library} {report.seconds(its)} ({mine / its:.2f})")
            said += disagreements(metric, library, ours[0]["values"], theirs[0]["values"])
        rows.append([*row, ", ".join(cells)])
    times = [statistics.median(a["seconds"] for a in f["tinygen"]) for f in figures.values()]
    most = max(a["memory"] for f in figures.values() for a in f["tinygen"])
    rows.append(["all of them", report.seconds(sum(times)), f"{most / MIB:.0f} MiB", ""])
    return rows, list(dict.fromkeys(said)), figures


def disagreements(
    metric: str, library: str, ours: dict[str, float], theirs: dict[str, float]
) -> list[str]:
    """A line for each value that a package has otherwise; drawn subsets may differ by chance."""
    drawn = APART * math.hypot(ours.get("error", 0), theirs.get("error", 0))
    return [
        f"DISAGREES: {metric}, {name}: {theirs[name]:.8g} by {library}, ours {ours[name]:.8g}"
        for name in ours
        if name in theirs
        and name != "error"
        and not abs(ours[name] - theirs[name]) <= (drawn or TOLERANCE * abs(theirs[name]))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table, or that of the study."""
    parser = parser_for("metrics", __doc__)
    parser.add_argument("--n", type=int, default=10_000, help="samples (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each (default: 1)")
    parser.add_argument("--threads", type=int, default=2, help="of all (default: %(default)s)")
    parser.add_argument("--fidelity-python", metavar="PATH", help="the Python with torch-fidelity")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    chosen = parser.parse_args(arguments)
    if not 1200 <= chosen.n <= 10_000:
        parser.error(f"--n is from 1,200 to 10,000, not {chosen.n:,}")
    description = machine.description()
    print(machine.describe(description))
    with tempfile.TemporaryDirectory() as folder:
        rows, said, figures = compared(prepared(chosen.n, Path(folder)), chosen)
    header = [f"{chosen.n:,} against {chosen.n:,}", "time", "memory", "others (ours / theirs)"]
    print(report.table(header, rows))
    print("\n".join(said))
    if chosen.json:
        report.write_json(chosen.json, {"machine": description, "n": chosen.n, **figures})
    return int(any(line.startswith("DISAGREES") for line in said))


if __name__ == "__main__":
    raise SystemExit(main())
