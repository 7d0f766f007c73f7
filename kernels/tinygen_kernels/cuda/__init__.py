"""CUDA kernels, and the Python around each: what the other backends have as Numba or NumPy.

A family is a file `name.cu` and beside it `name.py`, which lays out results, chooses grids and
calls `launch`. Arrays are CuPy's on a card; under the shim, which runs the same kernels on the CPU
for tests, they are NumPy's. Results are the same bits in every run: no kernel adds up in an order
that depends on which block is first.
"""
