"""OpenAI's protocol, through the official SDK: for OpenAI, Gemini, Ollama and any compatible server.

Chat completions is the one wire format that all of these speak, so it is the first choice; a model that
OpenAI serves by the Responses API only is asked there once its server says so. Structured output is tried as
JSON schema, then as JSON mode, then as plain text with the schema in words. What a server does not understand
is learned from its refusal (:mod:`sllmbo_magic.llm.dialect`). No temperature is ever sent: reasoning models
refuse it, and the models' defaults are what their makers tuned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm import faults
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.dialect import Dialect
from sllmbo_magic.llm.dialect import dialect_of
from sllmbo_magic.llm.faults import Failure
from sllmbo_magic.llm.gate import check_allowed
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.schemas import in_words
from sllmbo_magic.llm.schemas import is_strict
from sllmbo_magic.llm.sending import RENEGOTIATE

OFFICIAL_URL = "https://api.openai.com/v1"


class OpenAIProvider:
    """A model behind a server that speaks OpenAI's protocol.

    Args:
        model: The model's name, as the server knows it.
        name: The provider's name in ids: ``"openai"``, ``"gemini"``, ``"ollama"`` or ``"openai-compatible"``.
        key: The key; None for servers that need none.
        base_url: The server; None lets the SDK choose (``OPENAI_BASE_URL`` or OpenAI).
        timeout: Seconds for one attempt.
    """

    remote = True

    def __init__(
        self,
        model: str,
        *,
        name: str = "openai",
        key: Secret | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.id = f"{name}:{model}"
        self.model = model
        self.base_url = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
        self._own = name == "openai"
        self._key = key
        self._timeout = timeout
        self._client: Any = None

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.id!r})"

    @property
    def dialect(self) -> Dialect:
        """What has been learned about this server and model."""
        return dialect_of(self.base_url, self.model, official=self._own)

    @property
    def mode(self) -> str:
        """How structured output is asked for: ``"json_schema"``, ``"json_object"`` or ``"text"``."""
        return self.dialect.mode

    def complete(self, request: Request) -> Completion:
        """Answer one request in one attempt; see :class:`~sllmbo_magic.llm.base.Provider`.

        Raises:
            TransientProviderError: Category ``"renegotiate"``: the server's refusal taught something, send
                again.
        """
        check_allowed(self.base_url)
        client, dialect = self._connect(), self.dialect
        with translated(self.id, self._timeout) as failed:
            if dialect.responses:
                reply = client.responses.create(**_responses_body(self.model, request, dialect))
            else:
                reply = client.chat.completions.create(**_chat_body(self.model, request, dialect))
        if failed.error is not None:
            error = failed.error
            if failed.refusal is not None and dialect.learn(failed.refusal, request.schema is not None):
                error = TransientProviderError(f"{self.id}: asking in another way.", category=RENEGOTIATE)
            raise error
        return _responses_reply(self.id, reply) if dialect.responses else _chat_reply(self.id, reply)

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

    def warm_up(self) -> None:
        """Import the SDK and make its client, about a second's work that can be done while a trial runs."""
        self._connect()

    def _connect(self) -> Any:
        if self._client is None:
            try:
                import openai
            except ImportError:
                raise missing_extra("openai", "openai") from None
            from sllmbo_magic.llm.network import http_client

            key = self._key.reveal() if self._key else "none"
            self._client = openai.OpenAI(
                api_key=key,
                base_url=self.base_url,
                max_retries=0,  # retries are made where the budget can count them
                timeout=self._timeout,
                http_client=http_client(self.base_url, self._timeout),
                default_headers=None if self._own else _headers_of_others(key),
            )
        return self._client


@contextmanager
def translated(who: str, timeout: float) -> Iterator[Failure]:
    """The one place where the OpenAI SDK's exceptions become ours.

    The error is handed out instead of raised, so that it is raised where no exception of the SDK is being
    handled: neither its context nor its traceback leads to a request and its key.
    """
    import httpx2
    import openai

    failure = Failure()
    try:
        yield failure
    except openai.APITimeoutError:
        failure.error = faults.no_answer(who=who, timeout=timeout)
    except openai.APIStatusError as error:
        failure.take_status(error.status_code, who=who, body=error.body, headers=error.response.headers)
    except openai.APIConnectionError as error:
        failure.error = faults.no_connection(who=who, cause=error.__cause__)
    except httpx2.TimeoutException:
        failure.error = faults.no_answer(who=who, timeout=timeout)
    except httpx2.RequestError as error:
        failure.error = faults.no_connection(who=who, cause=error)
    except (openai.OpenAIError, ValueError):  # ValueError: the body is no JSON, or cut short
        failure.error = faults.not_the_protocol(who=who)


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
