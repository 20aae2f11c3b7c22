"""When a run should end before its last trial.

A rule looks at the history only, so that a resumed run stops where an uninterrupted one would. The paper's
fixed patience (15 for the LLM alone, 5 for LLM-TPE) is :class:`Patience`; it gave away about 2 % in the
paper's own runs, so :class:`AutoPatience` weighs what the next trials can be expected to bring against the
noise of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import ge
from typing import Protocol

from sllmbo_magic.errors import InputError
from sllmbo_magic.history.history import History


class StoppingRule(Protocol):
    """Decides after each trial."""

    def reason(self, history: History) -> str | None:
        """Why to stop now, one clause; None to go on."""
        ...


@dataclass(frozen=True)
class Never:
    """No early stopping."""

    def reason(self, history: History) -> str | None:
        return None


@dataclass(frozen=True)
class Patience:
    """Stop after so many finished trials in a row without a better score; a repeated best is no improvement.

    Trials that the user or a crash cut off have no outcome and do not count.
    """

    trials: int

    def reason(self, history: History) -> str | None:
        best = history.incumbent
        if best is None:
            return None
        since = sum(
            o.number > best.number and o.state != "RUNNING" and not o.cut_off for o in history.observations
        )
        if since < self.trials:
            return None
        return f"no better trial in {since} trials (patience {self.trials})"


@dataclass(frozen=True)
class FrontPatience:
    """Stop after so many finished trials in a row of which none entered the Pareto front: each was beaten, or
    equalled, in all objectives by a trial before it.

    Args:
        directions: ``"minimize"`` or ``"maximize"`` for each objective.
    """

    trials: int
    directions: tuple[str, ...]

    def reason(self, history: History) -> str | None:
        ended = [o for o in history.observations if o.state != "RUNNING" and not o.cut_off]
        signs = [1.0 if direction == "maximize" else -1.0 for direction in self.directions]
        gains = [
            None if o.state != "COMPLETE" else [s * v for s, v in zip(signs, o.values, strict=True)]
            for o in ended
        ]
        first = len(gains) - self.trials
        if not any(gains[: max(first, 0)]):
            return None
        for n, gain in enumerate(gains[first:], first):
            if gain and not any(e and all(map(ge, e, gain)) for e in gains[:n]):
                return None
        return f"no trial entered the Pareto front in {self.trials} trials (patience {self.trials})"


@dataclass(frozen=True)
class AutoPatience:
    """Stop when the gain to be expected from the next ``window`` trials lies inside the noise of a score.

    Improvements of a search shrink as it goes on, so the gain of the last ``window`` scored trials bounds the
    expected gain of as many more. The noise is that of a difference on the same folds (``History.noise``);
    where there are no folds, a thousandth of the spread between the default (or first) score and the best.
    The window and the minimum are measured (``benchmarks/patience.py``): with 12 and 20, runs ended with up
    to four standard errors still to be had.
    """

    window: int = 20
    at_least: int = 30
    share: float = 0.5

    def reason(self, history: History) -> str | None:
        scored = history.complete
        if len(scored) < max(self.at_least, self.window + 1):
            return None
        best = history.incumbent
        before = History(scored[: -self.window], history.direction, history.metric).incumbent
        if best is None or before is None or best.value is None or before.value is None:
            return None
        gain = history.gain(best.value, before.value)
        total = abs(history.gain(best.value, scored[0].value or 0.0))
        noise = history.noise or 1e-3 * total
        if gain > self.share * noise:
            return None
        gains = f"the last {self.window} trials gained {gain:.2g}"
        if history.noise:
            return f"{gains}, inside the noise of a difference ({noise:.2g})"
        return f"{gains} of {total:.2g} in all"


def make_rule(patience: int | str | None, directions: Sequence[str] = ("maximize",)) -> StoppingRule:
    """The rule for ``patience``: a number of trials, ``"auto"``, ``"off"`` or None.

    Args:
        directions: Of the objectives; with several, ``"auto"`` is left out before (``for_several``).

    Raises:
        InputError: It is none of these.
    """
    if patience in (None, "off"):
        return Never()
    if patience == "auto":
        return AutoPatience()
    try:
        trials = int(patience)
    except (TypeError, ValueError):
        trials = 0
    if trials < 1 or isinstance(patience, bool) or (isinstance(patience, float) and trials != patience):
        raise InputError(f"patience {patience!r} is not known.", "Allowed: 1 or more, auto, off.")
    return Patience(trials) if len(directions) == 1 else FrontPatience(trials, tuple(directions))
