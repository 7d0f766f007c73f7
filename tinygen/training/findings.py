"""Findings: what went wrong in the training of an adversarial network, and what to try.

Each is a rule on the figures of the epochs, and carries those that it rests on. The limits were set
on the chapter's recipes and on runs that were made to fail, see `python -m benchmarks.findings`,
which also tells how often a rule speaks up in a run that is healthy.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data import centres, class_labels
from ..data.mixtures import SIGMA
from ..models import Adversarial

if TYPE_CHECKING:
    from .experiment import Experiment

SEPARATED = 0.995  # of pairs in order: the discriminator makes next to no mistakes
LASTING = 2  # epochs in which something must hold at the end of a run
VARIED = 0.6  # of the reals' diversity; healthy recipes end between 0.8 and 1.2
EXPLODED = 30.0  # times the median norm of the gradients before
VANISHED = 1e-3  # of the largest norm of the generator's gradient
LARGE = 100.0  # a mean score of losses whose discriminator ends with a logit
REMEMBERED = 0.5  # of the distance between the scores of reals and of fakes

Rows = Sequence[Mapping[str, Any]]


class Finding(NamedTuple):
    """Something that went wrong.

    Attributes:
        name: of the fault: "separation", "collapse", "missing modes", "missing classes",
            "divergence", "vanishing gradient" or "memorisation".
        epoch: since when.
        step: the step at which that epoch ended.
        text: in words, with the figures.
        advice: what to try; settings for `--set` where there are any.
    """

    name: str
    epoch: int
    step: int
    text: str
    advice: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.text} Try: {'; '.join(self.advice)}."


def findings(
    rows: Rows, *, critic: bool = False, modes: int = 0, classes: int = 0
) -> list[Finding]:
    """What the figures of the epochs say.

    Args:
        rows: one for each epoch, as in metrics.jsonl; of a run with `Monitor`.
        critic: scores are those of a Wasserstein critic, which has to separate and has no scale.
        modes: of the mixture that the data comes from; 0 if it does not.
        classes: of the data; 0 if it has none.

    Returns:
        The findings, the most telling first; none where all is well or nothing is known.
    """
    whole = [row for row in rows if "valid_separation" in row or "diversity" in row]
    if not whole:
        return []
    rules: tuple[Callable[[], Finding | None], ...] = (
        lambda: _divergence(whole, critic),
        lambda: _collapse(whole),
        lambda: _missing_modes(whole, modes),
        lambda: _missing_classes(whole, classes),
        lambda: None if critic else _separation(whole),
        lambda: _vanishing(whole),
        lambda: _memorisation(whole),
    )
    return [found for rule in rules if (found := rule()) is not None]


def _since(rows: Rows, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any] | None:
    """The first of the last rows in all of which something holds; None if it is too few of them."""
    found = None
    for n, row in enumerate(reversed(rows), 1):
        if not holds(row):
            break
        found = row if n >= min(LASTING, len(rows)) else None
    return found


def _finding(name: str, row: Mapping[str, Any], text: str, *advice: str) -> Finding:
    where = f"since epoch {row['epoch']} (step {row['step']:,})"
    return Finding(name, row["epoch"], row["step"], text.format(since=where), advice)


def _divergence(rows: Rows, critic: bool) -> Finding | None:
    for network in ("discriminator", "generator"):
        name = f"{network}_gradient"
        norms = [row[name] for row in rows if name in row]
        usual = statistics.median(norms[: max(1, len(norms) // 2)]) if norms else math.inf
        if len(norms) > 1 and norms[-1] > EXPLODED * usual > 0:
            return _finding(
                "divergence",
                _since(rows, _above(name, EXPLODED * usual)) or rows[-1],
                f"Training diverges {{since}}: the norm of the {network}'s gradient went from "
                f"{usual:.3g} to {norms[-1]:.3g}.",
                "a lower learning rate",
                "gradient_penalty=10 or r1=1",
                "spectral_norm=true",
            )
    real, fake = (rows[-1].get(name, 0.0) for name in ("real_score", "fake_score"))
    if not critic and max(abs(real), abs(fake)) > LARGE:
        larger = "real_score" if abs(real) > abs(fake) else "fake_score"
        return _finding(
            "divergence",
            _since(rows, _above(larger, LARGE)) or rows[-1],
            f"Training diverges {{since}}: mean scores are {real:.3g} of reals and {fake:.3g} of "
            "fakes.",
            "a lower learning rate of the discriminator",
            "r1=1",
            "spectral_norm=true",
        )
    return None


def _above(name: str, limit: float) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the size of a figure is above a limit."""
    return lambda row: abs(row.get(name, 0.0)) > limit


