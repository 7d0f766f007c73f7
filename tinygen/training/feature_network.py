"""Feature networks: the library's own classifiers, trained once and cached, and other people's."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, ops
from ..backend import Array, to_numpy
from ..config import no_grad
from ..data import Dataset, Samples, class_labels
from ..data.registry import cache_folder
from ..models.classifier import Classifier
from .checkpoint import CheckpointError, load, save_model
from .fingerprint import fingerprints, plain
from .fit import fit
from .measure import evaluate

BITS = 1  # counts changes of kernels or layers that give the same network other weights
BATCH = 500  # images at a time


@dataclass(frozen=True)
class FeatureNetwork:
    """A function of images that metrics take features, and probabilities, from.

    Attributes:
        name: for people.
        hash: of all that its features depend on; scores of different hashes are not comparable.
        classes: names of the classes; empty if there are none.
        image_shape: of an image, (height, width) or (height, width, channels); None for any.
        extract: images (n, ...) -> features (n, d), and probabilities (n, classes) or None.
    """

    name: str
    hash: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    extract: Callable[[Array], tuple[Array, Array | None]]

    def __call__(self, images: Array) -> tuple[Array, Array | None]:
        """Features (n, d) and probabilities (n, classes) or None, in float64.

        Raises ValueError for images of another shape, or that are no floats in [0, 1].
        """
        images = to_numpy(images)
        if self.image_shape is not None and images.shape[1:] != self.image_shape:
            raise ValueError(
                f"{self.name} was trained on images of {self.image_shape}, not {images.shape[1:]}"
            )
        if not len(images):
            raise ValueError(f"{self.name}: there are no images")
        if images.dtype.kind != "f" or not (images.min() >= -1e-3 and images.max() <= 1 + 1e-3):
            raise ValueError(
                f"{self.name} takes floats in [0, 1], not {images.dtype} from {images.min():.4g} "
                f"to {images.max():.4g}"
            )
        parts = [self.extract(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        features = np.concatenate([f for f, _ in parts]).astype(np.float64)
        if any(p is None for _, p in parts):
            return features, None
        return features, np.concatenate([p for _, p in parts if p is not None]).astype(np.float64)

    def features(self, images: Array) -> Array:
        """The features alone: (n, ...) -> (n, d)."""
        return self(images)[0]

    def probabilities(self, images: Array) -> Array:
        """The probability of each class: (n, ...) -> (n, classes); ValueError without classes."""
        found = self(images)[1]
        if found is None:
            raise ValueError(f"{self.name} has no classes")
        return found


def feature_network(
    dataset: Dataset, *, say: Callable[[str], object] | None = None
) -> FeatureNetwork:
    """The library's own classifier of a labelled data set, trained once and then kept.

    It is trained by the fixed recipe of the model "classifier" with seed 0. The cache knows it by
    the SHA-256 of its training data, the recipe and what the kernels compute; a damaged file is
    replaced. Two processes at once train it twice, to the same bits.

    Args:
        dataset: with labels.
        say: what a line for people goes to; by default stderr.

    Raises ValueError for data without labels.
    """
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    labels, names = class_labels(dataset)
    recipe, rows = Classifier.recipe(), dataset.splits["train"]
    x, y = dataset.train.floats(), labels[rows]
    config = {"image_shape": x.shape[1:], "classes": len(names)}
    known = {
        "data": fingerprints([x, y], []),
        "recipe": plain(recipe.training().tables()),
        "config": plain({**models.options("classifier"), **config}),
        "bits": BITS,
    }
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_folder().parent / "features" / f"{dataset.name}-{digest}.safetensors"
    model = _kept(path, say)
    if model is None:
        say(f"training a classifier of {dataset.name} to judge by: {recipe.epochs} epochs, once")
        model = models.create("classifier", **config)
        fit(model, x, y, verbose=False, callbacks=[], **_arguments(recipe))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, path)
        say(f"{path}: {_accuracy(model, dataset, labels)}")
    return of_classifier(model, f"classifier of {dataset.name}", digest, names)


def of_classifier(
    model: models.Model, name: str, digest: str, names: tuple[str, ...] = ()
) -> FeatureNetwork:
    """The features and probabilities of a trained classifier."""
    assert isinstance(model, Classifier)
    model.eval()

    def extract(images: Array) -> tuple[Array, Array]:
        with no_grad():
            features = model.features(images.astype(model.dtype, copy=False))
            probabilities = ops.softmax(model.head(features))
        return features.numpy(), probabilities.numpy()

    shape = tuple(model.config["image_shape"])
    return FeatureNetwork(name, digest, names, shape, extract)


def of_function(function: Callable[[Array], Array], name: str, version: str = "") -> FeatureNetwork:
    """A person's own extractor: a function of images (n, ...) in [0, 1] that gives (n, d).

    Args:
        function: what to call.
        name: of it; scores of other names or versions cannot be compared with its own.
        version: a text that changes when the function does.
    """
    digest = hashlib.sha256(f"{name}/{version}".encode()).hexdigest()[:16]

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

    digest = hashlib.sha256(data).hexdigest()[:16]
    return FeatureNetwork(path.name, digest, (), None, extract)


def _kept(path: Path, say: Callable[[str], object]) -> models.Model | None:
    """The network in the cache; None if there is none that can be used."""
    if not path.is_file():
        return None
    try:
        return load(path)
    except (CheckpointError, OSError) as error:
        say(f"{error}; it is trained anew")
        return None


def _arguments(recipe: models.Recipe) -> dict[str, Any]:
    """What `fit` takes of a recipe."""
    return {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "optimizer": recipe.optimizer,
        **recipe.options,
        "seed": 0,
    }


def _accuracy(model: models.Model, dataset: Dataset, labels: Array) -> str:
    """How good it is on data that it has not seen."""
    rows: Samples = dataset.test if len(dataset.test) else dataset.train
    which = "test" if len(dataset.test) else "train"
    found = evaluate(model, rows.floats(), labels[dataset.splits[which]])
    return f"accuracy {found['accuracy']:.4f} on {which} data"
