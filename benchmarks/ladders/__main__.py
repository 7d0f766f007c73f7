"""Climb the ladders."""

from . import main

raise SystemExit(main())
