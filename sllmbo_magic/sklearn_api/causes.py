"""Why a candidate of a scikit-learn search failed, read from what scikit-learn warns and raises about it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.exceptions import FitFailedWarning

from sllmbo_magic.evaluation.warnings import shown_to_user
from sllmbo_magic.llm.redact import redact

_TRACEBACK = "Traceback (most recent call last):\n"
_SCORING = "Scoring failed."


@dataclass(frozen=True)
class Cause:
    """A failure: its category (see ``evaluation.base.CATEGORIES``), the exception's class, and its text."""

    category: str
    error_class: str
    text: str


def cause_of(messages: Iterable[warnings.WarningMessage]) -> Cause | None:
    """The first failure of a fit or a metric among warnings; None when there is none."""
    for item in messages:
        text = str(item.message)
        if issubclass(item.category, FitFailedWarning):
            return cause_in(text, "fit-failed")
        if text.startswith(_SCORING):
            return cause_in(text, "score-failed")
    return None


def cause_in(text: str, category: str) -> Cause:
    """The exception at the end of the last traceback in a text."""
    lines = text.rpartition(_TRACEBACK)[2].splitlines()
    start = next((i for i, line in enumerate(lines) if line and not line[0].isspace()), 0)
    end = next((i for i, line in enumerate(lines) if i > start and re.fullmatch(r"-{20,}", line)), len(lines))
    name, colon, message = "\n".join(lines[start:end]).strip().partition(":")
    name = name.rpartition(".")[2]
    if name == "InvalidParameterError":
        category = "invalid-parameter"
    return Cause(category, name, redact(f"{name}{colon}{message}"))


def repeat(messages: Sequence[warnings.WarningMessage], registry: dict[Any, Any]) -> None:
    """Warn again of what was recorded, as scikit-learn's searches show it; a registry that is kept makes the
    filter "default" act once.
    """
    with shown_to_user():
        for item in messages:
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno, registry=registry)
