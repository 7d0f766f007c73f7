"""The lock of a run's folder: one process at a time trains in it, also after it was renamed."""

from __future__ import annotations

import json
import os
import shlex
import sys
import weakref
from pathlib import Path

LOCK = ".lock"  # the file; that it is there says nothing, only that it is locked does


class RunError(ValueError):
    """A folder that cannot be used for a run, with what is wrong and what to do."""


class Lock:
    """An flock on a file in the folder: the system releases it however the process ends.

    A process that is forked meanwhile has no part in it, or it would go on to hold the lock when
    its parent is gone.

    Raises RunError, naming the process, if another one holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(folder)
            self._folder = os.open(folder, os.O_RDONLY)
        except BaseException:
            os.close(self._file)
            raise
        self.held = True
        HELD.add(self)

    def _take(self, folder: Path) -> None:
        """Lock the file, and note in it who does."""
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder}: {_holder(self._file)} is training in it; "
                "wait until that has ended, or stop it first"
            ) from None
        except OSError:
            return  # a file system without locks, as some of clusters are
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        text = json.dumps({"process": os.getpid(), "host": os.uname().nodename, "command": command})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(errors="replace"), 0)

    def follow(self, path: Path) -> Path:
        """Where the folder is that was at `path`: there, or where it was moved to.

        Raises RunError if that cannot be found out.
        """
        if not self.held or self._is(path):
            return path
        moved = _path_of(self._folder)
        if moved is None or not self._is(moved):
            raise RunError(
                f"{path} was moved or removed while training wrote to it; what was written before "
                "is wherever the folder is now, and nothing more can be"
            )
        return moved

    def _is(self, path: Path) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._folder))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def release(self) -> None:
        """Let others have it."""
        if self.held:
            os.ftruncate(self._file, 0)
            self.close()

    def close(self) -> None:
        """Let go of the files: of a forked process this leaves the lock to its parent."""
        if self.held:
            self.held = False
            os.close(self._file)
            os.close(self._folder)


HELD: weakref.WeakSet[Lock] = weakref.WeakSet()


def _forget() -> None:
    """In a forked process: close the parent's locks."""
    for lock in list(HELD):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _holder(file: int) -> str:
    """Who locked the file, as far as is known."""
    try:
        known = json.loads(os.pread(file, 10_000, 0))
        process, host, command = known["process"], known["host"], known["command"]
    except (ValueError, KeyError, TypeError):
        return "another process"
    if (process, host) == (os.getpid(), os.uname().nodename):
        return f"this process ({process})"
    elsewhere = "" if host == os.uname().nodename else f" on {host}"
    return f"process {process}{elsewhere} ({command})"


def _path_of(descriptor: int) -> Path | None:
    """The path of an open folder now, where the system tells it."""
    import fcntl

    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        pass
    get_path = getattr(fcntl, "F_GETPATH", None)  # macOS
    if get_path is None:
        return None
    found = fcntl.fcntl(descriptor, get_path, bytes(1024))
    return Path(os.fsdecode(found.rstrip(b"\0")))
