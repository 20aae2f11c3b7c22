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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm import faults
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.faults import Failure
from sllmbo_magic.llm.gate import check_allowed
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import without_type_lists
from sllmbo_magic.llm.sending import RENEGOTIATE

OFFICIAL_URL = "https://api.anthropic.com"
_MODES = ("json_schema", "tool", "text")
_TOOL = "reply"

_learned: dict[tuple[str, str], str] = {}  # (server, model) -> mode


class AnthropicProvider:
    """A model behind a server that speaks Anthropic's protocol.

    Args:
        model: The model's name.
        key: The key; None lets the SDK look in its own files.
        base_url: The server; None lets the SDK choose (``ANTHROPIC_BASE_URL`` or Anthropic).
        timeout: Seconds for one attempt.
    """

    remote = True

    def __init__(
        self,
        model: str,
        *,
        key: Secret | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.id = f"anthropic:{model}"
        self.model = model
        self.base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or OFFICIAL_URL
        self._key = key
        self._timeout = timeout
        self._client: Any = None

    def __repr__(self) -> str:
        return f"AnthropicProvider({self.id!r})"

    @property
    def mode(self) -> str:
        """How structured output is asked for: ``"json_schema"``, ``"tool"`` or ``"text"``."""
        return _learned.get((self.base_url, self.model), _MODES[0])

    def complete(self, request: Request) -> Completion:
        """Answer one request in one attempt; see :class:`~sllmbo_magic.llm.base.Provider`.

        Raises:
            TransientProviderError: Category ``"renegotiate"``: the server's refusal taught something, send
                again.
        """
        check_allowed(self.base_url)
        client = self._connect()
        body = _body(self.model, request, self.mode)
        with translated(self.id, self._timeout) as failed:
            # not messages.create(): it warns of models that end soon, which is an exception under -W error
            reply = client.post("/v1/messages", body=body, cast_to=_message_type())
        if failed.error is None:
            return _reply(self.id, reply, tool=request.schema is not None and self.mode == "tool")
        if request.schema is not None and failed.refusal is not None and self._learn(failed.refusal):
            raise TransientProviderError(f"{self.id}: asking in another way.", category=RENEGOTIATE)
        raise failed.error

    def models(self) -> list[str]:
        """The names of the server's models, for checking a name. Raises as :meth:`complete`."""
        check_allowed(self.base_url)
        client = self._connect()
        names: list[str] = []
        with translated(self.id, self._timeout) as failed:
            names = [str(m.id) for m in client.models.list()]
        if failed.error is not None:
            raise failed.error
        return names

    def _learn(self, said: str) -> bool:
        """Take the next way of asking for JSON, if the refusal is about the present one."""
        words = (
            r"output_config|output_format|json|schema|structured" if self.mode == "json_schema" else r"tool"
        )
        if self.mode == "text" or not (re.search(words, said, re.IGNORECASE) or not said):
            return False
        _learned[self.base_url, self.model] = _MODES[_MODES.index(self.mode) + 1]
        return True

    def warm_up(self) -> None:
        """Import the SDK and make its client, about a second's work that can be done while a trial runs."""
        self._connect()

    def _connect(self) -> Any:
        if self._client is None:
            try:
                import anthropic
            except ImportError:
                raise missing_extra("anthropic", "anthropic") from None
            from sllmbo_magic.llm.network import http_client

            self._client = anthropic.Anthropic(
                api_key=self._key.reveal() if self._key else None,
                base_url=self.base_url,
                max_retries=0,  # retries are made where the budget can count them
                timeout=self._timeout,
                http_client=http_client(self.base_url, self._timeout),
            )
        return self._client


@contextmanager
def translated(who: str, timeout: float) -> Iterator[Failure]:
    """The one place where the Anthropic SDK's exceptions become ours; as its twin for OpenAI."""
    import anthropic
    import httpx2

    failure = Failure()
    try:
        yield failure
    except anthropic.APITimeoutError:
        failure.error = faults.no_answer(who=who, timeout=timeout)
    except anthropic.APIStatusError as error:
        failure.take_status(error.status_code, who=who, body=error.body, headers=error.response.headers)
    except anthropic.APIConnectionError as error:
        failure.error = faults.no_connection(who=who, cause=error.__cause__)
    except httpx2.TimeoutException:
        failure.error = faults.no_answer(who=who, timeout=timeout)
    except httpx2.RequestError as error:
        failure.error = faults.no_connection(who=who, cause=error)
    except anthropic.CredentialsError:
        failure.error = faults.from_status(401, who=who)
    except (anthropic.AnthropicError, ValueError):  # ValueError: the body is no JSON, or cut short
        failure.error = faults.not_the_protocol(who=who)


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
