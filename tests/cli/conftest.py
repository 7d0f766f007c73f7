"""For tests of the shell: runs whose pictures nobody looks at need not draw them."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_pictures(monkeypatch):
    """Training ends without its figures, which take longer than a short run itself."""
    monkeypatch.setattr("tinygen.view.draw_figures", lambda subject: [])
