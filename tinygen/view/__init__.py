"""Pictures of what models make, by Pillow and matplotlib, and pages of them by jinja2.

Nothing here trains or computes; it draws what it is given.
"""

from __future__ import annotations

from .epochs import Plates
from .figures import FIGURES, draw_figures
from .plate import plate, save_png, to_pixels
from .report import write_report
from .subject import Subject

__all__ = [
    "FIGURES",
    "Plates",
    "Subject",
    "draw_figures",
    "plate",
    "save_png",
    "to_pixels",
    "write_report",
]
