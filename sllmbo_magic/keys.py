"""Names of the attributes that a study and its trials carry, and of the sources of a trial."""

from __future__ import annotations

from typing import Literal
from typing import TypeAlias
from typing import get_args

SOURCE = "sllmbo:source"
"""Trial attribute, a plain string: one of :data:`SOURCES`."""

PROVENANCE = "sllmbo:provenance"
"""Trial attribute, one dict: source, reason, expected effect, provider, request, usage, space version."""

EVALUATION = "sllmbo:evaluation"
"""Trial attribute, one dict: std, split_scores, seconds, error category and class."""

SPACE_VERSIONS = "sllmbo:space_versions"
"""Study attribute: list of space versions as JSON (see ``space.SpaceVersion``)."""

STOPPED = "stopped"
"""The error in :data:`EVALUATION` of a trial that the user or a crash cut off: it does not count, and a
resumed run evaluates it again.
"""

WARM_START = "warm start: "
"""How the reason of a trial begins whose configuration an earlier run gave."""

OUTER_SPACE = "sllmbo:outer_space"
"""Study attribute: the fixed outer space as JSON."""

CONTINUES = "sllmbo:continues"
"""Study attribute: the name of the study whose trials were carried over to this one (see ``linked.py``)."""

CONTINUED_IN = "sllmbo:continued_in"
"""Study attribute: the name of the study in which this one goes on."""

Source: TypeAlias = Literal[
    "default",
    "llm-init",
    "llm",
    "tpe",
    "random",
    "gp",
    "cmaes",
    "hyperopt",
    "base",
    "rulebook",
    "user",
    "fallback",
]
SOURCES: tuple[str, ...] = get_args(Source)
LLM_SOURCES = ("llm-init", "llm", "rulebook")
"""Proposed by the LLM, or by the rulebook in its place."""
BASE_SOURCES = ("tpe", "random", "gp", "cmaes", "hyperopt", "base", "fallback")
"""Proposed by the base sampler."""
