"""The Numba kernels: one file a family, each beside its twin in `reference`.

A kernel here takes and fills NumPy arrays, knows nothing of gradients, and is compiled through
`jit.jit`, which keeps the machine code in a private cache.
"""
