"""The HTTP client under the SDKs: what every request of ours must and must not do on the network.

* A reply that drips in is cut at the attempt's time limit: the client's own limit is for each read, not the
  whole.
* A reply larger than 10 MB is cut.
* Redirects are not followed: prompts, and perhaps keys, would go along to another host.
* What the HTTP libraries log is redacted: at debug level they log headers, and a server may repeat a key in
  one.
* A server on this machine is reached directly, whatever the proxy variables say.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2

from sllmbo_magic.llm.network_guard import is_loopback
from sllmbo_magic.llm.redact import redact

MAX_REPLY_BYTES = 10_000_000

_LOGGERS = (
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
    "httpcore2.http2",
    "httpcore2.proxy",
    "openai._base_client",
    "anthropic",
    "anthropic._base_client",
)


def http_client(base_url: str, timeout: float) -> httpx2.Client:
    """A client for one server. ``timeout``: seconds for each read, and for the body after the headers."""

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redact_record)  # adding it again changes nothing

    def guard(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Guarded(response.stream, time.monotonic() + timeout)

    return _Client(
        timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
        follow_redirects=False,
        trust_env=not is_loopback(base_url),
        event_hooks={"response": [guard]},
    )


def _redact_record(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    return True


class _Client(httpx2.Client):
    """Closes its connections when it is garbage-collected, as the SDKs' own clients do."""

    def __del__(self) -> None:
        with suppress(AttributeError, RuntimeError, OSError):  # half made, or the interpreter is going down
            self.close()


class _Guarded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if time.monotonic() > self._end:
                raise httpx2.ReadTimeout("the reply took too long")
            if size > MAX_REPLY_BYTES:
                raise httpx2.DecodingError("the reply is too large")
            yield chunk

    def close(self) -> None:
        self._stream.close()
