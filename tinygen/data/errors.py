"""The error that every reader raises, and the limits that every reader keeps."""

from __future__ import annotations

import os
import stat

MAX_BYTES = 4 * 2**30  # of one array; a header that promises more is taken for damage
DEFLATE_RATIO = 1032  # no deflated stream, gzip or zip, grows by more than this


NOT_FILES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DataError(ValueError):
    """Data that cannot be used: the text says what is wrong, where, and what to do."""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise DataError for a pipe, a socket or a device: reading one may wait for ever.

    Links are followed. Raises OSError if there is nothing.
    """
    kind = NOT_FILES.get(stat.S_IFMT(os.stat(path).st_mode))
    if kind:
        raise DataError(
            f"{os.fspath(path)}: {kind}, not a file. Save what comes out of it to a file first."
        )


def check_name(name: str | os.PathLike[str]) -> None:
    """Raise DataError for a name that is not UTF-8: settings and checkpoints could not hold it."""
    try:
        os.fspath(name).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{os.fspath(name)!r}: this name is not UTF-8, so a run could not note it. Rename it."
        ) from None
