"""The server: it records each request and sends the answer that is due."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Usage

from .faults import CONNECTION_FAULTS
from .faults import Fault
from .protocols import EVENTS
from .protocols import SHAPES


@dataclass(frozen=True)
class Received:
    """A request as it arrived: the path, its headers with lower-case names, and the JSON body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = str | dict[str, Any] | list[Any] | Completion | Fault


class LoopbackServer:
    """A server for ``with``; stops, and closes every waiting connection, at the end.

    It answers ``/v1/chat/completions``, ``/v1/responses``, ``/v1/messages`` and ``/v1/models``, and streams
    where the request says ``"stream": true``.

    Args:
        answers: One :data:`Answer` per request (text, data sent as JSON text, a Completion with its usage, or
            a :class:`Fault`); the last one is repeated. Or a function of :class:`Received` that gives one.
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
        answers: Iterable[Answer] | Callable[[Received], Answer] = (),
        *,
        latency: float = 0.0,
        models: Iterable[str] = ("test-model",),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.models = list(models)
        self.latency = latency
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._function = answers if callable(answers) else None
        self._answers = [] if callable(answers) else list(answers)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"loopback": self}))
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

    def answer(self, received: Received) -> Answer:
        """Record a request and return the answer that is due for it."""
        with self._lock:
            self.requests.append(received)
            if self._function is None:
                return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return self._function(received)

    def wait(self, seconds: float) -> bool:
        """Wait; True if the server is stopping."""
        return self._stop.wait(seconds)


class Handler(BaseHTTPRequestHandler):
    """One connection. ``loopback`` is the server that it belongs to."""

    loopback: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its own."""

    def do_GET(self) -> None:
        data = [{"id": m, "object": "model", "type": "model"} for m in self.loopback.models]
        self.send(200, {"object": "list", "data": data, "has_more": False})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        path = self.path.partition("?")[0]
        if path not in SHAPES:
            self.send(404, {"error": {"message": f"no such address: {self.path}"}})
            return
        received = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        answer = self.loopback.answer(received)
        if self.loopback.latency and self.loopback.wait(self.loopback.latency):
            self.close_connection = True
            return
        if isinstance(answer, Fault) and answer.kind in CONNECTION_FAULTS:
            good = json.dumps(SHAPES[path](Completion("{}"), "", body)).encode()
            CONNECTION_FAULTS[answer.kind](self, answer, good)
            return
        fault = answer.kind if isinstance(answer, Fault) else ""
        reply = Completion("{") if isinstance(answer, Fault) else completion_of(answer)
        whole = SHAPES[path](reply, fault, body)
        if body.get("stream"):
            self.send(200, "".join(EVENTS[path](whole, body)), {"Content-Type": "text/event-stream"})
        else:
            self.send(200, whole)

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """A whole answer; text is sent as it is, other data as JSON."""
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.head(status, len(data), headers)
        self.wfile.write(data)

    def head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        """Status line and headers."""
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


def completion_of(answer: str | dict[str, Any] | list[Any] | Completion) -> Completion:
    """An answer as a completion; 100 input and 20 output tokens where it does not say."""
    if isinstance(answer, Completion):
        return answer
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return Completion(text, Usage(100, 20))
