"""Who works on what: a matrix is cut into shares of its rows.

When one kernel writes a matrix and the next one reads it, each core should find its share in its
own cache: what the other core wrote last comes several times more slowly. Shares are made of whole
rows, since the hardware fetches ahead along a row and would drag columns back and forth between
the cores. The number of shares depends on the size alone, not on the number of threads, so sums
over shares have the same bits on any machine.
"""

from __future__ import annotations

from numba.extending import register_jitable

SMALLEST = 1 << 14  # elements
MOST = 16


def shares(rows: int, columns: int) -> int:
    """Into how many shares to cut a matrix of this size: 1, 2, 4, 8 or 16."""
    count = 1
    while count < MOST and rows * columns >= 2 * count * SMALLEST and rows >= 32 * count:
        count *= 2
    return count


def share(rows: int, count: int, part: int) -> tuple[int, int]:
    """(first row, row after the last) of one of the shares."""
    return rows * part // count, rows * (part + 1) // count


def fold(rows: int, columns: int, wide: int) -> int:
    """How many rows of a narrow matrix to read as one, so that it has `wide` columns or more.

    A power of two that divides the rows.
    """
    count = 1
    while columns * count < wide and rows and rows % (2 * count) == 0:
        count *= 2
    return count


register_jitable(shares)
register_jitable(share)
