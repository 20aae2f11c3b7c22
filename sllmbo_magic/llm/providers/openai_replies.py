"""Replies in OpenAI's two formats, and what servers make of them, to completions.

Servers differ from the protocol in many ways; each field is read as if it might be missing or of another
type. An error may come with status 200, the text as a list of parts, as a call of a tool, or in the field for
the model's reasoning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm import error_mapping
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.json_reply import final_text
from sllmbo_magic.llm.providers.sdk import error_fields

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Fields in which servers return a model's reasoning."""


def chat_completion(reply: Any, request: Request, *, provider_id: str, base_url: str = "") -> Completion:
    """The completion in a chat completion of the SDK.

    Raises:
        ProviderError: The reply is an error, or holds no text that can be used.
    """
    _raise_error_in(reply, provider_id, base_url)
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list):
        raise _not_the_protocol(reply, provider_id)
    usage = _chat_usage(getattr(reply, "usage", None))
    if not choices:
        raise error_mapping.no_text(provider_id=provider_id, why="empty", usage=usage)
    choice = choices[0]
    _raise_error_in(choice, provider_id, base_url)
    message, finish = getattr(choice, "message", None), getattr(choice, "finish_reason", None)
    if finish == "content_filter":
        raise error_mapping.no_text(provider_id=provider_id, why="content-filter", usage=usage)
    if getattr(message, "refusal", None):
        raise error_mapping.no_text(provider_id=provider_id, why="refusal", usage=usage)
    text = _answer_in(message, request)
    if finish == "length" and not _is_whole(text, request):
        raise error_mapping.no_text(provider_id=provider_id, why="truncated", usage=usage)
    text = text or _completed_text(choice)
    if not text.strip():
        raise error_mapping.no_text(provider_id=provider_id, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _answer_in(message: Any, request: Request) -> str:
    """The text of a message; where there is none, its tool call, or the JSON among its reasoning."""
    text = text_of(_field(message, "content"))
    schema = request.schema
    if final_text(text) and (schema is None or _holds_json(text, schema)):
        return text
    calls = _field(message, "tool_calls")
    functions = [_field(call, "function") for call in calls] if isinstance(calls, list) else []
    for function in (*functions, _field(message, "function_call")):  # the latter before 2024
        arguments = _field(function, "arguments")
        arguments = json.dumps(arguments) if isinstance(arguments, dict) else arguments
        if isinstance(arguments, str) and arguments.strip():
            return arguments
    if final_text(text):  # a repair is asked for
        return text
    for name in _THOUGHTS:
        thoughts = text_of(_field(message, name))
        if schema is not None and _holds_json(thoughts, schema):
            return thoughts
    return ""


def _is_whole(text: str, request: Request) -> bool:
    """Whether a reply that reached the limit is complete: some models go on with blanks up to it."""
    if request.schema is None:
        return False
    try:
        data = json.loads(final_text(text))
    except ValueError:
        return False
    names = set(request.schema.get("required", ())) or set(request.schema.get("properties", ()))
    return isinstance(data, dict) and names <= set(data)


def _completed_text(choice: Any) -> str:
    """The text of a choice without a message, as before chats."""
    text = _field(choice, "text") if _field(choice, "message") is None else None
    return text if isinstance(text, str) else ""


def _holds_json(text: str, schema: dict[str, Any]) -> bool:
    try:
        data = extract_json(text, schema)
    except ReplyError:
        return False
    return isinstance(data, dict) and bool(set(data) & set(schema.get("properties", data)))


def text_of(content: Any) -> str:
    """The text of a message's content: a string, the answer as an object, or the parts of text joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict) and content:
        return json.dumps(content)
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            continue  # not a part of any protocol
        if _field(part, "type") in ("text", "output_text", "reasoning.text", None):
            text = _field(part, "text")
            text = _field(text, "value") if isinstance(text, Mapping) else text
            texts.append(text if isinstance(text, str) else "")
    return "".join(texts)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _chat_usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    input_tokens, output_tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    # Gemini counts its thinking in the total only
    output_tokens = max(output_tokens, _count(usage, "total_tokens") - input_tokens)
    details = _field(usage, "prompt_tokens_details")
    return Usage(
        input_tokens,
        output_tokens,
        _count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens"),
    )


def _count(usage: Any, name: str) -> int:
    """A token count of a usage object; 0 where it is missing or no number."""
    value = _field(usage, name)
    return value if isinstance(value, int) and value > 0 else 0


def response_completion(reply: Any, request: Request, *, provider_id: str, base_url: str = "") -> Completion:
    """The completion in a response of the Responses API. Raises as :func:`chat_completion`."""
    _raise_error_in(reply, provider_id, base_url)
    output = getattr(reply, "output", None)
    if not isinstance(output, list):
        raise _not_the_protocol(reply, provider_id)
    usage = _response_usage(getattr(reply, "usage", None))
    incomplete = getattr(getattr(reply, "incomplete_details", None), "reason", None)
    if incomplete is not None:
        why = "content-filter" if incomplete == "content_filter" else "truncated"
        raise error_mapping.no_text(provider_id=provider_id, why=why, usage=usage)
    parts = [p for item in output for p in getattr(item, "content", None) or ()]
    if any(getattr(p, "type", "") == "refusal" for p in parts):
        raise error_mapping.no_text(provider_id=provider_id, why="refusal", usage=usage)
    texts = (getattr(p, "text", None) for p in parts if getattr(p, "type", "") == "output_text")
    text = "".join(text for text in texts if isinstance(text, str))
    if not text.strip():
        raise error_mapping.no_text(provider_id=provider_id, why="empty", usage=usage)
    return Completion(text, usage or Usage(), model=str(getattr(reply, "model", "") or ""))


def _response_usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    details = _field(usage, "input_tokens_details")
    return Usage(
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        _count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens"),
    )


def _raise_error_in(reply: Any, provider_id: str, base_url: str) -> None:
    """Raise the error that came with status 200, as some gateways send it."""
    error = error_mapping.error_inside(error_fields(reply), provider_id=provider_id, base_url=base_url)
    if error is not None:
        raise error


def _not_the_protocol(reply: Any, provider_id: str) -> ProviderError:
    return error_mapping.not_the_protocol(
        provider_id=provider_id,
        body=reply if isinstance(reply, str) else {"detail": getattr(reply, "detail", None)},
    )


# Streams, for servers that send nothing else. The SDK's helpers expect fields that such servers leave out.


def chat_from_stream(chunks: Iterable[Any]) -> Any:
    """A chat completion put together from its chunks; an error among them is returned as it came."""
    texts: dict[str, list[str]] = {"content": [], **{name: [] for name in _THOUGHTS}}
    finish, usage, model = None, None, ""
    has_choice = False
    for chunk in chunks:
        if getattr(chunk, "error", None):
            return chunk
        usage = getattr(chunk, "usage", None) or usage
        model = getattr(chunk, "model", None) or model
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            has_choice = True
            finish = getattr(choice, "finish_reason", None) or finish
            for name, pieces in texts.items():
                piece = getattr(getattr(choice, "delta", None), name, None)
                pieces.append(text_of(piece))
    message = SimpleNamespace(**{name: "".join(pieces) for name, pieces in texts.items()})
    choices = [SimpleNamespace(message=message, finish_reason=finish)] if has_choice else []
    return SimpleNamespace(choices=choices, usage=usage, model=model)


def response_from_stream(events: Iterable[Any]) -> Any:
    """The response in the last event of a stream."""
    response: Any = None
    for event in events:
        response = getattr(event, "response", None) or response
    return response