def _collapse(rows: Rows) -> Finding | None:
    begun = _since(rows, lambda row: row.get("diversity", 1.0) < VARIED)
    if begun is None:
        return None
    return _finding(
        "collapse",
        begun,
        f"The generator repeats itself {{since}}: two samples are {rows[-1]['diversity']:.2f} "
        "times as far apart as two reals.",
        "packing=2",
        "minibatch=stddev or minibatch=discrimination",
        "loss=relativistic with r1=1 and r2=1",
        "a lower learning rate",
    )


def _missing_modes(rows: Rows, modes: int) -> Finding | None:
    if not modes or "modes" not in rows[-1]:
        return None
    begun = _since(rows, lambda row: row["modes"] < modes)
    if begun is None:
        return None
    best = max(row["modes"] for row in rows)
    return _finding(
        "missing modes",
        begun,
        f"{modes - rows[-1]['modes']:.0f} of {modes} modes are missing at the end; the most that "
        f"were reached are {best:.0f}; {rows[-1]['high_quality']:.0%} of the samples are near one.",
        "packing=2",
        "loss=relativistic with r1=1 and r2=1",
        "average=0.999, if the modes come and go",
    )


def _missing_classes(rows: Rows, classes: int) -> Finding | None:
    judged = [row for row in rows if "classes_missing" in row]
    if not judged or not judged[-1]["classes_missing"]:
        return None
    begun = _since(judged, lambda row: row["classes_missing"] > 0) or judged[-1]
    of = f" of {classes}" if classes else ""
    return _finding(
        "missing classes",
        begun,
        f"{judged[-1]['classes_missing']:.0f}{of} classes are missing {{since}}: each has less "
        "than 2 % of the samples.",
        "packing=2",
        "minibatch=stddev",
        "labels: tinygen train cgan",
    )


def _separation(rows: Rows) -> Finding | None:
    begun = _since(rows, lambda row: row.get("valid_separation", 0.0) > SEPARATED)
    if begun is None:
        return None
    last = rows[-1]
    return _finding(
        "separation",
        begun,
        f"The discriminator separates reals that it has not seen from fakes {{since}}: "
        f"{last['valid_separation']:.2%} of pairs are in order, mean scores are "
        f"{last['valid_real_score']:.2f} and {last['valid_fake_score']:.2f}. The generator learns "
        "little from it.",
        "a lower learning rate of the discriminator",
        "r1=1",
        "instance_noise=0.1",
        "label_smoothing=0.1",
    )


def _vanishing(rows: Rows) -> Finding | None:
    norms = [row["generator_gradient"] for row in rows if "generator_gradient" in row]
    if len(norms) < 2 or not max(norms) * VANISHED > norms[-1]:
        return None
    limit = max(norms) * VANISHED
    begun = _since(rows, lambda row: row.get("generator_gradient", math.inf) < limit) or rows[-1]
    return _finding(
        "vanishing gradient",
        begun,
        f"The generator gets no gradient {{since}}: its norm fell from {max(norms):.3g} to "
        f"{norms[-1]:.3g}.",
        "loss=non_saturating instead of minimax",
        "loss=wasserstein with gradient_penalty=10",
        "a lower learning rate of the discriminator",
    )


def _memorisation(rows: Rows) -> Finding | None:
    def gap(row: Mapping[str, Any]) -> float:
        """How much lower unseen reals score, as a share of the distance to fakes."""
        if "valid_real_score" not in row or "real_score" not in row:
            return 0.0
        apart = row["real_score"] - row["fake_score"]
        return (row["real_score"] - row["valid_real_score"]) / apart if apart > 1 else 0.0

    begun = _since(rows, lambda row: gap(row) > REMEMBERED)
    if begun is None:
        return None
    last = rows[-1]
    return _finding(
        "memorisation",
        begun,
        f"The discriminator learns its training data by heart {{since}}: it scores those reals "
        f"{last['real_score']:.2f} in the mean, others {last['valid_real_score']:.2f}, fakes "
        f"{last['fake_score']:.2f}.",
        "more data",
        "augment=translation,color,cutout, if they are images",
        "a smaller discriminator, or more dropout in it",
        "r1=1",
        "instance_noise=0.1",
    )


def findings_of(experiment: Experiment, rows: Rows) -> list[Finding]:
    """What the figures of a run say; none of a model that is no adversarial network."""
    model, dataset = experiment.model, experiment.dataset
    if not isinstance(model, Adversarial):
        return []
    name = "" if dataset is None else dataset.name
    labelled = dataset is not None and dataset.labels is not None
    return findings(
        rows,
        critic=model.switches.loss == "wasserstein",
        modes=len(centres(name)) if name in SIGMA else 0,
        classes=len(class_labels(dataset)[1]) if labelled and dataset is not None else 0,
    )
