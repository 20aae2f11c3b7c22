"""The switch that makes spending by accident impossible: while it is closed, no request goes out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_closed: list[bool] = []  # one entry per open block: whether loopback stays allowed


@contextmanager
def block_requests(*, allow_loopback: bool = True) -> Iterator[None]:
    """While open, every request raises RuntimeError, in all threads; loopback excepted unless told."""
    _closed.append(allow_loopback)
    try:
        yield
    finally:
        _closed.pop()


def check_allowed(url: str) -> None:
    """Raise RuntimeError while :func:`block_requests` forbids a request to this URL."""
    if _closed and not (all(_closed) and is_loopback(url)):
        raise RuntimeError(f"requests to {urlsplit(url).hostname} are blocked here (block_network_requests).")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or number."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
