"""Anthropic's messages protocol, through the official SDK.

Structured output is tried as the API's own JSON schema, then as a tool that must be called, then as plain
text with the schema in words; what a model does not understand is learned from its refusal and remembered for
the process. The SDK's schema transform drops numeric bounds, so a reply's numbers are never trusted to be in
range. The system turn is marked for the prompt cache: it is the same in all requests of a run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm import faults
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import without_type_lists
from sllmbo_magic.llm.sdk import SDKProvider

OFFICIAL_URL = "https://api.anthropic.com"
_MODES = ("json_schema", "tool", "text")
_TOOL = "reply"

_learned: dict[tuple[str, str], str] = {}  # (server, model) -> mode


class AnthropicProvider(SDKProvider):
    """A model behind a server that speaks Anthropic's protocol.

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
        timeout: float = 60.0,
    ) -> None:
        server = base_url or os.environ.get("ANTHROPIC_BASE_URL") or OFFICIAL_URL
        super().__init__("anthropic", model, key=key, base_url=server, timeout=timeout)

    @property
    def mode(self) -> str:
        """How structured output is asked for: ``"json_schema"``, ``"tool"`` or ``"text"``."""
        return _learned.get((self.base_url, self.model), _MODES[0])

    def _make_client(self, sdk: Any, **common: Any) -> Any:
        return sdk.Anthropic(api_key=self._key.reveal() if self._key else None, **common)

    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        # not messages.create(): it warns of models that end soon, which is an exception under -W error
        body = _body(self.model, request, self.mode)
        return partial(client.post, "/v1/messages", body=body, cast_to=_message_type())

    def _read(self, reply: Any, request: Request) -> Completion:
        return _reply(self.id, reply, tool=request.schema is not None and self.mode == "tool")

    def _learn(self, said: str, request: Request) -> bool:
        """Take the next way of asking for JSON, if the refusal is about the present one."""
        if request.schema is None or self.mode == "text":
            return False
        words = (
            r"output_config|output_format|json|schema|structured" if self.mode == "json_schema" else r"tool"
        )
        if said and not re.search(words, said, re.IGNORECASE):
            return False
        _learned[self.base_url, self.model] = _MODES[_MODES.index(self.mode) + 1]
        return True

    def _other_error(self, error: Exception) -> ProviderError:
        from anthropic import CredentialsError

        if isinstance(error, CredentialsError):  # in the SDK's own files
            return faults.from_status(401, who=self.id)
        return super()._other_error(error)


def _body(model: str, request: Request, mode: str) -> dict[str, Any]:
    system = [m.content for m in request.messages if m.role == "system"]
    messages = [{"role": m.role, "content": m.content} for m in request.messages if m.role != "system"]
    body: dict[str, Any] = {"model": model, "max_tokens": request.max_output_tokens, "messages": messages}
    if system:
        block = {"type": "text", "text": "\n\n".join(system), "cache_control": {"type": "ephemeral"}}
        body["system"] = [block]
    if request.schema is not None:
        if mode == "json_schema":
            body["output_config"] = {
                "format": {"type": "json_schema", "schema": _transformed(request.schema)}
            }
        elif mode == "tool":
            schema = without_type_lists(request.schema)
            body["tools"] = [{"name": _TOOL, "description": "Give the reply.", "input_schema": schema}]
            body["tool_choice"] = {"type": "tool", "name": _TOOL}
        else:
            messages.append({"role": "user", "content": in_words(request.schema)})
    return body


def _message_type() -> Any:
    from anthropic.types import Message

    return Message


def _transformed(schema: dict[str, Any]) -> dict[str, Any]:
    from anthropic import transform_schema

    return transform_schema(without_type_lists(schema))


def _reply(who: str, reply: Any, *, tool: bool) -> Completion:
    content = getattr(reply, "content", None)
    if not isinstance(content, list):
        raise faults.not_the_protocol(who=who)
    usage = _usage(getattr(reply, "usage", None))
    stop = getattr(reply, "stop_reason", None)
    if stop == "refusal":
        raise faults.no_text(who=who, why="refusal", usage=usage)
    if stop == "model_context_window_exceeded":
        error = faults.too_long(who=who)
        error.usage = usage
        raise error
    if stop == "max_tokens":
        raise faults.no_text(who=who, why="truncated", usage=usage)
    if tool:
        inputs = [b.input for b in content if getattr(b, "type", "") == "tool_use"]
        text = json.dumps(inputs[0]) if inputs else _text(content)
    else:
        text = _text(content)
    if not text.strip():
        raise faults.no_text(who=who, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _text(content: list[Any]) -> str:
    """The text blocks; what the model thought before is left out."""
    texts = (getattr(b, "text", None) for b in content if getattr(b, "type", "") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    read = faults.count(usage, "cache_read_input_tokens")
    written = faults.count(usage, "cache_creation_input_tokens")
    return Usage(
        faults.count(usage, "input_tokens") + read + written,
        faults.count(usage, "output_tokens"),
        read,
        cache_write_tokens=written,
    )
