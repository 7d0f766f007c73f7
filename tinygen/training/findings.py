"""Findings: what went wrong in the training of an adversarial network, and what to try.

Each is a rule on the figures of the epochs, and carries those that it rests on. The limits were set
on the chapter's recipes and on runs that were made to fail, see `python -m benchmarks.findings`,
which also tells how often a rule speaks up in a run that is healthy. Diversity that grows
is that of pale ones, not of a collapse; memorisation is the gap between seen and unseen reals.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data import centres
from ..data.mixtures import SIGMA
from ..models import Adversarial

if TYPE_CHECKING:
    from .experiment import Experiment

SEPARATED = 0.995  # of pairs in order: the discriminator makes next to no mistakes
LASTING = 2  # epochs in which something must hold at the end of a run
VARIED = 0.3  # of the reals' diversity, where it does not grow
GROWING = 1.1  # times the diversity in the middle of the run
TWINS = 0.2  # of the reals' relative distance to the nearest other; healthy recipes are above 0.45
FAR = 2.0  # times the reals' distance to the nearest real; healthy recipes end between 1 and 1.75
EXPLODED = 30.0  # times the median norm of the gradients before
VANISHED = 1e-3  # of the largest norm of the generator's gradient
PASSED = 0.01  # of the gradient that the minimax loss lets through
LARGE, LARGE_CRITIC = 100.0, 1_000.0  # mean scores: logits, and those of a critic
REMEMBERED = 0.5  # of the distance between the scores of reals and of fakes
APART = 0.5  # between mean scores of reals and of fakes: less is not judged
SMOOTHED = 10  # parts of a run over each of which scores are averaged

FOR_GRADIENTS = (
    "loss=non_saturating instead of minimax",
    "loss=wasserstein with gradient_penalty=10",
    "a lower learning rate of the discriminator",
)

Rows = Sequence[Mapping[str, Any]]


class Finding(NamedTuple):
    """Something that went wrong.

    Attributes:
        name: of the fault: "separation", "collapse", "missing modes", "missing classes",
            "low fidelity", "divergence", "vanishing gradient" or "memorisation".
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
    rows: Rows, *, loss: str = "non_saturating", modes: int = 0, classes: int = 0
) -> list[Finding]:
    """What the figures of the epochs say.

    Args:
        rows: one for each epoch, as in metrics.jsonl; of a run with `Monitor`.
        loss: of `tinygen.models.losses`. The scores of "wasserstein" are those of a critic, which
            has to separate; "minimax" passes little gradient where fakes score low.
        modes: of the mixture that the data comes from; 0 if it does not.
        classes: of the data; 0 if it has none.

    Returns:
        The findings, the most telling first; none where all is well or nothing is known.
    """
    whole = [row for row in rows if "valid_separation" in row or "diversity" in row]
    if not whole:
        return []
    critic = loss == "wasserstein"
    rules: tuple[Callable[[], Finding | None], ...] = (
        lambda: _divergence(whole, critic),
        lambda: _collapse(whole),
        lambda: _missing_modes(whole, modes),
        lambda: _missing_classes(whole, classes),
        lambda: _low_fidelity(whole),
        lambda: None if critic else _separation(whole),
        lambda: _saturation(whole) if loss == "minimax" else None,
        lambda: _vanishing(whole),
        lambda: _memorisation(whole),
    )
    found = [finding for rule in rules if (finding := rule()) is not None]
    return list({finding.name: finding for finding in reversed(found)}.values())[::-1]


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
    limit = LARGE_CRITIC if critic else LARGE
    begun = _since(rows, lambda row: _largest_score(row) > limit)
    if begun is not None:
        of = ("critic", "gradient_penalty=10") if critic else ("discriminator", "r1=1")
        return _finding(
            "divergence",
            begun,
            f"Training diverges {{since}}: mean scores of the {of[0]} are of the size of "
            f"{_largest_score(rows[-1]):,.0f}.",
            f"a lower learning rate of the {of[0]}",
            of[1],
            "clip=0.01" if critic else "spectral_norm=true",
        )
    return None


def _largest_score(row: Mapping[str, Any]) -> float:
    """The mean score of reals or fakes, seen or not, that is furthest from 0."""
    parts = ("real_score", "fake_score", "valid_real_score", "valid_fake_score")
    return max(abs(float(row.get(name, 0.0))) for name in parts)


