"""The user's hints: how much one counts, and when the scores overrule it."""

from __future__ import annotations

from dataclasses import dataclass

from sllmbo_magic.history.history import History

_ENDED = ("COMPLETE", "FAIL", "PRUNED", "INFEASIBLE")
HINT_TRIALS = 8
"""Trials of the LLM after which a hint is judged."""
_HINT_CONTROLS = 16
"""Trials before a hint that it is compared with."""
_CLEARLY_WORSE = 0.7


@dataclass(frozen=True)
class Hint:
    """A hint in words, with the trial at which it was given."""

    text: str
    trial_number: int

    def weight(self, trial_number: int) -> float:
        """How much it counts at a later trial: 1 when it is given, half of that every ten trials."""
        return float(0.5 ** (max(0, trial_number - self.trial_number) / 10))


def overruled(hint: Hint, history: History) -> str | None:
    """Why the scores contradict a hint, one clause; None while they do not.

    Judged once, on the first :data:`HINT_TRIALS` trials that the LLM was asked for since: the hint is
    overruled if none of them beat the best before it by more than the noise, and if they lost at least seven
    of ten comparisons (again beyond the noise) with the other trials of that time: the base sampler's since
    then, and the last 16 before.
    """
    since = [
        o
        for o in history.observations
        if o.source == "llm" and o.state in _ENDED and not o.cut_off and o.asked >= hint.trial_number
    ][:HINT_TRIALS]
    if len(since) < HINT_TRIALS:
        return None
    numbers = {o.number for o in since}
    first, last = hint.trial_number - _HINT_CONTROLS, since[-1].number
    others = [o for o in history.complete if first <= o.number <= last and o.number not in numbers]
    before = history.before(hint.trial_number).incumbent
    if len(others) < HINT_TRIALS // 2 or before is None or before.value is None:
        return None
    noise = history.noise
    scores = [o.value for o in since]
    if any(v is not None and history.gain(v, before.value) > noise for v in scores):
        return None
    lost = sum(
        v is None or history.gain(float(o.value or 0.0), v) > noise for o in others for v in scores
    ) / (len(others) * len(scores))
    if lost < _CLEARLY_WORSE:
        return None
    return (
        f"of the {len(since)} trials proposed since, none beat trial #{before.number} by more than the"
        " noise,"
        f" and the {len(others)} others of that time were better in {lost:.0%} of all comparisons"
    )
