"""Hyperband's brackets: Optuna shows a sampler only those trials that are in the bracket of the new one.

Ours look at the whole study. The story that an LLM is told, each source's credit and the judge are about
the run, not a part of it; with 50 trials in three brackets TPE would hardly leave its start-up phase. It
ranks pruned trials by how far they came and then by their value, so that brackets mix.
"""

from __future__ import annotations

from typing import cast

from optuna.study import Study


def whole(study: Study) -> Study:
    """The study behind a bracket of Hyperband's; any other study as it is."""
    try:
        return cast("Study", object.__getattribute__(study, "_study"))
    except AttributeError:
        return study
