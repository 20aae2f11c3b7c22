"""What one server takes of one model: learned from its refusals, kept for the process.

A request begins with what the protocol's owner documents. When a server refuses it, its words are matched
with :data:`LESSONS`, and the request is sent again in the way that the first fitting lesson names. What was
learned holds for all later requests to that server and model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TypeAlias

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.base import Request

MOST_OUTPUT = 32_000
"""Tokens up to which the bound on a reply is raised for a model that uses it up with thinking."""
_LEAST_OUTPUT = 256
"""Tokens below which a smaller bound is no way out: the prompt itself is too long then."""
_MARGIN = 32
"""Tokens that servers count in a context beside prompt and reply."""

_NEVER = (
    "bad-key", "quota", "permission", "rate-limit", "content-filter", "redirect", "timeout", "conflict",
    "overloaded",
)  # fmt: skip
"""Categories of refusals that are not about the form of a request."""
_REASONING = re.compile(r"^(o\d|gpt-[5-9])(?!.*chat)")


@dataclass
class Capabilities:
    """How one model at one server is asked.

    Attributes:
        modes: Ways of asking for JSON, the best first.
        mode: The one in use.
        limit: The name of the field for the bound on the reply.
        effort: Whether little reasoning effort is asked for.
        responses: Whether OpenAI's Responses API is used instead of chat completions.
        system_role: Whether there is a system turn.
        stream: Whether the reply is streamed (some servers do nothing else).
        stream_usage: Whether usage is asked for in a stream.
        least_output: The bound on the reply that a reasoning model needed, in tokens; 0: the request's own.
        most_output: The largest bound that the server takes; None: not known.
    """

    modes: tuple[str, ...] = ("json_schema", "json_object", "text")
    mode: str = "json_schema"
    limit: str = "max_completion_tokens"
    effort: bool = False
    responses: bool = False
    system_role: bool = True
    stream: bool = False
    stream_usage: bool = True
    least_output: int = 0
    most_output: int | None = None
    _tried: set[tuple[str, Any]] = field(default_factory=set)

    def output_bound(self, max_output_tokens: int) -> int:
        """The bound on the reply that is sent, for the one that a request asks for; in tokens."""
        bound = max(max_output_tokens, self.least_output)
        return bound if self.most_output is None else min(bound, self.most_output)

    def learn(self, error: ProviderError, request: Request) -> bool:
        """Adapt to a refusal.

        Args:
            error: Has the server's words in ``server_message``.
            request: As it was sent.

        Returns:
            Whether the request is worth sending again.
        """
        if error.category == "truncated":
            return self._raise_output(request.max_output_tokens)
        if error.category in _NEVER:
            return False
        words = error.server_message.lower()
        if not words:  # a bare "bad request" is most often about the newest field
            return error.status in (400, 422) and request.schema is not None and self.next_mode()
        if (error.status or 0) >= 500:
            words = words.replace("json", "")  # the JSON that a failing server mentions is its own
        return any(lesson(self, words, request) for lesson in LESSONS)

    def change(self, name: str, value: Any) -> bool:
        """Set one field; False if that value was in use before: two refusals contradict each other."""
        if (name, value) in self._tried:
            return False
        self._tried.add((name, getattr(self, name)))
        setattr(self, name, value)
        return True

    def next_mode(self) -> bool:
        """Take the next way of asking for JSON; False if there is none."""
        at = self.modes.index(self.mode) + 1
        return at < len(self.modes) and self.change("mode", self.modes[at])

    def _raise_output(self, max_tokens: int) -> bool:
        """Allow four times as many tokens, within what server and process allow."""
        most = MOST_OUTPUT if self.most_output is None else self.most_output
        raised = min(max(4 * max_tokens, 8_192), most)
        if raised <= max_tokens:
            return False
        self.least_output = max(self.least_output, raised)
        return True

    def lower_output(self, words: str, max_tokens: int) -> bool:
        """Take over a largest bound that the server names; half of what was sent if it names none."""
        words = re.sub(r'"(code|status|status_code|error_code)":\s*"?\d+', "", words)  # 400 is no bound
        most = _room(words)
        if most is None and "tokens" in words.replace("context", ""):
            most = _largest_below(words, max_tokens) or max_tokens // 2
        if most is None or not _LEAST_OUTPUT <= most < max_tokens:
            return False
        self.most_output = most
        return True


# Lessons: each takes the capabilities, the server's words in lower case and the request as it was sent, and
# returns whether it changed something.


def _other_api(c: Capabilities, words: str, request: Request) -> bool:
    about = re.search(r"v1/responses|responses api|not a chat model", words)
    return bool(about) and not c.responses and "responses" not in c.modes and c.change("responses", True)


def _no_effort(c: Capabilities, words: str, request: Request) -> bool:
    return c.effort and "reasoning" in words and c.change("effort", False)


def _streaming_only(c: Capabilities, words: str, request: Request) -> bool:
    if c.stream:
        about_usage = re.search(r"stream_options|include_usage", words)
        return bool(about_usage) and c.stream_usage and c.change("stream_usage", False)
    needs_stream = re.search(
        r"(only|must|require|please|enable|need)[^.]{0,60}\bstream|\bstream[^.]{0,40}(only|require|must|enable|=\s*true)"
        r"|non-?stream",
        words,
    )
    return bool(needs_stream) and c.change("stream", True)


def _output_cap(c: Capabilities, words: str, request: Request) -> bool:
    about = re.search(r"max_?(completion_|output_|new_)?tokens|(output|completion)\W+tokens?", words)
    if "context" in words:
        about = about or re.search(r"completion|output|requested", words)
    size = re.search(
        r"too (large|high|big|many)|at most|maxim|exceed|range|(less|greater) than|up to|between|<=|>|limit",
        words,
    )
    name = re.search(
        r"unsupported parameter|not supported with|unrecogni[sz]ed|unknown|extra (inputs|fields)", words
    )
    return bool(about and size and not name) and c.lower_output(words, request.max_output_tokens)


def _name_of_limit(c: Capabilities, words: str, request: Request) -> bool:
    if "max_completion_tokens" not in words:
        return False
    if c.limit == "max_tokens":
        return "max_tokens" in words and c.change("limit", "max_completion_tokens")
    return c.change("limit", "max_tokens")


def _no_system_role(c: Capabilities, words: str, request: Request) -> bool:
    about = re.search(
        r"(['\"`]system['\"`]|system.(role|message|prompt|instruction|turn))s?\W[^.]{0,40}"
        r"\b(not|unsupported|unavailable|isn't|never)\b"
        r"|(not|n't) (support|allow|accept|recogni[sz]e)[^.]{0,40}\bsystem\b"
        r"|(unexpected|invalid|unknown|unsupported) role"
        r"|developer instruction|(only|should be)\W[^.]{0,20}\buser\W[^.]{0,12}\bassistant|alternat",
        words,
    )
    has_one = any(m.role == "system" for m in request.messages)
    return bool(about) and has_one and c.system_role and c.change("system_role", False)


_FORMAT = {
    "json_schema": r"(response|text|output)[_.](format|config)|json|schema|structured|grammar|guided"
    r"|handle the requested parameters",
    "json_object": r"response_format|text\.format|json|schema|structured|grammar|guided"
    r"|handle the requested parameters",
    "tool": r"tool",
    "text": r"(?!)",
}
"""By mode, what a refusal of it is about; a gateway (OpenRouter) may name no field at all."""


def _other_format(c: Capabilities, words: str, request: Request) -> bool:
    return request.schema is not None and bool(re.search(_FORMAT[c.mode], words)) and c.next_mode()


Lesson: TypeAlias = Callable[[Capabilities, str, Request], bool]

LESSONS: tuple[Lesson, ...] = (
    _other_api,
    _no_effort,
    _streaming_only,
    _output_cap,
    _name_of_limit,
    _no_system_role,
    _other_format,
)
"""In the order in which they are tried."""


def _room(words: str) -> int | None:
    """Tokens left for the reply in a context that a refusal describes; None if it does not say."""
    words = words.replace(",", "")
    parts = re.search(r"(\d+) \+ \d+ > (\d+)", words)  # "199000 + 4096 > 200000": prompt, reply, context
    if parts is not None:
        return int(parts.group(2)) - int(parts.group(1)) - _MARGIN
    context = re.search(r"context (?:length|window|size)\D{0,30}(\d{3,})", words) or re.search(
        r"(\d{3,})\D{0,12}(?:tokens? )?context", words
    )
    prompt = re.search(
        r"(\d+)[^.;()\d]{0,30}(?:in the (?:messages|prompt|input)|(?:input|prompt) tokens|of (?:text )?in)",
        words,
    ) or re.search(
        r"(?:prompt|input|messages)\D{0,20}(\d+)\s*tokens|(\d+) tokens from the (?:input|prompt|messages)",
        words,
    )
    if context is None or prompt is None:
        return None
    return int(context.group(1)) - int(prompt.group(prompt.lastindex or 1)) - _MARGIN


def _largest_below(words: str, max_tokens: int) -> int | None:
    """The largest number in the words that is smaller than the bound that was sent; None if there is none."""
    numbers = [int(n.replace(",", "")) for n in re.findall(r"(?<![\w.-])\d[\d,]*(?![\w-])", words)]
    below = [n for n in numbers if _LEAST_OUTPUT <= n < max_tokens]
    return max(below, default=None)


_learned: dict[tuple[str, str], Capabilities] = {}


def capabilities_of(base_url: str, model: str, start: Callable[[], Capabilities]) -> Capabilities:
    """The capabilities of a model at a server, shared by all providers of this process.

    Args:
        base_url: The server.
        model: The model's name.
        start: Makes what is assumed before anything was learned.
    """
    if (base_url, model) not in _learned:
        _learned[base_url, model] = start()
    return _learned[base_url, model]


def thinks(model: str) -> bool:
    """Whether one of OpenAI's models reasons before it answers, by its name."""
    return bool(_REASONING.match(model))
