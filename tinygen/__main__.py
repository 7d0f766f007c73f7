"""`python -m tinygen` is the `tinygen` command."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
