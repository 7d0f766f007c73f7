"""Judge what a generative model makes while it is trained: a callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..models import Model
from ..names import nearest
from ..ops.random import Random
from ..ranges import whole
from .callbacks import Callback
from .feature_network import FeatureNetwork
from .judging import LEAST, NAMES, OF_IMAGES, able_names, judge
from .signals import Interrupted

if TYPE_CHECKING:
    from .loop import Trainer

BATCH = 500  # samples at a time
DEFAULT = ("frechet_distance", "precision", "recall")
WITHOUT_FEATURES = ("sliced_wasserstein",)


def samples_of(model: Model, n: int, seed: int = 0) -> Array:
    """n samples of a generative model in inference mode, from the average if it has one.

    Args:
        model: with a method `sample`.
        n: how many.
        seed: of latents and labels; the same ones come whatever else is drawn.

    Returns:
        (n, ...), in the range of the data.
    """
    if not hasattr(model, "sample"):
        raise ValueError(f"{model.name} draws no samples")
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            parts = [
                model.sample(min(BATCH, n - i), rng=Random(seed, f"evaluation/{i}")).numpy()
                for i in range(0, n, BATCH)
            ]
    finally:
        model.train(was_training)
    return np.concatenate(parts)


class JudgeSamples(Callback):
    """Scores of samples every few epochs and at the end, beside the losses of these epochs.

    They come from latents that are the same every time, and draw from no stream of training: the
    run is the same to the bit with it or without.

    Args:
        real: images in [0, 1] to judge against, (m, h, w) or (m, h, w, c).
        network: where features come from, or a function that gives it when it is first needed;
            None for metrics of images alone.
        every: epochs from one time to the next.
        samples: how many are judged; no more than there are reals.
        names: of `tinygen.training.judging.NAMES`; by default the Fréchet distance, precision,
            recall and, where there are classes, how many are missing; without a network the
            sliced Wasserstein distance.
        seed: of latents, and of what metrics draw.

    Raises ValueError, before anything is trained, for counts that make no sense, unknown names,
    and metrics that need features, more samples or larger images than there are.
    """

    def __init__(
        self,
        real: Array,
        network: FeatureNetwork | Callable[[], FeatureNetwork] | None = None,
        *,
        every: int = 1,
        samples: int = 2_000,
        names: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.every = whole("JudgeSamples: every", every)
        self.real = real[: whole("JudgeSamples: samples", samples, least=2)]
        self.network, self.seed = network, seed
        self.names = None if names is None else tuple(names)
        default = DEFAULT if network is not None else WITHOUT_FEATURES
        wanted = default if self.names is None else self.names
        if not wanted:
            raise ValueError("JudgeSamples: names must hold at least one metric")
        for name in wanted:
            if name not in NAMES:
                raise ValueError(f"JudgeSamples: unknown metric {name!r}{nearest(name, NAMES)}")
            if network is None and name not in OF_IMAGES:
                raise ValueError(f"JudgeSamples: {name} needs a feature network, and there is none")
            least = LEAST.get(name, 2)
            if len(self.real) < least:
                raise ValueError(
                    f"JudgeSamples: {name} needs at least {least} samples and as many reals, not "
                    f"{len(self.real)}"
                )
        of_images = [name for name in wanted if name in OF_IMAGES]
        if of_images:  # a trial, since the sizes that they take differ
            judge(self.real[:2], self.real[:2], None, names=of_images)

    def on_begin(self, trainer: Trainer) -> None:
        """Train the network if it has to be, before an interruption would lose something."""
        self._chosen(trainer)

    def _chosen(self, trainer: Trainer) -> tuple[FeatureNetwork | None, list[str]]:
        """The network, and the metrics that it is to give."""
        if self.network is not None and not isinstance(self.network, FeatureNetwork):
            try:
                self.network = self.network()
            except Interrupted as stopped:
                if trainer.run is None:
                    raise
                again = f"{stopped}\nGo on with: {trainer.run.to_go_on()}"
                raise Interrupted(stopped.signal_number, again) from stopped
        names = self.names
        if names is None:
            names = WITHOUT_FEATURES if self.network is None else DEFAULT
            if self.network is not None and self.network.classes:
                names = (*names, "classes_missing")
        return self.network, able_names(names, self.network)

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Add the scores to the line of metrics, if their turn has come."""
        if not trainer.done and (trainer.batch or row["epoch"] % self.every):
            return
        n = len(self.real)
        network, names = self._chosen(trainer)
        trainer.progress.say(f"judging {n:,} samples against {n:,} reals")
        fake = samples_of(trainer.model, n, self.seed)  # type: ignore[arg-type]  # it is asked
        found = judge(np.clip(fake, 0, 1), self.real, network, names=names, seed=self.seed)
        row.update({name: float(value) for name, value in found.scores.items()})
