"""A run in one paragraph of plain words: what was gained, whether it is real, what did it, what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from sllmbo_magic.report.reading import BASE_SOURCES
from sllmbo_magic.report.reading import LLM_SOURCES
from sllmbo_magic.report.reading import Run
from sllmbo_magic.report.reading import SourceCount
from sllmbo_magic.report.reading import finite
from sllmbo_magic.report.reading import read
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import value

_VERDICTS = {"real": "real", "within noise": "within the noise", "worse": "not there: the default is better"}
_STATUS = {
    "running": "Still running",
    "paused": "Paused",
    "stopped": "Stopped by the user",
    "interrupted": "Interrupted",
    "failed": "Failed",
}


def summary_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph; a function of the bundle alone, so the same run always reads the same."""
    run = read(bundle)
    parts = [
        _status(run),
        _scores(run),
        _verdict(run),
        _test(run),
        _trials(run),
        *_by_source(run),
        _cost(run),
    ]
    return " ".join(part for part in parts if part)


def plain_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph, and the best parameters on a line of their own: a terminal's picture of the run."""
    run = read(bundle)
    head = f"{one_line(run.info.get('name') or 'run')}: {one_line(run.info.get('estimator') or 'objective')}"
    lines = [f"{head}, {one_line(run.metric)}", summary_text(bundle)]
    if run.best is not None and run.best.params:
        pairs = ", ".join(f"{one_line(name)}={value(given)}" for name, given in run.best.params.items())
        lines.append(f"Best parameters: {pairs}")
    return "\n".join(lines)


def _status(run: Run) -> str:
    status = str(run.info.get("status") or "finished")
    if status not in _STATUS:
        return ""
    reason = one_line(run.info.get("reason") or "", 200).rstrip(".")
    return f"{_STATUS[status]}: {reason}." if reason else f"{_STATUS[status]}."


def _scores(run: Run) -> str:
    if run.direction is None:
        return f"{count(run.n_trials, 'trial')} with several objectives; no single best."
    if run.best_value is None:
        return "No trial has a score."
    digits = decimals(run.default_value, run.best_value)
    number = run.best.n if run.best is not None else run.info.get("best_number")
    source = f", {one_line(run.best.source)}" if run.best is not None else ""
    best = f"best {score(run.best_value, digits)} (trial {number}{source})"
    if run.default_value is None:
        return f"{best[0].upper()}{best[1:]}; the default has no score."
    default = f"Default {score(run.default_value, digits)}"
    if not run.better(run.best_value, run.default_value):
        return f"{default}; no configuration was better."
    return f"{default}, {best}: a gain of {score(abs(run.best_value - run.default_value), digits)}."


def _verification(run: Run) -> Mapping[str, Any]:
    summary = run.info.get("summary")
    found = summary.get("verification") if isinstance(summary, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _verdict(run: Run) -> str:
    found = _verification(run)
    gain, noise = finite(found.get("gain")), finite(found.get("noise"))
    if gain is None or noise is None:
        return ""
    digits = decimals(gain, 0.0)
    folds = finite(found.get("n_folds"))
    where = f"Scored again on {int(folds)} fresh folds" if folds else "Scored again on fresh folds"
    verdict = str(found.get("verdict") or "")
    words = _VERDICTS.get(verdict, one_line(verdict))
    return f"{where}, the gain is {score(gain, digits)} ± {score(noise, digits)}: {words}."


def _test(run: Run) -> str:
    found = _verification(run)
    default, best = finite(found.get("test_default")), finite(found.get("test_best"))
    if default is None or best is None:
        return ""
    digits = decimals(default, best)
    text = f"On the test data: default {score(default, digits)}, best {score(best, digits)}"
    ends = [e for e in map(finite, found.get("test_interval") or ()) if e is not None]
    return (
        f"{text} (gain between {score(ends[0], digits)} and {score(ends[1], digits)})."
        if len(ends) == 2
        else f"{text}."
    )


def _trials(run: Run) -> str:
    lost = [
        f"{len(trials)} {word}" for trials, word in ((run.failed, "failed"), (run.pruned, "pruned")) if trials
    ]
    seconds = finite(run.info.get("seconds"))
    took = f" in {duration(seconds)}" if seconds else ""
    return f"{count(run.n_trials, 'trial')}{took}{' (' + ', '.join(lost) + ')' if lost else ''}."


def _by_source(run: Run) -> list[str]:
    """What the LLM (or the rulebook) did beside the base sampler; only when it took part."""
    if run.direction is None:
        return []
    digits = decimals(run.default_value, run.best_value)
    llm = [s for s in run.sources if s.source in LLM_SOURCES]
    base = [s for s in run.sources if s.source in BASE_SOURCES]
    if not llm:
        return []
    who = one_line(run.info.get("llm") or "LLM")
    sentence = f"{who} proposed {_deeds(run, llm, digits)}"
    if base:
        names = " and ".join(one_line(s.source, 20) for s in base)
        sentence += f"; {names}: {_deeds(run, base, digits)}"
    return [sentence + "."]


def _deeds(run: Run, counts: Iterable[SourceCount], digits: int) -> str:
    listed = list(counts)
    bests = [s.best for s in listed if s.best is not None]
    best = next((t for t in run.ranked if t in bests), None)
    improved = count(sum(s.n_improvements for s in listed), "new best", "new bests")
    words = f"{count(sum(s.n_trials for s in listed), 'trial')} with {improved}"
    return f"{words}, the best {score(best.value, digits)}" if best is not None else words


def _cost(run: Run) -> str:
    requests = int(finite(run.cost.get("requests")) or 0)
    if not requests:
        return ""
    tokens = int((finite(run.cost.get("input_tokens")) or 0) + (finite(run.cost.get("output_tokens")) or 0))
    parts = [count(requests, "request")]
    if tokens:
        parts.append(count(tokens, "token"))
    money = finite(run.cost.get("money"))
    if money is not None:
        parts.append(f"${money:.2f}" if money >= 0.01 or money == 0 else f"${money:.4f}")
    return clean(f"Cost: {', '.join(parts)}.")
