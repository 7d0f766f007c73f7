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
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} cannot be read ({error}); choose another --out") from error
        for name in {**before, **self.settings}:
            if before.get(name) != self.settings.get(name):
                raise RunError(
                    f"{path} holds results with {name} {before.get(name)!r}, not "
                    f"{self.settings.get(name)!r}; choose another --out"
                )

    def add(self, name: str, row: Any) -> None:
        """Keep one more row."""
        self.rows[name] = row
        self.write()

    def write(self, **more: Any) -> None:
        """Write the file, with other things that are known beside the rows."""
        text = json.dumps({"settings": self.settings, **more, "rows": self.rows}, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text.encode() + b"\n")
