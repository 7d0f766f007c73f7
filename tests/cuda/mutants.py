"""Kernels with a barrier or a wait taken out, to see whether the tests would notice."""

import re
from typing import NamedTuple

import numpy as np
import shim
from tinygen_kernels.cuda.launch import Source, register_shim, source_text
from tinygen_kernels.cuda.launch import shim as registered

from .equipment import arrays_of
from .workouts import HEADERS

# what can be left out, and what to put in its place
STATEMENTS = {
    r"__syncthreads\(\);": ("",),
    r"__syncwarp\([^;]*\);": ("",),
    r"tg_copy_wait<([^;]*)>\(\);": ("", r"tg_copy_wait<(\1) + 1>();"),
}


def _place(text, position):
    """The file and the number of the line at a position, by the last #line before it."""
    *_, last = re.finditer(r'^#line (\d+) "(.+)"$', text[:position], re.MULTILINE)
    return last[2], int(last[1]) + text.count("\n", last.end(), position) - 1


class Mutant(NamedTuple):
    """A source with one statement changed."""

    file: str
    line: str  # the one before the change, with its file and number
    text: str

    def __str__(self):
        return self.line


def mutants(file):
    """Every mutant of a file, and of headers that are this file's to try."""
    text = source_text(file)
    for pattern, replacements in STATEMENTS.items():
        for found in re.finditer(pattern, text):
            start = text.rfind("\n", 0, found.start()) + 1
            line = text[start : text.find("\n", start)].strip()
            where, number = _place(text, start)
            if line.startswith(("//", "template")) or HEADERS.get(where, where) != file:
                continue
            for replacement in replacements:
                other = found.expand(replacement)
                changed = text[: found.start()] + other + text[found.end() :]
                yield Mutant(file, f"{where} {number}: {line} -> {other or 'nothing'}", changed)


class MutantShim(shim.Shim):
    """Launches a mutant's kernels; each is compiled by itself, when it is first launched."""

    def __init__(self, mutant, order):
        super().__init__(order)
        self.mutant = mutant

    def functions(self, source):
        if source.file != self.mutant.file:
            return super().functions(source)
        return _OneByOne(self.mutant)


class _OneByOne:
    def __init__(self, mutant):
        self.mutant = mutant

    def __getitem__(self, name):
        return shim.compiled(Source(self.mutant.file, (name,)), self.mutant.text)[name]


def survives(mutant, workout, expected):
    """Whether the workout's results are those of the kernel as it is, in every order."""
    before = registered()
    try:
        for order in shim.ORDERS:
            register_shim(MutantShim(mutant, order))
            try:
                results = arrays_of(workout())
            except shim.KernelError:
                return False
            for a, b in zip(results, expected, strict=True):
                if not np.array_equal(a, b):
                    return False
        return True
    finally:
        register_shim(before)
