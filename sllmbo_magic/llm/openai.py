"""OpenAI's protocol, through the official SDK: for OpenAI, Gemini, Ollama and any compatible server.

Chat completions is the one wire format that all of these speak, so it is the first choice; a model that
OpenAI serves by the Responses API only is asked there once its server says so. Structured output is tried as
JSON schema, then as JSON mode, then as plain text with the schema in words. What a server does not understand
is learned from its refusal (:mod:`sllmbo_magic.llm.dialect`). No temperature is ever sent: reasoning models
refuse it, and the models' defaults are what their makers tuned.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Mapping
from functools import partial
from typing import Any

from sllmbo_magic.llm import faults
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.dialect import Dialect
from sllmbo_magic.llm.dialect import dialect_of
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import is_strict
from sllmbo_magic.llm.sdk import SDKProvider

OFFICIAL_URL = "https://api.openai.com/v1"


class OpenAIProvider(SDKProvider):
    """A model behind a server that speaks OpenAI's protocol.

    Args:
        model: The model's name, as the server knows it.
        name: The provider's name in ids: ``"openai"``, ``"gemini"``, ``"ollama"`` or ``"openai-compatible"``.
        key: The key; None for servers that need none.
        base_url: The server; None lets the SDK choose (``OPENAI_BASE_URL`` or OpenAI).
        timeout: Seconds for one attempt.
    """

    sdk = "openai"
    sdk_error = "OpenAIError"

    def __init__(
        self,
        model: str,
        *,
        name: str = "openai",
        key: Secret | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        server = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
        super().__init__(name, model, key=key, base_url=server, timeout=timeout)
        self._own = name == "openai"

    @property
    def dialect(self) -> Dialect:
        """What has been learned about this server and model."""
        return dialect_of(self.base_url, self.model, official=self._own)

    @property
    def mode(self) -> str:
        """How structured output is asked for: ``"json_schema"``, ``"json_object"`` or ``"text"``."""
        return self.dialect.mode

    def _make_client(self, sdk: Any, **common: Any) -> Any:
        key = self._key.reveal() if self._key else "none"
        headers = None if self._own else _headers_of_others(key)
        return sdk.OpenAI(api_key=key, default_headers=headers, **common)

    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        dialect = self.dialect
        if dialect.responses:
            return partial(client.responses.create, **_responses_body(self.model, request, dialect))
        return partial(client.chat.completions.create, **_chat_body(self.model, request, dialect))

    def _read(self, reply: Any, request: Request) -> Completion:
        return _responses_reply(self.id, reply) if self.dialect.responses else _chat_reply(self.id, reply)

    def _learn(self, said: str, request: Request) -> bool:
        return self.dialect.learn(said, request.schema is not None)


def _chat_body(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        dialect.limit: request.max_output_tokens,
    }
    if dialect.effort:
        body["reasoning_effort"] = (
            "low"  # thinking counts as output; at full effort it can use up the whole bound
        )
    if request.schema is not None:
        if dialect.mode == "json_schema":
            body["response_format"] = {"type": "json_schema", "json_schema": _named(request.schema)}
        else:
            body["messages"].append({"role": "user", "content": in_words(request.schema)})
            if dialect.mode == "json_object":
                body["response_format"] = {"type": "json_object"}
    return body


def _responses_body(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "input": [{"role": m.role, "content": m.content} for m in request.messages],
        "max_output_tokens": request.max_output_tokens,
        "store": False,  # this API keeps conversations unless told not to
    }
    if dialect.effort:
        body["reasoning"] = {"effort": "low"}
    if request.schema is not None:
        if dialect.mode == "json_schema":
            body["text"] = {"format": {"type": "json_schema", **_named(request.schema)}}
        else:
            body["input"].append({"role": "user", "content": in_words(request.schema)})
    return body


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "reply", "schema": schema, "strict": is_strict(schema)}


def _chat_reply(who: str, reply: Any) -> Completion:
    choices = getattr(reply, "choices", None)
    _raise_error_in(who, reply)
    if not isinstance(choices, list):
        raise faults.not_the_protocol(who=who)
    usage = _chat_usage(getattr(reply, "usage", None))
    if not choices:
        raise faults.no_text(who=who, why="empty", usage=usage)
    message, finish = getattr(choices[0], "message", None), getattr(choices[0], "finish_reason", None)
    if finish == "content_filter":
        raise faults.no_text(who=who, why="content-filter", usage=usage)
    if getattr(message, "refusal", None):
        raise faults.no_text(who=who, why="refusal", usage=usage)
    if finish == "length":
        raise faults.no_text(who=who, why="truncated", usage=usage)
    text = getattr(message, "content", None)
    if not isinstance(text, str) or not text.strip():
        raise faults.no_text(who=who, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _chat_usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    sent, written = faults.count(usage, "prompt_tokens"), faults.count(usage, "completion_tokens")
    written = max(
        written, faults.count(usage, "total_tokens") - sent
    )  # Gemini counts its thinking in the total only
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(
        sent,
        written,
        faults.count(details, "cached_tokens"),
        cache_write_tokens=faults.count(details, "cache_write_tokens"),
    )


def _responses_reply(who: str, reply: Any) -> Completion:
    output = getattr(reply, "output", None)
    _raise_error_in(who, reply)
    if not isinstance(output, list):
        raise faults.not_the_protocol(who=who)
    usage = None
    if getattr(reply, "usage", None) is not None:
        details = getattr(reply.usage, "input_tokens_details", None)
        usage = Usage(
            faults.count(reply.usage, "input_tokens"),
            faults.count(reply.usage, "output_tokens"),
            faults.count(details, "cached_tokens"),
            cache_write_tokens=faults.count(details, "cache_write_tokens"),
        )
    incomplete = getattr(getattr(reply, "incomplete_details", None), "reason", None)
    if incomplete is not None:
        why = "content-filter" if incomplete == "content_filter" else "truncated"
        raise faults.no_text(who=who, why=why, usage=usage)
    parts = [p for item in output for p in getattr(item, "content", None) or ()]
    if any(getattr(p, "type", "") == "refusal" for p in parts):
        raise faults.no_text(who=who, why="refusal", usage=usage)
    texts = (getattr(p, "text", None) for p in parts if getattr(p, "type", "") == "output_text")
    text = "".join(text for text in texts if isinstance(text, str))
    if not text.strip():
        raise faults.no_text(who=who, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _raise_error_in(who: str, reply: Any) -> None:
    """Some gateways answer 200 with an error in the body."""
    error = getattr(reply, "error", None)
    if not error:
        return
    body = error if isinstance(error, Mapping) else {"message": getattr(error, "message", "")}
    code = body.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    raise faults.from_status(status, who=who, body=body)


def _headers_of_others(key: str) -> dict[str, Any]:
    """Headers for other servers: without those that the SDK takes from the environment, meant for OpenAI."""
    import openai

    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    names = {line.partition(":")[0].strip().title() for line in lines if ":" in line}
    omitted = {name: openai.Omit() for name in (*names, "OpenAI-Organization", "OpenAI-Project")}
    return {**omitted, "Authorization": f"Bearer {key}"}
