"""From settings to a run: what the shell trains, and how it is built again to go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..backend import Array
from ..data import Dataset, Samples, class_labels
from ..data import load as load_data
from ..data.factors import factor_table
from ..data.images import in_words
from ..data.mixtures import SIGMA, centres
from ..models import Adversarial, Model, TrainingOptions, find
from .callbacks import Callback, EarlyStopping
from .checkpoint import (
    CheckpointError,
    checkpoints,
    is_state,
    load_arrays,
    model_state,
    trained,
)
from .data_options import lacking
from .feature_network import FeatureNetwork, feature_network
from .fingerprint import data_differs, fingerprints, model_differs
from .judge_samples import JudgeSamples
from .loop import Trainer
from .monitor import Monitor
from .progress import Progress
from .run import Run, RunError
from .settings import SettingsError, build_model, check_tables, read_settings
from .state import check as check_state


@dataclass
class Experiment:
    """A model, what to train it on, and the trainer that will.

    Attributes:
        settings: see `settings`, with the shape of the samples.
        model: not trained yet.
        train: the arrays to fit.
        valid: those to validate with; none if there is too little data.
        dataset: the images these come from, with labels and factors; None if it is no set of them.
    """

    settings: Mapping[str, Any]
    model: Model
    train: Sequence[Array]
    valid: Sequence[Array]
    dataset: Dataset | None = None

    @classmethod
    def build(cls, settings: Mapping[str, Any]) -> Experiment:
        """Load the data and make the model for it, which notes what the samples are.

        Raises SettingsError if no such model can be made, or trained as the settings say; RunError
        if the data is not what it was when the run began.
        """
        dataset = _load(settings["data"])
        config, source = dict(settings["config"]), settings["data"]["source"]
        if find(settings["model"]).learns_labels(config):
            dataset, classes = _classified(settings["model"], source, dataset)
            if config.get("classes") not in (None, classes):
                if not find(settings["model"]).labelled:
                    raise SettingsError(
                        f"{source} has {classes} classes, not {config['classes']}: set "
                        f"classes={classes}"
                    )
                raise RunError(
                    f"{source} has {classes} classes, the model is one for {config['classes']}: "
                    "the data is not what it was when the run began"
                )
            config["classes"] = classes
        train, valid = _arrays(settings, dataset, "train"), _arrays(settings, dataset, "valid")
        if dataset.kind == "characters":
            if config["alphabet"] not in ("", dataset.alphabet):
                raise RunError(
                    f"{source} has other characters than when the run began; the model can only go "
                    "on with the text that it knows"
                )
            config["alphabet"] = dataset.alphabet
        shape = list(train[0].shape[1:])
        if config.get("image_shape") not in (None, shape):
            raise RunError(
                f"{source} has samples of shape {tuple(shape)}, the model is one for "
                f"{tuple(config['image_shape'])}: the data is not what it was when the run began"
            )
        config["image_shape"] = shape
        model = build_model(config, settings)
        return cls({**settings, "config": config}, model, train, valid, dataset)

    @classmethod
    def of(cls, run: Run) -> Experiment:
        """The experiment of a run's folder; raises RunError for damaged settings, naming them."""
        path = run.folder / "config.toml"
        settings = read_settings(run.config, path)
        try:
            return cls.build(settings)
        except SettingsError as error:
            raise RunError(f"{path}: {error}; put back what it was") from error

    @property
    def samples(self) -> Array:
        """What to show: the samples to validate with, if there are any."""
        return (self.valid or self.train)[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes of the data; empty without labels."""
        if self.dataset is None or self.dataset.labels is None:
            return ()
        return class_labels(self.dataset)[1]

    def brought(self) -> str:
        """In words, what became of images that a folder or file has in another format; or ""."""
        if self.dataset is None or not self.dataset.found:
            return ""
        now = in_words(*self.dataset.images.shape[1:])
        return "" if now == self.dataset.found else f"images of {self.dataset.found} become {now}"

    @property
    def test(self) -> Sequence[Array]:
        """The arrays to keep for the very end; none if there is too little data."""
        return [] if self.dataset is None else _arrays(self.settings, self.dataset, "test")

    @property
    def kept(self) -> Sequence[Array]:
        """The same as the data set has it, of bytes if it is of images: a fourth to be hashed."""
        return (
            []
            if self.dataset is None or not len(self.dataset.test)
            else [self.dataset.test.images, *_targets(self.settings, self.dataset.test)]
        )

    def trainer(self, callbacks: Sequence[Callback] = (), show: bool = True) -> Trainer:
        """The trainer, at the beginning; the model moves to the device of the settings."""
        options = TrainingOptions.from_tables(self.settings)
        self.model.to(device=options.device)
        own: list[Callback] = []
        if options.patience is not None:
            monitor = "valid_loss" if self.valid else "loss"
            own.append(EarlyStopping(monitor, options.patience))
        if isinstance(self.model, Adversarial):
            own.append(self._monitor())
        progress = Progress(show)
        if options.judge_every is not None:
            own.append(self._judge(options, progress))
        return Trainer(
            self.model,
            self.model.stages(options),
            self.train,
            options,
            valid=self.valid,
            test=self.kept,
            callbacks=[*own, *callbacks],
            progress=progress,
        )

    def feature_network(self, say: Callable[[str], object] | None = None) -> FeatureNetwork | None:
        """What samples are judged by; None for data that has neither labels nor factors.

        It learns from all data of the source, also where a run is limited to less of it.
        """
        if self.dataset is None or (self.dataset.labels is None and not self.dataset.factors):
            return None
        limited = self.settings["data"]["count"] is not None
        whole = _load({**self.settings["data"], "count": None}) if limited else self.dataset
        return feature_network(whole, say=say)

    def _monitor(self) -> Monitor:
        """What watches samples during training; of a mixture with its modes."""
        name = "" if self.dataset is None else self.dataset.name
        if name not in SIGMA:
            return Monitor(self.samples)
        return Monitor(self.samples, centres=centres(name), sigma=SIGMA[name])

    def _judge(self, options: TrainingOptions, progress: Progress) -> JudgeSamples:
        """What judges samples during training; raises SettingsError where there are none."""
        if not hasattr(self.model, "sample") or self.dataset is None:
            raise SettingsError(f"judge_every: {self.model.name} draws no samples to judge")
        if self.dataset.kind != "images" or self.samples.ndim < 3:
            raise SettingsError(f"judge_every: images are judged, not {self.dataset.kind}")
        known = self.dataset.labels is not None or self.dataset.factors

        def network() -> FeatureNetwork:
            found = self.feature_network(progress.say)
            assert found is not None
            return found

        try:
            return JudgeSamples(
                self.samples,
                network if known else None,
                every=options.judge_every or 1,
                samples=options.judge_samples,
            )
        except ValueError as error:
            raise SettingsError(f"judge_every, judge_samples: {error}") from error


def _load(wanted: Mapping[str, Any]) -> Dataset:
    """The data set that the settings name."""
    wanted = {"size": None, "channels": None, "count": None, **wanted}
    return load_data(
        wanted["source"],
        size=wanted["size"],
        channels=wanted["channels"],
        count=wanted["count"],
        seed=wanted["seed"],
    )


def _classified(model: str, source: str, dataset: Dataset) -> tuple[Dataset, int]:
    """The data set with labels from 0 on, and how many classes; SettingsError without labels."""
    if dataset.labels is None:
        raise SettingsError(lacking(model, source))
    labels, names = class_labels(dataset)
    return replace(dataset, labels=labels, class_names=names), len(names)


def _arrays(settings: Mapping[str, Any], dataset: Dataset, split: str) -> list[Array]:
    """What a model learns from or is measured on; none of a part without samples."""
    samples: Samples = getattr(dataset, split)
    return [samples.floats(), *_targets(settings, samples)] if len(samples) else []


def _targets(settings: Mapping[str, Any], samples: Samples) -> list[Array]:
    """What the model learns of samples, if it is something else than the samples."""
    model = find(settings["model"])
    if model.factored:
        if not samples.factors or samples.kind != "images":
            raise SettingsError(lacking(model.name, settings["data"]["source"]))
        return [factor_table(samples.factors, settings["config"]["factors"])]
    if model.learns_labels(settings["config"]):
        assert samples.labels is not None  # see _classified
        return [samples.labels]
    return []


@contextmanager
def reopen(source: str | Path, epochs: int | None = None) -> Iterator[tuple[Run, Path | None]]:
    """The run that a folder, or a checkpoint in one, belongs to, and the checkpoint to go on from.

    Within the block no other process trains in the folder.

    Args:
        source: the folder (its newest checkpoint is taken, None if there is none yet), or a
            checkpoint.
        epochs: a new total of epochs for the run; it replaces a limit in steps. It is written when
            the run goes on.

    Raises RunError if it is no run, another process trains in it, or it is done and its checkpoints
    are gone.
    """
    run, path = _run_of(Path(source)), Path(source)
    with run.locked():
        checkpoint = path if path.is_file() else next(reversed(checkpoints(run.folder)), None)
        if checkpoint is None:
            run.check_fresh()
        if epochs is not None:
            _lengthen(run, epochs, checkpoint)
        yield run, checkpoint


def _lengthen(run: Run, epochs: int, checkpoint: Path | None) -> None:
    """Give the run another total of epochs, if it has not done more already."""
    if run.config["training"].get("greedy"):
        raise RunError(f"{run.folder} has several stages; their epochs cannot be changed now")
    meta = load_arrays(checkpoint)[1] if checkpoint else {}
    if checkpoint and is_state(meta):
        check_state(meta, checkpoint)
    if is_state(meta) and epochs < meta["epoch"] + bool(meta["batch"]):
        raise RunError(
            f"{checkpoint} is in epoch {meta['epoch'] + bool(meta['batch'])} already; "
            f"a total of {epochs} is too few"
        )
    run.change("training", epochs=epochs, max_steps=None)


def restore(source: str | Path) -> tuple[Experiment, Path]:
    """The experiment of a run, trained, and the run's folder; or with a given file's weights.

    Raises RunError if config.toml has other settings of the model than the weights were trained
    with. Data that has changed since is told on stderr: what is measured on it is another figure.
    """
    run = _run_of(Path(source))
    path = trained(source)
    arrays, meta = load_arrays(path)
    experiment = Experiment.of(run)
    _check_model(run.folder / "config.toml", experiment.model, path, meta)
    try:
        experiment.model.load_state_dict(model_state(arrays, meta))
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit the model in {run.folder / 'config.toml'}: {error}"
        ) from error
    if "data" in meta:
        now = fingerprints(experiment.train, experiment.valid, experiment.kept)
        differs = data_differs(meta["data"], now)
        if differs:
            print(f"the data has changed: the model in {path} {differs}", file=sys.stderr)
    return experiment, run.folder


def _check_model(config: Path, model: Model, path: Path, meta: Mapping[str, Any]) -> None:
    """Raise RunError if the settings describe another model than a file of weights."""
    differs = model_differs(model.name, meta.get("config"), model.config)
    if meta.get("model") != model.name:
        differs = f"model {meta.get('model')!r}, not {model.name!r}"
    if differs:
        raise RunError(
            f"{config} is not what {path.name} was trained with: {differs}; put it back as it was"
        )


def folder_of(path: str | Path) -> Path:
    """The folder of the run: the path itself, or of a file in it the one above."""
    path = Path(path)
    if not path.is_file():
        return path
    found = [p for p in path.parents[:2] if (p / "config.toml").is_file()]
    return found[0] if found else path.parent


def _run_of(path: Path) -> Run:
    """The run that a folder, or a file in it, belongs to."""
    folder = folder_of(path)
    run = Run.open(folder)
    path = folder / "config.toml"
    check_tables(run.config, path)
    if "model" in run.config and not {"data", "config", "preset"} & {*run.config}:
        raise RunError(f"{folder} was made in a script, which has its data: {run.to_go_on()}")
    read_settings(run.config, path)
    return run
