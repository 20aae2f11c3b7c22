"""Errors of building an HTTP client, as sentences: proxies and certificates of the environment."""

from __future__ import annotations

import os
import re
import ssl

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.llm.redact import MASK
from sllmbo_magic.llm.redact import one_line

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE",)  # a wrong SSL_CERT_DIR is not noticed before a connection is made


def client_error(error: Exception, *, provider_id: str) -> ProviderError:
    """The error for a client that could not be made; it names the environment variable that is at fault."""
    text = str(error)
    proxies = _set(_PROXIES)
    # the library's words may quote a part of a password that it took for a host or a port
    words = "" if any("@" in value for value in proxies.values()) else one_line(text, 160)
    if "socks" in text.lower():
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
