"""Findings of a run, one sentence each: which source improved the best, what the LLM changed against the base
sampler, which parameters mattered, how the search space moved. A sentence with nothing to say is "".
"""

from __future__ import annotations

from collections import Counter
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
from sllmbo_magic.llm.registry import NO_LLM
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


def _proposer(run: RunData, trial: Trial) -> str | None:
    """Who stands behind a trial, in words; None for the default and the user. The rulebook is no LLM."""
    if trial.source == "rulebook":
        return "the rulebook"
    if trial.source == "gp" and run.info.get("sampler") != "gp":
        return "the Gaussian process"  # the surrogate, beside the base sampler
    if trial.source in LLM_SOURCES:
        name = run.llm_by_request.get(trial.request) or run.info.get("llm")  # another one since a resume
        return one_line(name or "the LLM", 60) if name not in NO_LLM else "the LLM"
    return _BASE if trial.source in BASE_SOURCES else None


def _turns(run: RunData) -> str:
    """Who took how many trials and improved the best how often."""
    trials: Counter[str] = Counter()
    wins: Counter[str] = Counter()
    improving = {trial.n for trial in run.incumbents[1:]}
    for trial in run.trials:
        proposer = _proposer(run, trial)
        if proposer is not None and not trial.is_cut_off:
            trials[proposer] += 1
            wins[proposer] += trial.n in improving
    best = None if run.best is None else _proposer(run, run.best)
    # a sentence begins with a capital, which the name of a model (openai:gpt-4o) has not
    sentences = (
        _sentence(
            f"{name if name.startswith('the ') else f'the LLM {name}'} proposed {count(n, 'trial')}"
            f" and {_improved(wins[name], has_best=name == best)}"
        )
        for name, n in trials.items()
    )
    return " ".join(sentences)


def _improved(n: int, *, has_best: bool) -> str:
    """How often a source improved the best score; the first score of a run improves none."""
    if n == 0 and has_best:
        return "had the best score from the beginning"
    return f"improved the best score {_times(n)}" if n else "never improved the best score"


def _promises(run: RunData) -> str:
    promised = [t for t in run.trials if t.came_true is not None]
    by_llm = [t for t in promised if t.source in ASKED_SOURCES]
    outcomes = [bool(t.came_true) for t in by_llm or promised]  # the rulebook's are not the LLM's
    return (
        f"Of {count(len(outcomes), 'predicted effect')} on the score {sum(outcomes)} came true."
        if outcomes
        else ""
    )


def _difference(run: RunData) -> str:
    """The best of the LLM's (or the rulebook's) trials against the best of all others."""
    sources = ASKED_SOURCES if any(t.source in ASKED_SOURCES for t in run.trials) else ("rulebook",)
    best = next((t for t in run.ranked if t.source in sources), None)
    best_other = next((t for t in run.ranked if t.source not in sources), None)
    if best is None or best_other is None or not any(t.source in BASE_SOURCES for t in run.scored):
        return ""
    ahead = _gain(run, best, best_other)
    if ahead == 0:
        return ""
    digits = _digits(run)
    size = score(abs(ahead), digits)
    doubt = " (within the noise)" if abs(ahead) <= 2 * _history(run).noise else ""
    proposer = _proposer(run, best)
    if ahead > 0:
        text = f"The best of the other trials was {_scored(best_other, digits)}, {size} worse{doubt}."
        return f"{text} Every proposal used the scores of all earlier trials."
    comparison = f"{size} worse than the best other one{doubt}"
    return f"The best trial of {proposer} was {_scored(best, digits)}, {comparison}."


def _warm_start(run: RunData) -> str:
    """What the configurations of an earlier run gained, and when the search would have been as far."""
    warm_trials = [t for t in run.ranked if t.source == "user" and t.reason.startswith(attrs.WARM_START)]
    if not warm_trials:
        return ""
    best, digits = warm_trials[0], _digits(run)
    text = f"Warm start: its best configuration (trial {best.n}) scored {score(best.value, digits)}"
    gain = _gain(run, best, run.default) if run.default is not None else 0.0
    if gain:
        text += f", {score(abs(gain), digits)} {'better' if gain > 0 else 'worse'} than the default"
    equal = next((t for t in run.scored if t not in warm_trials and _gain(run, t, best) >= 0), None)
    if equal is None:
        return text + "; no other trial of this run reached that."
    return text + f"; without it the run was as far at trial {equal.n}."


def _learnt(run: RunData) -> str:
    """The parameters that mattered, and where the best trials have them; "" while there are too few trials to
    tell.
    """
    fair = 1.0 / max(len(run.importances), 1)
    weights = [(name, share) for name, share in run.importances.items() if share >= fair][:_MOST]
    parts = [f"{one_line(name, 60)} ({share:.0%}{_where(run, name)})" for name, share in weights]
    return f"Most important parameters: {', '.join(parts)}." if parts else ""


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
    names_by_word: dict[str, list[str]] = {}
    for before, after in pairwise(run.versions):
        for name, entry in after.params.items():
            word = _changed(before.params.get(name), entry)
            if word:
                names_by_word.setdefault(word, []).append(one_line(name, 60))
    by = ", ".join(sorted({{"llm": "the LLM", "user": "you"}.get(v.by, one_line(v.by, 20)) for v in later}))
    how = "; ".join(f"{word} {_some(dict.fromkeys(names))}" for word, names in names_by_word.items())
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
    """The scored trials as a history, for the noise of a difference."""
    observations = (Observation(t.n, t.params, value=t.value, splits=t.splits) for t in run.scored)
    return History(tuple(observations), run.direction or "maximize")


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
    n_more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {count(n_more, 'other')}" if n_more > 0 else "")


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
