"""Text files as sequences of characters."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import data
from tinygen.data import DataError, as_text, text
from tinygen.data.text import alphabet_of, one_hot, read_lines


@pytest.fixture
def write(tmp_path):
    """A function that writes a text, and returns its path."""

    def written(content: str | bytes, name: str = "a text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


# Lines


def test_lines_have_their_ends_and_blank_ones_are_left_out(write):
    path = write("\ufeffOne fish,\r\n\r\n  two fish \n \t\nred fish")
    assert read_lines(path) == ["One fish,\n", "  two fish\n", "red fish\n"]


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 9, 40])
def test_long_lines_are_cut_and_nothing_is_lost(write, steps):
    lines = ["eight ch", "nine char", "a", "ten charac"]
    pieces = read_lines(write("\n".join(lines)), steps)
    assert max(map(len, pieces)) <= steps
    assert "\n" not in pieces  # the end of a line alone is worth no sequence
    assert "".join(pieces).replace("\n", "") == "".join(lines)
    whole = [piece for piece in pieces if piece.endswith("\n")]
    assert len(whole) == sum(len(line) % steps != 0 for line in lines)


@pytest.mark.parametrize("content", ["", "\n\n", " \t \r\n", "\ufeff"])
def test_files_without_text(write, content):
    with pytest.raises(DataError, match=r"a text\.txt: there is no text in it"):
        read_lines(write(content))


def test_files_that_are_no_text(write, tmp_path):
    with pytest.raises(DataError, match=r"a text\.txt: no text in UTF-8: .* Save it again"):
        read_lines(write("Größe".encode("latin-1")))
    with pytest.raises(FileNotFoundError):
        read_lines(tmp_path / "nowhere.txt")


# Characters


def test_one_hot_and_back():
    lines = ["Grüße\n", "a", "z𝄞 ß\n"]
    alphabet = alphabet_of(lines)
    assert list(alphabet) == sorted(set("".join(lines)))
    x = one_hot(lines, alphabet, steps=8)
    assert (x.shape, x.dtype) == ((3, 8, len(alphabet)), np.float32)
    for line, row in zip(lines, x, strict=True):
        for i, character in enumerate(line):
            assert row[i].sum() == row[i, alphabet.index(character)] == 1
        assert np.isnan(row[len(line) :]).all()
    assert as_text(x, alphabet) == [line.rstrip("\n") for line in lines]
    backwards = alphabet[::-1]
    assert as_text(one_hot(lines, backwards, steps=6), backwards) == as_text(x, alphabet)


def test_as_text_takes_what_is_most_probable():
    x = np.array([[[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3], [0, 1, 0]]])
    assert as_text(x, "\nab") == ["ab"]  # up to the end of the line
    assert as_text(x, "cab") == ["abca"]


@pytest.mark.parametrize(
    ("lines", "alphabet", "message"),
    [
        (["abc"], "ab", "'c' is not in the alphabet 'ab'"),
        (["a"], "", "'a' is not in the alphabet ''"),
        (["a", ""], "a", "needs lines of 1 to 3 characters"),
        (["aaaa"], "a", "needs lines of 1 to 3 characters"),
        ([], "a", "needs lines of 1 to 3 characters"),
    ],
)
def test_what_one_hot_refuses(lines, alphabet, message):
    with pytest.raises(DataError, match=message):
        one_hot(lines, alphabet, steps=3)


def test_a_text_that_would_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr(text, "MAX_BYTES", 100)
    assert one_hot(["ab"] * 4, "ab", steps=3).nbytes == 96
    with pytest.raises(DataError, match=r"5 lines of up to 3 characters.*120 bytes; at most 100"):
        one_hot(["ab"] * 5, "ab", steps=3)


# load


def test_load(write):
    lines = [f"line number {i}" for i in range(30)]
    path = write("\n".join(lines), "lines.txt")
    found = data.load(path)
    assert repr(found) == "Dataset('lines', 30 lines of up to 40 steps)"
    assert (found.kind, found.labels) == ("characters", None)
    assert found.images.shape == (30, 40, len(found.alphabet))
    assert found.alphabet == alphabet_of([*lines, "\n"])
    assert [len(part) for part in (found.train, found.valid, found.test)] == [24, 3, 3]
    shown = as_text(found.images, found.alphabet)
    assert sorted(shown) == sorted(lines)
    assert shown != lines  # in a random order, which depends on the seed
    assert as_text(data.load(path).images, found.alphabet) == shown
    assert as_text(data.load(path, seed=1).images, found.alphabet) != shown
    assert found.valid.alphabet == found.alphabet
    np.testing.assert_array_equal(found.train.floats(), found.images[:24])
    assert data.kind_of(path) == data.kind_of(str(path)) == "characters"


def test_load_a_part(write):
    path = write("\n".join(["abcdefgh"] * 20))
    assert data.load(path, size=5, count=10).images.shape == (10, 5, 9)
    with pytest.raises(DataError, match="has 20 lines; count=21 asks for more"):
        data.load(path, count=21)
    with pytest.raises(DataError, match="a text has no channels; leave channels=1 out"):
        data.load(path, channels=1)


def test_a_text_of_one_line_is_all_to_fit(write):
    found = data.load(write("x"))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [1, 0, 0]
    assert found.alphabet == "\nx"
