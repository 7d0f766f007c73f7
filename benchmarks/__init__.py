"""Benchmarks: tinygen against PyTorch, JAX and Keras, measured in the same call and in turns.

Every library lives in a process of its own (`worker`), all do the same work (`problems`, `peers/`),
and `harness` lets one at a time run. `python -m benchmarks` lists what can be measured. Only the
standard library and NumPy are imported here; what a peer needs is imported in its own process.
"""
