"""The wire formats: a completion as a body, or as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from sllmbo_magic.llm.base import Completion

Body = dict[str, Any]
Shape = Callable[[Completion, str, Body], Body]
"""Completion, kind of fault (``""`` for a good reply) and the request's body to the reply's body."""


def chat_body(reply: Completion, fault: str, body: Body) -> Body:
    """OpenAI's chat completions."""
    finish = {"content-filter": "content_filter", "truncated": "length"}.get(fault, "stop")
    message: Body = {"role": "assistant", "content": reply.text, "refusal": None}
    if fault == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {
        "prompt_tokens": reply.usage.input_tokens,
        "completion_tokens": reply.usage.output_tokens,
        "total_tokens": reply.usage.input_tokens + reply.usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.usage.cached_input_tokens},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [] if fault == "empty" else [choice],
        "usage": usage,
    }


def responses_body(reply: Completion, fault: str, body: Body) -> Body:
    """OpenAI's Responses API."""
    part: Body = {"type": "output_text", "text": reply.text, "annotations": []}
    if fault == "refusal":
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    reason = {"content-filter": "content_filter", "truncated": "max_output_tokens"}.get(fault)
    return {
        "id": "resp-1",
        "object": "response",
        "created_at": 0,
        "model": body.get("model"),
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "output": [] if fault == "empty" else [message],
        "usage": {
            "input_tokens": reply.usage.input_tokens,
            "output_tokens": reply.usage.output_tokens,
            "total_tokens": reply.usage.input_tokens + reply.usage.output_tokens,
            "input_tokens_details": {"cached_tokens": reply.usage.cached_input_tokens},
        },
    }


def messages_body(reply: Completion, fault: str, body: Body) -> Body:
    """Anthropic's messages."""
    stop = {"refusal": "refusal", "content-filter": "refusal", "truncated": "max_tokens"}.get(
        fault, "end_turn"
    )
    block: Body = {"type": "text", "text": reply.text}
    if body.get("tool_choice") and not fault:
        block = {"type": "tool_use", "id": "t", "name": "reply", "input": json.loads(reply.text)}
        stop = "tool_use"
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [] if fault == "empty" else [block],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.usage.input_tokens - reply.usage.cached_input_tokens,
            "cache_read_input_tokens": reply.usage.cached_input_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": reply.usage.output_tokens,
        },
    }


def chat_events(whole: Body, body: Body) -> Iterator[str]:
    """A chat completion in chunks of ten characters; usage comes last and only if it was asked for."""
    shared = {k: whole[k] for k in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for choice in whole["choices"]:
        text = choice["message"]["content"] or ""
        deltas: list[Body] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": text[i : i + 10]} for i in range(0, len(text), 10)]
        for delta in deltas:
            yield _data({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        finish = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        yield _data({**shared, "choices": [finish]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _data({**shared, "choices": [], "usage": whole["usage"]})
    yield "data: [DONE]\n\n"


def responses_events(whole: Body, body: Body) -> Iterator[str]:
    """Only the last event of a response's stream, which holds all of it."""
    event = {"type": "response.completed", "sequence_number": 0, "response": whole}
    yield f"event: response.completed\n{_data(event)}"


def messages_events(whole: Body, body: Body) -> Iterator[str]:
    """A message in its events, text in pieces of ten characters."""

    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\n{_data({'type': kind, **fields})}"

    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield event("message_start", message=start)
    for index, block in enumerate(whole["content"]):
        text = block.get("text", "")
        first = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield event("content_block_start", index=index, content_block=first)
        kind = "text_delta" if block["type"] == "text" else "input_json_delta"
        name = "text" if block["type"] == "text" else "partial_json"
        text = text or json.dumps(block.get("input", {}))
        for i in range(0, len(text), 10):
            delta = {"type": kind, name: text[i : i + 10]}
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": whole["usage"]["output_tokens"]})
    yield event("message_stop")


def _data(event: Body) -> str:
    return f"data: {json.dumps(event)}\n\n"


SHAPES: dict[str, Shape] = {
    "/v1/chat/completions": chat_body,
    "/v1/responses": responses_body,
    "/v1/messages": messages_body,
}
EVENTS: dict[str, Callable[[Body, Body], Iterator[str]]] = {
    "/v1/chat/completions": chat_events,
    "/v1/responses": responses_events,
    "/v1/messages": messages_events,
}
