"""Pictures of what models make: plates of images by Pillow, curves by matplotlib.

Nothing here trains or computes; it draws what it is given.
"""

from __future__ import annotations

from .epochs import Plates
from .figures import FIGURES, draw_figures
from .plate import plate, save_png, to_pixels

__all__ = ["FIGURES", "Plates", "draw_figures", "plate", "save_png", "to_pixels"]
