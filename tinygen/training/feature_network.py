"""Feature networks: the library's own classifiers and regressors, trained once and cached."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, ops
from ..backend import Array, to_numpy
from ..config import no_grad
from ..data import Dataset, Samples, class_labels
from ..data.factors import factor_table
from ..data.registry import cache_folder
from ..models.classifier import Classifier
from ..models.regressor import Regressor
from .checkpoint import CheckpointError, load, save_model
from .fingerprint import fingerprints, plain
from .fit import fit
from .lock import Lock, RunError
from .measure import evaluate
from .signals import Interrupted

BITS = 2  # counts changes of kernels or layers that give the same network other weights
FILE = "network.safetensors"
WAITING = 0.5  # seconds, before a lock is tried again
BATCH = 500  # images at a time


@dataclass(frozen=True)
class FeatureNetwork:
    """A function of images that metrics take features, and probabilities, from.

    Attributes:
        name: for people.
        hash: of its weights, or of what stands for them; scores of different hashes are not
            comparable.
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
    """The library's own network for a data set: trained once, then kept in the user's cache.

    Of labelled data it is the model "classifier", which also gives probabilities; of data with
    known factors, as `faces`, the "regressor" of these. Both are trained on the training data by
    their recipes, with seed 0. In the cache the network is found by the SHA-256 of that data, the
    recipe and the settings; its own hash is that of its weights, since features depend on nothing
    else: two machines that round otherwise get two hashes. While one process trains it, others
    wait. A file that is damaged, or holds a model of another kind or with other settings, is
    replaced.

    Args:
        dataset: with labels, or factors.
        say: what a line for people goes to; by default stderr.

    Raises ValueError for data with neither, Interrupted for a signal while it is trained.
    """
    model = judging_model(dataset, say=say)
    classes = class_labels(dataset)[1] if isinstance(model, Classifier) else ()
    return of_model(model, f"{model.name} of {dataset.name}", classes)


def judging_model(
    dataset: Dataset, *, say: Callable[[str], object] | None = None
) -> Classifier | Regressor:
    """The model behind the feature network of a data set, in inference mode; arguments as there."""
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    task = _task(dataset)
    folder = cache_folder().parent / "features" / f"{dataset.name}-{task.key()}"
    path = folder / FILE
    model = _kept(task, path, say)
    if model is None:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder, say):
            model = _kept(task, path, lambda line: None)  # another process may have made it
            if model is None:
                model = _trained(task, dataset, say)
                save_model(model, path)
    assert isinstance(model, (Classifier, Regressor))
    model.eval()
    return model


def of_model(model: models.Model, name: str, classes: tuple[str, ...] = ()) -> FeatureNetwork:
    """The features of a trained classifier or regressor, and the probabilities of the former."""
    if not isinstance(model, (Classifier, Regressor)):
        raise TypeError(f"features are taken of a classifier or a regressor, not of {model.name}")
    model.eval()

    def extract(images: Array) -> tuple[Array, Array | None]:
        with no_grad():
            features = model.features(images.astype(model.dtype, copy=False))
            if isinstance(model, Regressor):
                return features.numpy(), None
            return features.numpy(), ops.softmax(model.head(features)).numpy()

    shape = tuple(model.config["image_shape"])
    return FeatureNetwork(name, weights_digest(model), classes, shape, extract)


def weights_digest(model: models.Model) -> str:
    """The hash of a model's weights and buffers, with their names, types and shapes."""
    weights = model.state_dict()
    parts = [f"{key} {weights[key].dtype} {weights[key].shape}".encode() for key in weights]
    return digest_of(*parts, *(np.ascontiguousarray(w).tobytes() for w in weights.values()))


def digest_of(*parts: bytes) -> str:
    """The first 16 digits of the SHA-256 of all parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Task:
    """What a network of a data set learns.

    Attributes:
        model: "classifier" or "regressor".
        arrays: training images, and labels or factors.
        classes: names of the labels.
        config: settings of the model.
    """

    model: str
    arrays: tuple[Array, Array]
    classes: tuple[str, ...]
    config: dict[str, Any]

    def key(self) -> str:
        """All that the weights come from, but for how a machine rounds."""
        known = {
            "data": fingerprints(list(self.arrays), []),
            "recipe": plain(models.find(self.model).recipe().training().tables()),
            "config": self.settings,
            "bits": BITS,
        }
        return digest_of(json.dumps(known, sort_keys=True).encode())

    @property
    def settings(self) -> Any:
        """All settings of the model, as JSON holds them."""
        return plain({**models.options(self.model), **self.config})


def _task(dataset: Dataset) -> _Task:
    rows, x = dataset.splits["train"], dataset.train.floats()
    if dataset.labels is None and dataset.factors and dataset.kind == "images":
        factors = factor_table(dataset.train.factors)
        return _Task("regressor", (x, factors), (), {"image_shape": x.shape[1:]})
    labels, names = class_labels(dataset)
    config = {"image_shape": x.shape[1:], "classes": len(names)}
    return _Task("classifier", (x, labels[rows]), names, config)


def _trained(task: _Task, dataset: Dataset, say: Callable[[str], object]) -> models.Model:
    """The network, trained by the recipe of its model, with a line of how good it is."""
    model = models.create(task.model, **task.config)
    epochs = model.recipe().epochs
    say(f"training a {task.model} of {dataset.name} to judge by: {epochs} epochs, once")
    try:
        fit(model, *task.arrays, verbose=False)
    except Interrupted as stopped:
        raise Interrupted(
            stopped.signal_number,
            f"stopped while the {task.model} of {dataset.name} to judge by was trained; nothing of "
            "it is kept, it is trained from the beginning when it is needed again",
        ) from stopped
    which = "test" if len(dataset.test) else "train"
    part: Samples = getattr(dataset, which)
    if task.model == "regressor":
        found = evaluate(model, part.floats(), factor_table(part.factors))
        figures = f"R2 {found['r2']:.3f}, accuracy {found['accuracy']:.3f}"
    else:
        labels = class_labels(dataset)[0][dataset.splits[which]]
        figures = f"accuracy {evaluate(model, part.floats(), labels)['accuracy']:.4f}"
    say(f"{dataset.name}: {figures} on {which} data")
    return model


def _kept(task: _Task, path: Path, say: Callable[[str], object]) -> models.Model | None:
    """The network in the cache; None if there is none, or none that can be used."""
    if not path.is_file():
        return None
    try:
        model = load(path)
    except (CheckpointError, OSError) as error:
        say(f"{error}; it is trained anew")
        return None
    if (model.name, plain(model.config)) != (task.model, task.settings):
        say(f"{path}: a {model.name} with other settings than asked for; it is trained anew")
        return None
    return model


@contextmanager
def _alone_in(folder: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Within the block no other process trains in the folder; until then it waits."""
    told = False
    while True:
        try:
            lock = Lock(folder)
            break
        except RunError:
            if not told:
                say(f"{folder}: another process is training this network; waiting for it")
                told = True
            time.sleep(WAITING)
    try:
        yield
    finally:
        lock.release()
