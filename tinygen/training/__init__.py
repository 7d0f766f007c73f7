"""Training: the loop, its run folder and checkpoints, and `fit` for scripts.

What a step of a model consists of is said in `models`; what a run looks like is said here.
"""

from __future__ import annotations

from .callbacks import Callback, EarlyStopping
from .checkpoint import CheckpointError, load
from .fit import History, fit
from .judge_samples import JudgeSamples
from .loop import Trainer
from .measure import TrainingError, evaluate
from .monitor import Monitor
from .run import Run, RunError
from .signals import Interrupted

__all__ = [
    "Callback",
    "CheckpointError",
    "EarlyStopping",
    "History",
    "Interrupted",
    "JudgeSamples",
    "Monitor",
    "Run",
    "RunError",
    "Trainer",
    "TrainingError",
    "evaluate",
    "fit",
    "load",
]
