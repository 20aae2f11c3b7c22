"""The proposer that asks an LLM: prompt, call, read, one repair.

What comes back is checked in ``reply.py``; nothing unchecked leaves this package.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import TypeAlias

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplayMismatchError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import SllmboError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import RequestSent
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.hints import overruled
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.base import complete_provider
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.json_reply import final_text
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.proposers import prompts
from sllmbo_magic.proposers.base import UNUSABLE
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.default_values import lacking
from sllmbo_magic.proposers.history_manager import HistoryManager
from sllmbo_magic.proposers.memory import MAX_COLUMNS
from sllmbo_magic.proposers.memory import focus
from sllmbo_magic.proposers.memory import state
from sllmbo_magic.proposers.reply import read_initialize
from sllmbo_magic.proposers.reply import read_propose
from sllmbo_magic.proposers.reply_configurations import in_groups
from sllmbo_magic.proposers.schemas import initialize_schema
from sllmbo_magic.proposers.schemas import propose_schema
from sllmbo_magic.proposers.space_changes import Limits
from sllmbo_magic.proposers.summary_check import checked
from sllmbo_magic.task.masked_names import MaskedNames

__all__ = ["LLMProposer"]

_NO_ROOM = ("context-length", "too-large")
"""Categories of a request that was too long: a shorter one may pass, a repair cannot."""
_FINAL = (*_NO_ROOM, "skipped", "truncated")
"""Categories of errors without a reply that asking once more would not mend."""

Read: TypeAlias = Callable[[Any], tuple[Proposal, list[str]]]
Inert: TypeAlias = Callable[[Mapping[str, Any]], dict[str, str]]


@dataclass(frozen=True)
class _Answer:
    """What one request brought: a checked proposal, or problems; the text is empty where no reply came."""

    proposal: Proposal
    problems: list[str]
    text: str
    usage: Usage
    number: int


class LLMProposer:
    """Asks a provider for configurations; at most one repair request follows a request.

    Args:
        provider: Answers the requests; records them if it is a recording one.
        history: ``"state"`` (default), ``"summary"``, ``"window"`` or ``"full"``.
        allowed: Parameters of the estimator that a first search space may add, by name.
        limits: Hard limits of single parameters, for ranges that the LLM adds.
        inert: A configuration -> its parameters without effect, and why (``priors.inert`` of an estimator).
        names: Names that a request has masks for; an answer gets the real ones before it is read.
        permute_scores: Seed; shows the scores dealt out at random (a control, never the default).
        emit: Takes RequestSent, ReplyReceived and Note, from whatever thread asks.

    Raises:
        ValueError: ``history`` is none of these.
    """

    source = "llm"
    instant = False

    def __init__(
        self,
        provider: Provider,
        *,
        history: str = "state",
        allowed: tuple[str, ...] = (),
        limits: Limits | None = None,
        inert: Inert | None = None,
        names: MaskedNames | None = None,
        permute_scores: int | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.provider = complete_provider(provider)
        self.id = provider.id
        self.allowed = allowed
        self.limits = limits or {}
        self.inert = inert
        self.names = MaskedNames() if names is None else names
        self.permute_scores = permute_scores
        self.emit = emit
        self._manager = HistoryManager(history)
        self._number = 0
        self._short_of_room = False
        self._overruled: set[Hint] = set()
        self._restored = False

    def initialize(self, ask: Ask) -> Proposal:
        """Zero-shot search space and first configurations (paper, section 3.1), in one request."""
        return self._exchange(
            self.preview(ask), lambda data: read_initialize(data, ask, self.allowed, self.limits)
        )

    def propose(self, ask: Ask) -> Proposal:
        """Next configurations and ranges (paper, section 3.2), in one request; twice if the first one was too
        long for the model.
        """
        self._restore()
        if self.permute_scores is not None:
            ask = replace(ask, history=ask.history.permuted(self.permute_scores))
        self._tell_overruled(ask)
        names = focus(ask.history, ask.space, ask.trial_number)

        def read(data: Any) -> tuple[Proposal, list[str]]:
            return read_propose(data, ask, names)

        if not self._short_of_room:
            try:
                return self._exchange(self._propose(ask, names), read)
            except ReplyError as error:
                if error.category not in _NO_ROOM:
                    raise
            self._short_of_room = True
            self._note(
                f"The history is too long for the context of {self.id}; a shorter one is sent.",
                ask,
                "warning",
            )
        return self._exchange(self._propose(ask, names, shorter=True), read)

    def preview(self, ask: Ask) -> Request:
        """The request that :meth:`initialize` sends."""
        messages = prompts.initialize(ask, self.allowed)
        return self._masked(_request(messages, initialize_schema(), "initialize", ask, len(ask.outer)))

    def preview_propose(self, ask: Ask) -> Request:
        """The request that :meth:`propose` sends, by the default history policy."""
        names = focus(ask.history, ask.space, ask.trial_number)
        messages = prompts.propose(ask, state(ask, names).text, names=names)
        return self._masked(_request(messages, _schema(ask, names), "propose", ask, len(names)))

    def _propose(self, ask: Ask, names: list[str], *, shorter: bool = False) -> Request:
        """The request for the next configurations; ``shorter`` for a model without room."""
        manager = self._manager
        history = (manager.shorter if shorter else manager.prompt)(
            ask, names, lambda facts: self._summarize(facts, ask)
        )
        messages = prompts.propose(
            ask, history.text, turns=history.turns, names=names, inert=self._inert_now(ask)
        )
        request = _request(messages, _schema(ask, names), "propose", ask, len(names))
        return replace(request, volatile=(*request.volatile, *history.volatile))

    def _inert_now(self, ask: Ask) -> dict[str, str]:
        """Searched parameters without effect at the incumbent."""
        best = ask.history.incumbent
        if self.inert is None or best is None:
            return {}
        reasons = self.inert({**ask.space.fixed, **best.params})
        return {name: why for name, why in reasons.items() if name in ask.space}

    def __deepcopy__(self, memo: dict[int, Any]) -> LLMProposer:
        """A copy of its own, but for a provider that holds a key or a connection: that one both use."""
        new = copy.copy(self)
        memo[id(self)] = new
        for name, value in self.__dict__.items():
            try:
                setattr(new, name, copy.deepcopy(value, memo))
            except TypeError:
                if name != "provider":
                    raise
        return new

    def for_another_study(self) -> LLMProposer:
        """A proposer that asks the same provider and knows nothing of the trials of this one's study."""
        new = copy.copy(self)
        new._manager = HistoryManager(self._manager.policy)
        new._overruled = set()
        new._restored = True  # a summary in the transcript is about the other study
        return new

    # Around the questions

    def _restore(self) -> None:
        """Go on with the last summary of the transcript, when the run is a resumed one."""
        transcript = self.provider.transcript
        if self._restored or transcript is None or self._manager.policy != "summary":
            self._restored = True
            return
        self._restored = True
        summaries = [e for e in transcript.exchanges() if e.get("purpose") == "summarize" and e.get("reply")]
        if summaries and isinstance(summaries[-1].get("trial_number"), int):
            last = summaries[-1]
            facts = last["messages"][-1]["content"]
            written = self.names.real(final_text(last["reply"]))
            self._manager.resume(written, last["trial_number"], facts)

    def _summarize(self, facts: str, ask: Ask) -> str | None:
        request = self._masked(
            Request(
                messages=prompts.summarize(facts, ask),
                purpose="summarize",
                trial_number=ask.trial_number,
                max_output_tokens=800,
                volatile=_volatile(ask),
            )
        )
        try:
            completion, number = self._send(request)
        except ReplayMismatchError:
            raise
        except ProviderError:
            return None  # an old summary is better than no proposal
        summary = str(self.names.real(final_text(completion.text)))
        wrong = checked(summary, ask.history, ask.space)[1]
        note = "Taken out, because the scores say otherwise:\n" + "\n".join(wrong) if wrong else ""
        self._tell(number, request, completion, Proposal(reasoning=note))
        return summary

    def _tell_overruled(self, ask: Ask) -> None:
        """Note once of each hint that the scores contradict it."""
        for hint in ask.hints:
            why = None if hint in self._overruled else overruled(hint, ask.history)
            if why is not None:
                self._overruled.add(hint)
                self._note(f"The hint {hint.text[:120]!r} is overruled: {why}.", ask)

    def _note(self, text: str, ask: Ask, level: str = "info") -> None:
        if self.emit is not None:
            self.emit(Note(text=text, level=level, trial_number=ask.trial_number))

    # One exchange

    def _exchange(self, request: Request, read: Read) -> Proposal:
        """Send, read, and repair once if nothing usable came back.

        Raises:
            ReplyError: Nothing usable came, also not the second time.
        """
        answer = self._try(request, read)
        usage = answer.usage
        if not answer.proposal.candidates:
            again = replace(
                request,
                messages=prompts.repair(request.messages, answer.text, answer.problems),
                purpose="repair",
            )
            answer = self._try(again, read)
            usage = usage + answer.usage
            if not answer.proposal.candidates:
                raise ReplyError(
                    f"The answer of {self.id} could not be used, also after one repair:"
                    f" {answer.problems[0]}.",
                    "The base sampler takes these trials.",
                    category=UNUSABLE,
                )
        return replace(answer.proposal, request=answer.number, usage=asdict(usage))

    def _try(self, request: Request, read: Read) -> _Answer:
        """One request. What cannot be read becomes a list of problems; other trouble propagates."""
        request = self._masked(request)
        completion: Completion | None = None
        number = -1
        try:
            completion, number = self._send(request)
            proposal, problems = read(self.names.real(extract_json(completion.text, request.schema)))
        except ReplayMismatchError:
            raise
        except ReplyError as error:
            if completion is None and error.category in _FINAL:
                raise
            proposal, problems = Proposal(), [error.message.rstrip(".")]
            usage = error.usage if isinstance(error.usage, Usage) else Usage()
        if completion is not None:
            self._tell(number, request, completion, proposal, problems)
            usage = completion.usage
        text = completion.text if completion is not None else ""
        return _Answer(proposal, problems or ["it holds no configuration"], text, usage, number)

    def _masked(self, request: Request) -> Request:
        """The request without the names that the LLM is not told."""
        mask = self.names.masked
        return replace(
            request,
            messages=tuple(replace(m, content=mask(m.content)) for m in request.messages),
            schema=mask(request.schema),
            volatile=tuple(map(mask, request.volatile)),
        )

    def _send(self, request: Request) -> tuple[Completion, int]:
        self.provider.check_budget(request)
        next_id = self.provider.next_id
        number = self._number if next_id is None else next_id
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
        return self._completed(request), number

    def _completed(self, request: Request) -> Completion:
        """The provider's answer. What a provider raises that is not ours ends no run: it may be better later.

        Raises:
            ProviderError: The provider's own; for any other error one that names its class and text.
        """
        try:
            completion = self.provider.complete(request)
        except SllmboError:
            raise
        except Exception as error:  # noqa: BLE001 (a provider of the user's may raise any class)
            words = f"{type(error).__name__}: {one_line(error)}".rstrip(" :.")
            raise TransientProviderError(f"{self.id} raised {words}.", category="provider") from None
        if not isinstance(completion, Completion):
            kind = type(completion).__name__
            raise TransientProviderError(f"{self.id} gave {kind}, not a Completion.", category="provider")
        return completion

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
            {
                "params": c.own_params,
                "reason": c.reason,
                "expected": c.expects,
                "status": "accepted",
                "why": c.note,
            }
            for c in proposal.candidates
        ]
        candidates += [
            {"params": r.params, "reason": r.reason, "expected": "", "status": "rejected", "why": r.why}
            for r in proposal.rejected
        ]
        reasoning = proposal.reasoning
        if not proposal.candidates and problems:
            reasoning += "\n\nNot usable: " + "; ".join(in_groups(problems)[:5])
        elif proposal.refused:
            reasoning += "\n\nNot done: " + "; ".join(proposal.refused[:5])
        self.emit(
            ReplyReceived(
                request=number,
                purpose=request.purpose,
                trial_number=request.trial_number,
                provider=self.id,
                text=completion.text,
                reasoning=reasoning.strip(),
                candidates=candidates,
                usage={**asdict(completion.usage), "model": completion.model},
                seconds=completion.seconds,
            )
        )


def _schema(ask: Ask, names: list[str]) -> dict[str, Any]:
    space = ask.space.subspace(names)
    return propose_schema(space, may_add=prompts.may_add(ask), defaults=lacking(space, ask))


def _request(
    messages: tuple[Message, ...], schema: dict[str, Any], purpose: str, ask: Ask, n_params: int
) -> Request:
    per_candidate = 150 + 30 * min(n_params, 2 * MAX_COLUMNS)
    return Request(
        messages=messages,
        schema=schema,
        purpose=purpose,
        trial_number=ask.trial_number,
        max_output_tokens=min(16_000, 1_500 + ask.n_candidates * per_candidate),
        volatile=_volatile(ask),
    )


def _volatile(ask: Ask) -> tuple[str, ...]:
    """What may differ between two runs of the same work."""
    line = prompts.duration_text(ask)
    return (line,) if line else ()
