"""A real HTTP server on this machine that speaks the protocols of OpenAI and Anthropic, with faults on
demand.

Used through :mod:`sllmbo_magic.testing`. The real SDKs talk to it, so that their parsing, timeouts and errors
are in the test. It answers ``/v1/chat/completions``, ``/v1/responses``, ``/v1/messages`` and ``/v1/models``.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any
from typing import Literal

from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Usage

Kind = Literal[
    "status", "silent", "drip", "reset", "reset-mid-body", "cut-json", "html", "refusal", "content-filter",
    "truncated", "empty",
]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something else than a good reply.

    Attributes:
        kind: ``"status"`` (an HTTP status), ``"silent"`` (no answer ever), ``"drip"`` (one byte at a time),
            ``"reset"`` (before a word), ``"reset-mid-body"``, ``"cut-json"``, ``"html"`` (a web page, status
            200), ``"refusal"``, ``"content-filter"``, ``"truncated"`` (output limit), ``"empty"`` (no
            choices).
        status: The HTTP status of kind ``"status"``.
        body: Its body; data is sent as JSON.
        headers: Its further headers, e.g. ``{"Retry-After": "1"}``.
        pause: Seconds between the bytes of ``"drip"``.
    """

    kind: Kind = "status"
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.05


@dataclass(frozen=True)
class Seen:
    """A request as it arrived: the path, its headers with lower-case names, and the JSON body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = str | dict[str, Any] | list[Any] | Completion | Fault


class LoopbackServer:
    """A server for ``with``; stops, and lets go of every waiting client, at the end.

    Args:
        answers: One :data:`Answer` per request (text, data sent as JSON text, a Completion with its usage, or
            a :class:`Fault`); the last one is repeated. Or a function of :class:`Seen` that gives one.
        latency: Seconds before each answer.
        models: What the server lists as its models.
        tls: Serve https with this context.

    Attributes:
        url: For ``--base-url`` of OpenAI's protocol: ``http://127.0.0.1:PORT/v1``.
        anthropic_url: The same for Anthropic's: without ``/v1``.
        requests: What arrived, oldest first.
    """

    __test__ = False

    def __init__(
        self,
        answers: Iterable[Answer] | Callable[[Seen], Answer] = (),
        *,
        latency: float = 0.0,
        models: Iterable[str] = ("test-model",),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Seen] = []
        self.models = list(models)
        self.latency = latency
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._function = answers if callable(answers) else None
        self._answers = [] if callable(answers) else list(answers)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if tls is None else "https"
        self.anthropic_url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.anthropic_url}/v1"

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, seen: Seen) -> Answer:
        """Record a request and give what is due for it."""
        with self._lock:
            self.requests.append(seen)
            if self._function is None:
                return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return self._function(seen)

    def wait(self, seconds: float) -> bool:
        """Wait; True if the server is stopping."""
        return self._stop.wait(seconds)


def _handler(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is its own."""

        def do_GET(self) -> None:
            data = [{"id": m, "object": "model", "type": "model"} for m in server.models]
            self._send(200, {"object": "list", "data": data, "has_more": False})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            seen = Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            shape = _SHAPES.get(self.path.partition("?")[0])
            if shape is None:
                self._send(404, {"error": {"message": f"no such address: {self.path}"}})
                return
            answer = server.answer(seen)
            if server.latency and server.wait(server.latency):
                self.close_connection = True
                return
            if isinstance(answer, Fault):
                self._fail(answer, shape, body)
            else:
                self._send(200, shape(_completion(answer), "", body))

        def _fail(self, fault: Fault, shape: _Shape, body: dict[str, Any]) -> None:
            good = json.dumps(shape(Completion("{}"), "", body)).encode()
            if fault.kind == "status":
                self._send(fault.status, fault.body or {"error": {"message": "scripted"}}, fault.headers)
            elif fault.kind == "html":
                self._send(200, "<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
            elif fault.kind == "cut-json":
                self._send(200, good[: len(good) // 2].decode())
            elif fault.kind == "silent":
                server.wait(3600)
                self.close_connection = True
            elif fault.kind == "reset":
                self._reset()
            elif fault.kind == "reset-mid-body":
                self._head(200, len(good))
                self.wfile.write(good[: len(good) // 2])
                self.wfile.flush()
                self._reset()
            elif fault.kind == "drip":
                self._head(200, len(good))
                for byte in good:
                    try:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    except OSError:
                        return  # the client has had enough
                    if server.wait(fault.pause):
                        break
                self.close_connection = True
            else:
                self._send(200, shape(Completion("{"), fault.kind, body))

        def _reset(self) -> None:
            """Close with RST: no orderly end."""
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True

        def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self._head(status, len(data), headers)
            self.wfile.write(data)

        def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # the client went away, or the reset was on purpose
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    return Handler


def _completion(answer: str | dict[str, Any] | list[Any] | Completion) -> Completion:
    if isinstance(answer, Completion):
        return answer
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return Completion(text, Usage(100, 20))


_Shape = Callable[[Completion, str, dict[str, Any]], dict[str, Any]]


def _chat(reply: Completion, fault: str, body: dict[str, Any]) -> dict[str, Any]:
    finish = {"content-filter": "content_filter", "truncated": "length"}.get(fault, "stop")
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
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


def _responses(reply: Completion, fault: str, body: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": reply.text, "annotations": []}
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


def _messages(reply: Completion, fault: str, body: dict[str, Any]) -> dict[str, Any]:
    stop = {"refusal": "refusal", "content-filter": "refusal", "truncated": "max_tokens"}.get(
        fault, "end_turn"
    )
    block: dict[str, Any] = {"type": "text", "text": reply.text}
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


_SHAPES: dict[str, _Shape] = {
    "/v1/chat/completions": _chat,
    "/v1/responses": _responses,
    "/v1/messages": _messages,
}
