"""A run in one paragraph of plain words: what was gained, whether it is real, which source found it, what was
learnt, what it cost. It ends a run (``summary["text"]``) and heads its saved picture; a terminal shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sllmbo_magic.attrs import ASKED_SOURCES
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.report.findings import findings
from sllmbo_magic.report.run_data import RunData
from sllmbo_magic.report.run_data import finite
from sllmbo_magic.report.run_data import read
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import count
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import dollars
from sllmbo_magic.report.text import duration
from sllmbo_magic.report.text import one_line
from sllmbo_magic.report.text import proposed_instead
from sllmbo_magic.report.text import score
from sllmbo_magic.report.text import times
from sllmbo_magic.report.text import value

_STATUS = {
    "running": "Still running",
    "paused": "Paused",
    "stopped": "Stopped by the user",
    "interrupted": "Interrupted",
    "failed": "Failed",
}

_CAUSES = 3
"""Causes of failures that are named."""
_FRONT = 5
"""Trials of a Pareto front that are named."""


def summary_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph; a function of the bundle alone, so the same run always reads the same."""
    run = read(bundle)
    parts = [
        _status(run),
        _scores(run),
        _selected(run),
        _verified(run),
        _trials(run),
        _times(run),
        _saved(run),
        _failures(run),
        *findings(run),
        _inert(run),
        _warnings(run),
        *_hints(run),
        _fallbacks(run),
        _cost(run),
    ]
    return clean(" ".join(part for part in parts if part))


def verdict(bundle: Mapping[str, Any]) -> str:
    """One sentence: what the search gained, and whether to believe it.

    A gain counts as tested only where default and best were scored again on folds that the search did not
    use.
    """
    run = read(bundle)
    if run.direction is None or run.best_value is None:
        why = _failures(run) if run.best is None and run.direction is not None else ""
        return clean(f"{_scores(run)} {why}".rstrip())
    metric = one_line(run.metric, 60)
    digits = decimals(run.default_value, run.best_value)
    best = score(run.best_value, digits)
    number = run.best.n if run.best is not None else run.info.get("best_number")
    source = f", {one_line(run.best.source)}" if run.best is not None else ""
    if run.default_value is None:
        return clean(f"Best {metric} {best} (trial {number}{source}).")
    default = score(run.default_value, digits)
    if not run.better(run.best_value, run.default_value):
        none = f"No configuration was better than the default ({metric} {default})."
        if len(run.scored) == 1:
            none = f"The default has {metric} {default}; no other configuration has a score."
        return clean(_kept_instead(run, metric) or none)
    moved = "raised" if run.maximize else "lowered"
    # a sentence begins with a capital, which the name of a metric (f1_weighted) may not have
    text = f"Tuning {moved} {metric} from {default} to {best} (trial {number}{source}); {_evidence(run)}."
    return clean(text)


def _kept_instead(run: RunData, metric: str) -> str:
    """What a recheck kept in the place of the best of the search, in one sentence; "" where it did not."""
    selection = _summary(run).get("selection")
    if run.best is None or not isinstance(selection, Mapping) or not selection.get("candidates"):
        return ""
    top = selection["candidates"][0]
    value = run.display.shown(finite(top.get("value")))
    if top.get("number") == run.best.n or value is None:
        return ""
    digits = decimals(run.best_value, value)
    is_default = run.best.source == "default"
    name = "The default" if is_default else f"Trial {run.best.n}, {one_line(run.best.source)},"
    other = f"trial {top['number']}" if is_default else "the default"
    return (
        f"{name} is kept, since it scored best on fresh folds; on the folds of the search it has {metric}"
        f" {score(run.best_value, digits)}, and {other} {score(value, digits)}."
    )


def _evidence(run: RunData) -> str:
    """Whether the gain holds on folds that the search did not use, as the end of a sentence."""
    check = _summary(run).get("verification")
    gain = finite(check.get("gain")) if isinstance(check, Mapping) else None
    if not isinstance(check, Mapping) or gain is None or check.get("fresh") is False:
        return "this gain was not checked on other folds"
    noise = finite(check.get("noise"))
    folds = f"{check['n_folds']} fresh folds" if check.get("n_folds") else "fresh folds"
    size = f"{abs(gain):.3g}" + ("" if noise is None else f" ± {noise:.2g}")
    words = {
        "real": f"on {folds} the gain is {size}, more than its noise",
        "worse": f"on {folds} it is {size} worse than the default",
    }
    within = f"on {folds} the gain is {size}, within its noise"
    if gain < 0.0:
        within = f"on {folds} it is {size} worse than the default, within the noise"
    return words.get(str(check.get("verdict")), within)


def result_text(bundle: Mapping[str, Any]) -> str:
    """The run in three lines: what was tuned, the verdict, the best parameters."""
    run = read(bundle)
    status = str(run.info.get("status") or "finished")
    model = one_line(run.info.get("model") or run.info.get("estimator") or "objective")
    metric = one_line(run.metric, 60) + (f", {run.display.better}" if run.direction else "")
    name = one_line(run.info.get("name") or "run")
    head = f"{name}: {model}, {metric}; {count(run.n_trials, 'trial')}, {status}"
    return "\n".join([head, verdict(bundle), _best_parameters(run)]).rstrip()


