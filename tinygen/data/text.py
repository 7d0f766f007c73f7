"""Text files as sequences of characters: 1 at the place of each in the alphabet, else 0."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..backend import Array
from .errors import DataError, check_regular

STEPS = 40  # characters at most in a sequence, unless one says otherwise
MAX_BYTES = 2**30  # of the array
END = "\n"  # ends a line, and so is a character like any other


def read_lines(path: str | os.PathLike[str], steps: int = STEPS) -> list[str]:
    """The lines of a UTF-8 text file that are not blank, each with its end, "\\n".

    Lines of more than `steps` characters are cut into pieces of that length. An end for which the
    last piece has no room is left out.

    Raises DataError if there is nothing but blanks in the file, or no text.
    """
    check_regular(path)
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{os.fspath(path)}: no text in UTF-8: {error}. Save it again as UTF-8."
        ) from error
    lines = [line.rstrip() + END for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{os.fspath(path)}: there is no text in it. Give a file with some lines.")
    return [line[i : i + steps] for line in lines for i in range(0, len(line) - 1, steps)]


def alphabet_of(lines: Sequence[str]) -> str:
    """All characters of the lines, sorted.

    >>> alphabet_of(["beach", "bag"])
    'abcegh'
    """
    return "".join(sorted(set().union(*lines)))


def one_hot(lines: Sequence[str], alphabet: str, steps: int = STEPS) -> Array:
    """Lines as (n, steps, characters) float32, NaN after the last character of each.

    Raises DataError for an empty line, one that is too long, and characters that are unknown.

    >>> one_hot(["ab", "a"], "ab", steps=2).tolist()
    [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [nan, nan]]]
    """
    lengths = np.array([len(line) for line in lines], np.int64)
    if not len(lines) or lengths.min() < 1 or lengths.max() > steps:
        raise DataError(f"one_hot: needs lines of 1 to {steps} characters")
    shape = len(lines), steps, len(alphabet)
    total = 4 * shape[0] * shape[1] * shape[2]
    if total > MAX_BYTES:
        raise DataError(
            f"{shape[0]:,} lines of up to {steps} characters, {shape[2]} different ones, take "
            f"{total:,} bytes; at most {MAX_BYTES:,} are used. Give a smaller count= or size=."
        )
    place = {character: i for i, character in enumerate(alphabet)}
    unknown = sorted(set().union(*lines) - place.keys())
    if unknown:
        raise DataError(f"one_hot: {unknown[0]!r} is not in the alphabet {alphabet!r}")
    places = [place[character] for line in lines for character in line]
    x: Array = np.full(shape, np.nan, np.float32)
    x[np.arange(steps) < lengths[:, None]] = np.eye(len(alphabet), dtype=np.float32)[places]
    return x


def as_text(x: Array, alphabet: str) -> list[str]:
    """The most probable characters of (n, steps, characters), up to the end of each sequence.

    >>> as_text(one_hot(["ab", "a"], "ab", steps=2), "ab")
    ['ab', 'a']
    """
    lines = []
    for row in np.asarray(x):
        row = row[~np.isnan(row).any(axis=1)]
        lines.append("".join(alphabet[place] for place in row.argmax(axis=1)).split(END)[0])
    return lines
