"""Anthropic's messages protocol, through the official SDK.

Structured output is tried as the API's own JSON schema, then as a tool that must be called, then as plain
text with the schema in words; what a server does not take is learned from its refusals
(:mod:`sllmbo_magic.llm.providers.capabilities`). The SDK's schema transform drops numeric bounds, so a
reply's numbers are never trusted to be in range. The system turn is marked for the prompt cache: it is the
same in all requests of a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm import error_mapping
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.layout import turns
from sllmbo_magic.llm.providers.capabilities import Capabilities
from sllmbo_magic.llm.providers.sdk import SDKProvider
from sllmbo_magic.llm.providers.sdk import error_fields
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import without_type_lists

OFFICIAL_URL = "https://api.anthropic.com"
_TOOL = "reply"


class AnthropicProvider(SDKProvider):
    """A model behind a server with Anthropic's protocol.

    Args:
        model: The model's name.
        key: The key; None lets the SDK look in its own files.
        base_url: The server; None lets the SDK choose (``ANTHROPIC_BASE_URL`` or Anthropic).
        timeout: Seconds for one attempt.
    """

    sdk = "anthropic"
    sdk_error = "AnthropicError"

    def __init__(
        self,
        model: str,
        *,
        key: Secret | None = None,
        base_url: str | None = None,
        timeout: float = 120.0,
    ) -> None:
        server = base_url or os.environ.get("ANTHROPIC_BASE_URL") or OFFICIAL_URL
        super().__init__("anthropic", model, key=key, base_url=server, timeout=timeout)

    def _first_capabilities(self) -> Capabilities:
        return Capabilities(modes=("json_schema", "tool", "text"), limit="max_tokens")

    def _make_client(self, sdk: Any, **common: Any) -> Any:
        return sdk.Anthropic(api_key=self._key.reveal() if self._key else None, **common)

    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        # not messages.create(): it warns of models that end soon, which is an exception under -W error
        c = self.capabilities
        body = _body(self.model, request, c)
        if not c.stream:
            return partial(client.post, "/v1/messages", body=body, cast_to=_message_type())
        from anthropic import Stream
        from anthropic.types import RawMessageStreamEvent

        stream = partial(
            client.post,
            "/v1/messages",
            body={**body, "stream": True},
            cast_to=_message_type(),
            stream=True,
            stream_cls=Stream[RawMessageStreamEvent],
        )
        return lambda: _from_stream(stream())

    def _read(self, reply: Any, request: Request) -> Completion:
        return _completion(reply, provider_id=self.id, base_url=self.base_url)

    def _other_error(self, error: Exception) -> ProviderError:
        from anthropic import CredentialsError

        if isinstance(error, CredentialsError):  # in the SDK's own files
            return error_mapping.from_status(401, provider_id=self.id)
        return super()._other_error(error)


def _body(model: str, request: Request, c: Capabilities) -> dict[str, Any]:
    in_prose = request.schema is not None and c.mode == "text"
    instruction = in_words(request.schema) if in_prose and request.schema is not None else ""
    messages = turns(request.messages, instruction=instruction, system_role=c.system_role)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_output_tokens,
        "messages": [{"role": m.role, "content": m.content} for m in messages if m.role != "system"],
    }
    system = [m.content for m in messages if m.role == "system"]
    if system:
        body["system"] = [{"type": "text", "text": system[0], "cache_control": {"type": "ephemeral"}}]
    if request.schema is not None and c.mode == "json_schema":
        body["output_config"] = {"format": {"type": "json_schema", "schema": _transformed(request.schema)}}
    elif request.schema is not None and c.mode == "tool":
        schema = without_type_lists(request.schema)
        body["tools"] = [{"name": _TOOL, "description": "Give the reply.", "input_schema": schema}]
        body["tool_choice"] = {"type": "tool", "name": _TOOL}
    return body


def _message_type() -> Any:
    from anthropic.types import Message

    return Message


def _transformed(schema: dict[str, Any]) -> dict[str, Any]:
    from anthropic import transform_schema

    return transform_schema(without_type_lists(schema))


def _completion(reply: Any, *, provider_id: str, base_url: str) -> Completion:
    error = error_mapping.error_inside(error_fields(reply), provider_id=provider_id, base_url=base_url)
    if error is not None:
        raise error
    content = getattr(reply, "content", None)
    if not isinstance(content, list):
        raise error_mapping.not_the_protocol(
            provider_id=provider_id, body=reply if isinstance(reply, str) else None
        )
    usage = _usage(getattr(reply, "usage", None))
    stop = getattr(reply, "stop_reason", None)
    if stop == "refusal":
        raise error_mapping.no_text(provider_id=provider_id, why="refusal", usage=usage)
    if stop == "model_context_window_exceeded":
        too_long = error_mapping.too_long(provider_id=provider_id)
        too_long.usage = usage
        raise too_long
    if stop == "max_tokens":
        raise error_mapping.no_text(provider_id=provider_id, why="truncated", usage=usage)
    text = _text(content)
    if not text.strip():
        raise error_mapping.no_text(provider_id=provider_id, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _text(content: list[Any]) -> str:
    """The input of a tool call if there is one, else the text blocks; the model's thoughts are left out."""
    for block in content:
        if getattr(block, "type", "") == "tool_use":
            return json.dumps(block.input)
    texts = (getattr(b, "text", None) for b in content if getattr(b, "type", "") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    cache_reads = _count(usage, "cache_read_input_tokens")
    cache_writes = _count(usage, "cache_creation_input_tokens")
    return Usage(
        _count(usage, "input_tokens") + cache_reads + cache_writes,
        _count(usage, "output_tokens"),
        cache_reads,
        cache_write_tokens=cache_writes,
    )


def _count(usage: Any, name: str) -> int:
    """A token count of a usage object; 0 where it is missing or no number."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0


def _from_stream(events: Iterable[Any]) -> Any:
    """A message put together from its events, for servers that do nothing but stream."""
    message = SimpleNamespace(content=[], stop_reason=None, usage=None, model="")
    for event in events:
        kind = getattr(event, "type", "")
        if kind == "message_start":
            message.model, message.usage = event.message.model, event.message.usage
        elif kind == "content_block_start":
            block = event.content_block
            message.content.append(SimpleNamespace(type=block.type, text="", json=""))
        elif kind == "content_block_delta" and message.content:
            message.content[-1].text += getattr(event.delta, "text", "") or ""
            message.content[-1].json += getattr(event.delta, "partial_json", "") or ""
        elif kind == "message_delta":
            message.stop_reason = event.delta.stop_reason
            if message.usage is not None:  # only the output grows after the start
                message.usage.output_tokens = _count(event.usage, "output_tokens")
    for block in message.content:
        if block.type == "tool_use":
            block.input = json.loads(block.json or "{}")
    return message
