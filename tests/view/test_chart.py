"""Charts as SVG: what is drawn can be read off the axes again."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from importlib import resources

import numpy as np
import pytest

from tinygen.view.chart import even_ticks, line_chart
from tinygen.view.curves import Curve, Stroke, grouped, stage_starts, strokes


def texts(svg, anchor: str) -> list[tuple[str, float, float]]:
    """The labels of an axis: what they say, and where they are."""
    found = [t for t in svg.iter("text") if t.get("text-anchor") == anchor and t.text != "epoch"]
    return [(t.text, float(t.get("x")), float(t.get("y"))) for t in found]


def read_off(svg, kind: str, log: bool = False) -> list[tuple[float, float]]:
    """The values of the dots of a class, by the ticks of both axes."""
    shape = math.log if log else float
    downs = np.array([(y - 4, shape(float(text))) for text, _, y in texts(svg, "end")])
    across = np.array([(x, float(text)) for text, x, _ in texts(svg, "middle")])
    to_value, to_epoch = (np.polyfit(*pairs.T, 1) for pairs in (downs, across))
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter("circle")]
    kinds = [c.get("class") for c in svg.iter("circle")]
    values = [(np.polyval(to_epoch, x), np.polyval(to_value, y)) for x, y in dots]
    values = [value for value, k in zip(values, kinds, strict=True) if k == kind]
    return [(e, math.exp(v)) for e, v in values] if log else values


@pytest.mark.parametrize(
    ("training", "validation", "log"),
    [
        ((0.34, 0.31, 0.3), (0.32, 0.3, 0.29), False),
        ((5.0, 0.7, 0.02), (4.0, 0.5, 0.03), True),
        ((-3.0, -8.0, 2.0), (0.0, 0.0, 0.0), False),
        ((1e-7, 2e-7, 3e-7), (1e-7, 1e-7, 1e-7), False),
    ],
)
def test_values_can_be_read_off(training, validation, log):
    curves = [Curve("loss", (1, 2, 3), training), Curve("valid_loss", (1, 2, 3), validation)]
    svg = ElementTree.fromstring(line_chart(curves))
    for kind, values in (("training", training), ("validation", validation)):
        found = read_off(svg, kind, log)
        assert [e for e, _ in found] == pytest.approx([1, 2, 3], abs=0.01)
        room = max(map(abs, training)) * (0.03 if log else 0.01)
        assert [v for _, v in found] == pytest.approx(values, abs=room)


def test_names_levels_and_stages():
    curves = [Curve("pair_loss", (1, 2, 3, 4), (4.0, 3.0, 3.0, 2.0))]
    svg = ElementTree.fromstring(line_chart(curves, level=1.0, starts=[3]))
    assert [text for text, _, _ in texts(svg, "start")] == ["pair loss", "published 1"]
    ticks = {float(text): y - 4 for text, _, y in texts(svg, "end")}
    level, start = (
        next(p for p in svg.iter("path") if p.get("class") == c) for c in ("level", "start")
    )
    assert float(level.get("d").split("H")[0].split()[1]) == pytest.approx(ticks[1.0], abs=0.1)
    two, three = (x for text, x, _ in texts(svg, "middle") if text in "23")
    assert float(start.get("d")[1:].split()[0]) == pytest.approx((two + three) / 2, abs=0.1)


def curves_of(*names: str) -> list[Curve]:
    return [Curve(name, (1, 2), (1.0, 2.0)) for name in names]


def test_one_curve_of_validation_has_a_colour_of_its_own_and_several_those_of_their_twins():
    alone = curves_of("loss", "penalty", "valid_loss")
    assert strokes(alone) == [Stroke(0, False), Stroke(1, False), Stroke(None, False)]
    several = curves_of("loss", "valid_loss", "kl_loss", "valid_kl_loss", "valid_other")
    dashed = [Stroke(0, False), Stroke(0, True), Stroke(1, False), Stroke(1, True)]
    assert strokes(several) == [*dashed, Stroke(None, False)]
    svg = ElementTree.fromstring(line_chart(several))
    kinds = [c.get("class") for c in svg.iter("circle")][::2]  # each curve has two dots
    assert kinds == [
        "training", "training held", "training2", "training2 held", "validation"
    ]  # fmt: skip


def test_every_colour_of_a_curve_is_in_the_style_sheet_of_the_report():
    sheet = (resources.files("tinygen.view") / "templates" / "report.html").read_text("utf-8")
    svg = ElementTree.fromstring(line_chart(curves_of(*"abcde", "valid_a", "valid_b")))
    kinds = {c.get("class").split()[0] for c in svg.iter("circle")}
    assert kinds == {"training", "training2", "training3"}
    for kind in {*kinds, "validation"}:
        assert f"circle.{kind} " in sheet
        assert f".line.{kind} " in sheet


@pytest.mark.parametrize("values", [(3.0,), (0.0,), (2.0, 2.0)])
def test_a_single_value_is_drawn_in_the_middle(values):
    svg = ElementTree.fromstring(line_chart([Curve("loss", (7, 8)[: len(values)], values)]))
    assert len(list(svg.iter("circle"))) == len(values)
    assert [text for text, _, _ in texts(svg, "end")] == [f"{values[0]:g}"]


def test_many_values_have_no_dots():
    epochs = tuple(range(1, 2001))
    svg = ElementTree.fromstring(line_chart([Curve("loss", epochs, tuple(map(float, epochs)))]))
    assert not list(svg.iter("circle"))
    line = next(p for p in svg.iter("path") if p.get("class") == "line training")
    assert line.get("d").count("L") == 1999


def test_hostile_names_stay_names():
    name = "</svg><script>alert(1)</script>\"'&"
    svg = ElementTree.fromstring(line_chart([Curve(name, (1,), (1.0,))]))
    assert {e.tag for e in svg.iter()} == {"svg", "path", "text", "circle", "title"}
    assert name in [text for text, _, _ in texts(svg, "start")]


@pytest.mark.parametrize("low", [-3.0, 0.0, 0.2897, 12.0])
@pytest.mark.parametrize("span", [1e-9, 0.013, 1.0, 7.0, 1e6])
def test_ticks_are_few_and_cover_everything(low, span):
    ticks = even_ticks(low, low + span)
    assert ticks[0] <= low + 1e-9 * span
    assert ticks[-1] >= low + span * (1 - 1e-9)
    assert 3 <= len(ticks) <= 8
    steps = np.diff(ticks)
    assert steps == pytest.approx(np.full(len(steps), steps[0]), rel=1e-3)


def test_losses_share_a_chart_and_other_figures_have_their_own():
    rows = [
        {"epoch": 1, "step": 5, "stage": "a", "loss": 2.0, "valid_loss": 3.0, "valid_kl_loss": 0.1},
        {"epoch": 2, "step": 10, "stage": "a", "loss": 1.0, "valid_accuracy": 0.5},
        {"epoch": 3, "step": 15, "stage": "b", "loss": math.nan, "valid_loss": 2.0},
    ]
    names = [[curve.name for curve in group] for group in grouped(rows)]
    assert names == [["loss", "valid_loss"], ["valid_kl_loss"], ["valid_accuracy"]]
    assert grouped(rows)[0] == [
        Curve("loss", (1, 2), (2.0, 1.0)),
        Curve("valid_loss", (1, 3), (3.0, 2.0)),
    ]
    assert grouped(rows)[2][0].title == "validation accuracy"
    assert stage_starts(rows) == rows[2:]
    assert grouped([]) == []


def test_scores_of_samples_are_not_drawn_among_the_losses():
    row = {"epoch": 1, "step": 5, "stage": "a", "generator_loss": 1.0, "real_score": 0.3,
           "frechet_distance": 9.0, "precision": 0.5, "recall": 0.2}  # fmt: skip
    names = [[curve.name for curve in group] for group in grouped([row])]
    assert names == [
        ["generator_loss"],
        ["real_score"],
        ["frechet_distance"],
        ["precision", "recall"],
    ]
