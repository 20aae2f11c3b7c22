"""What the environment does to an HTTP client, as sentences: proxies, certificates and headers."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.network_guard import is_loopback
from sllmbo_magic.llm.redact import MASK
from sllmbo_magic.llm.redact import one_line

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE",)  # a wrong SSL_CERT_DIR is not noticed before a connection is made
_HEADERS = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS")
_SENDABLE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""A header's value: ASCII, without blanks around it or a line break inside."""


def client_error(error: Exception, *, provider_id: str) -> ProviderError:
    """The error for a client that could not be made; it names the environment variable that is at fault."""
    text = str(error)
    proxies = _set(_PROXIES)
    # the library's words may quote a part of a password that it took for a host or a port
    words = "" if any("@" in value for value in proxies.values()) else one_line(text, 160)
    if "socksio" in text.lower():  # another proxy's address may begin with socks4://, which no package helps
        return _client_error(
            provider_id,
            f"the proxy in {_settings(proxies, 'socks')} needs the package socksio, which is not installed",
            f"Unset {_names(proxies, 'socks')}, or install the package with: pip install socksio",
        )
    if isinstance(error, OSError | ssl.SSLError):
        variables = _set(_CERTIFICATES)
        if variables:
            why = "is no file of certificates" if isinstance(error, ssl.SSLError) else error.strerror
            return _client_error(
                provider_id,
                f"the certificates in {_settings(variables)} cannot be read ({one_line(why, 80)})",
                f"Correct {_names(variables)}, or remove it from the environment.",
            )
    if "proxy" in text.lower() or ("port" in text.lower() and proxies):
        return _client_error(
            provider_id,
            f"the proxy in {_settings(proxies)} cannot be used{f' ({words})' if words else ''}",
            f"Correct {_names(proxies)}, for example http://HOST:PORT, or remove it from the environment.",
        )
    return _client_error(
        provider_id, f"no client can be made ({type(error).__name__}{words and f': {words}'})", ""
    )


def header_error(headers: Mapping[str, Any], *, provider_id: str) -> ProviderError | None:
    """The error for a header that cannot be sent; it names the environment variable, never a value."""
    for name, value in headers.items():
        if not isinstance(value, str) or (name.isascii() and _SENDABLE.fullmatch(value)):
            continue
        variables = [v for v in _HEADERS if value and value in os.environ.get(v, "")]
        return _client_error(
            provider_id,
            f"the header {one_line(name, 60)}{f' from {variables[0]}' if variables else ''} cannot be sent",
            f"Correct {variables[0] if variables else 'it'}: ASCII, no blanks or line breaks around it.",
        )
    return None


def proxy_to(base_url: str) -> tuple[str, str]:
    """The variable whose proxy leads to a server, and ``NAME=HOST:PORT`` without user and password; "" for
    none.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or is_loopback(base_url) or proxy_bypass(parts.hostname):
        return "", ""
    for name in (f"{parts.scheme.upper()}_PROXY", "ALL_PROXY"):
        for variable in _set((name,)):
            return variable, f"{variable}={one_line(os.environ[variable].rpartition('@')[2], 80)}"
    return "", ""


def _client_error(provider_id: str, message: str, hint: str) -> ProviderError:
    return PermanentProviderError(f"{provider_id}: {message}.", hint, category="client")


def _set(names: tuple[str, ...]) -> dict[str, str]:
    """The variables that are set, in either case, with their values."""
    spellings = [spelling for name in names for spelling in (name, name.lower())]
    return {name: os.environ[name] for name in spellings if os.environ.get(name)}


def _names(variables: dict[str, str], part: str = "") -> str:
    names = [name for name, value in variables.items() if part in value.lower()]
    return " and ".join(names or variables) or "the environment"


def _settings(variables: dict[str, str], part: str = "") -> str:
    """Names with values: ``ALL_PROXY=socks5://127.0.0.1:1080``; passwords are redacted."""
    matching = {name: value for name, value in variables.items() if part in value.lower()} or variables
    return (
        " and ".join(f"{name}={one_line(_without_user(value), 80)}" for name, value in matching.items())
        or "the environment"
    )


def _without_user(address: str) -> str:
    """The address without its user and password, also where they hold "/" or "@" or there is no "://"."""
    if "@" not in address:
        return address
    scheme = re.match(r"[a-z0-9+.-]+://|", address, re.IGNORECASE)
    return f"{scheme[0] if scheme else ''}{MASK}@{address.rpartition('@')[2]}"
