"""For all tests: CUDA kernels run on the CPU, by the shim, where there is a compiler for it."""

import shim

if shim.compiler() is not None:
    shim.install()
