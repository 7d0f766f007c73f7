"""Subjects for the harness to be tried on; imported by its workers."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time

from benchmarks.subject import AbsentError, Subject


class Diary(Subject):
    """Does nothing, and can tell when it did."""

    chunk = 10

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def run(self, count: int) -> None:
        self.times.append(time.monotonic())
        time.sleep(0.0001 * count)
        self.times.append(time.monotonic())

    def check(self, steps: int) -> list[float]:
        return self.times


class Parts(Subject):
    """Times two parts of its own."""

    def run(self, count: int) -> dict[str, float]:
        return {"forward": 1.0 * count, "backward": 2.0 * count}


class Broken(Subject):
    """Ends its process in some way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def run(self, count: int) -> None:
        print("said on the way out", file=sys.stderr)
        if self.way == "exits":
            sys.stderr.flush()
            os._exit(7)
        raise RuntimeError("the toy is broken")


class Spinning(Subject):
    """Leaves a thread behind that takes 0.05 s of a core, as OpenMP's do; tells its CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []
        self.spent: list[float] = []

    def run(self, count: int) -> None:
        def spin() -> None:
            while time.thread_time() < 0.05:
                pass
            self.spent.append(time.thread_time())

        self.threads.append(threading.Thread(target=spin))
        self.threads[-1].start()

    def check(self, steps: int) -> list[float]:
        for thread in self.threads:
            thread.join()
        return [sum(self.spent)]


class Hungry(Subject):
    """Takes 64 MiB for a moment, and a module that nobody has imported before."""

    def run(self, count: int) -> None:
        assert importlib.import_module("colorsys")
        assert bytearray(b"x") * (64 << 20)

    def check(self, steps: int) -> list[float]:
        return [0.5]


class Environment(Subject):
    """Tells one of its environment's variables."""

    def run(self, count: int) -> None:
        time.sleep(0.0001 * count)

    def check(self, steps: int) -> list[float]:
        return [float(os.environ["GOMP_SPINCOUNT"])]


def load(name: str, threads: int, way: str = "eager", tf32: bool = True) -> Subject:
    name = name.removeprefix("step:")
    if way == "graph":
        os._exit(7)
    toys = {
        "diary": Diary,
        "parts": Parts,
        "spinning": Spinning,
        "hungry": Hungry,
        "environment": Environment,
    }
    if name in ("raises", "exits"):
        return Broken(name)
    if name not in toys:
        raise AbsentError(f"no toy called {name}")
    return toys[name]()
