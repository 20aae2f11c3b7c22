"""The paper's History Manager (section 3.4): the history of a prompt by one of four policies.

``state`` is our default. ``summary`` (an LLM-written summary every ten trials and when the context overflows)
and ``window`` (the last exchanges as a conversation) are the paper's memories; ``full`` grows with the run.
All but the words of a summary are computed from the study, and those are checked against it
(``summary_check.py``), so that no policy can name a best that the study does not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from sllmbo_magic.history.history import POLICIES
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.memory import BEST
from sllmbo_magic.proposers.memory import RECENT
from sllmbo_magic.proposers.memory import HistoryPrompt
from sllmbo_magic.proposers.memory import columns_of
from sllmbo_magic.proposers.memory import feedback
from sllmbo_magic.proposers.memory import full
from sllmbo_magic.proposers.memory import headline
from sllmbo_magic.proposers.memory import paragraphs
from sllmbo_magic.proposers.memory import rows
from sllmbo_magic.proposers.memory import state
from sllmbo_magic.proposers.memory import window
from sllmbo_magic.proposers.memory import with_incumbent
from sllmbo_magic.proposers.summary_check import checked
from sllmbo_magic.proposers.trial_table import trial_table

SUMMARY_EVERY = 10
"""Finished trials between two LLM-written summaries (the paper's N_SUMMARIZE_ITER)."""
_FACTS = 40
"""Trials that a summary is written from."""
_RUNNING = "Still running, without a score: "
"""Begins the line of a summary's facts from which a resumed run reads which trials it does not cover."""

Summarize: TypeAlias = Callable[[str], str | None]


class HistoryManager:
    """Turns histories into text by one policy.

    Args:
        policy: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        k: For ``"window"``: how many exchanges.

    Raises:
        ValueError: The policy is none of these.
    """

    def __init__(self, policy: str = "state", *, k: int = 10) -> None:
        if policy not in POLICIES:
            raise ValueError(f"history {policy!r} is not one of {', '.join(POLICIES)}.")
        self.policy = policy
        self.k = k
        self.written = ""
        """The last summary as the LLM wrote it, unchecked."""
        self.upto = 0
        """The summary covers the trials before this one ..."""
        self.uncovered: frozenset[int] = frozenset()
        """... but for these, which were still running when it was written."""

    def resume(self, written: str, asked_at: int, facts: str) -> None:
        """Go on with the last summary of an earlier process.

        Args:
            written: The summary.
            asked_at: The trial at whose start it was asked for.
            facts: What it was written from.
        """
        lines = [line for line in facts.splitlines() if line.startswith(_RUNNING)]
        numbers = re.findall(r"#(\d+)", lines[-1]) if lines else ()
        self.written, self.upto, self.uncovered = written, asked_at, frozenset(map(int, numbers))

    def prompt(self, ask: Ask, names: list[str], summarize: Summarize) -> HistoryPrompt:
        """The history for the next prompt.

        Args:
            names: The parameters it is about.
            summarize: Facts -> the LLM's summary, None when that failed (the old one then stays).
        """
        if self.policy == "full":
            return full(ask)
        if self.policy == "window":
            return window(ask, names, self.k)
        if self.policy == "summary":
            if len(_finished(self._since(ask))) >= SUMMARY_EVERY:
                self._summarize(ask, names, summarize)
            return self._summary(ask, names)
        return state(ask, names)

    def shorter(self, ask: Ask, names: list[str], summarize: Summarize) -> HistoryPrompt:
        """The history for a model whose context the last one overflowed: a summary now, or the state; of that
        the brief form.
        """
        if self.policy == "summary" and self._summarize(ask, names, summarize):
            return self._summary(ask, names)
        return state(ask, names, brief=self.policy in ("state", "summary"))

    def _summarize(self, ask: Ask, names: list[str], summarize: Summarize) -> bool:
        """Have a summary written of the last one and the trials since; False when there was none to be
        had.
        """
        history = ask.history
        since = _finished(self._since(ask))
        if not since:
            return False
        running = [
            o.number for o in history.observations if o.state == "RUNNING" and o.number < ask.trial_number
        ]
        best = history.ranked()[:BEST]
        groups = {f"best {len(best)} trials:": best, "trials since, good and bad:": since[-_FACTS:]}
        facts = [
            headline(history),
            f"Your last summary:\n{checked(self.written, history, ask.space)[0]}" if self.written else "",
            trial_table(groups, columns_of(ask, names)),
            _RUNNING + _numbers(running) if running else "",
        ]
        written = summarize(paragraphs(facts))
        if written is None:
            return False
        self.written, self.upto = written, max(self.upto, since[-1].number + 1)
        self.uncovered = frozenset(number for number in running if number < self.upto)
        return True

    def _since(self, ask: Ask) -> list[Observation]:
        """The trials that the summary does not cover."""
        return [o for o in ask.history.observations if o.number >= self.upto or o.number in self.uncovered]

    def _summary(self, ask: Ask, names: list[str]) -> HistoryPrompt:
        history, columns = ask.history, columns_of(ask, names)
        since = self._since(ask)
        finished = _finished(since)
        running = [o for o in since if o.state == "RUNNING"]
        newer = sorted([*running, *finished][-RECENT:], key=lambda o: o.number)
        # Checked each time: what was the best when it was written need not be any more.
        text = checked(self.written, history, ask.space)[0]
        parts = [with_incumbent(history, columns, newer)]
        if text:
            but = f" but for {_numbers(sorted(self.uncovered))}" if self.uncovered else ""
            parts.append(f"Summary of the trials before #{self.upto}{but}:\n{text}")
        if newer:
            parts.append(f"Trials since, good and bad:\n{rows(newer, columns)}")
        return HistoryPrompt(paragraphs([*parts, feedback(history)]))


def _finished(observations: list[Observation]) -> list[Observation]:
    return [o for o in observations if o.state != "RUNNING"]


def _numbers(trials: list[int]) -> str:
    return ", ".join(f"#{number}" for number in trials)