def _best_parameters(run: RunData) -> str:
    if run.best is None:
        return ""
    if run.best.source == "default":
        return "Best parameters: those before tuning."
    pairs = ", ".join(f"{one_line(name)}={value(param)}" for name, param in run.best.params.items())
    return f"Best parameters: {pairs}" if pairs else ""


def plain_text(bundle: Mapping[str, Any]) -> str:
    """The paragraph, and the best parameters on a line of their own: a terminal's picture of the run."""
    run = read(bundle)
    head = f"{one_line(run.info.get('name') or 'run')}: {one_line(run.info.get('estimator') or 'objective')}"
    lines = [f"{head}, {one_line(run.metric)}", summary_text(bundle)]
    return "\n".join([*lines, best] if (best := _best_parameters(run)) else lines)


def _status(run: RunData) -> str:
    status = str(run.info.get("status") or "finished")
    reason = one_line(run.info.get("reason") or "", 200).rstrip(".")
    if status == "finished" and reason and not reason.endswith("trials are done"):
        return f"Ended early: {reason}."
    if status not in _STATUS:
        return ""
    adds_nothing = reason.casefold() in ("", status, _STATUS[status].casefold())
    return f"{_STATUS[status]}." if adds_nothing else f"{_STATUS[status]}: {reason}."


def _scores(run: RunData) -> str:
    if run.direction is None:
        return _front(run)
    if run.best_value is None:
        return _no_score(run)
    digits = decimals(run.default_value, run.best_value)
    number = run.best.n if run.best is not None else run.info.get("best_number")
    source = f", {one_line(run.best.source)}" if run.best is not None else ""
    best = f"best {one_line(run.metric, 60)} {score(run.best_value, digits)} (trial {number}{source})"
    if run.default_value is None:
        return f"B{best[1:]}" + ("." if run.default is None else "; the default has no score.")
    default = score(run.default_value, digits)
    if not run.better(run.best_value, run.default_value):
        why = "other configuration has a score" if len(run.scored) == 1 else "configuration was better"
        text = f"Default {one_line(run.metric, 60)} {default}; no {why}."
        return _kept_instead(run, one_line(run.metric, 60)) or text
    gain = score(abs(run.best_value - run.default_value), digits)
    return f"B{best[1:]}, default {default}: a gain of {gain}."


def _no_score(run: RunData) -> str:
    if not run.infeasible:
        return "No trial has a score."
    return f"No trial is feasible: a constraint does not hold in {count(len(run.infeasible), 'trial')}."


def _front(run: RunData) -> str:
    """The trials that no other beats in every objective."""
    front = _summary(run).get("front") or ()
    if not front and run.infeasible:
        return _no_score(run)
    if not front:
        return f"{count(run.n_trials, 'trial')} with several objectives; no single best."
    trials = [f"trial {t['number']} ({', '.join(value(v) for v in t['values'])})" for t in front[:_FRONT]]
    more = f" and {len(front) - _FRONT} more" if len(front) > _FRONT else ""
    return f"Several objectives: {len(front)} of {count(run.n_trials, 'trial')} are on the Pareto front: " + (
        f"{', '.join(trials)}{more}."
    )


def _verified(run: RunData) -> str:
    """Whether the gain was real, in the words of ``evaluation.verification``."""
    verification = _summary(run).get("verification")
    text = one_line((verification.get("text") if isinstance(verification, Mapping) else None) or "", 800)
    return text if not text or text.endswith((".", "…")) else f"{text}."


def _selected(run: RunData) -> str:
    """Which trial is kept after a recheck, and why, in the words of the run's end."""
    selection = _summary(run).get("selection")
    return one_line((selection.get("text") if isinstance(selection, Mapping) else None) or "", 800)


def _summary(run: RunData) -> Mapping[str, Any]:
    summary = run.info.get("summary")
    return summary if isinstance(summary, Mapping) else {}


def _trials(run: RunData) -> str:
    lost = [
        f"{len(trials)} {word}"
        for trials, word in (
            (run.infeasible, "infeasible"),
            (run.failed, "failed"),
            (run.pruned, "pruned"),
            (run.cut_off, "cut off"),
        )
        if trials
    ]
    seconds = finite(run.info.get("seconds"))
    took = f" in {duration(seconds)}" if seconds else ""
    return f"{count(run.n_trials, 'trial')}{took}{' (' + ', '.join(lost) + ')' if lost else ''}."


def _times(run: RunData) -> str:
    """The time spent on deciding beside that of the evaluations."""
    deciding, fits = (finite(run.cost.get(name)) for name in ("deciding_seconds", "fit_seconds"))
    if deciding is None or deciding < 0.05 or fits is None:
        return ""  # it would be shown as none
    return f"Choosing configurations took {duration(deciding)}, evaluating them {duration(fits)}."


