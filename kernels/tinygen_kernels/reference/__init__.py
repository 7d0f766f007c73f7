"""Every kernel in plain NumPy: the specification, the teaching text and the test oracle.

What lives here is written to be read and checked, never to be fast; no kernel of another backend
may exist without its twin here.
"""
