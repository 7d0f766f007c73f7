"""Data sets and what feeds them to a training loop.

Here live readers (IDX, folders of images, .npz), the registry of published data sets, the
procedural faces, and the loader. Nothing here knows of models; Pillow and pooch are imported only
by the functions that need them.

>>> from tinygen import data
>>> data.names()
('faces', 'fashion-mnist', 'kmnist', 'mnist')
"""

from .dataset import Dataset, Samples, load
from .errors import DataError
from .idx import read_idx
from .images import as_floats, list_folder, read_images, read_npz
from .loader import Loader
from .registry import Source, describe, fetch, is_here, names, verify

__all__ = [
    "DataError",
    "Dataset",
    "Loader",
    "Samples",
    "Source",
    "as_floats",
    "describe",
    "fetch",
    "is_here",
    "list_folder",
    "load",
    "names",
    "read_idx",
    "read_images",
    "read_npz",
    "verify",
]
