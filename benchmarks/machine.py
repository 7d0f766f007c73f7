"""What the machine is, and how fast it can be: multiply-adds and copying, the two ceilings.

    python -m benchmarks.machine

The rate of multiply-adds is the best of NumPy's products of large matrices and of a Numba loop
that keeps everything in registers; the bandwidth is that of copying an array far larger than the
caches, reading and writing counted. Takes about 10 seconds.
"""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .command_line import parser_for
from .harness import Contestant, Worker, wait_until_idle
from .subject import Subject

MATRICES = (512, 1024, 2048)  # rows
COPIED = 256 << 20  # bytes
TRIALS = 9


class Ceilings(Subject):
    """Measured in a worker, when it is loaded."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        rates = {f"sgemm {n}": sgemm_rate(n) for n in MATRICES}
        rates["registers"] = register_rate(threads)
        self.facts = {
            "flops": max(rates.values()),
            "flops by": rates,
            "bandwidth": copy_bandwidth(threads),
        }

    def run(self, count: int) -> None:
        """There is nothing to repeat."""


def load(name: str, threads: int) -> Subject:
    """What the worker calls."""
    return Ceilings(threads)


def sgemm_rate(n: int) -> float:
    """Floating-point operations a second in NumPy's product of n x n matrices."""
    import numpy as np

    a = np.random.default_rng(0).random((n, n), np.float32)
    out = np.empty_like(a)
    return 2 * n**3 / best_time(lambda: np.dot(a, a, out=out))


def register_rate(threads: int) -> float:
    """The same in v = v c + b over and over: one load and one store for 32 multiply-adds."""
    if platform.machine() == "x86_64":  # Numba prefers vectors of half the length the CPU has
        import llvmlite.binding as llvm

        features = llvm.get_host_cpu_features().flatten()
        os.environ["NUMBA_CPU_FEATURES"] = features + ",-prefer-256-bit"
    import numba
    import numpy as np

    def loop(x: Any, c: Any, b: Any, repeats: int) -> None:
        for part in numba.prange(x.shape[0]):
            row = x[part]
            for _ in range(repeats):
                for i in range(row.size):
                    v = row[i]
                    for _ in range(32):
                        v = v * c + b
                    row[i] = v

    kernel = numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")(loop)
    x = np.full((threads, 2048), 0.5, np.float32)
    c, b, repeats = np.float32(0.5), np.float32(0.1), 4000
    kernel(x, c, b, 1)
    return 2 * 32 * x.size * repeats / best_time(lambda: kernel(x, c, b, repeats))


def copy_bandwidth(threads: int) -> float:
    """Bytes read and written a second when each thread copies its part of a large array."""
    import numpy as np

    x = np.ones(COPIED // 4, np.float32)
    y = np.ones_like(x)
    pairs = list(zip(np.array_split(y, threads), np.array_split(x, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        return 2 * COPIED / best_time(lambda: list(pool.map(lambda p: np.copyto(*p), pairs)))


def best_time(action: Any) -> float:
    """The shortest of several trials: what the machine can do when nothing interferes."""
    times = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(threads: int) -> dict[str, Any]:
    """The ceilings, from a worker of their own."""
    with Worker("tinygen", threads) as worker:
        wait_until_idle([worker])
        subject = Contestant.load("ceilings", worker, "benchmarks.machine", "ceilings")
        facts: dict[str, Any] = subject.loading["facts"]
        return facts


def description() -> dict[str, Any]:
    """CPU, caches, memory and system, as far as the system tells."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "caches": caches(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    """The name of the CPU model."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Sizes by level and kind, of the first core."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (index / name).read_text(encoding="utf-8").strip() for name in ("level", "type", "size")
        )
        found[f"L{level} {kind.lower()}"] = size
    return found


def describe(machine: dict[str, Any]) -> str:
    """What `description` found, in two lines."""
    cached = ", ".join(f"{k} {v}" for k, v in machine["caches"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {cached}, "
        f"{machine['memory'] / 2**30:.0f} GiB\n"
        f"{machine['system']}, Python {machine['python']}"
    )


def describe_ceilings(ceilings: dict[str, Any]) -> str:
    """What `measure` found, in a line."""
    rates = ", ".join(f"{k} {v / 1e9:.0f}" for k, v in ceilings["flops by"].items())
    return (
        f"ceilings: {ceilings['flops'] / 1e9:.0f} GFLOP/s ({rates}), "
        f"copying {ceilings['bandwidth'] / 1e9:.1f} GB/s"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the description and the ceilings."""
    parser = parser_for("machine", __doc__)
    parser.add_argument("--threads", type=int, default=2, help="(default: 2)")
    chosen = parser.parse_args(arguments)
    print(describe(description()), describe_ceilings(measure(chosen.threads)), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
