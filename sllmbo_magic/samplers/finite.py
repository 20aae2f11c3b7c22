"""Finite search spaces: no configuration is tried twice, and a study ends when all have been tried."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.logging import get_logger
from optuna.study import Study

from sllmbo_magic import attrs
from sllmbo_magic.history.history import History
from sllmbo_magic.samplers.undeclared_space import UndeclaredSpace
from sllmbo_magic.space.enumeration import configurations
from sllmbo_magic.space.enumeration import identity
from sllmbo_magic.space.enumeration import size_of
from sllmbo_magic.space.search_space import SearchSpace

__all__ = ["is_used_up", "not_repeated", "size_of", "stop_when_used_up", "untried", "used_up_text"]

_N_DRAWN = 64
optuna_logger = get_logger("optuna.sampler")


def used_up_text(size: int) -> str:
    """Why a search of a finite space ended, one clause.

    Args:
        size: Number of configurations that the space has.
    """
    if size == 1:
        return "the only configuration of the search space has been tried"
    return f"all {size} configurations of the search space have been tried"


def tried(space: SearchSpace, history: History) -> set[object]:
    """The configurations of a space that trials had, failed and running ones too, but not those cut off."""
    return {
        identity(space, o.params) for o in history.observations if o.is_in(space) and o.error != attrs.STOPPED
    }


def is_used_up(space: SearchSpace, history: History) -> bool:
    """Whether every configuration of a finite space had a trial."""
    size = size_of(space)
    if size is None or len(history) < size:
        return False
    searched_trials = (o for o in history.observations if o.source != "default")
    if any(name not in space and name not in space.fixed for o in searched_trials for name in o.params):
        return False  # an objective that suggests more than the space has
    return len(tried(space, history)) >= size


def untried(
    space: SearchSpace,
    reachable: SearchSpace,
    params: Mapping[str, Any],
    history: History,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """The configuration nearest to one that a trial had already, of those that no trial had.

    Args:
        space: The current version of the search space.
        reachable: All that a trial may have, searched where the version is used up.

    Returns:
        None where ``params`` is new, the space is endless, or nothing is left.
    """
    for within in (space, reachable):
        if size_of(within) is None:
            return None
        used = tried(within, history)
        searched = within.active(params)
        if within is space and identity(within, searched) not in used:
            return None
        unused = [one for one in configurations(within) if identity(within, one) not in used]
        if unused:
            points = np.array([within.to_unit(one) for one in unused])
            distances = ((points - within.to_unit(within.clip(searched))) ** 2).sum(axis=1)
            nearest = np.flatnonzero(distances <= distances.min() + 1e-12)
            return {**unused[int(rng.choice(nearest))], **within.fixed}
    return None


def not_repeated(
    space: SearchSpace, version: int, params: Mapping[str, Any], history: History, rng: np.random.Generator
) -> dict[str, Any] | None:
    """The nearest of some random configurations, for one whose trial would repeat another: the objective
    asked that one for some of the parameters only, and had the same values.

    Args:
        version: Number of the space's version; trials of earlier ones may lack what was not searched then.

    Returns:
        None where ``params`` repeats nothing, or each configuration that was drawn repeats a trial, too.
    """
    known = _asked_for_less(space, version, history)
    if not _repeats(params, known):
        return None
    drawn = [one for one in (space.sample(rng) for _ in range(_N_DRAWN)) if not _repeats(one, known)]
    if not drawn:
        return None
    place = space.to_unit(space.clip(params))
    distances = [float(((space.to_unit(one) - place) ** 2).sum()) for one in drawn]
    return {**drawn[int(np.argmin(distances))], **space.fixed}


def _asked_for_less(
    space: SearchSpace, version: int, history: History
) -> dict[tuple[str, ...], set[tuple[Any, ...]]]:
    """The values of scored trials that have not all active parameters of the space, by their names. A trial
    without a score may have ended before it asked for the others.
    """
    key = ("asked for less", space, version)
    if key not in history._cache:
        known: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
        for with_names, trials in history.points.by_parameters.items():
            names = tuple(name for name in space if name in with_names)
            if not 0 < len(names) < len(space):
                continue
            for o in trials:
                if o.space_version == version and o.missing(space):
                    known.setdefault(names, set()).add(tuple(o.params[name] for name in names))
        history._cache[key] = known
    found: dict[tuple[str, ...], set[tuple[Any, ...]]] = history._cache[key]
    return found


def _repeats(params: Mapping[str, Any], known: Mapping[tuple[str, ...], set[tuple[Any, ...]]]) -> bool:
    return any(tuple(params.get(name) for name in names) in values for names, values in known.items())


def stop_when_used_up(
    study: Study, reachable: SearchSpace | None, undeclared: UndeclaredSpace, history: Callable[[], History]
) -> None:
    """End ``study.optimize`` once a finite space has no configuration left, as GridSampler does.

    A space that was not declared ends nothing, since another trial may show more of it: a warning says once
    that trials repeat.

    Args:
        reachable: All that a trial may have; None where no space is declared.
        undeclared: What the study's trials have in common.
        history: Called only where the space is finite.
    """
    if not study._thread_local.in_optimize_loop:
        return
    space = reachable or undeclared.all_of(study)
    size = None if space is None else size_of(space)
    if space is None or size is None or not is_used_up(space, history()):
        return
    if reachable is not None:
        optuna_logger.info(f"Study stops: {used_up_text(size)}.")
        study.stop()
    elif not undeclared.is_used_up:
        undeclared.is_used_up = True
        optuna_logger.warning(
            f"{used_up_text(size).capitalize()}; further trials repeat them. With search_space="
            " the sampler ends the study then."
        )


def repeats_text(study: Study, undeclared: UndeclaredSpace, history: Callable[[], History]) -> str | None:
    """What a run of an objective without a declared space says once, when its trials begin to repeat.

    Args:
        undeclared: What the study's trials have in common.
        history: Called only where the space is finite.
    """
    space = None if undeclared.is_used_up else undeclared.all_of(study)
    size = None if space is None else size_of(space)
    if space is None or size is None or not is_used_up(space, history()):
        return None
    undeclared.is_used_up = True
    return (
        f"{used_up_text(size).capitalize()}, as far as the trials show; further trials repeat them. With"
        " search_space= the run ends then."
    )
