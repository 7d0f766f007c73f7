"""Extractors of people's own: features from a function, or from an ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..backend import Array
from .feature_network import FeatureNetwork, digest_of


def of_function(function: Callable[[Array], Array], name: str, version: str = "") -> FeatureNetwork:
    """A person's own extractor: a function of images (n, ...) in [0, 1] that gives (n, d).

    Args:
        function: what to call.
        name: of it; scores of other names or versions cannot be compared with its own.
        version: a text that changes when the function does.
    """
    digest = digest_of(f"{name}/{version}".encode())

    def extract(images: Array) -> tuple[Array, None]:
        found = np.asarray(function(images))
        if found.ndim != 2 or len(found) != len(images):
            raise ValueError(
                f"{name}: of {len(images)} images it made an array {found.shape}, not "
                f"({len(images)}, features)"
            )
        return found, None

    return FeatureNetwork(name, digest, (), None, extract)


def of_onnx(path: str | Path) -> FeatureNetwork:
    """An ONNX file with one input, images (n, height, width, channels), and features as output.

    Needs onnxruntime: pip install "tinygen[onnx]". Its hash is that of the file.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]  # it has no types
    except ImportError as error:
        raise ModuleNotFoundError(
            'onnxruntime is missing: pip install "tinygen[onnx]"', name="onnxruntime"
        ) from error
    path = Path(path)
    data = path.read_bytes()
    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except (
        Exception
    ) as error:  # onnxruntime's own kinds are many, and some derive from nothing else
        raise ValueError(f"{path} is no ONNX model that onnxruntime takes: {error}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ValueError(f"{path} has {len(inputs)} inputs; one is needed, for images")
    rank = len(inputs[0].shape)

    def extract(images: Array) -> tuple[Array, None]:
        given = images[..., np.newaxis] if images.ndim == 3 and rank == 4 else images
        (found, *_) = session.run(None, {inputs[0].name: given.astype(np.float32)})
        return np.asarray(found).reshape(len(images), -1), None

    digest = digest_of(data)
    return FeatureNetwork(path.name, digest, (), None, extract)
