"""The switch that makes spending by accident impossible: while it is closed, no request goes out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class _Block:
    allow_loopback: bool
    allow_commands: bool


_blocks: list[_Block] = []


@contextmanager
def block_requests(*, allow_loopback: bool = True, allow_commands: bool = False) -> Iterator[None]:
    """While open, every request raises RuntimeError, in all threads.

    Args:
        allow_loopback: Whether servers on this machine may be asked.
        allow_commands: Whether programs may be started (``command:...``); they may ask any server.
    """
    block = _Block(allow_loopback, allow_commands)
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)


def check_allowed(url: str) -> None:
    """Raise RuntimeError while :func:`block_requests` forbids a request to this URL."""
    if _blocks and not (is_loopback(url) and all(block.allow_loopback for block in _blocks)):
        raise RuntimeError(f"requests to {urlsplit(url).hostname} are blocked here (block_network_requests).")


def check_commands_allowed() -> None:
    """Raise RuntimeError while :func:`block_requests` forbids to start programs."""
    if not all(block.allow_commands for block in _blocks):
        raise RuntimeError("programs are not started here (block_network_requests).")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or number."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