def _saved(run: RunData) -> str:
    """The fits that pruning after some of the folds saved."""
    n_saved, n_planned = (finite(_summary(run).get(name)) for name in ("fits_saved", "fits_planned"))
    return (
        f"Pruning after some folds saved {n_saved:.0f} of {n_planned:.0f} fits."
        if n_saved and n_planned
        else ""
    )


def failures(run: RunData) -> list[Mapping[str, Any]]:
    """The causes of failed trials, the most frequent first (see ``wire.Failure``)."""
    rows = _summary(run).get("failures")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _failures(run: RunData) -> str:
    causes = failures(run)
    if not causes:
        return ""
    causes_text = [
        f"{row.get('count')} × {one_line(row.get('cause') or '', 300).rstrip('.')} (first: trial"
        f" {row.get('trial')})"
        for row in causes[:_CAUSES]
    ]
    more = f"; {count(len(causes) - _CAUSES, 'more cause')}" if len(causes) > _CAUSES else ""
    return f"Failed: {'; '.join(causes_text)}{more}."


def _inert(run: RunData) -> str:
    inert = _summary(run).get("inert")
    if not isinstance(inert, Mapping) or not inert:
        return ""
    parameters = "; ".join(f"{one_line(name, 60)} ({one_line(why, 200)})" for name, why in inert.items())
    return f"Without effect in the best configuration: {parameters}."


def library_warnings(run: RunData) -> list[Mapping[str, Any]]:
    """What libraries warned of, the most frequent first (see ``wire.LibraryWarning``)."""
    rows = _summary(run).get("warnings")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def warnings_count(run: RunData) -> str:
    """``"57 warnings of libraries, 2 texts"``; "" without any."""
    rows = library_warnings(run)
    total = sum(int(finite(row.get("count")) or 0) for row in rows)
    texts = f", {count(len(rows), 'text')}" if len(rows) > 1 else ""
    return f"{count(total, 'warning')} of libraries{texts}" if rows else ""


def _warnings(run: RunData) -> str:
    text = warnings_count(run)
    return f"{text[0].upper()}{text[1:]}: result.warnings lists them." if text else ""


def _hints(run: RunData) -> list[str]:
    """What became of the user's hints, in the words of the notes."""
    notes = (one_line(item.get("text") or "", 400) for item in run.chat if item.get("kind") == "note")
    return [text for text in notes if text.startswith("The hint ")]


def _fallbacks(run: RunData) -> str:
    fallbacks = [item for item in run.chat if item.get("kind") == "fallback"]
    failed = [item for item in fallbacks if item.get("category") != "budget"]
    for_good = [item for item in failed if item.get("permanent")]
    others = [item for item in failed if not item.get("permanent")]
    llm_id = one_line(run.info.get("llm") or "", 60)
    llm = f"LLM {llm_id}".rstrip()
    sentences = []
    if n := len(others):
        n_rulebook = sum(item.get("instead") == "rulebook" for item in others)
        instead = proposed_instead(n, n_rulebook, "base sampler")
        sentences.append(f"The {llm} gave no usable proposal {times(n)}; {instead}.")
        if not for_good and not any(trial.source in ASKED_SOURCES for trial in run.trials):
            sentences.append(f"Why: {_cause(others[-1], llm_id)}")
    if for_good:
        item = for_good[0]
        since = "" if item.get("trial") is None else f" after trial {item['trial']}"
        sentences.append(f"The {llm} was not asked again{since}: {_cause(item, llm_id)}")
    if len(failed) < len(fallbacks):  # a limit of the user's, no fault of the LLM
        sentences.append(f"A limit was reached, so no more requests were sent to the {llm}.")
    return " ".join(sentences)


def _cause(fallback: Mapping[str, Any], llm_id: str) -> str:
    """What was wrong with an LLM, without its name and without what a run does about it."""
    text = one_line(fallback.get("text") or fallback.get("category") or "unknown", 500)
    for consequence in (ProviderError.consequence, PermanentProviderError.consequence):
        text = text.removesuffix(consequence)
    text = text.removeprefix(f"{llm_id}: ").strip()
    return text if text.endswith((".", "…")) else f"{text}."


def _cost(run: RunData) -> str:
    requests = int(finite(run.cost.get("requests")) or 0)
    if not requests:
        return ""
    tokens = int((finite(run.cost.get("input_tokens")) or 0) + (finite(run.cost.get("output_tokens")) or 0))
    parts = [count(requests, "request")]
    if tokens:
        parts.append(count(tokens, "token"))
    money = finite(run.cost.get("money"))
    if money is not None:
        parts.append(dollars(money))
    unreported = int(finite(run.cost.get("unreported_tokens")) or 0)
    bounded = "; where no use was reported, the most that a request can have cost is counted"
    return f"Cost: {', '.join(parts)}{bounded if unreported else ''}."
