"""Fold a run's events into one state, the bundle that every view shows.

A :class:`RunView` takes events one by one. :meth:`RunView.snapshot` gives the whole state as plain data: the
live widget's start, the ``application/vnd.sllmbo.run+json`` output, the data of HTML report and figures.
:meth:`RunView.delta` gives what one event changed: below 1 kB, in a time that does not grow with the run.

Text from an LLM enters here, so it is cleaned here, once (``report.limits``). It stays untrusted: a view
shows it as text or as sanitised markdown, never as markup. The types of bundle and delta: ``report.wire``.

A delta says, by key, what to merge into a bundle of the same ``seq - 1``::

    {"seq": 12, "seconds": 31.5,
     "run": {...}, "cost": {...}, "importances": {...}     merge the keys
     "trial": {"n": 3, ...}, "chat": {"id": "r4", ...}     merge into the entry of that n or id, or append it
     "space": {"version": 2, ...},  "outer": [...]}        put in place of that version, or append; replace

An entry with ``"more": true`` is shortened; :meth:`RunView.item` has it whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatchmethod
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic import events as ev
from sllmbo_magic.report.limits import EXACT
from sllmbo_magic.report.limits import bounded_text
from sllmbo_magic.report.limits import cut_entry
from sllmbo_magic.report.limits import json_ready
from sllmbo_magic.report.limits import last_entries
from sllmbo_magic.report.limits import limit_delta
from sllmbo_magic.report.limits import rounded

SCHEMA = 1
MIME = "application/vnd.sllmbo.run+json"


class RunView:
    """The state of one run as its events tell it. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.seq = 0
        self._run: dict[str, Any] = {"status": "running", "reason": "", "seconds": 0.0, "locked": []}
        self._outer: list[dict[str, Any]] = []
        self._versions: list[dict[str, Any]] = []
        self._trials: dict[int, dict[str, Any]] = {}
        self._chat: dict[str, dict[str, Any]] = {}
        self._importances: dict[str, float] = {}
        self._cost: dict[str, Any] = {
            "requests": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "money": None,
            "llm_seconds": 0.0,
            "fit_seconds": 0.0,
            "deciding_seconds": 0.0,
        }
        self._notes = 0
        self._done = 0
        self._unseen = 0
        """Trials of earlier processes that the study holds and that have no event."""
        self._is_over = False
        self._origin: float | None = None  # a resumed run's clock goes on where it stood

    # ------------------------------------------------------------------ in

    def apply(self, event: ev.Event) -> None:
        """Fold one event into the state."""
        self.delta(event)

    def delta(self, event: ev.Event) -> dict[str, Any]:
        """Fold one event into the state and return what it changed; below 1 kB as JSON, in constant time."""
        is_over = self._is_over and not isinstance(event, ev.RunStarted)
        self._is_over = is_over or isinstance(event, ev.RunFinished)
        # a note on a trial of a run that has ended does not make it longer
        return self._finish(self._fold(event), 0.0 if is_over else event.time)

    def command_sent(self, name: str, value: Any, id: str, time: float) -> dict[str, Any] | None:
        """Record a pending command and return the delta; None if ``WishApplied`` of that id came before."""
        if f"w:{id}" in self._chat:
            return None
        return self._finish(
            self._add_chat(
                f"w:{id}",
                "wish",
                None,
                time,
                wish=bounded_text(name, 40),
                value=json_ready(value),
                state="pending",
            ),
            time,
        )

    def result_is_kept(self) -> dict[str, Any]:
        """The kernel holds the result of the run: its views may mark trials and ask for importances."""
        return self._finish(self._change_run({"has_result": True}), 0.0)

    def _finish(self, patch: dict[str, Any], time: float) -> dict[str, Any]:
        self.seq += 1
        if self._origin is not None:
            self._run["seconds"] = round(max(self._run["seconds"], time - self._origin), 3)
        return limit_delta({"seq": self.seq, "seconds": self._run["seconds"], **patch})

    @singledispatchmethod
    def _fold(self, event: ev.Event) -> dict[str, Any]:
        raise TypeError(f"{type(event).__name__} is no event of a run")

    @_fold.register
    def _(self, event: ev.RunStarted) -> dict[str, Any]:
        if event.earlier and not self._trials:
            for one in event.earlier:
                self._finish(self._fold(one), one.time)
        for trial in self._trials.values():
            if trial.get("state") == "RUNNING":
                trial.update(state="FAIL", error=attrs.STOPPED, cause="cut off when its process ended")
                trial.pop("folds", None)
        self._unseen = max(0, int(event.run.get("n_done") or 0) - self._done)
        new = json_ready({k: v for k, v in event.run.items() if k not in ("path", "n_done")})
        new.update(status="running", reason="", summary=None)
        if self._run.get("has_result"):
            new["has_result"] = False
        new.setdefault("started_at", self._run.get("started_at", event.time))
        self._origin = event.time - self._run["seconds"]
        patch = self._change_run(new)
        return {**patch, "stale": True} if self._trials or self._unseen else patch

    @_fold.register
    def _(self, event: ev.SpaceChanged) -> dict[str, Any]:
        version = {
            "version": event.version,
            "trial": event.trial_number,
            "params": json_ready(event.params),
            "reason": bounded_text(event.reason, 2000),
            "by": event.by,
            "time": round(event.time, 2),
        }
        self._versions = [v for v in self._versions if v["version"] != event.version] + [version]
        patch: dict[str, Any] = {"space": version}
        if event.outer is not None:
            self._outer = json_ready(event.outer)
            patch["outer"] = self._outer
        return patch

    @_fold.register
    def _(self, event: ev.TrialStarted) -> dict[str, Any]:
        patch = self._change_trial(
            event.number,
            state="RUNNING",
            time=round(event.time, 2),
            params=json_ready(event.params),
            source=event.source,
            reason=bounded_text(event.reason, 2000),
            expected=bounded_text(event.expected, 2000),
            space=event.space_version,
            request=event.request,
            folds=[],
        )
        if event.deciding_seconds:
            deciding = rounded(self._cost["deciding_seconds"] + event.deciding_seconds)
            self._cost["deciding_seconds"] = deciding
            patch["cost"] = {"deciding_seconds": deciding}
        return patch

    @_fold.register
    def _(self, event: ev.FoldFinished) -> dict[str, Any]:
        scored = self._trials.get(event.number, {}).get("folds") or ()
        folds = [*scored, *[None] * (event.n_folds - len(scored))]
        folds[event.fold] = rounded(event.score, 6)
        return self._change_trial(event.number, folds=folds)

    @_fold.register
    def _(self, event: ev.CheckProgress) -> dict[str, Any]:
        return self._change_run({"status": "checking", "checked": [event.done, event.total]})

    @_fold.register
    def _(self, event: ev.TrialFinished) -> dict[str, Any]:
        is_new = self._trials.get(event.number, {}).get("state") in (None, "RUNNING")
        self._done += is_new and event.error != attrs.STOPPED  # one that was cut off runs again
        patch = self._change_trial(
            event.number,
            state=event.state,
            value=rounded(event.value, EXACT),
            std=rounded(event.std, 5),
            splits=[rounded(score, 6) for score in event.split_scores],
            params=json_ready(event.params),
            source=event.source,
            reason=bounded_text(event.reason, 2000),
            expected=bounded_text(event.expected, 2000),
            came_true=event.came_true,
            seconds=rounded(event.seconds, 5),
            error=None if event.error is None else bounded_text(event.error, 200),
            **({"cause": bounded_text(event.cause, 2000)} if event.cause else {}),
            **({"values": [rounded(v, EXACT) for v in event.values]} if event.values else {}),
            **_pruned(event),
            space=event.space_version,
            request=event.request,
        )
        self._trials[event.number].pop("folds", None)  # a view drops them with a state that is final
        self._cost["fit_seconds"] = rounded(self._cost["fit_seconds"] + event.seconds)
        patch["cost"] = {"fit_seconds": self._cost["fit_seconds"]}
        if event.best_number is not None:
            best = {"best_number": event.best_number, "best_value": rounded(event.best_value, EXACT)}
            patch.update(self._change_run(best))
        if event.source == "default" and event.state == "COMPLETE":
            patch.update(_merged(patch, self._change_run({"default_value": rounded(event.value, EXACT)})))
        return patch

    @_fold.register
    def _(self, event: ev.RequestSent) -> dict[str, Any]:
        self._cost["requests"] += 1
        patch = self._add_chat(
            f"p{event.request}",
            "prompt",
            event.trial_number,
            event.time,
            **_exchange_fields(event),
        )
        patch["cost"] = {"requests": self._cost["requests"]}
        return patch

    @_fold.register
    def _(self, event: ev.ReplyReceived) -> dict[str, Any]:
        usage = json_ready(event.usage)
        cost = self._cost
        cost["input_tokens"] += int(usage.get("input_tokens") or 0)
        cost["output_tokens"] += int(usage.get("output_tokens") or 0)
        if usage.get("money") is not None:
            cost["money"] = rounded((cost["money"] or 0.0) + float(usage["money"]))
        cost["llm_seconds"] = rounded(cost["llm_seconds"] + event.seconds)
        patch = self._add_chat(
            f"r{event.request}",
            "reply",
            event.trial_number,
            event.time,
            **_exchange_fields(event),
            reasoning=bounded_text(event.reasoning),
            candidates=json_ready(event.candidates),
            usage=usage,
            seconds=rounded(event.seconds, 5),
        )
        patch["cost"] = {
            k: v for k, v in cost.items() if k not in ("requests", "fit_seconds", "deciding_seconds")
        }
        return patch

    @_fold.register
    def _(self, event: ev.Fallback) -> dict[str, Any]:
        return self._add_chat(
            self._note_id(),
            "fallback",
            event.trial_number,
            event.time,
            category=bounded_text(event.category, 100),
            text=bounded_text(event.message, 2000),
            permanent=event.permanent,
            instead=bounded_text(event.instead, 100),
        )

    @_fold.register
    def _(self, event: ev.Note) -> dict[str, Any]:
        return self._add_chat(
            self._note_id(),
            "note",
            event.trial_number,
            event.time,
            text=bounded_text(event.text, 2000),
            level=event.level,
        )

    @_fold.register
    def _(self, event: ev.WishApplied) -> dict[str, Any]:
        id = f"w:{event.id}" if event.id is not None else self._note_id()
        patch = self._add_chat(
            id,
            "wish",
            event.trial_number,
            event.time,
            wish=bounded_text(event.wish, 40),
            value=json_ready(event.value),
            state="applied",
        )
        patch.update(self._change_run(self._run_fields_after(event.wish, event.value)))
        if event.wish == "note" and event.value.get("trial") in self._trials:
            star, note = bool(event.value.get("star")), bounded_text(event.value.get("text") or "", 500)
            patch.update(self._change_trial(event.value["trial"], star=star, note=note))
        return patch

    @_fold.register
    def _(self, event: ev.RunFinished) -> dict[str, Any]:
        summary = json_ready(event.summary, digits=EXACT)
        self._importances = dict(summary.pop("importances", None) or {})
        new = {"status": event.status, "reason": bounded_text(event.reason, 2000), "summary": summary}
        new.update({k: summary[k] for k in ("default_value", "best_value", "best_number") if k in summary})
        patch = self._change_run(new)
        if self._importances:
            patch["importances"] = self._importances
        if isinstance(summary.get("cost"), dict):
            patch["cost"] = self._total_cost(summary["cost"])
        return patch

    def _total_cost(self, total: Mapping[str, Any]) -> dict[str, Any]:
        """The cost at the end of a run, which knows of retries and of answers that came too late.

        The events of a replay hold the cost of the recorded run, which it did not have itself.
        """
        for name in ("requests", "input_tokens", "output_tokens", "money"):
            if total.get(name) is not None:
                self._cost[name] = max(self._cost[name] or 0, rounded(total[name]))
        if total.get("unreported_tokens"):
            self._cost["unreported_tokens"] = total["unreported_tokens"]
        return {k: v for k, v in self._cost.items() if k not in ("fit_seconds", "deciding_seconds")}

    def _run_fields_after(self, command: str, value: Any) -> dict[str, Any]:
        """What a command that took effect changes in the run's own fields."""
        if command in ("pause", "resume"):
            return {"status": "paused" if command == "pause" else "running"}
        if command == "sampler":
            return {"sampler": bounded_text(value, 100)}
        if command == "ratio":
            return {"llm_ratio": rounded(value)}
        if command == "extend" and isinstance(self._run.get("n_trials"), int):
            return {"n_trials": self._run["n_trials"] + int(value)}
        if command in ("lock", "unlock"):
            others = [name for name in self._run["locked"] if name != value]
            return {"locked": [*others, bounded_text(value, 200)] if command == "lock" else others}
        return {}

    def _change_run(self, new: dict[str, Any]) -> dict[str, Any]:
        changed = {k: v for k, v in new.items() if k not in self._run or self._run[k] != v}
        self._run.update(changed)
        return {"run": changed} if changed else {}

    def _change_trial(self, n: int, **new: Any) -> dict[str, Any]:
        trial = self._trials.setdefault(n, {"n": n})
        changed = {k: v for k, v in new.items() if k not in trial or trial[k] != v}
        trial.update(changed)
        return {"trial": {"n": n, **changed}}

    def _add_chat(self, id: str, kind: str, trial: int | None, time: float, **more: Any) -> dict[str, Any]:
        before = self._chat.get(id)
        item = {"id": id, "kind": kind, "trial": trial, "time": round(time, 2), **more}
        if before is not None:
            item["time"] = before["time"]
            before.update(item)
        else:
            self._chat[id] = item
        return {"chat": item}

    def _note_id(self) -> str:
        self._notes += 1
        return f"n{self._notes}"

    # ------------------------------------------------------------------ out

    def head(self) -> dict[str, Any]:
        """A few fields for a list of runs: name, status, done, n_trials, scores, direction, metric."""
        names = ("name", "status", "n_trials", "best_value", "default_value", "direction", "metric")
        negated = bool(self._run.get("negated"))
        return {
            **{name: self._run.get(name) for name in names},
            "negated": negated,
            "done": self._done + self._unseen,
        }

    def item(self, kind: str, id: Any) -> dict[str, Any] | None:
        """One whole entry: ``item("chat", "r4")``, ``item("trial", 17)``, ``item("space", 3)``; else None."""
        if kind == "chat" and isinstance(id, str):
            return self._chat.get(id)
        if kind == "trial" and isinstance(id, int):
            return self._trials.get(id)
        if kind == "space" and isinstance(id, int):
            return next((v for v in reversed(self._versions) if v["version"] == id), None)
        return None

    def snapshot(
        self,
        limit_trials: int | None = None,
        limit_chat: int | None = None,
        limit_versions: int | None = None,
        limit_text: int | None = None,
    ) -> dict[str, Any]:
        """The whole state as the bundle, schema 1; shares nothing with the view that a caller may not keep.

        Args:
            limit_trials: Keep so many of the last trials, and always the best and the default's.
            limit_chat: Keep so many of the last entries of the chat.
            limit_versions: Keep so many of the last versions of the space, and always the first.
            limit_text: Cut prompts and replies to so many characters; such an entry has ``"more": true``.

        What was left out is counted in ``"omitted"``: ``{"trials": 0, "chat": 0, "versions": 0}``.
        """
        trials = [self._trials[n] for n in sorted(self._trials)]
        chat = list(self._chat.values())
        keep = {self._run.get("best_number"), 0}
        kept_trials = last_entries(trials, limit_trials, lambda t: t["n"] in keep)
        kept_chat = last_entries(chat, limit_chat)
        versions = last_entries(self._versions, limit_versions, lambda v: v["version"] == 0)
        if limit_text is not None:
            kept_chat = [cut_entry(item, limit_text) for item in kept_chat]
        run = {"default_value": None, "best_value": None, "best_number": None, "summary": None, **self._run}
        return {
            "schema": SCHEMA,
            "seq": self.seq,
            "run": {**run, "locked": list(self._run["locked"])},
            "space": {"outer": self._outer, "versions": versions},
            "trials": [dict(t) for t in kept_trials],
            "chat": [dict(item) for item in kept_chat],
            "importances": dict(self._importances),
            "cost": dict(self._cost),
            "omitted": {
                "trials": len(trials) - len(kept_trials) + self._unseen,
                "chat": len(chat) - len(kept_chat),
                "versions": len(self._versions) - len(versions),
            },
        }


def _merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    return {k: {**one.get(k, {}), **v} for k, v in two.items()}


def _exchange_fields(event: ev.RequestSent | ev.ReplyReceived) -> dict[str, Any]:
    return {
        "request": event.request,
        "purpose": event.purpose,
        "provider": bounded_text(event.provider, 200),
        "text": bounded_text(event.text),
    }


def _pruned(event: ev.TrialFinished) -> dict[str, str]:
    """Where a trial was pruned and with what, in words; nothing for others."""
    if not event.pruned_at:
        return {}
    value = "" if event.reported is None else f" at {event.reported:.5g}"
    return {"pruned": bounded_text(f"after {event.pruned_at}{value}", 100)}
