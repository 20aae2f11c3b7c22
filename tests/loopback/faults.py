"""What can go wrong with an answer: one small function per kind of fault."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

if TYPE_CHECKING:
    from .server import Handler

Kind = Literal[
    "status", "silent", "drip", "reset", "reset-mid-body", "cut-json", "html", "refusal", "content-filter",
    "truncated", "empty",
]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something else than a good reply.

    Attributes:
        kind: ``"status"`` (an HTTP status with a body), ``"silent"`` (no answer ever), ``"drip"`` (one byte
            at a time), ``"reset"`` (before the first byte), ``"reset-mid-body"``, ``"cut-json"``, ``"html"``
            (a web page, status 200); and replies of the protocol: ``"refusal"``, ``"content-filter"``,
            ``"truncated"`` (output limit), ``"empty"`` (no choices).
        status: The HTTP status of kind ``"status"``.
        body: Its body; data is sent as JSON, text as it is.
        headers: Its further headers, e.g. ``{"Retry-After": "1"}``.
        pause: Seconds between the bytes of ``"drip"``.
    """

    kind: Kind = "status"
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.05


def send_status(handler: Handler, fault: Fault, good: bytes) -> None:
    body = {"error": {"message": "scripted"}} if fault.body is None else fault.body
    handler.send(fault.status, body, fault.headers)


def send_html(handler: Handler, fault: Fault, good: bytes) -> None:
    handler.send(200, "<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})


def send_cut_json(handler: Handler, fault: Fault, good: bytes) -> None:
    handler.send(200, good[: len(good) // 2].decode())


def stay_silent(handler: Handler, fault: Fault, good: bytes) -> None:
    handler.loopback.wait(3600)
    handler.close_connection = True


def reset(handler: Handler, fault: Fault, good: bytes) -> None:
    """Close with RST, without an orderly end."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def reset_mid_body(handler: Handler, fault: Fault, good: bytes) -> None:
    handler.head(200, len(good))
    handler.wfile.write(good[: len(good) // 2])
    handler.wfile.flush()
    reset(handler, fault, good)


def drip(handler: Handler, fault: Fault, good: bytes) -> None:
    handler.head(200, len(good))
    handler.close_connection = True
    for byte in good:
        try:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
        except OSError:
            return  # the client closed the connection
        if handler.loopback.wait(fault.pause):
            return


CONNECTION_FAULTS: dict[str, Callable[[Handler, Fault, bytes], None]] = {
    "status": send_status,
    "html": send_html,
    "cut-json": send_cut_json,
    "silent": stay_silent,
    "reset": reset,
    "reset-mid-body": reset_mid_body,
    "drip": drip,
}
"""Faults below the protocol; the other kinds are replies of the protocol (see ``protocols.py``)."""
