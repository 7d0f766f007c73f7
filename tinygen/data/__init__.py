"""Data sets and what feeds them to a training loop.

Here live readers (IDX, folders of images, .npz, text), the registry of published data sets, the
procedural faces and series, and the loader. Nothing here knows of models; Pillow and pooch are
imported only by the functions that need them.

>>> from tinygen import data
>>> data.names()
('faces', 'fashion-mnist', 'kmnist', 'mnist', 'series')
"""

from .dataset import Dataset, Samples, class_labels, kind_of, load
from .errors import DataError
from .idx import read_idx
from .images import as_floats, list_folder, read_images, read_npz
from .loader import Loader
from .registry import Source, describe, fetch, is_here, names, verify
from .sequences import pad_sequences, real_steps
from .text import alphabet_of, as_text, one_hot

__all__ = [
    "DataError",
    "Dataset",
    "Loader",
    "Samples",
    "Source",
    "alphabet_of",
    "as_floats",
    "as_text",
    "class_labels",
    "describe",
    "fetch",
    "is_here",
    "kind_of",
    "list_folder",
    "load",
    "names",
    "one_hot",
    "pad_sequences",
    "read_idx",
    "read_images",
    "read_npz",
    "real_steps",
    "verify",
]
