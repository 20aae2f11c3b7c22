"""The chat of a run: each exchange with the LLM, and the trials that came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

from sllmbo_magic import attrs
from sllmbo_magic.events import Event
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import RequestSent

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def exchanges(events: Iterable[Event], trials: Iterable[FrozenTrial]) -> list[dict[str, Any]]:
    """The exchanges in the order of their requests, as ``TuneResult.history`` has them."""
    chat: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, RequestSent):
            chat[event.request] = {
                "request": event.request,
                "purpose": event.purpose,
                "trial_number": event.trial_number,
                "provider": event.provider,
                "prompt": event.text,
                "reply": None,
                "trials": [],
            }
        elif isinstance(event, ReplyReceived) and event.request in chat:
            chat[event.request].update(
                reply=event.text,
                reasoning=event.reasoning,
                candidates=event.candidates,
                usage=event.usage,
                seconds=event.seconds,
            )
    for trial in trials:
        request = (trial.user_attrs.get(attrs.PROVENANCE) or {}).get("request")
        if request in chat:
            value = trial.values[0] if trial.values else None
            chat[request]["trials"].append({"number": trial.number, "value": value})
    return [chat[n] for n in sorted(chat)]
