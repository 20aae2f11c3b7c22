"""OpenAI's protocol, through the official SDK: for OpenAI, Gemini, Ollama and any compatible server.

Chat completions is the one wire format that all of these have, so it is the first choice; a model that OpenAI
serves by the Responses API only is asked there once its server says so. Structured output is tried as JSON
schema, then as JSON mode, then as plain text with the schema in words; this and everything else that a server
may not take is learned from its refusals (:mod:`sllmbo_magic.llm.providers.capabilities`). No temperature is
ever sent: reasoning models refuse it, and the models' defaults are what their makers tuned.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.layout import turns
from sllmbo_magic.llm.providers.capabilities import Capabilities
from sllmbo_magic.llm.providers.capabilities import thinks
from sllmbo_magic.llm.providers.openai_replies import chat_completion
from sllmbo_magic.llm.providers.openai_replies import chat_from_stream
from sllmbo_magic.llm.providers.openai_replies import response_completion
from sllmbo_magic.llm.providers.openai_replies import response_from_stream
from sllmbo_magic.llm.providers.sdk import SDKProvider
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import is_strict

OFFICIAL_URL = "https://api.openai.com/v1"


class OpenAIProvider(SDKProvider):
    """A model behind a server with OpenAI's protocol.

    Args:
        model: The model's name, as the server has it.
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
        timeout: float = 120.0,
    ) -> None:
        server = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
        super().__init__(name, model, key=key, base_url=server, timeout=timeout)
        self._official = name == "openai"  # whose newer fields other servers may not have

    def _first_capabilities(self) -> Capabilities:
        limit = "max_completion_tokens" if self._official else "max_tokens"
        return Capabilities(limit=limit, effort=self._official and thinks(self.model))

    def _make_client(self, sdk: Any, **common: Any) -> Any:
        key = self._key.reveal() if self._key else "none"
        headers = None if self._official else _headers_of_others(key)
        return sdk.OpenAI(api_key=key, default_headers=headers, **common)

    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        c = self.capabilities
        if c.responses:
            ask = partial(client.responses.create, **_responses_body(self.model, request, c))
            return (lambda: response_from_stream(ask())) if c.stream else ask
        ask = partial(client.chat.completions.create, **_chat_body(self.model, request, c))
        return (lambda: chat_from_stream(ask())) if c.stream else ask

    def _read(self, reply: Any, request: Request) -> Completion:
        read = response_completion if self.capabilities.responses else chat_completion
        return read(reply, request, provider_id=self.id, base_url=self.base_url)


def _chat_body(model: str, request: Request, c: Capabilities) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": _turns(request, c),
        c.limit: request.max_output_tokens,
    }
    if c.effort:
        # thinking counts as output; at full effort it can use up the whole bound
        body["reasoning_effort"] = "low"
    if request.schema is not None and c.mode == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": _named(request.schema)}
    elif request.schema is not None and c.mode == "json_object":
        body["response_format"] = {"type": "json_object"}
    if c.stream:
        body["stream"] = True
        if c.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return body


def _responses_body(model: str, request: Request, c: Capabilities) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "input": _turns(request, c),
        "max_output_tokens": request.max_output_tokens,
        "store": False,  # this API keeps conversations by default
    }
    if c.effort:
        body["reasoning"] = {"effort": "low"}
    if request.schema is not None and c.mode == "json_schema":
        body["text"] = {"format": {"type": "json_schema", **_named(request.schema)}}
    if c.stream:
        body["stream"] = True
    return body


def _turns(request: Request, c: Capabilities) -> list[dict[str, str]]:
    """The messages; where no schema is sent as such, it stands in the last turn in words."""
    in_prose = request.schema is not None and c.mode != "json_schema"
    instruction = in_words(request.schema) if in_prose and request.schema is not None else ""
    messages = turns(request.messages, instruction=instruction, system_role=c.system_role)
    return [{"role": m.role, "content": m.content} for m in messages]


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "reply", "schema": schema, "strict": is_strict(schema)}


def _headers_of_others(key: str) -> dict[str, Any]:
    """Headers for other servers: without those that the SDK takes from the environment, meant for OpenAI."""
    import openai

    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    names = {line.partition(":")[0].strip().title() for line in lines if ":" in line}
    omitted = {name: openai.Omit() for name in (*names, "OpenAI-Organization", "OpenAI-Project")}
    return {**omitted, "Authorization": f"Bearer {key}"}
