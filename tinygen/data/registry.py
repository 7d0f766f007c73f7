"""The data sets known by name: where they come from, how to know them, how to get them."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import DataError
from .mixtures import SIGMA, centres
from .series import KINDS, STEPS

TIMEOUT = 30  # seconds without an answer from a server


@dataclass(frozen=True, eq=False)
class Source:
    """All that is known of a data set before its files are read.

    Attributes:
        name: as given to `load`.
        description: one line.
        licence: its terms; `homepage` says more.
        homepage: where it is described.
        url: the folder that its files are fetched from; empty if it needs no files.
        sha256: the SHA-256 of each of its files, by file name.
        shape: (height, width, channels) of its images; of series (steps, features, 1), of points
            (features, 1, 1).
        class_names: by label; empty without labels.
        splits: how many images there are to fit, to validate and to test, in this order.
    """

    name: str
    description: str
    licence: str
    homepage: str
    url: str
    sha256: Mapping[str, str]
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: Mapping[str, int]

    @property
    def needs_network(self) -> bool:
        """Whether its files have to be fetched."""
        return bool(self.url)


IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


MNIST_SPLITS = MappingProxyType({"train": 55_000, "valid": 5_000, "test": 10_000})


def _idx_files(*sha256: str) -> Mapping[str, str]:
    return MappingProxyType(dict(zip(IDX_FILES, sha256, strict=True)))


def _drawn(
    name: str,
    description: str,
    shape: tuple[int, int, int],
    splits: tuple[int, int, int],
    *,
    file: str = "",
    class_names: tuple[str, ...] = (),
    licence: str = "MIT",
) -> Source:
    """Data that tinygen draws itself, in tinygen/data/FILE.py; it needs no files."""
    return Source(
        name=name,
        description=description,
        licence=licence,
        homepage=f"tinygen/data/{file or name}.py",
        url="",
        sha256=MappingProxyType({}),
        shape=shape,
        class_names=class_names,
        splits=MappingProxyType(dict(zip(("train", "valid", "test"), splits, strict=True))),
    )


FACES = _drawn(
    "faces",
    "cartoon faces drawn by tinygen, with the factors of each; any size and number",
    (64, 64, 3),
    (8_000, 1_000, 1_000),
)

SERIES = _drawn(
    "series",
    "time series of varying length drawn by tinygen: sines, chirps, ...; any number",
    (STEPS, 1, 1),
    (8_000, 1_000, 1_000),
    class_names=KINDS,
)

PLANE = _drawn(
    "plane", "points near a plane in three dimensions (Géron, chapter 17)", (3, 1, 1), (60, 0, 0)
)

RING, GRID = (
    _drawn(
        name,
        f"{len(centres(name))} Gaussians in the plane, drawn by tinygen; any number of points",
        (2, 1, 1),
        (80_000, 10_000, 10_000),
        file="mixtures",
        class_names=tuple(f"mode {i}" for i in range(len(centres(name)))),
    )
    for name in SIGMA
)

STACKED_DIGITS = _drawn(
    "stacked-digits",
    "three handwritten digits of scikit-learn in an image, 1,000 modes; any number",
    (8, 8, 3),
    (40_000, 5_000, 5_000),
    file="digits",
    class_names=tuple(f"{i:03}" for i in range(1000)),
    licence="MIT; the digits CC BY 4.0, (c) E. Alpaydin and C. Kaynak",
)

POINTS = (PLANE.name, RING.name, GRID.name)

FASHION_MNIST = Source(
    name="fashion-mnist",
    description="70,000 grey pictures of clothes (Xiao, Rasul & Vollgraf 2017)",
    licence="MIT, (c) 2017 Zalando SE",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    sha256=_idx_files(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    shape=(28, 28, 1),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    splits=MNIST_SPLITS,
)

MNIST = Source(
    name="mnist",
    description="70,000 grey pictures of handwritten digits (LeCun, Cortes & Burges 1998)",
    licence="CC BY-SA 3.0, (c) Yann LeCun and Corinna Cortes",
    homepage="http://yann.lecun.com/exdb/mnist/",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",  # the homepage's own files are closed
    sha256=_idx_files(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    shape=(28, 28, 1),
    class_names=tuple("0123456789"),
    splits=MNIST_SPLITS,
)

KMNIST = Source(
    name="kmnist",
    description="70,000 grey pictures of cursive Japanese characters (Clanuwat et al. 2018)",
    licence="CC BY-SA 4.0, KMNIST by CODH, adapted from the Kuzushiji Dataset by NIJL and others",
    homepage="https://github.com/rois-codh/kmnist",
    url="http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    sha256=_idx_files(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    shape=(28, 28, 1),
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    splits=MNIST_SPLITS,
)

SOURCES = {
    source.name: source
    for source in (
        FACES, FASHION_MNIST, GRID, KMNIST, MNIST, PLANE, RING, SERIES, STACKED_DIGITS,
    )
}  # fmt: skip


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(SOURCES)


def describe(name: str) -> Source:
    """What is known of the data set `name`.

    >>> describe("mnist").shape
    (28, 28, 1)

    Raises:
        DataError: there is none of that name; the text says which comes nearest.
    """
    if name not in SOURCES:
        raise unknown(name)
    return SOURCES[name]


def unknown(name: str, also: str = "") -> DataError:
    """The error for who asked for `name`; `also` says what else it is not."""
    close = difflib.get_close_matches(name.lower(), SOURCES, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return DataError(f"no data set is called {name!r}{also}. {hint}Known are {', '.join(SOURCES)}.")


def cache_folder() -> Path:
    """Where fetched and drawn data is kept: `TINYGEN_CACHE_DIR` or the user's cache folder."""
    home = os.environ.get("TINYGEN_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "tinygen" / "data"


def fetch(name: str, *, progress: bool = False) -> tuple[Path, ...]:
    """Make sure that the files of data set `name` are here, and are the published ones.

    A file in `$TINYGEN_DATA_DIR/<name>/` is used where it is; the others are fetched into the
    user's cache folder unless they are there already. A download that fails leaves nothing behind.

    Args:
        name: one of `names()`.
        progress: show a progress bar (tqdm) on the terminal.

    Returns:
        The files, in the order of the registry; none for data that tinygen draws itself.

    Raises:
        DataError: an unknown name, no network, or a file that is not the published one.
        ModuleNotFoundError: pooch, which fetches, is not installed.
    """
    source = describe(name)
    return tuple(_fetched(source, file, progress) for file in source.sha256)


def verify(name: str) -> tuple[Path, ...]:
    """Check the SHA-256 of the files of data set `name` without fetching anything.

    Returns:
        The files.

    Raises:
        DataError: one is missing or is not the published one.
    """
    source = describe(name)
    paths = []
    for file in source.sha256:
        path = find(source, file)
        if path is None:
            raise DataError(f"{file} of {name} is not here. Run 'tinygen data fetch {name}'.")
        paths.append(check_hash(source, path))
    return tuple(paths)


def is_here(name: str) -> bool:
    """Whether data set `name` can be loaded without the network."""
    source = describe(name)
    return all(find(source, file) for file in source.sha256)


def find(source: Source, file: str) -> Path | None:
    """Where a file of the data set lies: in the user's own folder, in the cache, or nowhere."""
    for folder in _folders(source):
        if (folder / file).is_file():
            return folder / file
    return None


def check_hash(source: Source, path: Path) -> Path:
    """`path` itself, once its SHA-256 has been found to be the published one."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != source.sha256[path.name]:
        raise DataError(
            f"{path}: not the published file: its SHA-256 is {found},"
            f" not {source.sha256[path.name]}. {advice(source)}"
        )
    return path


def advice(source: Source) -> str:
    """What to do about a bad file."""
    return f"Delete it and run 'tinygen data fetch {source.name}'."


def _folders(source: Source) -> tuple[Path, ...]:
    """Where files of the data set may lie, the user's own folder first."""
    cache = cache_folder() / source.name
    own = os.environ.get("TINYGEN_DATA_DIR")
    return (Path(own).expanduser() / source.name, cache) if own else (cache,)


def _fetched(source: Source, file: str, progress: bool) -> Path:
    """The checked file, from the user's own folder, the cache or the network."""
    *own, cache = _folders(source)
    for folder in own:
        if (folder / file).is_file():
            return check_hash(source, folder / file)
    pooch = _import_pooch(source)
    url, path = source.url + file, cache / file
    by_hand = (
        f"Put the file into {cache} by hand, or use 'faces', the built-in data that needs no"
        " network."
    )
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{source.sha256[file]}",
            fname=file,
            path=cache,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT),
        )
    except ValueError as error:
        raise DataError(
            f"{url}: what arrived is not the published file, and was not kept ({error})."
            f" Try again later. {by_hand}"
        ) from error
    except OSError as error:
        if error.errno is not None:  # errors of requests have none: this one is of our disk
            raise DataError(f"{path}: cannot be written: {error.strerror}.") from error
        answer = getattr(error, "response", None)
        reason = f"status {answer.status_code}" if answer is not None else type(error).__name__
        raise DataError(f"{url}: cannot be fetched ({reason}). {by_hand}") from error
    return path


def _import_pooch(source: Source) -> Any:
    try:
        import pooch
    except ImportError:
        raise ModuleNotFoundError(
            f'fetching {source.name} needs pooch: pip install "tinygen[app]".'
            " Or use 'faces', the built-in data that needs no network.",
            name="pooch",
        ) from None
    return pooch
