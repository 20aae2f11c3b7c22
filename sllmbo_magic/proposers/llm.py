"""The one place where an LLM's text becomes parameters: prompt, call, parse, validate, one repair,
de-duplicate.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic import prompts
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.events import Event
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import RequestSent
from sllmbo_magic.history import HistoryManager
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.extract import extract_json
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.base import Rejected
from sllmbo_magic.space import SearchSpace
from sllmbo_magic.space import outer_of

_EXPECTS = ("better", "similar", "explore")
_ENTRY = ("name", "type", "low", "high", "log", "choices")
_TEXT = 2000
"""Characters of a reason that are kept."""


class LLMProposer:
    """Asks a provider for configurations; at most one repair request follows a request.

    Args:
        provider: Answers the requests; records them if it is a recording one.
        history: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        allowed: Parameters of the estimator that a first search space may add, by name.
        limits: Hard limits of single parameters, for ranges that the LLM adds.
        permute_scores: Seed; shows the scores dealt out at random (a control, never the default).
        emit: Takes RequestSent and ReplyReceived, from whatever thread asks.
    """

    source = "llm"
    instant = False

    def __init__(
        self,
        provider: Provider,
        *,
        history: str = "state",
        allowed: tuple[str, ...] = (),
        limits: dict[str, tuple[float | None, float | None]] | None = None,
        permute_scores: int | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.provider = provider
        self.id = provider.id
        self.allowed = allowed
        self.limits = limits or {}
        self.permute_scores = permute_scores
        self.emit = emit
        self._manager = HistoryManager(history)
        self._number = 0

    def initialize(self, ask: Ask) -> Proposal:
        """Zero-shot search space and first configurations (paper, section 3.1), in one request."""
        messages = prompts.initialize(ask, self.allowed)
        request = self._request(messages, prompts.initialize_schema(), "initialize", ask)
        return self._exchange(request, ask, self._read_initialize)

    def propose(self, ask: Ask) -> Proposal:
        """Next configurations and ranges (paper, section 3.2), in one request."""
        shown = ask.history if self.permute_scores is None else ask.history.permuted(self.permute_scores)
        self._manager.summarize = lambda facts: self._summarize(facts, ask)
        messages = prompts.propose(ask, self._manager.text(shown, ask.space))
        request = self._request(messages, prompts.propose_schema(ask.space), "propose", ask)
        return self._exchange(request, ask, self._read_propose)

    def preview(self, ask: Ask) -> Request:
        """The request that :meth:`initialize` would send."""
        return self._request(
            prompts.initialize(ask, self.allowed), prompts.initialize_schema(), "initialize", ask
        )

    def _summarize(self, facts: str, ask: Ask) -> str:
        task = ask.task.text() if ask.task is not None else ""
        request = Request(
            messages=prompts.summarize(facts, task),
            purpose="summarize",
            trial_number=ask.trial_number,
            max_output_tokens=800,
            volatile=_volatile(ask),
        )
        try:
            completion, number = self._send(request)
        except ProviderError:
            return self._manager.summary  # an old summary is better than no proposal
        self._tell(number, request, completion, Proposal(reasoning=completion.text[:_TEXT]))
        return completion.text

    def _request(
        self, messages: tuple[Message, ...], schema: dict[str, Any], purpose: str, ask: Ask
    ) -> Request:
        return Request(
            messages=messages,
            schema=schema,
            purpose=purpose,
            trial_number=ask.trial_number,
            max_output_tokens=min(16_000, 1_500 + ask.n_candidates * (150 + 30 * len(ask.outer))),
            volatile=_volatile(ask),
        )

    def _exchange(
        self, request: Request, ask: Ask, read: Callable[[Any, Ask], tuple[Proposal, list[str]]]
    ) -> Proposal:
        """Send, read, and repair once if nothing usable came back."""
        completion, number, proposal, problems = self._try(request, ask, read)
        usage = completion.usage if completion else Usage()
        if not proposal.candidates and problems:
            text = completion.text if completion else ""
            again = Request(
                messages=prompts.repair(request.messages, text, problems),
                schema=request.schema,
                purpose="repair",
                trial_number=request.trial_number,
                max_output_tokens=request.max_output_tokens,
                volatile=request.volatile,
            )
            completion, number, proposal, problems = self._try(again, ask, read)
            usage = usage + (completion.usage if completion else Usage())
            if not proposal.candidates:
                raise ReplyError(
                    f"The answer of {self.id} could not be used, also after one repair: {problems[0]}"
                    if problems
                    else f"The answer of {self.id} held no configuration.",
                    "The base sampler takes these trials.",
                    category="unusable-reply",
                )
        return Proposal(
            candidates=proposal.candidates,
            rejected=proposal.rejected,
            space=proposal.space,
            space_reason=proposal.space_reason,
            reasoning=proposal.reasoning,
            request=number,
            usage=asdict(usage),
        )

    def _try(
        self, request: Request, ask: Ask, read: Callable[[Any, Ask], tuple[Proposal, list[str]]]
    ) -> tuple[Completion | None, int, Proposal, list[str]]:
        """One request. A reply that cannot be read becomes a list of problems; provider trouble
        propagates.
        """
        number = -1
        completion: Completion | None = None
        try:
            completion, number = self._send(request)
            proposal, problems = read(extract_json(completion.text), ask)
        except ReplayMismatchError:
            raise
        except ReplyError as error:
            proposal, problems = Proposal(), [error.message]
        if completion is not None:
            self._tell(number, request, completion, proposal, problems)
        return completion, number, proposal, problems

    def _send(self, request: Request) -> tuple[Completion, int]:
        number = int(getattr(self.provider, "next_id", self._number))
        self._number = number + 1
        if self.emit is not None:
            self.emit(
                RequestSent(
                    request=number,
                    purpose=request.purpose,
                    trial_number=request.trial_number,
                    provider=self.id,
                    text=request.messages[-1].content,
                )
            )
        completion = self.provider.complete(request)
        return completion, number

    def _tell(
        self,
        number: int,
        request: Request,
        completion: Completion,
        proposal: Proposal,
        problems: list[str] | None = None,
    ) -> None:
        if self.emit is None:
            return
        candidates: list[dict[str, Any]] = [
            {"params": c.params, "reason": c.reason, "expected": c.expects, "status": "accepted", "why": ""}
            for c in proposal.candidates
        ]
        candidates += [
            {"params": r.params, "reason": r.reason, "expected": "", "status": "rejected", "why": r.why}
            for r in proposal.rejected
        ]
        reasoning = proposal.reasoning
        if not candidates and problems:
            reasoning = (reasoning + "\n\nNot usable: " + "; ".join(problems[:5])).strip()
        self.emit(
            ReplyReceived(
                request=number,
                purpose=request.purpose,
                trial_number=request.trial_number,
                provider=self.id,
                text=completion.text,
                reasoning=reasoning,
                candidates=candidates,
                usage={**asdict(completion.usage), "model": completion.model},
                seconds=completion.seconds,
            )
        )

    def _read_initialize(self, data: Any, ask: Ask) -> tuple[Proposal, list[str]]:
        if not isinstance(data, dict):
            return Proposal(), ["the reply is not a JSON object"]
        problems: list[str] = []
        space = self._initial_space(data.get("space"), ask, problems)
        raw = [_with_pairs(c) for c in _items(data.get("configurations"))]
        if not raw:
            problems.append("the list configurations is missing or empty")
        if space is not None:
            named = {e.get("name") for e in _items(data.get("space"))}
            middle = ask.outer.complete(ask.outer.clip(ask.defaults))
            rest = {n: middle[n] for n in space if n not in named and n in middle}
            raw = [
                {**c, "params": {**rest, **c["params"]}} if isinstance(c.get("params"), dict) else c
                for c in raw
            ]
        candidates, rejected = check_configurations(raw, space or ask.space, ask)
        problems += [r.why for r in rejected]
        reasoning = _text(data.get("reasoning"))
        changed = space is not None and space != ask.space
        return (
            Proposal(
                candidates=candidates,
                rejected=rejected,
                space=space if changed else None,
                space_reason=reasoning[:500] if changed else "",
                reasoning=reasoning,
            ),
            problems,
        )

    def _initial_space(self, data: Any, ask: Ask, problems: list[str]) -> SearchSpace | None:
        """The LLM's first search space inside the outer one; parameters it adds get an outer range of their
        own.
        """
        entries = []
        for entry in _items(data):
            name = entry.get("name")
            if isinstance(name, str) and (name in ask.outer or name in self.allowed):
                entries.append({k: v for k, v in entry.items() if v is not None and k in _ENTRY})
            else:
                problems.append(f"the estimator has no open parameter {str(name)[:60]!r}")
        good: list[dict[str, Any]] = []
        for entry in entries:
            try:
                SearchSpace.from_json({"params": [entry]})
            except InputError as error:
                problems.append(error.message)
            else:
                good.append(entry)
        if not good:
            return None
        try:
            space = SearchSpace.from_json({"params": good})
        except InputError as error:
            problems.append(error.message)
            return None
        inside = space.within(grown(ask.outer, space, self.limits))
        for name in ask.locked & {*ask.space}:
            inside = inside.replace(name, ask.space[name])
        if not len(inside):
            return None
        return covering(inside, ask.space, grown(ask.outer, space, self.limits), ask.defaults)

    def _read_propose(self, data: Any, ask: Ask) -> tuple[Proposal, list[str]]:
        if not isinstance(data, dict):
            return Proposal(), ["the reply is not a JSON object"]
        space, reason, notes = changed_space(data.get("space_changes"), ask)
        raw = _items(data.get("configurations"))
        problems = [] if raw else ["the list configurations is missing or empty"]
        # A configuration may use the ranges it asks for; it may also still use the old ones.
        candidates, rejected = check_configurations(raw, space or ask.space, ask)
        problems += [r.why for r in rejected] + notes
        return (
            Proposal(
                candidates=candidates,
                rejected=rejected,
                space=space,
                space_reason=reason,
                reasoning=_text(data.get("reasoning")),
            ),
            problems,
        )


def grown(
    outer: SearchSpace, space: SearchSpace, limits: dict[str, tuple[float | None, float | None]]
) -> SearchSpace:
    """The outer space with the parameters that ``space`` adds to it, each with room around its range.

    What the outer space already has stays exactly as it is: stored trials are recorded under it.
    """
    added = SearchSpace({n: space[n] for n in space if n not in outer and n not in outer.fixed})
    if not len(added):
        return outer
    wide = outer_of(added, None, limits)
    return SearchSpace(
        {**outer.distributions, **wide.distributions}, conditions=outer.conditions, fixed=outer.fixed
    )


def covering(
    space: SearchSpace, before: SearchSpace, outer: SearchSpace, defaults: Mapping[str, Any]
) -> SearchSpace:
    """A version of the space in which every outer parameter has a value, as the stored study records them.

    What ``space`` leaves out is held at the estimator's default; where the default has no place in the range
    ("sqrt", None,
    -1), the parameter stays as it was before.
    """
    distributions, fixed = {**space.distributions}, {**space.fixed}
    for name in outer:
        if name in distributions or name in fixed:
            continue
        valid, _ = SearchSpace({name: outer[name]}).validate({name: defaults.get(name)}, repair=False)
        if valid is not None:
            fixed[name] = valid[name]
        elif name in before.fixed:
            fixed[name] = before.fixed[name]
        else:
            distributions[name] = before[name] if name in before else outer[name]
    fixed = {**{n: v for n, v in before.fixed.items() if n not in distributions}, **fixed}
    conditions = [c for c in before.conditions if c.param in distributions and c.parent in distributions]
    return SearchSpace(distributions, conditions=conditions, fixed=fixed)


def check_configurations(
    raw: list[dict[str, Any]], space: SearchSpace, ask: Ask
) -> tuple[tuple[Candidate, ...], tuple[Rejected, ...]]:
    """Split proposed configurations into usable ones and rejected ones.

    Out-of-range values, unknown or missing parameters and wrong types reject a configuration; so does one
    that equals, after rounding to what a parameter can mean, one that a trial had or that stands earlier in
    the list. More than ``ask.n_candidates`` are cut.
    """
    seen = {space.key(space.clip(o.params)): o.number for o in ask.history.observations}
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for entry in raw[: max(20, ask.n_candidates)]:
        given = entry.get("params")
        reason = _text(entry.get("reason"))
        if not isinstance(given, dict):
            rejected.append(Rejected({}, "params is not an object", reason))
            continue
        given = {k: v for k, v in given.items() if k not in space.fixed}
        params, found = space.validate(given)
        if params is None:
            rejected.append(Rejected(_plain(given), "; ".join(found[:4]), reason))
            continue
        key = space.key(params)
        if key in seen:
            other = seen[key]
            why = f"the same as trial {other}" if other >= 0 else "the same as another one in this answer"
            rejected.append(Rejected(params, why, reason))
            continue
        if len(candidates) >= ask.n_candidates:
            rejected.append(Rejected(params, "more configurations than asked for", reason))
            continue
        seen[key] = -1
        expects = entry.get("expects")
        candidates.append(Candidate(params, reason, expects if expects in _EXPECTS else "explore"))
    return tuple(candidates), tuple(rejected)


def changed_space(data: Any, ask: Ask) -> tuple[SearchSpace | None, str, list[str]]:
    """Apply an LLM's space changes one by one; what is not allowed is skipped and said.

    Returns:
        The new space or None if nothing changed, the reasons joined, and the problems.
    """
    if ask.frozen_space:
        return None, "", []
    space, reasons, notes = ask.space, [], []
    for change in _items(data)[:40]:
        name, action = change.get("name"), change.get("action")
        if not isinstance(name, str) or name not in ask.outer:
            notes.append(f"cannot change unknown parameter {str(name)[:60]!r}")
            continue
        if name in ask.locked:
            notes.append(f"{name} is locked by the user")
            continue
        try:
            new = _change(space, ask.outer, name, action, change)
        except (InputError, ValueError, TypeError, OverflowError) as error:
            text = error.message if isinstance(error, InputError) else "its values do not make a range"
            notes.append(f"{action} {name}: {text}"[:200])
            continue
        if new != space and len(new):
            space = new
            reasons.append(f"{name}: {_text(change.get('reason'))[:200]}")
    if space == ask.space:
        return None, "", notes
    return space, "; ".join(reasons), notes


def _change(
    space: SearchSpace, outer: SearchSpace, name: str, action: Any, change: dict[str, Any]
) -> SearchSpace:
    if action == "drop":
        checked, problems = SearchSpace({name: outer[name]}).validate({name: change.get("value")})
        if checked is None:
            raise InputError(problems[0] if problems else "no value to keep")
        return space.drop(name, checked[name]) if name in space else space
    if action == "add" and name not in space:
        space = space.restore(name, outer[name])
    if action not in ("narrow", "widen", "add"):
        raise InputError(f"unknown action {str(action)[:30]!r}")
    if name not in space:
        raise InputError("it is held fixed; add it first")
    bounds = outer[name]
    if isinstance(bounds, CategoricalDistribution):
        choices = change.get("choices")
        if not choices:
            return space
        return space.restore(name, outer[name]).narrow(
            name, choices=[c for c in choices if c in bounds.choices]
        )
    low, high = change.get("low"), change.get("high")
    if low is None and high is None:
        return space
    current = space[name]
    low = current.low if low is None else low  # type: ignore[attr-defined]
    high = current.high if high is None else high  # type: ignore[attr-defined]
    low, high = max(float(low), bounds.low), min(float(high), bounds.high)  # type: ignore[attr-defined]
    return space.restore(name, bounds).narrow(name, low=low, high=high)


def _items(data: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _with_pairs(entry: dict[str, Any]) -> dict[str, Any]:
    """``params`` given as name-value pairs, as the first question asks for, become one dict."""
    given = entry.get("params")
    if isinstance(given, list):
        pairs = {p["name"]: p.get("value") for p in _items(given) if isinstance(p.get("name"), str)}
        return {**entry, "params": pairs}
    return entry


def _text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Proposed values as short plain data, for showing only."""
    plain: dict[str, Any] = {}
    for name, value in list(params.items())[:60]:
        scalar = isinstance(value, bool | int | float | str) or value is None
        plain[str(name)[:80]] = (
            value if scalar and len(str(value)) <= 80 else json.dumps(value, default=str)[:80]
        )
    return plain


def _volatile(ask: Ask) -> tuple[str, ...]:
    """What may differ between two runs of the same work."""
    line = prompts.duration_text(ask)
    return (line,) if line else ()
