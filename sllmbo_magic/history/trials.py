"""What is read off a trial of Optuna: its observation, its real values, and whether it counts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space.choices import encoded
from sllmbo_magic.space.distributions import plain
from sllmbo_magic.space.search_space import SearchSpace


def observe(
    trial: Any,
    space: SearchSpace | None = None,
    *,
    outer: SearchSpace | None = None,
    program: str | None = None,
) -> Observation:
    """The observation of one Optuna ``FrozenTrial``.

    An infinite score, which Optuna takes for one, is a failure as in a run: nothing can be learned from it.

    Args:
        space: Parameters are limited to its names.
        outer: As for :func:`real_configuration`.
        program: The program that reads it, where several work on one study, each with a conversation of its
            own: of a trial that another one proposed, what its LLM was asked, promised and told is left out.
    """
    user_attrs = trial.user_attrs
    evaluation = user_attrs.get(attrs.EVALUATION) or {}
    provenance = user_attrs.get(attrs.PROVENANCE) or {}
    exchange = user_attrs.get(attrs.EXCHANGE) or {}
    scores = evaluation.get("split_scores") or ()
    violation = constraint_violation(trial)
    value = trial.values[0] if scored(trial) else None
    reported, pruned_at = last_report(trial)
    params, outside = real_configuration(trial, outer)
    params = {name: _without_numpy(value) for name, value in params.items()}
    if outer is not None and outer.objects:
        params = encoded(params, outer.objects)
    error = evaluation.get("error") if trial.state.name == "FAIL" else None
    is_infinite = value is not None and not math.isfinite(value)
    if space is not None:
        params = {name: params[name] for name in (*space, *space.fixed) if name in params}
    observation = Observation(
        number=trial.number,
        params=params,
        state="INFEASIBLE" if violation else "FAIL" if is_infinite else trial.state.name,
        value=None if value is None or is_infinite else float(value),
        reported=reported,
        pruned_at=pruned_at,
        splits=tuple(float(v) for v in scores),
        source=user_attrs.get(attrs.SOURCE, "base"),
        error="not-finite-score" if is_infinite else error,
        space_version=int(provenance.get("space_version", 0)),
        request=provenance.get("request"),
        asked_at=provenance.get("asked_at"),
        reason=provenance.get("reason", ""),
        expects=provenance.get("expects", ""),
        came_true=None if violation else evaluation.get("came_true"),
        vetoed=tuple(c["params"] for c in provenance.get("vetoed") or ()),
        seconds=evaluation.get("seconds"),
        training_score=evaluation.get("training_score"),
        warnings=evaluation.get("warnings") or {},
        feedback=tuple(exchange.get("feedback") or ()),
        sent_request=bool(exchange.get("sent_request")),
        told=int(exchange.get("told", 0)),
        unanswered=exchange.get("unanswered"),
        outside=outside,
        violation=violation,
        values=tuple(trial.values) if scored(trial) and len(trial.values) > 1 else (),
    )
    if is_own(trial, program):
        return observation
    is_evaluated_here = (user_attrs.get(attrs.OWNER) or {}).get("token") == program
    return _of_another(observation, sent_request=observation.sent_request and is_evaluated_here)


def is_own(trial: Any, program: str | None) -> bool:
    """Whether a program has proposed a trial: it queued it, or evaluates it and nobody else queued it. Where
    there is one program (None), it has.
    """
    by = (trial.user_attrs.get(attrs.PROVENANCE) or {}).get("program")
    return program is None or program == (by or (trial.user_attrs.get(attrs.OWNER) or {}).get("token"))


def _of_another(observation: Observation, *, sent_request: bool) -> Observation:
    return replace(
        observation,
        source=attrs.OTHER if observation.source in attrs.ASKED_SOURCES else observation.source,
        request=None,
        asked_at=None,
        expects="",
        came_true=None,
        vetoed=(),
        feedback=(),
        sent_request=sent_request,
        told=0,
        unanswered=None,
        by_other=True,
    )


def _without_numpy(value: Any) -> Any:
    """A value as the search space has it; what has no place there stays as it is."""
    plain_value, is_plain = plain(value)
    return plain_value if is_plain else value


def constraint_violation(trial: Any) -> float:
    """Sum of an evaluated trial's constraint values above 0, as Optuna's TPE ranks infeasible trials; 0 where
    all constraints hold.
    """
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        return 0.0
    return float(sum(value for value in trial.constraints.values() if value > 0.0))


def real_configuration(
    trial: Any, outer: SearchSpace | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values that an Optuna ``FrozenTrial`` really had, and which of them its search space cannot
    express.

    Args:
        outer: The fixed space of the study, where one is declared: Optuna runs a configuration outside of it
            when the user queues one.
    """
    recorded = trial.user_attrs.get(attrs.CONFIGURATION)
    provenance = trial.user_attrs.get(attrs.PROVENANCE) or {}
    if recorded is None and provenance.get("library_defaults"):
        # Of an older version, which recorded the nearest values of the space instead.
        return dict(trial.params), tuple(trial.params)
    recorded = recorded or {}
    outside = tuple(recorded.get("outside", ()))
    if outer is not None and not outside:
        outside = tuple(n for n, v in trial.params.items() if n in outer and outer.check(n, v)[1])
    return {**recorded.get("values", {}), **trial.params}, outside


def last_report(trial: Any) -> tuple[float | None, str]:
    """The last value that a pruned trial reported, and where that was, in words."""
    if trial.state.name != "PRUNED" or trial.last_step is None:
        return None, ""
    evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
    value = trial.intermediate_values[trial.last_step]
    position = str(evaluation.get("pruned_at") or f"step {trial.last_step}")
    return float(value) if math.isfinite(value) else None, position


def counts(trial: Any) -> bool:
    """Whether a trial counts for the total: it has an outcome, and was not cut off by the user or a crash."""
    if trial.state.name in ("COMPLETE", "PRUNED"):
        return True
    evaluation = trial.user_attrs.get(attrs.EVALUATION) or {}
    return bool(trial.state.name == "FAIL" and evaluation.get("error", attrs.STOPPED) != attrs.STOPPED)


def is_withdrawn(trial: Any) -> bool:
    """Whether a trial was queued and taken out of the queue before it began: it never had parameters."""
    return bool(withdrawn_because(trial))


def withdrawn_because(trial: Any) -> bool | str | None:
    """Why a trial was taken out of the queue: see ``attrs.WITHDRAWN``; None: it was not."""
    why: bool | str | None = (trial.user_attrs.get(attrs.EVALUATION) or {}).get(attrs.WITHDRAWN)
    return why


def scored(trial: Any) -> bool:
    """Whether a trial has a score that others are compared with: a pruned one has only what it reported on
    its way, and that of an infeasible one ranks nowhere.
    """
    return bool(trial.state.name == "COMPLETE" and trial.values and not constraint_violation(trial))


def state_of(trial: Any) -> str:
    """Optuna's state of a trial, or ``"INFEASIBLE"`` where it is complete and a constraint does not hold."""
    is_infeasible = trial.state.name == "COMPLETE" and constraint_violation(trial)
    return "INFEASIBLE" if is_infeasible else str(trial.state.name)