def _above(name: str, limit: float) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the size of a figure is above a limit."""
    return lambda row: abs(row.get(name, 0.0)) > limit


def _collapse(rows: Rows) -> Finding | None:
    last, before = rows[-1], rows[(len(rows) - 1) // 2]
    advice = (
        "packing=2",
        "minibatch=stddev or minibatch=discrimination",
        "loss=relativistic with r1=1 and r2=1",
        "a lower learning rate",
        "more latents",
    )
    begun = _since(rows, lambda row: row.get("nearest_sample", 1.0) < TWINS)
    if begun is not None:
        text = (
            "The generator repeats itself {since}: for how varied samples are, the nearest other "
            f"one is {last['nearest_sample']:.2f} times as far as among reals."
        )
        return _finding("collapse", begun, text, *advice)
    begun = _since(rows, lambda row: row.get("diversity", 1.0) < VARIED)
    # samples of an average of the generator begin pale, and gain contrast
    if begun is None or last["diversity"] > GROWING * before.get("diversity", math.inf):
        return None
    text = (
        f"The generator repeats itself {{since}}: two samples are {last['diversity']:.2f} times as "
        "far apart as two reals."
    )
    return _finding("collapse", begun, text, *advice)


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


def _low_fidelity(rows: Rows) -> Finding | None:
    begun = _since(rows, lambda row: row.get("nearest_real", 1.0) > FAR)
    if begun is None:
        return None
    return _finding(
        "low fidelity",
        begun,
        "Samples are unlike the data {since}: the nearest real is "
        f"{rows[-1]['nearest_real']:.1f} times as far from them as from another real.",
        "a lower learning rate, most of all of the generator",
        "more epochs",
        "spectral_norm=true",
    )


def _saturation(rows: Rows) -> Finding | None:
    """Fakes are told from reals, and log(1 - D) is flat there: its gradient has the factor D."""

    def passed(row: Mapping[str, Any]) -> float:
        score = row.get("fake_score", 0.0)
        return math.exp(min(score, 0.0)) / (1.0 + math.exp(-abs(score)))

    begun = _since(rows, lambda row: passed(row) < PASSED)
    if begun is None:
        return None
    return _finding(
        "vanishing gradient",
        begun,
        f"The generator gets no gradient {{since}}: at the fakes' mean score of "
        f"{rows[-1]['fake_score']:.2f} the minimax loss passes {passed(rows[-1]):.2g} of it.",
        *FOR_GRADIENTS,
    )


def _vanishing(rows: Rows) -> Finding | None:
    known = [row for row in rows if "generator_gradient" in row]
    norms = [row["generator_gradient"] for row in known]
    if len(norms) < 2 or not max(norms) * VANISHED > norms[-1]:
        return None
    begun = _since(known, lambda row: row["generator_gradient"] < max(norms) * VANISHED)
    return _finding(
        "vanishing gradient",
        begun or rows[-1],
        f"The generator gets no gradient {{since}}: its norm fell from {max(norms):.3g} to "
        f"{norms[-1]:.3g}.",
        *FOR_GRADIENTS,
    )


def _memorisation(rows: Rows) -> Finding | None:
    parts = ("seen_real_score", "valid_real_score", "valid_fake_score")
    known = [row for row in rows if all(name in row for name in parts)]
    span = max(1, len(known) // SMOOTHED)  # scores of single epochs go up and down
    smooth = []
    for n, row in enumerate(known, 1):
        recent = known[max(0, n - span) : n]
        means = {name: statistics.fmean(r[name] for r in recent) for name in parts}
        smooth.append({**row, **means})

    def gap(row: Mapping[str, Any]) -> float:
        """How much lower unseen reals score than seen ones, as a share of the distance to fakes."""
        seen, unseen, fake = (float(row[name]) for name in parts)
        return (seen - unseen) / (seen - fake) if seen - fake > APART else 0.0

    begun = _since(smooth, lambda row: gap(row) > REMEMBERED)
    if begun is None:
        return None
    seen, unseen, fake = (smooth[-1][name] for name in parts)
    return _finding(
        "memorisation",
        begun,
        f"The discriminator learns its training data by heart {{since}}: it scores those reals "
        f"{seen:.2f} in the mean, others {unseen:.2f}, fakes {fake:.2f}.",
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
    return findings(
        rows,
        loss=model.switches.loss,
        modes=len(centres(name)) if name in SIGMA else 0,
        classes=len(experiment.class_names),
    )
