"""The report of a run: one HTML file with all that is in the run's folder, and pictures."""

from __future__ import annotations

import base64
import inspect
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from ..data.dataset import TEXT
from ..models import PUBLISHED, Model, Published
from ..models.kinds import check_kind
from ..system import require
from ..training import Run, load
from ..training.checkpoint import MODEL, checkpoints, finished, write_atomically
from ..training.experiment import Experiment, folder_of, restore
from ..training.feature_network import weights_digest
from ..training.findings import findings_of
from ..training.judging import SCARCE
from ..training.progress import short
from ..training.run import RunError
from ..training.settings import TABLES, check_tables, from_data, read_settings, recipe_settings
from .chart import line_chart
from .curves import Curve, grouped, stage_starts
from .figures import FIGURES, draw_figures
from .scores import read_scores
from .subject import Subject

TITLES = {"config": "Model", "data": "Data", "training": "Training", "options": "Optimiser"}
HIGHER = (
    *("accuracy", "r2", "precision", "recall", "coverage", "classifier_score"),
    *("modes", "high_quality"),
)  # is better
# Of a game neither side's loss is the better the lower it is.
NO_BEST = ("discriminator_loss", "generator_loss", "_score", "_gradient", "separation",
           "diversity", "nearest_sample", "nearest_real", "density")  # fmt: skip
HEADINGS = {"tsne": "Map of the codings"}  # others are the name of the figure
UNSET = "-"


class Picture(NamedTuple):
    """A picture in the page: its bytes as base64, and what to say of it."""

    title: str
    caption: str
    data: str
    width: int
    height: int


class Fact(NamedTuple):
    """A figure of the run to see at first sight."""

    name: str
    value: str
    note: str = ""


class Setting(NamedTuple):
    """A setting of the run, and what it is by default."""

    key: str
    value: str
    default: str

    @property
    def changed(self) -> bool:
        """Whether it was set for this run; the shape of images comes from the data."""
        return self.value != self.default and self.key != "image_shape"


