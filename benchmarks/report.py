"""Tables for people and JSON for machines."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .harness import Contestant, Quietness, Spread

Rows = Sequence[Sequence[str]]


def table(header: Sequence[str], rows: Rows) -> str:
    """Columns as wide as they need to be: the first to the left, all others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = ""
    for line in lines:
        cells = [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        text += "  ".join([line[0].ljust(widths[0]), *cells]).rstrip() + "\n"
    return text.rstrip("\n")


def seconds(value: float) -> str:
    """A time with a unit that suits it, to three digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 0.1 or unit == "us":
            digits = 2 if value * factor < 10 else 1 if value * factor < 100 else 0
            return f"{value * factor:.{digits}f} {unit}"
    raise AssertionError("the last unit takes all")


def spread(value: Spread) -> str:
    """The median ratio with its quartiles."""
    return f"{value.median:.2f} ({value.low:.2f} - {value.high:.2f})"


NOISY = 0.1  # of a core


def quietness(found: Quietness) -> str:
    """How far the measurement was left alone, by idle workers and by the rest of the machine."""
    if math.isnan(found.other_processes):
        return "how far it was left alone, this system does not tell"
    line = (
        f"while one worked, the idle workers took at most {found.idle_workers:.1%} of a core, "
        f"other processes {found.other_processes:.0%}"
    )
    return line + (": NOT quiet, take these figures as a trial" if max(found) > NOISY else "")


def versions(contestants: Sequence[Contestant]) -> str:
    """Every library's versions, in one line for each set of them."""
    seen = {
        c.worker.library: ", ".join(f"{k} {v}" for k, v in c.loading["versions"].items())
        for c in contestants
    }
    return "\n".join(f"{name}: {text}" for name, text in seen.items())


def write_json(path: Path, contents: dict[str, Any]) -> None:
    """All that was measured, with the time and the command."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    command = [Path(sys.argv[0]).stem, *sys.argv[1:]]
    text = json.dumps({"when": when, "command": command, **contents}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"all figures: {path}")
