"""The error that every reader raises, and the limits that every reader keeps."""

from __future__ import annotations

MAX_BYTES = 4 * 2**30  # of one array; a header that promises more is taken for damage
DEFLATE_RATIO = 1032  # no deflated stream, gzip or zip, grows by more than this


class DataError(ValueError):
    """Data that cannot be used: the text says what is wrong, where, and what to do."""
