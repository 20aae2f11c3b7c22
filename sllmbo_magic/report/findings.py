"""What a run teaches, one sentence each: who improved the best, what the LLM changed against the base
sampler, which parameters mattered, how the search space moved. A sentence with nothing to say is "".
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic.attrs import ASKED_SOURCES
from sllmbo_magic.attrs import BASE_SOURCES
from sllmbo_magic.attrs import LLM_SOURCES
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import Trial
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

_BASE = "the base sampler"
_MOST = 3
"""Parameters that are named as those that mattered."""


def findings(run: RunData) -> list[str]:
    """The sentences, in order; empty ones are among them."""
    if run.direction is None:
        return [_space_changes(run)]
    sentences = (_turns, _promises, _difference, _warm_start, _learnt, _space_changes)
    return [sentence(run) for sentence in sentences]


def _proposer(run: RunData, source: str) -> str | None:
    """Who stands behind a source, in words; None for the default and the user. The rulebook is no LLM."""
    if source == "rulebook":
        return "the rulebook"
    if source in LLM_SOURCES:
        return one_line(run.info.get("llm") or "the LLM", 60)
    return _BASE if source in BASE_SOURCES else None


def _turns(run: RunData) -> str:
    """Who took how many trials and improved the best how often."""
    trials: dict[str, int] = {}
    wins: dict[str, int] = {}
    for each in run.sources:
        who = _proposer(run, each.source)
        if who is not None:
            trials[who] = trials.get(who, 0) + each.n_trials
            wins[who] = wins.get(who, 0) + each.n_improvements
    # a sentence begins with a capital, which the name of a model (openai:gpt-4o) has not
    sentences = (
        _sentence(
            f"{who if who.startswith('the ') else f'the LLM {who}'} proposed {count(n, 'trial')}"
            f" and {_improved(wins[who])}"
        )
        for who, n in trials.items()
    )
    return " ".join(sentences)


def _improved(n: int) -> str:
    return f"improved the best score {_times(n)}" if n else "never improved the best score"


def _promises(run: RunData) -> str:
    promised = [t for t in run.trials if t.came_true is not None]
    by_llm = [t for t in promised if t.source in ASKED_SOURCES]
    kept = [bool(t.came_true) for t in by_llm or promised]  # the rulebook's are not the LLM's
    return f"Of {count(len(kept), 'predicted effect')} on the score {sum(kept)} came true." if kept else ""


def _difference(run: RunData) -> str:
    """The best of the LLM's (or the rulebook's) trials against the best of all others."""
    own = ASKED_SOURCES if any(t.source in ASKED_SOURCES for t in run.trials) else ("rulebook",)
    mine = next((t for t in run.ranked if t.source in own), None)
    other = next((t for t in run.ranked if t.source not in own), None)
    if mine is None or other is None or not any(t.source in BASE_SOURCES for t in run.scored):
        return ""
    ahead = _gain(run, mine, other)
    if ahead == 0:
        return ""
    digits = _digits(run)
    size = score(abs(ahead), digits)
    doubt = " (within the noise)" if abs(ahead) <= 2 * _history(run).noise else ""
    who = _proposer(run, mine.source)
    if ahead > 0:
        rest = f"The best of the other trials was {_scored(other, digits)}, {size} worse{doubt}."
        return f"{rest} Every proposal used the scores of all earlier trials."
    return (
        f"The best trial of {who} was {_scored(mine, digits)}, {size} worse than the best other one{doubt}."
    )


def _warm_start(run: RunData) -> str:
    """What the configurations of an earlier run gained, and when the search would have been as far."""
    given = [t for t in run.ranked if t.source == "user" and t.reason.startswith(attrs.WARM_START)]
    if not given:
        return ""
    best, digits = given[0], _digits(run)
    text = f"Warm start: its best configuration (trial {best.n}) scored {score(best.value, digits)}"
    gain = _gain(run, best, run.default) if run.default is not None else 0.0
    if gain:
        text += f", {score(abs(gain), digits)} {'better' if gain > 0 else 'worse'} than the default"
    reached = next((t for t in run.scored if t not in given and _gain(run, t, best) >= 0), None)
    if reached is None:
        return text + "; no other trial of this run reached that."
    return text + f"; without it the run was as far at trial {reached.n}."


def _learnt(run: RunData) -> str:
    """The parameters that mattered, and where the best trials have them; "" while there are too few trials to
    tell.
    """
    fair = 1.0 / max(len(run.importances), 1)
    weights = [(name, share) for name, share in run.importances.items() if share >= fair][:_MOST]
    shown = [f"{one_line(name, 60)} ({share:.0%}{_where(run, name)})" for name, share in weights]
    return f"Most important parameters: {', '.join(shown)}." if shown else ""


def _where(run: RunData, name: str) -> str:
    """The values of a parameter in the best five trials: a range, or at most two choices."""
    values = [t.params[name] for t in run.ranked[:5] if t.params.get(name) is not None]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if values and len(numbers) == len(values) and not _is_categorical(run, name):
        ends = list(dict.fromkeys((value(min(numbers)), value(max(numbers)))))
        return f"; {' to '.join(ends)} in the best {len(values)}"
    kinds = list(dict.fromkeys(value(v) for v in values))
    return f"; {' or '.join(kinds)} in the best {len(values)}" if 1 <= len(kinds) <= 2 else ""


def _is_categorical(run: RunData, name: str) -> bool:
    return any("choices" in version.params.get(name, {}) for version in run.versions)


def _space_changes(run: RunData) -> str:
    """How often the search space changed, by whom, and how."""
    later = [version for version in run.versions if version.version > 0]
    if not later:
        return ""
    done: dict[str, list[str]] = {}
    for before, after in pairwise(run.versions):
        for name, entry in after.params.items():
            word = _changed(before.params.get(name), entry)
            if word:
                done.setdefault(word, []).append(one_line(name, 60))
    by = ", ".join(sorted({{"llm": "the LLM", "user": "you"}.get(v.by, one_line(v.by, 20)) for v in later}))
    how = "; ".join(f"{word} {_some(dict.fromkeys(names))}" for word, names in done.items())
    return f"The search space changed {_times(len(later))} (by {by})" + (f": {how}." if how else ".")


def _changed(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str:
    """What became of one parameter between two versions: one word, or "" for nothing."""
    if old is None or ("fixed" in old and "fixed" not in new):
        return "opened"
    if "fixed" in new:
        return "" if "fixed" in old else "fixed"
    if "choices" in new or "choices" in old:
        less, more = len(new.get("choices") or ()), len(old.get("choices") or ())
        return "narrowed" if less < more else "widened" if less > more else ""
    low, high = new["low"] - old["low"], new["high"] - old["high"]
    if low == 0 and high == 0:
        return ""
    return "narrowed" if low >= 0 and high <= 0 else "widened" if low <= 0 and high >= 0 else "moved"


def _history(run: RunData) -> History:
    """The scored trials as the method sees them: it knows the noise of a difference."""
    seen = (Observation(t.n, t.params, value=t.value, splits=t.splits) for t in run.scored)
    return History(tuple(seen), run.direction or "maximize")


def _gain(run: RunData, a: Trial, b: Trial) -> float:
    """How much better ``a`` is than ``b``; 0 when one has no score."""
    if a.value is None or b.value is None:
        return 0.0
    return a.value - b.value if run.maximize else b.value - a.value


def _digits(run: RunData) -> int:
    return decimals(run.default_value, run.best_value)


def _scored(trial: Trial, digits: int) -> str:
    return f"{score(trial.value, digits)} (trial {trial.n})"


def _sentence(text: str) -> str:
    return f"{text[0].upper() if text.startswith('the ') else text[0]}{text[1:]}." if text else ""


def _some(names: Iterable[str], most: int = 6) -> str:
    listed = list(names)
    left = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {count(left, 'other')}" if left > 0 else "")


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
