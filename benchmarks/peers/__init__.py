"""Files for each library and benchmark: the same work, written as that library's users would.

A file is imported by its worker alone. `{library}_{benchmark}.py` has `load(name, threads,
**options)`, which sets the number of threads in the library's own way, builds a `Subject`, and
raises AbsentError for what is not written there; parts of it may be in other files of that library.
Nothing here imports another library's file.
"""
