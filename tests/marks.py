"""Marks for single cases of a parametrised test."""

from __future__ import annotations

from typing import Any

import pytest


def long(*values: Any) -> Any:
    """A case that ``make test`` leaves to ``make test-all``: another case of the same test stands for it."""
    return pytest.param(*values, marks=pytest.mark.long)
