"""A run's events folded into a few lines of text. Pure: no display, no clock of its own."""

from __future__ import annotations

import time as clock
from functools import singledispatchmethod
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic import events as ev
from sllmbo_magic.task.display_metric import display_metric

_NOTES_KEPT = 3


class Progress:
    """What a text view shows of a run.

    :meth:`apply` takes the events in order and returns the sentences that are worth a line of their own in a
    log: the start, a better trial, every tenth of the way, notes, the end. ``stopping`` is set by the
    caller once the run was asked to end.
    """

    def __init__(self, name: str = "run") -> None:
        self.name = name
        self.n_trials: int | None = None
        self.done = 0
        self.failed = 0
        self.best_value: float | None = None
        self.best_number: int | None = None
        self.best_source = ""
        self.default_value: float | None = None
        self.requests = 0
        self.tokens = 0
        self.money: float | None = None
        self.paused = False
        self.stopping = False
        self.status = "running"
        self.notes: list[str] = []
        self._started = self._time = clock.time()
        self._fit_seconds: list[float] = []
        self._running: dict[int, tuple[int, int]] = {}
        """For each trial in flight how many of its folds are scored, and how many it has."""
        self._at_once = 1
        """The most trials that were in flight together."""
        self._display = display_metric("")

    # ---- in

    @singledispatchmethod
    def apply(self, event: ev.Event) -> list[str]:
        """Fold one event; the lines that a log should show for it."""
        return []

    @apply.register
    def _(self, event: ev.RunStarted) -> list[str]:
        run = event.run
        self._started = self._time = event.time
        self._running.clear()  # what a killed process left
        self.name = str(run.get("name") or self.name)
        self.n_trials = run.get("n_trials")
        self.done = int(run.get("n_done") or 0)
        metric_name, direction = str(run.get("metric") or ""), str(run.get("direction") or "maximize")
        self._display = display_metric(metric_name, direction, bool(run.get("negated")))
        trials = f"{self.n_trials} trials" if self.n_trials is not None else "trials until stopped"
        going_on = f", {self.done} done already" if self.done else ""
        has_metric = metric_name not in ("", run.get("estimator"))
        metric = f" by {self._display.label}" if has_metric else ""
        metric += f" ({self._display.better})" if has_metric and not self._display.maximize else ""
        llm = run.get("llm")
        llm_text = f" with {llm}" if llm and str(run.get("sampler")).startswith("llm") else ""
        sampler = f"{run.get('sampler')}{llm_text}"
        return [f"{self.name}: {trials} of {run.get('estimator')}{metric}, {sampler}{going_on}"]

    @apply.register
    def _(self, event: ev.TrialStarted) -> list[str]:
        self._time = event.time
        self._running[event.number] = (0, 0)
        self._at_once = max(self._at_once, len(self._running))
        return []

    @apply.register
    def _(self, event: ev.FoldFinished) -> list[str]:
        self._time = event.time
        n_scored, _ = self._running.get(event.number, (0, 0))
        self._running[event.number] = (n_scored + 1, event.n_folds)
        return []

    @apply.register
    def _(self, event: ev.TrialFinished) -> list[str]:
        self._time = event.time
        self._running.pop(event.number, None)
        if event.error == attrs.STOPPED:
            return []  # cut off: it runs again
        self.done += 1
        self._fit_seconds.append(event.seconds)
        if event.state == "FAIL":
            self.failed += 1
        if event.source == "default" and event.state == "COMPLETE" and event.value is not None:
            self.default_value = event.value
        better = event.best_number is not None and event.best_number == event.number
        if event.best_value is not None:
            self.best_value, self.best_number = event.best_value, event.best_number
        if better:
            self.best_source = event.source
        tenth = self.n_trials and self.done % max(1, -(-self.n_trials // 10)) == 0
        return [self.line()] if better or tenth else []

    @apply.register
    def _(self, event: ev.RequestSent) -> list[str]:
        self.requests += 1
        return []

    @apply.register
    def _(self, event: ev.ReplyReceived) -> list[str]:
        usage: dict[str, Any] = event.usage
        self.tokens += int(usage.get("input_tokens") or 0) + int(usage.get("output_tokens") or 0)
        if usage.get("money") is not None:
            self.money = (self.money or 0.0) + float(usage["money"])
        return []

    @apply.register
    def _(self, event: ev.Fallback) -> list[str]:
        return self._note(event.message)

    @apply.register
    def _(self, event: ev.Note) -> list[str]:
        return self._note(event.text)

    @apply.register
    def _(self, event: ev.WishApplied) -> list[str]:
        self.paused = {"pause": True, "resume": False}.get(event.wish, self.paused)
        if event.wish == "extend" and self.n_trials is not None:
            self.n_trials += int(event.value)
        value = "" if event.value is None else f" {event.value}"
        return self._note(f"{event.wish}{value}: applied at trial {event.trial_number}.")

    @apply.register
    def _(self, event: ev.RunFinished) -> list[str]:
        self._time = event.time
        self.status = event.status
        why = event.reason.rstrip(".") if event.reason else ""
        reason = f": {why}" if why and why != event.status else ""
        return [f"{self.name}: {event.status}{reason}."]

    def _note(self, text: str) -> list[str]:
        if self.notes and self.notes[-1] == text:
            return []
        self.notes = [*self.notes, text][-_NOTES_KEPT:]
        return [f"{self.name}: {text}"]

    # ---- out

    def line(self, now: float | None = None) -> str:
        """The state in one line."""
        total = "" if self.n_trials is None else f"/{self.n_trials}"
        parts = [f"{self.name}: {self.done}{total} trials"]
        if self.best_value is not None:
            trial_text = f"trial {self.best_number}{', ' + self.best_source if self.best_source else ''}"
            parts.append(f"best {self._display.shown(self.best_value):.5g} ({trial_text})")
        if self.best_value is not None and self.default_value is not None:
            difference = self._display.shown(self.best_value) - self._display.shown(self.default_value)
            gain = (difference if self._display.maximize else -difference) + 0.0  # no "-0"
            parts.append(f"gain over default {gain:+.3g}")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.requests:
            money = f", ${self.money:.3f}" if self.money is not None else ""
            tokens = f", {self.tokens:,} tokens" if self.tokens else ""
            parts.append(f"{self.requests} request{'s' if self.requests > 1 else ''}{tokens}{money}")
        elapsed = (self._time if now is None else max(now, self._time)) - self._started
        parts.append(f"{duration(elapsed)}{self._time_left()}")
        if self.stopping:
            parts.append("stopping after the fold in flight; a second interrupt does not wait for it")
        elif self.paused:
            parts.append("paused")
        else:
            parts += [f"trial {n}: fold {fold}/{of}" for n, (fold, of) in self._running.items() if of]
        return " · ".join(parts)

    def block(self, now: float | None = None) -> str:
        """The line and the last notes below it."""
        return "\n".join([self.line(now), *(f"  {note}" for note in self.notes)])

    def _time_left(self) -> str:
        if self.n_trials is None or self.done >= self.n_trials or not self._fit_seconds:
            return ""
        recent = self._fit_seconds[-20:]
        seconds = sum(recent) / len(recent) * (self.n_trials - self.done) / self._at_once
        return f", about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds as people write them: ``"8 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    full_seconds = max(0, round(seconds))
    if full_seconds < 60:
        return f"{full_seconds} s"
    if full_seconds < 3600:
        return f"{full_seconds // 60} min {full_seconds % 60} s"
    return f"{full_seconds // 3600} h {full_seconds % 3600 // 60} min"
