"""Everything on a card, against PyTorch: ceilings, convolutions, launches, training steps.

    python -m benchmarks.gpu [SECTION ...]

SECTION is one of `ceilings`, `tune`, `convolutions`, `launches` and `steps`. All of them are
reckoned to take eight minutes beside 16 cores, half of it while PyTorch compiles its steps, but no
card has shown it yet: where a command may not take longer, ask for a section at a time. `tune`
writes what it finds to kernels/tinygen_kernels/cuda/conv_table.py, to be committed. Speeds are
PyTorch's time divided by ours: higher is better. Convolutions are timed as CUDA graphs of ten
calls, so that neither library's overhead counts; steps as a training loop sees them. `--rehearse`
runs a few of each on the CPU, where the figures mean nothing, to see that all is ready for a card.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from . import libraries, machine, report
from .command_line import parser_for
from .harness import Contestant, Worker, WorkerDiedError, disagreement, take_turns
from .peers.card import CALLS
from .problems import PROBLEMS
from .shapes import CONVOLUTIONS
from .subject import AbsentError

OURS, THEIRS = "benchmarks.peers.tinygen_gpu", "benchmarks.peers.torch_gpu"
PARTS = ("forward", "input", "weight", "total")
PRECISIONS = ("float32", "3xtf32", "tf32", "bf16")
LAYOUTS = ("NCHW", "channels_last")
TOLERANCES = {"float32": 1e-3, "3xtf32": 1e-3, "tf32": 2e-2, "bf16": 5e-2}  # of norms and numbers
STEPS_COMPARED = 5
WAYS: tuple[str, ...] = ("eager", "compile", "reduce-overhead", "graph")  # PyTorch's, of a step
STEPS = ("eager", "captured", *(f"torch {way}" for way in WAYS))
REHEARSED = ("16x32px 3-64 1x1", "32x3px 64-32 T3x3/2"), ("stacked-ae",)

# What must hold on one H200-class card: (kind of row, peer) -> at least so fast, the aim.
BARS = {
    "small step, captured / eager": (3.0, 6.0),
    "DCGAN and style-block, captured / eager": (0.8, 1.5),
    "captured / reduce-overhead or graph": (1.0, 1.5),
    "tf32 / cuDNN tf32, NCHW": (0.7, 1.2),
    "tf32 / cuDNN tf32, channels_last": (0.5, 0.9),
    "float32 / cuDNN without tf32": (0.6, 1.0),
    "3xtf32 / cuDNN without tf32": (1.0, 1.8),
}


Loaded: TypeAlias = Contestant | AbsentError | WorkerDiedError


class Session:
    """The workers, and what is asked of them.

    Args:
        chosen: the command line.
        stack: closes the workers.
    """

    def __init__(self, chosen: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self.chosen = chosen
        self.ours = stack.enter_context(Worker("tinygen", chosen.threads))
        self.theirs = stack.enter_context(Worker("torch", chosen.threads, chosen.torch_python))
        self.figures: dict[str, Any] = {}
        self.failed = False

    def load(self, label: str, name: str, **options: Any) -> Contestant:
        """A subject of tinygen, or of PyTorch where the label begins so."""
        theirs = label.startswith("torch")
        worker, module = (self.theirs, THEIRS) if theirs else (self.ours, OURS)
        return Contestant.load(label, worker, module, name, **self._with_rehearsal(options))

    def steps_of_torch(
        self, names: Sequence[str], ways: Sequence[str], stack: contextlib.ExitStack
    ) -> dict[tuple[str, str], Loaded]:
        """The training steps of PyTorch by model and way, loaded all at once.

        Each has a process of its own, which the stack closes: compiling takes half a minute or
        more, and a way that does not work may end its process. Then its error is what is given.
        """
        options = self._with_rehearsal({"tf32": True})
        workers = {
            (name, way): stack.enter_context(
                Worker("torch", self.chosen.threads, self.chosen.torch_python)
            )
            for name in names
            for way in ways
        }

        def load(step: tuple[str, str]) -> Loaded:
            name, way = step
            subject = THEIRS, f"step:{name}"
            try:
                return Contestant.load(f"torch {way}", workers[step], *subject, way=way, **options)
            except (AbsentError, WorkerDiedError) as error:
                return error

        with ThreadPoolExecutor(len(workers)) as pool:
            return dict(zip(workers, pool.map(load, workers), strict=True))

    def _with_rehearsal(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "rehearse": True} if self.chosen.rehearse else options

    def compare(self, name: str, contestants: list[Contestant]) -> None:
        """Let them take turns; what they measured goes into the figures."""
        take_turns(contestants, self.chosen.blocks, self.chosen.seconds, warm_up=0.6)
        self.figures[name] = {c.label: c.as_json() for c in contestants}

    def bar(self, what: str, speeds: list[float]) -> str:
        """A line that says whether all of them reach what was set."""
        least, aim = BARS[what]
        middle, worst = statistics.geometric_mean(speeds), min(speeds)
        verdict = "met" if worst >= least else f"{sum(s < least for s in speeds)} below"
        self.figures[what] = {"geometric mean": middle, "least": worst, "bar": least, "aim": aim}
        return f"{what}: {middle:.2f} in the mean, {worst:.2f} at least; bar {least}: {verdict}"


def ceilings(session: Session) -> None:
    """What the card can do at most."""
    options = {"scale": 0.002} if session.chosen.rehearse else {}
    facts = session.load("ceilings", "ceilings", **options).loading["facts"]
    rates = ", ".join(f"{k} {v / 1e12:.1f}" for k, v in facts["flops by"].items())
    print(f"ceilings: TFLOP/s: {rates}; copying {facts['bandwidth'] / 1e12:.2f} TB/s\n")
    session.figures["ceilings"] = facts


def tune(session: Session) -> None:
    """Try all ways to cut convolutions for the tensor cores; the table keeps the best."""
    from .peers import tinygen_tune

    rehearse = session.chosen.rehearse
    found: dict[str, Any] = {}
    for name in REHEARSED[0] if rehearse else CONVOLUTIONS:
        options = {"most": 2} if rehearse else {}
        found |= session.load("tune", f"tune:{name}", **options).loading["facts"]
    session.figures["tune"] = found
    gain = statistics.geometric_mean(row[3] / row[2] for row in found.values()) if found else 1.0
    where = "nothing is written in a rehearsal" if rehearse else tinygen_tune.write(found)
    print(f"tuned: {len(found)} classes of shapes, {gain:.2f} times as fast; {where}\n")


def convolutions(session: Session) -> None:
    """Every shape in every precision against cuDNN in both layouts, TF32 on and off."""
    names = REHEARSED[0] if session.chosen.rehearse else CONVOLUTIONS
    speeds: dict[str, list[float]] = {what: [] for what in BARS if "cuDNN" in what}
    rows = []
    for name in names:
        subject = f"convolution:{name}"
        ours = {p: session.load(p, subject, precision=p) for p in PRECISIONS}
        theirs = {
            (layout, tf32): session.load(
                f"torch {layout}{' tf32' * tf32}", subject, layout=layout, tf32=tf32
            )
            for layout in LAYOUTS
            for tf32 in (True, False)
        }
        expected = theirs["NCHW", False].check(1)
        far = {p: disagreement(c.check(1), expected) for p, c in ours.items()}
        wrong = [p for p in PRECISIONS if not far[p] <= TOLERANCES[p]]
        session.failed = session.failed or bool(wrong)
        session.compare(name, [*ours.values(), *theirs.values()])
        time: dict[Any, float] = {p: c.time() for p, c in ours.items()}
        time |= {key: c.time() for key, c in theirs.items()}
        exact = min(time[layout, False] for layout in LAYOUTS)
        found = {
            "tf32 / cuDNN tf32, NCHW": time["NCHW", True] / time["tf32"],
            "tf32 / cuDNN tf32, channels_last": time["channels_last", True] / time["tf32"],
            "float32 / cuDNN without tf32": exact / time["float32"],
            "3xtf32 / cuDNN without tf32": exact / time["3xtf32"],
        }
        for what, speed in found.items():
            speeds[what].append(speed)
        rate = 3 * CONVOLUTIONS[name].flops / time["tf32"] / 1e12
        rows.append([name, *(f"{time[p] * 1e6:.1f}" for p in PRECISIONS)])
        rows[-1] += [f"{speed:.2f}" for speed in found.values()] + [f"{rate:.1f}"]
        rows[-1].append("DISAGREES: " + ", ".join(wrong) if wrong else "")
        print(" ".join(rows[-1]), flush=True)
    header = [f"all passes, us; graphs of {CALLS}", *PRECISIONS, "tf32/NCHW", "tf32/last"]
    header += ["f32/exact", "3x/exact", "TFLOP/s", ""]
    print("\n" + report.table(header, rows))
    print(*(session.bar(what, found) for what, found in speeds.items()), "", sep="\n")


def launches(session: Session) -> None:
    """What it costs the CPU to start one small piece of work."""
    contestants = [
        session.load("kernel", "launch:kernel"),
        session.load("op", "launch:op"),
        session.load("torch add", "launch:"),
    ]
    session.compare("launches", contestants)
    print("a launch: " + ", ".join(f"{c.label} {report.seconds(c.time())}" for c in contestants))
    print()


def steps(session: Session) -> None:
    """The training step of every model, with TF32 in all products and convolutions."""
    names, ways = tuple(PROBLEMS), WAYS
    if session.chosen.rehearse:
        names, ways = REHEARSED[1], WAYS[:1]
    speeds: dict[str, list[float]] = {what: [] for what in BARS if "captured" in what}
    rows = []
    at_once = max((os.cpu_count() or 1) // len(ways), 1)  # a core for each step that compiles
    for start in range(0, len(names), at_once):
        group = names[start : start + at_once]
        with contextlib.ExitStack() as stack:
            theirs = session.steps_of_torch(group, ways, stack)
            for name in group:
                rows.append(_step(session, name, {way: theirs[name, way] for way in ways}, speeds))
    print("\n" + report.table(["step, us", *STEPS], rows))
    print(*(session.bar(what, found) for what, found in speeds.items() if found), sep="\n")


def _step(
    session: Session, name: str, peers: Mapping[str, Loaded], speeds: dict[str, list[float]]
) -> list[str]:
    """A row of the table, printed at once; its speeds are added to those for each bar."""
    ours = [session.load(way, f"step:{name}", way=way, precision="tf32") for way in STEPS[:2]]
    theirs = [c for c in peers.values() if isinstance(c, Contestant)]
    absent = [f"torch {way}: {e}" for way, e in peers.items() if isinstance(e, Exception)]
    values = [c.check(STEPS_COMPARED) for c in [*ours, *theirs[:1]]]
    far = max(disagreement(values[-1], each) for each in values[:-1])
    session.failed = session.failed or not far <= TOLERANCES["tf32"]
    session.compare(f"step {name}", [*ours, *theirs])
    time = {c.label: c.time() for c in [*ours, *theirs]}
    large = name.startswith(("dcgan", "style"))
    kind = "DCGAN and style-block" if large else "small step"
    if "torch eager" in time:
        speeds[f"{kind}, captured / eager"].append(time["torch eager"] / time["captured"])
    if fast := [time[f"torch {way}"] for way in WAYS[2:] if f"torch {way}" in time]:
        speeds["captured / reduce-overhead or graph"].append(min(fast) / time["captured"])
    row = [name, *(f"{time[k] * 1e6:.0f}" if k in time else "-" for k in STEPS)]
    print(" ".join(row), *absent, f"losses agree to {far:.0e}", flush=True)
    return row


SECTIONS = {f.__name__: f for f in (ceilings, tune, convolutions, launches, steps)}


def main(arguments: list[str] | None = None) -> int:
    """Measure all sections, or those asked for."""
    parser = parser_for("gpu", __doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=[[], *SECTIONS])
    parser.add_argument("--rehearse", action="store_true", help="a few of each, on the CPU")
    libraries.add_arguments(parser, seconds=0.05, blocks=3)
    chosen = parser.parse_args(arguments)
    description = machine.description()
    with contextlib.ExitStack() as stack:
        session = Session(chosen, stack)
        try:
            card = session.load("card", "card").loading["facts"]
        except AbsentError as error:
            print(f"nothing to measure: {error}")
            return 1
        print(machine.describe(description), card["card"], sep="\n")
        for name in chosen.sections or SECTIONS:
            SECTIONS[name](session)
    if chosen.json:
        contents = {"machine": description, "card": card, "figures": session.figures}
        report.write_json(chosen.json, contents)
    return int(session.failed)


if __name__ == "__main__":
    raise SystemExit(main())