def write_report(source: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run, a page by itself that needs no other file; returns its path.

    The run's figures are drawn again, also as PNGs in its folder. Of a run that was interrupted
    the page shows what is there: the model of the last checkpoint, the epochs so far.

    Args:
        source: the folder of a run, or a checkpoint in it.
        out: the file to write; by default report.html in the folder.
    """
    require("jinja2", "matplotlib", "sklearn")
    import jinja2

    run = Run.open(folder_of(source))
    check_tables(run.config, run.folder / "config.toml")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (resources.files(__package__) / "templates" / "report.html").read_text("utf-8")
    page = environment.from_string(text).render(contents(run, source))
    path = run.folder / "report.html" if out is None else Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode())
    return path


def contents(run: Run, source: str | Path) -> dict[str, Any]:
    """What the page shows, by the names in the template."""
    experiment, model = _restored(run, source)
    rows, tables, environment = run.rows(), setting_tables(run), _environment(run.folder)
    name, preset = run.config.get("model", ""), run.config.get("preset", "")
    whole = experiment is not None and experiment.settings["data"]["source"] == "fashion-mnist"
    expected = PUBLISHED.get((name, preset)) if whole else None
    columns = list(dict.fromkeys(key for row in rows for key in row))
    starts = [row["epoch"] for row in stage_starts(rows)]
    return {
        "name": name,
        "folder": run.folder.name,
        "preset": preset,
        "description": (inspect.getdoc(type(model)) or "").split("\n")[0] if model else "",
        "status": _status(run, rows, experiment),
        "go_on": None if _is_done(run, rows) else run.to_go_on(),
        "findings": findings_of(experiment, rows) if experiment else [],
        "facts": _facts(run, rows, model, expected),
        "expected": expected is not None,
        "differing": _differing(tables),
        "figures": [_measured(curve, expected) for group in grouped(rows) for curve in group],
        "charts": [
            line_chart(group, level=_level(group, expected), starts=starts)
            for group in grouped(rows)
        ],
        "columns": columns,
        "rows": [[_readable(row.get(column, "")) for column in columns] for row in rows],
        "scores": read_scores(
            run.folder,
            experiment.class_names if experiment else (),
            weights_digest(model) if model else None,
        ),
        "scarce": SCARCE,
        "sections": [("Pictures", _pictures(run, rows, experiment))],
        "layers": model.layer_rows() if model else [],
        "tables": [(TITLES.get(table, table), found) for table, found in tables.items()],
        "any_changed": any(row.changed for table in tables.values() for row in table),
        "command": _command(environment),
        "environment": [
            [(k, v) for k, v in environment.items() if k not in ("versions", "command")],
            list(environment.get("versions", {}).items()),
        ],
        "log": _text(run.folder / "log.txt"),
        "version": environment.get("versions", {}).get("tinygen", ""),
    }


def _restored(run: Run, source: str | Path) -> tuple[Experiment | None, Model | None]:
    """The experiment with its trained model; a run from a script may have a model at least."""
    if not (Path(source).is_file() or (run.folder / MODEL).is_file() or checkpoints(run.folder)):
        return None, None
    if _from_shell(run):
        experiment, _ = restore(source)
        return experiment, experiment.model
    return None, load(source) if (run.folder / MODEL).is_file() else None


def _is_done(run: Run, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether training came to its end; of a plain module in a script no model is kept."""
    last = rows[-1]["epoch"] if rows else 0
    return finished(run.folder) is not None or last == _epochs(run)


def _epochs(run: Run) -> int | None:
    """The epochs that were asked for; in a script of an earlier version they stood in no table."""
    epochs: int | None = run.config.get("training", run.config).get("epochs")
    return epochs


def _status(run: Run, rows: Sequence[Mapping[str, Any]], experiment: Experiment | None) -> str:
    """How far it came, and on what data."""
    done, text = rows[-1]["epoch"] if rows else 0, "Trained"
    if not _is_done(run, rows):
        total = experiment.trainer(show=False).epochs if experiment else _epochs(run)
        text = f"Not finished: {done} of {total} epochs" if total else "Not finished"
    if experiment is None:
        return text
    sizes = f"{len(experiment.train[0]):,} samples to fit"
    if experiment.valid:
        sizes += f" and {len(experiment.valid[0]):,} to validate"
    return f"{text} on {Path(experiment.settings['data']['source']).name}, {sizes}"


def _facts(
    run: Run, rows: Sequence[Mapping[str, Any]], model: Model | None, expected: Published | None
) -> list[Fact]:
    """What one wants to see first."""
    facts = []
    last = rows[-1] if rows else {}
    for name in ("valid_loss", "valid_rounded_accuracy"):
        if name in last:
            level = getattr(expected, name.removeprefix("valid_"), None)
            note = f"published {level:g}" if level is not None else ""
            facts.append(Fact(Curve(name, (), ()).title, short(last[name]), note))
    if model:
        trained = sum(p.size for p in model.parameters() if p.requires_grad)
        facts.append(Fact("parameters", f"{trained:,}"))
    if rows:
        facts.append(Fact("epochs", f"{last['epoch']:,}", f"{last['step']:,} steps"))
        facts.append(Fact("time in training steps", duration(run.seconds())))
    return facts


def duration(seconds: float) -> str:
    """A time as a person would say it.

    >>> duration(5.04), duration(754), duration(7500)
    ('5.0 s', '12 min 34 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _measured(curve: Curve, expected: Published | None) -> dict[str, Any]:
    """A line of the table of figures."""
    last = curve.values[-1]
    level, best, epoch = _level([curve], expected), "", 0
    if not curve.name.endswith(NO_BEST) or curve.name in HIGHER:
        value = (max if curve.name.endswith(HIGHER) else min)(curve.values)
        best, epoch = short(value), curve.epochs[curve.values.index(value)]
    return {
        "name": curve.title,
        "last": short(last),
        "best": best,
        "epoch": epoch,
        "published": "" if level is None else f"{level:g}",
        "difference": "" if level is None else f"{100 * (last / level - 1):+.1f} %",
    }


def _level(group: Sequence[Curve], expected: Published | None) -> float | None:
    """What was published of the figure of validation among these."""
    for curve in group:
        name = curve.name.removeprefix("valid_")
        if curve.of_validation and expected and name in Published._fields:
            level: float | None = getattr(expected, name)
            return level
    return None


def _readable(value: Any) -> str:
    return short(value) if isinstance(value, float) else str(value)


def setting_tables(run: Run) -> dict[str, list[Setting]]:
    """The settings of a run by table, beside those of its recipe; what was not set is a dash.

    Of a run from a script only what it wrote is known.
    """
    if not _from_shell(run):
        groups = {k: v if isinstance(v, dict) else {k: v} for k, v in run.config.items()}
        return {
            table: [Setting(k, _shown(v), _shown(v)) for k, v in group.items()]
            for table, group in groups.items()
            if group
        }
    config = read_settings(run.config, run.folder / "config.toml")
    optimizer = config["training"]["optimizer"]
    default = recipe_settings(config["model"], config["preset"], optimizer)
    known = from_data(config["model"])
    default["config"].update({k: v for k, v in config["config"].items() if k in known})
    if default["data"]["source"] == TEXT:  # any will do
        default["data"]["source"] = config["data"]["source"]
    return {
        table: [
            Setting(key, _shown(config[table].get(key)), _shown(default[table].get(key)))
            for key in {**default[table], **config[table]}
        ]
        for table in TABLES
    }


def _from_shell(run: Run) -> bool:
    """Whether the run has all settings, or was made in a script, which has its data."""
    return "script" not in run.config and any(t in run.config for t in ("data", "config"))


def _shown(value: Any) -> str:
    """A setting as it would be typed."""
    if isinstance(value, str):
        return value
    return UNSET if value is None else json.dumps(value, default=str)


def _differing(tables: Mapping[str, Sequence[Setting]]) -> list[str]:
    """In what the run is another than its recipe; every seed is as good."""
    changed = [row for table in tables.values() for row in table if row.changed]
    return [f"{r.key} {r.value} instead of {r.default}" for r in changed if r.key != "seed"]


def _pictures(
    run: Run, rows: Sequence[dict[str, Any]], experiment: Experiment | None
) -> list[Picture]:
    """The figures of the run, drawn anew if its model is there, else those that lie in its folder.

    The curves are left out, since the page draws them itself.
    """
    names = [name for name in FIGURES if name != "curves"]
    if experiment is None:
        paths = [run.folder / f"{name}.png" for name in names]
    else:
        paths = draw_figures(Subject(experiment, run.folder, rows))
    shown = [path for path in paths if path.stem in names and path.suffix == ".png"]
    return [_picture(path) for path in shown if path.is_file()]


def _picture(path: Path) -> Picture:
    """A picture that a figure's function drew, with what the function says of it."""
    from PIL import Image

    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RunError(f"{path} is no picture that can be read; remove it") from error
    caption = (inspect.getdoc(FIGURES[path.stem]) or "").split("\n\n")[0].replace("\n", " ")
    title = HEADINGS.get(path.stem, path.stem.capitalize())
    return Picture(title, caption, base64.b64encode(data).decode(), width, height)


def _command(environment: Mapping[str, Any]) -> str:
    """What was typed; `python -m tinygen` goes by the name of the command."""
    first, *rest = environment.get("command") or [""]
    return shlex.join(["tinygen" if first == "__main__.py" else first, *rest]) if first else ""


def _environment(folder: Path) -> dict[str, Any]:
    """What environment.json holds, if it is there."""
    path = folder / "environment.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        for name, value, kind in (
            ("it", found, Mapping[str, Any]),
            ("versions", found.get("versions", {}), Mapping[str, Any]),
            ("command", found.get("command", []), Sequence[str]),
        ):
            check_kind(name, value, kind)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}; remove it, or put it back") from error
    return dict(found)


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""
