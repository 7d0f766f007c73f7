"""The folder of a run: what was asked for, what happened, and the state to go on from.

Nothing whole is removed before what replaces it is safe: the model of a run that goes on stays
until the next is finished, and its metrics until the first new line is written.

config.toml        every setting, defaults written out
environment.json   versions, machine, command
metrics.jsonl      one line an epoch; the same bytes whenever the run is repeated
timing.jsonl       seconds, which are not
log.txt            what was printed
samples/           pictures by epoch
checkpoints/       states to resume from
model.safetensors  the trained model, once training is over
.lock              who trains in the folder now, if anybody does
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..models.kinds import fits
from ..models.stages import LONGEST
from ..system import require
from .checkpoint import MODEL, checkpoints, save_arrays, write_atomically
from .lock import LOCK, Lock
from .lock import RunError as RunError  # part of what this module offers

ROW = {"epoch": int, "step": int, "stage": str}  # of metrics, beside its figures
KEEP = 2  # checkpoints; an older one is removed when a newer one is safe on the disk
T = TypeVar("T")


class Run:
    """The folder of one run. Make a new one with `Run.create`, go back to one with `Run.open`."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder, self.config = folder, config
        self._lock: Lock | None = None
        self._changed = False

    @property
    def folder(self) -> Path:
        """Where the folder is; while it is locked, also after it was renamed.

        Raises RunError if it was locked and is gone.
        """
        if self._lock is not None:
            self._folder = self._lock.follow(self._folder)
        return self._folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within the block nobody else trains in the folder; may be nested.

        Raises RunError, naming the process, if somebody does.
        """
        if self._lock is not None:
            yield
            return
        self._lock = Lock(self._folder)
        try:
            yield
        finally:
            with suppress(RunError):
                _ = self.folder  # where it is for whoever reads it later
            self._lock.release()
            self._lock = None

    @classmethod
    def create(cls, folder: str | os.PathLike[str], config: Mapping[str, Any]) -> Run:
        """A new folder for a run with these settings.

        Raises RunError if the folder holds anything already, ModuleNotFoundError without tomli-w.
        """
        require("tomli_w")  # before anything is written
        folder = Path(folder)
        cls.check_free(folder)
        run = cls(folder, config)
        text = run._config_text()  # which may not be possible
        folder.mkdir(parents=True, exist_ok=True)
        with run.locked():
            cls.check_free(folder)  # somebody may have been quicker
            write_atomically(folder / "config.toml", text)
            known = json.dumps(environment(), indent=2)
            write_atomically(folder / "environment.json", known.encode())
            for name in ("samples", "checkpoints"):
                (folder / name).mkdir()
        return run

    @staticmethod
    def check_free(folder: Path) -> None:
        """Raise RunError if a new run cannot have this folder."""
        if (folder / "config.toml").exists():
            raise RunError(
                f"{folder} holds another run; choose another --out, "
                f"or go on with it: tinygen resume {shlex.quote(str(folder))}"
            )
        if folder.exists() and not (folder.is_dir() and all(map(_is_beginning, folder.iterdir()))):
            raise RunError(f"{folder} is there already and not empty; choose another --out")

    def _config_text(self) -> bytes:
        import tomli_w

        return tomli_w.dumps(without_none(self.config)).encode()

    def change(self, table: str, **values: Any) -> None:
        """Change some of the settings; `write_config` writes them."""
        self.config = {**self.config, table: {**self.config[table], **values}}
        self._changed = True

    def write_config(self) -> None:
        """Write config.toml, if the settings were changed."""
        if self._changed:
            require("tomli_w")
            text = self._config_text()
            self._write(lambda folder: write_atomically(folder / "config.toml", text))
            self._changed = False

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """The folder of a run that was made before."""
        import tomllib

        folder = Path(folder)
        path = folder / "config.toml"
        if not path.is_file():
            raise RunError(f"{folder} is not the folder of a run: there is no config.toml in it")
        try:
            return cls(folder, tomllib.loads(path.read_text("utf-8")))
        except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, numbers without end
            raise RunError(f"{path} cannot be read: {error}; put back what it was") from error

    def metrics(self, row: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl."""
        self._append("metrics.jsonl", json.dumps(row))

    def timing(self, row: Mapping[str, Any]) -> None:
        """Add a line to timing.jsonl."""
        self._append("timing.jsonl", json.dumps(row))

    def log(self, text: str) -> None:
        """Add a line, with the time of day, to log.txt."""
        self._append("log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}")

    def _append(self, name: str, line: str) -> None:
        def append(folder: Path) -> None:
            with open(folder / name, "a", encoding="utf-8") as file:
                file.write(line + "\n")

        self._write(append)

    def _write(self, write: Callable[[Path], T]) -> T:
        """Call `write` with the folder, and again if it is renamed at that very moment."""
        folder = self.folder
        try:
            return write(folder)
        except FileNotFoundError:
            if self.folder == folder:
                raise
            return write(self.folder)

    def rows(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that was cut off is left out.

        Raises RunError, with the number of the line, for one that is no row of metrics.
        """
        return self._read("metrics.jsonl", ROW)

    def seconds(self) -> float:
        """The time spent in training steps, those that a resumed run repeated included.

        Raises RunError, with the number of the line, for one that holds no such time.
        """
        return math.fsum(row["seconds"] for row in self._read("timing.jsonl", {"seconds": float}))

    def _read(self, name: str, needed: Mapping[str, type]) -> list[dict[str, Any]]:
        """The objects in the lines of a file, each with fields of these names and kinds."""
        path = self.folder / name
        data = path.read_bytes() if path.exists() else b""
        lines, rows = data.split(b"\n"), []
        for number, line in enumerate(lines, 1):
            last = number == len(lines)  # what follows the last end of a line
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                if last:
                    break  # nothing, or cut off
                row, wrong = None, str(error)
            else:
                wrong = lacking(row, needed)
            if wrong:
                raise RunError(
                    f"{path}, line {number} cannot be read: {wrong}; remove the line, or put back "
                    "what it was"
                )
            rows.append(row)
        return rows

    def keep_rows(self, rows: list[dict[str, Any]]) -> None:
        """Make metrics.jsonl hold just these lines: what a resumed run will repeat is dropped."""
        text = _lines(rows)
        self._write(lambda folder: write_atomically(folder / "metrics.jsonl", text))

    def holds(self, rows: list[dict[str, Any]]) -> bool:
        """Whether metrics.jsonl has just these lines."""
        path = self.folder / "metrics.jsonl"
        return (path.read_bytes() if path.exists() else b"") == _lines(rows)

    def check_fresh(self) -> None:
        """Raise RunError if to train from the beginning would replace what has been made."""
        path, anew = self.folder / "metrics.jsonl", "train anew in another folder"
        if (self.folder / MODEL).exists():
            raise RunError(
                f"{self.folder} is done: {MODEL} is there. There is no checkpoint in it to go on "
                f"from; to train for longer, {anew}"
            )
        epochs = path.read_bytes().count(b"\n") if path.exists() else 0
        if epochs > 1:  # after the first there is a checkpoint
            raise RunError(
                f"{self.folder} has {epochs} epochs in {path.name} but no checkpoint to go on "
                f"from: bring back its checkpoints, or {anew}"
            )

    def checkpoint(self, step: int, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> Path:
        """Write the state after `step` steps, then remove all but the last few before it."""

        def write(folder: Path) -> Path:
            path = folder / "checkpoints" / f"{step:08d}.safetensors"
            path.parent.mkdir(exist_ok=True)  # but not the folder itself, which may have moved
            save_arrays(path, arrays, dict(meta))
            found = checkpoints(folder)
            here = found.index(path)
            later = found[here + 1 :]  # of a run that went on from before them
            halves = path.parent.glob(".*.safetensors.*")  # of a process that was killed
            for old in [*found[: max(here + 1 - KEEP, 0)], *later, *halves]:
                old.unlink(missing_ok=True)
            return path

        return self._write(write)

    def model(self, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Write the trained model."""
        self._write(lambda folder: save_arrays(folder / MODEL, arrays, dict(meta)))

    def to_go_on(self) -> str:
        """The command, or the call in a script, that goes on with the run."""
        if "data" in self.config:
            return f"tinygen resume {shlex.quote(str(self.folder))}"
        return f"fit(..., out={str(self.folder)!r}, resume=True)"


def _is_beginning(path: Path) -> bool:
    """Whether a file is one that a process leaves which is killed before it wrote the settings."""
    return path.name == LOCK or path.name.startswith(".config.toml.")


def _lines(rows: list[dict[str, Any]]) -> bytes:
    """The text of metrics.jsonl."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def lacking(row: Any, needed: Mapping[str, type]) -> str:
    """What is wrong with a line, in words; an empty text if nothing is."""
    if not isinstance(row, dict):
        return f"it holds {row!r:.80} instead of figures by name"
    missing = [name for name in needed if name not in row]
    if missing:
        return f"there is no {missing[0]}"
    for name, value in row.items():
        kind = needed.get(name, float)
        if not fits(value, kind) or (kind is int and not 0 <= value <= LONGEST):
            return f"{name} is {value!r:.80}"
    return ""


def without_none(config: Any) -> Any:
    """The settings as TOML can hold them: it has no None, so such entries are left out."""
    if isinstance(config, Mapping):
        return {k: without_none(v) for k, v in config.items() if v is not None}
    if isinstance(config, (list, tuple)):
        return [without_none(v) for v in config]
    return config


def environment() -> dict[str, Any]:
    """What the run depends on beside its settings."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("tinygen", "numba", "safetensors", "pillow"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "versions": versions,
        "machine": platform.machine(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
