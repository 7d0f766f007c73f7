"""A file of what a comparison of many runs has found so far."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoint import write_atomically
from .run import RunError


class Results:
    """Rows by name in a JSON file, written after each, so that none is ever made twice.

    Args:
        path: of the file; it need not be there yet.
        settings: what all rows have in common, as JSON can hold it.

    Attributes:
        rows: what is known so far.

    Raises RunError if the file holds rows that were made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, dict(settings)
        self.rows: dict[str, Any] = {}
        if not path.exists():
            return
        try:
            kept = json.loads(path.read_text("utf-8"))
            self.rows, before = dict(kept["rows"]), dict(kept["settings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"{path} cannot be read ({error}); choose another --out") from error
        for name in {**before, **self.settings}:
            if before.get(name) != self.settings.get(name):
                raise RunError(
                    f"{path} holds results with {name} {before.get(name)!r}, not "
                    f"{self.settings.get(name)!r}; choose another --out"
                )

    def check_figures(self) -> None:
        """Raise RunError, naming the file, for rows that hold other things than figures by name."""
        for name, row in self.rows.items():
            if not isinstance(row, dict) or not row or not all(map(_is_figure, row.values())):
                raise RunError(
                    f"{self.path} cannot be read: {name} is {row!r:.80}, not figures by name; "
                    "choose another --out"
                )

    def figure(self, row: str, name: str) -> Any:
        """A figure of a row; raises RunError, naming the file, for one that the row lacks."""
        if name not in self.rows[row]:
            raise RunError(f"{self.path} cannot be read: {row} has no {name}; choose another --out")
        return self.rows[row][name]

    def add(self, name: str, row: Any) -> None:
        """Keep one more row."""
        self.rows[name] = row
        self.write()

    def write(self, **more: Any) -> None:
        """Write the file, with other things that are known beside the rows."""
        text = json.dumps({"settings": self.settings, **more, "rows": self.rows}, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text.encode() + b"\n")


def _is_figure(value: Any) -> bool:
    """Whether a value is a number, or several, as JSON gives them; NaN is one, too."""
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
