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

EXCHANGE = "sllmbo:exchange"
"""Trial attribute, one dict: ``sent_request`` (whether a request to the LLM went out at the start of the
trial), ``feedback`` (what became of parts of its answer at this trial, one sentence each) and ``unanswered``
(the trial of the request of which this trial learned that no answer comes).
"""

CONFIGURATION = "sllmbo:configuration"
"""Trial attribute, one dict, of a trial whose real configuration is not, or not only, in its parameters:
``values`` (the real values by parameter) and ``outside`` (the names of those that the search space cannot
express; with any of these, the trial is no point of the space).
"""

OWNER = "sllmbo:owner"
"""Trial attribute, one dict, in a storage that others reach: which program evaluates the trial."""

CHOICES = "sllmbo:choices"
"""Study attribute: what the labels among the choices stand for (see ``tuning/object_choices.py``)."""

SPACE_VERSIONS = "sllmbo:space_versions"
"""Study attribute: list of space versions as JSON (see ``space.SpaceVersion``)."""

FIRST_CONFIGURATIONS = "sllmbo:first_configurations"
"""Study attribute: the first configurations, each with ``params`` and ``user_attrs`` of its trial, written in
one piece before the first of them is queued: a process that dies between two loses none.
"""

STOPPED = "stopped"
"""The error in :data:`EVALUATION` of a trial that the user or a crash cut off: it does not count, and a
resumed run evaluates it again.
"""

WITHDRAWN = "withdrawn"
"""In :data:`EVALUATION`, of a queued trial that never began: why. True where its run ended, and it runs again
in the next; or :data:`MOVED`, or :data:`FOR_GOOD`.
"""

MOVED = "moved"
"""A copy of the trial waits further back in the queue."""

FOR_GOOD = "for good"
"""The user's commands have ruled the trial out."""

WARM_START = "warm start: "
"""How the reason of a trial begins whose configuration an earlier run gave."""

TRIAL_NOTES = "sllmbo:trial_notes"
"""Study attribute: the user's marks on trials, ``{"12": {"star": True, "text": "..."}}`` by trial number."""

OUTER_SPACE = "sllmbo:outer_space"
"""Study attribute: the fixed outer space as JSON."""

FINGERPRINT = "sllmbo:fingerprint"
"""Study attribute: what its trials were scored on (see ``task.fingerprint``); another task's trials do not
compare.
"""

DESCRIBED = "sllmbo:described"
"""Study attribute of a storage that the user gave: the parts of :data:`FINGERPRINT` in lines of text (see
``tuning/task_text.py``), so that a resume that is refused can name what changed. No saved file has it.
"""

CONTINUES = "sllmbo:continues"
"""Study attribute: the name of the study whose trials were carried over to this one (see
``storage/study_migration.py``)."""

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
OTHER = "other"
"""As which a history shows what an LLM of another program proposed that works on the same study."""
ASKED_SOURCES = ("llm-init", "llm")
"""Proposed by an LLM itself."""
LLM_SOURCES = (*ASKED_SOURCES, "rulebook")
"""Proposed by the LLM, or by the rulebook in its place."""
BASE_SOURCES = ("tpe", "random", "gp", "cmaes", "hyperopt", "base", "fallback")
"""Proposed by the base sampler."""
