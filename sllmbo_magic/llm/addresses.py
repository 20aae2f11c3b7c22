"""Addresses of servers: what ``--base-url`` and the environment's variables may hold."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from sllmbo_magic.errors import InputError
from sllmbo_magic.llm.credentials import refuse_key

_ENDPOINT = re.compile(r"(/(?:chat/completions|completions|embeddings|responses|messages|models))/?(\?.*|)$")
_OLLAMA_ENDPOINT = re.compile(r"/api/(generate|chat|tags)/?$")
_LOCAL = re.compile(
    r"^(127[.\d]*|10\.[.\d]+|192\.168\.[.\d]+|172\.(1[6-9]|2\d|3[01])\.[.\d]+|0\.0\.0\.0|\[?::1?\]?"
    r"|host\.docker\.internal|[\w-]+(\.local)?)(:|/|$)",
    re.IGNORECASE,
)
"""Hosts on this machine or in a private network, whose servers are usually plain http."""

OLLAMA_URL = "http://localhost:11434/v1"


def check_base_url(url: str, where: str = "--base-url") -> str:
    """The address, without blanks around it; it may have a query, which each request then has.

    Args:
        url: As the user wrote it.
        where: The option or variable that holds it, for the message.

    Raises:
        InputError: It is no http address of a server's API, or holds a key; the hint is the address that was
            probably meant.
    """
    url = url.strip()
    refuse_key(url if "://" in url else f"://{url}", where)
    separator = "=" if where.isupper() or "_" in where else " "
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        example = _complete_address(url)
        raise InputError(
            f"{where} {url!r} is no address: it must begin with http:// or https://.",
            f"Example: {where}{separator}{example}",
        )
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", url)
        usable = usable and (parts.port is None or parts.port > 0) and url.count("://") == 1
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"{where} {url!r} is no address of a server.",
            f"Example: {where}{separator}http://localhost:8000/v1",
        )
    if "#" in url:
        raise InputError(
            f"{where} {url!r} has a part after #, which no request has.",
            f"Write: {where}{separator}{url.partition('#')[0]}",
        )
    endpoint = _ENDPOINT.search(url)
    if endpoint:
        raise InputError(
            f"{where} {url!r} names one endpoint; the SDK adds {endpoint[1]} itself.",
            f"Write: {where}{separator}{url[: endpoint.start()]}{endpoint[2]}",
        )
    endpoint = _OLLAMA_ENDPOINT.search(url)
    if endpoint:
        raise InputError(
            f"{where} {url!r} names an endpoint of Ollama's own protocol, and OpenAI's is needed.",
            f"Write: {where}{separator}{url[: endpoint.start()]}/v1",
        )
    return url


def _complete_address(url: str) -> str:
    """The address that was probably meant by a text that does not begin with http:// or https://."""
    text = url.strip("\"'<>` ")
    scheme = re.match(r"https?(?=:)", text, re.IGNORECASE)
    host = re.sub(r"^https?:/*|^[a-z]*:?/+|^[a-z]+://", "", text, flags=re.IGNORECASE)
    if not host:
        return "http://localhost:8000/v1"
    if re.fullmatch(r":?\d{2,5}", host):  # a port alone
        return f"http://localhost:{host.lstrip(':')}/v1"
    if scheme:
        return f"{scheme[0].lower()}://{host}"
    return f"{'http' if _LOCAL.match(host) else 'https'}://{host}"


def ollama_url() -> str:
    """The address of Ollama's server: ``OLLAMA_HOST``, read as Ollama's own client reads it, and ``/v1``.

    Blanks and quotes around it do not count. Without ``http://`` or ``https://``, the scheme is http and the
    port 11434; with one, the port is the scheme's. A missing host is this machine, and so is 0.0.0.0, which a
    server listens on. (Source: ``envconfig`` of ollama/ollama.)

    Raises:
        InputError: It is no address.
    """
    value = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    if not value:
        return OLLAMA_URL
    scheme, has_scheme, host_and_path = value.partition("://")
    if not has_scheme:
        scheme, host_and_path = "http", value
    default_port = {"http": "80", "https": "443"}.get(scheme, "11434") if has_scheme else "11434"
    netloc, _, path = host_and_path.partition("/")
    host, port = _host_and_port(netloc, default_port)
    path = "/" + path.strip("/") if path.strip("/") else ""
    root = f"{scheme}://{host}:{port}{path}"
    return check_base_url(root if path.endswith("/v1") else f"{root}/v1", "OLLAMA_HOST")


def _host_and_port(netloc: str, default_port: str) -> tuple[str, str]:
    bare = netloc.strip("[]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        host, _, port = netloc.rpartition(":") if ":" in netloc else (netloc, "", "")
    else:  # without a port, "::1" too
        host, port = (f"[{bare}]" if address.version == 6 else bare), ""
    if not port.isdigit() or int(port) > 65535:
        port = default_port
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    return ("[::1]" if host == "[::]" else host), port
