"""How the REST of each venue looks; what a shape is stands in ``base.py``."""

from __future__ import annotations
