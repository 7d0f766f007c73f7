"""One file for each library and benchmark: the same work, written as that library's users would.

A file is imported by its worker alone. It has `load(name, threads, **options)`, which sets the
number of threads in the library's own way, builds a `Subject`, and raises AbsentError for what is
not written there. Nothing here imports another library's file.
"""
