"""For all tests: CUDA kernels run on the CPU, by the shim, where there is a compiler for it."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # a thread that spins would take a core from the others
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import shim  # after that: libraries read the policy when they are loaded

if shim.compiler() is not None:
    shim.install()
