"""SIGINT, SIGTERM and SIGHUP: training ends after the current step, with its state saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal, after its state was saved if there is a run."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class Signals:
    """Notes the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once.

    Outside the main thread, where Python allows no handlers, signals are left alone, and so are
    those that the process ignores, such as SIGHUP under nohup.

    Attributes:
        received: the number of the signal that came; None until one does.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Within the block the first signal is noted, and after it the handlers are as before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.received = None
        before = {n: signal.getsignal(n) for n in NUMBERS}
        before = {n: h for n, h in before.items() if h not in (signal.SIG_IGN, None)}
        for number in before:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.received is None:
            self.received = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)
