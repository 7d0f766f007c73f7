"""Files that hold a model or the whole state of a run: safetensors, never pickle.

A file is written beside its place and moved there when it is whole and on the disk, so what stands
there is never half a file. Its header carries a JSON text with a SHA-256 of all that is in it.

In the folder of a run, checkpoints/ has the states to go on from, and model.safetensors the
finished model, which counts until training has gone on past it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import models
from ..backend import Array
from ..nn.state import not_finite

FORMAT = 1
MODEL = "model.safetensors"


class CheckpointError(ValueError):
    """A file that cannot be used, with what is wrong, where, and what to do."""


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, and make sure it is on the disk.

    The folder must be there: that of a run may be renamed at any time, and is not made again.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array], meta: Any) -> None:
    """Write arrays by name and a JSON-able `meta` to one file.

    Raises OSError (disk full, no permission) and leaves what was there before as it was.
    """
    from safetensors.numpy import save

    path = Path(path)
    # safetensors writes strided arrays wrongly; np.ascontiguousarray gives a number an axis
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"format": FORMAT, "sha256": _digest(whole, meta), "meta": meta}
    data = save(whole, metadata={"tinygen": json.dumps(header, default=_plain)})
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {len(data):,} bytes: {error.strerror}; what was there before is "
            "untouched",
            str(path),
        ) from error


def load_arrays(
    path: str | os.PathLike[str], *, check_finite: bool = True
) -> tuple[dict[str, Array], Any]:
    """The arrays and the `meta` of a file that `save_arrays` wrote.

    Raises CheckpointError if the file is not one of ours, is damaged, or is of a newer format; and
    with `check_finite` also if it holds NaN or infinities, which say that training went wrong.
    """
    path, arrays = Path(path), {}
    with _opened(path) as (file, header):
        digest, meta = header.get("sha256"), header.get("meta")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if _digest(arrays, meta) != digest:
        raise CheckpointError(f"{path}: the contents do not match their SHA-256; use an older one")
    wrong = not_finite(arrays) if check_finite else ""
    if wrong:
        raise CheckpointError(
            f"{path}: {wrong}; use an older one, or look at the model that it holds by "
            "tinygen.load(path, check_finite=False)"
        )
    return arrays, meta


def load_meta(path: str | os.PathLike[str]) -> Any:
    """The `meta` of a file that `save_arrays` wrote, without its arrays; nothing is checked."""
    with _opened(Path(path)) as (_, header):
        return header.get("meta")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """A file and its header; raises CheckpointError if it is not one of ours, or cut short."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise CheckpointError(f"{path}: a folder, where a file should be; move it away")
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["tinygen"])
            if header["format"] != FORMAT:
                raise CheckpointError(
                    f"{path}: format {header['format']}, this tinygen reads format {FORMAT}; "
                    "use the version that wrote it"
                )
            yield file, header
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: damaged or cut short ({error}); use an older checkpoint"
        ) from error
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a file that tinygen wrote") from error


def _digest(arrays: Mapping[str, Array], meta: Any) -> str:
    """A SHA-256 over `meta`, and the names, types, shapes and contents of the arrays."""
    digest = hashlib.sha256(json.dumps(meta, default=_plain).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, which settings may hold, as JSON can."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a checkpoint cannot hold {value!r} of type {type(value).__name__}")


def save_model(model: Any, path: str | os.PathLike[str]) -> None:
    """What `model.save(path)` does."""
    described = describe(model)
    if described["config"] is None:
        raise TypeError(
            f"save: only a model from tinygen.models.create knows how it was built; "
            f"keep {type(model).__name__}.state_dict() instead"
        )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, model.state_dict(), described)


def describe(model: Any) -> dict[str, Any]:
    """How a model is built again: its name and settings; of a module of one's own, no settings."""
    if isinstance(model, models.Model) and getattr(model, "config", None) is not None:
        return {"model": model.name, "config": model.config}
    return {"model": type(model).__name__, "config": None}


def load(path: str | os.PathLike[str], *, check_finite: bool = True) -> models.Model:
    """The model in a file that `model.save` wrote, in a checkpoint, or in a run folder.

    It comes in inference mode. Raises CheckpointError for what cannot be used, which includes NaN
    and infinities unless `check_finite` is False.
    """
    path = trained(path)
    arrays, meta = load_arrays(path, check_finite=check_finite)
    return build(arrays, meta, path)


def build(arrays: Mapping[str, Array], meta: Any, path: Path) -> models.Model:
    """The model that a file describes, with its weights, whose numbers `load_arrays` checked."""
    if isinstance(meta, Mapping) and is_state(meta) and meta.get("config", 0) is None:
        raise CheckpointError(
            f"{path}: the weights of a module of your own ({meta.get('model')}), which only your "
            "code can build. Build it, and bring the weights back by fit(module, ..., out=..., "
            "resume=True) with all else as it was; or by "
            "module.load_state_dict(model_state(*load_arrays(path))) with the two functions of "
            "tinygen.training.checkpoint"
        )
    try:
        model = models.create(meta["model"], **meta["config"])
        model.load_state_dict(model_state(arrays, meta), check_finite=False)
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"{path}: no model that this tinygen knows: {error}") from None
    return model.eval()


def model_state(arrays: Mapping[str, Array], meta: Any) -> dict[str, Array]:
    """The model's own arrays: all of a model's file, some of a checkpoint of a run."""
    own = "model." if is_state(meta) else ""
    return {k.removeprefix(own): v for k, v in arrays.items() if k.startswith(own)}


def is_state(meta: Any) -> bool:
    """Whether a file holds the state of a run to go on from, or else a model alone."""
    return isinstance(meta, Mapping) and "step" in meta


def checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints of a run folder, newest last."""
    found = (Path(folder) / "checkpoints").glob("*.safetensors")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda p: int(p.stem))


def finished(folder: str | os.PathLike[str]) -> Path | None:
    """The finished model of a run folder; None if there is none, or training went on past it."""
    path, found = Path(folder) / MODEL, checkpoints(folder)
    if not path.is_file():
        return None
    try:
        steps = load_meta(path)["steps"]
    except (CheckpointError, KeyError, TypeError):
        return path  # a damaged one, about which whoever loads it is told, or of an older version
    return path if not found or int(found[-1].stem) <= steps else None


def trained(path: str | os.PathLike[str]) -> Path:
    """The file itself; or of a run folder the finished model, else the newest checkpoint."""
    path = Path(path)
    if not path.is_dir():
        return path
    model, found = finished(path), checkpoints(path)
    if model is None and not found:
        raise CheckpointError(f"{path}: no checkpoint in it; is it the folder of a run?")
    return model or found[-1]
