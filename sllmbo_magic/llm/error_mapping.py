"""What went wrong with a server, in one vocabulary: HTTP status and body to an error of ours.

Both SDKs' exceptions are mapped here, so that a fault has the same category with each of them. No exception
of an SDK is passed on: it holds the request, and the request holds the key. In the table
(``error_rules.RULES``) the first rule that fits decides. The server's own words are quoted in every message,
shortened and redacted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.client_errors import proxy_to
from sllmbo_magic.llm.error_bodies import error_in
from sllmbo_magic.llm.error_bodies import evidence_of
from sllmbo_magic.llm.error_bodies import message_of
from sllmbo_magic.llm.error_bodies import status_in
from sllmbo_magic.llm.error_rules import LATER
from sllmbo_magic.llm.error_rules import RULES
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.waiting import retry_after


def from_status(
    status: int,
    *,
    provider_id: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    base_url: str = "",
) -> ProviderError:
    """The error for an HTTP status that is no success.

    Args:
        status: The HTTP status code.
        provider_id: The provider's id, e.g. ``"openai:gpt-4o"``.
        body: The decoded body, for telling kinds of one status apart.
        headers: The response's headers, for ``Retry-After``.
        base_url: The server, for hints.

    Returns:
        The error of the first rule of ``RULES`` that fits, with the server's words in it.
    """
    evidence = evidence_of(body)
    rule = next(r for r in RULES if status in r.statuses and (r.words is None or r.words.search(evidence)))
    words = message_of(body)
    parts = urlsplit(base_url)
    root = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http://HOST:PORT"
    api = root if provider_id.startswith("anthropic:") else f"{root}/v1"  # Anthropic's SDK adds /v1 itself
    fields = {"provider_id": provider_id, "model": provider_id.partition(":")[2], "api": api}
    message = f"{provider_id}: {rule.message.format(**fields)} ({status})."
    if words:
        message += f' The server says: "{one_line(words)}".'
    hint = rule.hint.format(**fields)
    if rule.category == "wrong-address" and base_url.rstrip("/") == api:
        hint = (
            f"Check host, port and path, in the server's documentation too; asked was --base-url {base_url}"
        )
    error = rule.error(message, hint, category=rule.category)
    error.server_message = redact(evidence)
    error.status = status
    error.retry_after = retry_after(headers or {}, body)
    return error


def error_inside(
    body: object, *, provider_id: str, headers: Mapping[str, str] | None = None, base_url: str = ""
) -> ProviderError | None:
    """The error that a reply with status 200 holds instead of an answer; None if it holds none."""
    error = error_in(body)
    if not error:
        return None
    return from_status(
        status_in(error), provider_id=provider_id, body=error, headers=headers, base_url=base_url
    )


# Errors without a status


def no_answer(*, provider_id: str, timeout: float) -> ProviderError:
    """The error for a server that did not answer in time."""
    return TransientProviderError(
        f"{provider_id} did not answer within {timeout:g} s.",
        "Allow more time with --llm-timeout.",
        category="timeout",
    )


_NOT_CONNECTED = ("ConnectError", "ConnectionRefusedError", "gaierror", "UnsupportedProtocol", "ProxyError")


def no_connection(*, provider_id: str, cause: BaseException | None, base_url: str = "") -> ProviderError:
    """The error for a connection that could not be made, or was lost; told apart by the cause's class."""
    kinds = [type(c).__name__ for c in _chain(cause)]
    if any(kind in ("SSLError", "SSLCertVerificationError") for kind in kinds):
        # SSLEOFError is not among them: that is a lost connection
        return PermanentProviderError(
            f"{provider_id}: no secure connection, the server's certificate or TLS is not accepted.",
            "Check --base-url (http or https) and the system's certificates.",
            category="tls",
        )
    variable, proxy = proxy_to(base_url)
    if variable and any(kind in _NOT_CONNECTED for kind in kinds):
        return TransientProviderError(
            f"{provider_id}: no connection to the server through the proxy in {proxy}.",
            f"Check that the proxy runs and lets you reach the server, or remove {variable} from the"
            " environment.",
            category="connection",
        )
    if any(kind in _NOT_CONNECTED for kind in kinds):
        return TransientProviderError(
            f"{provider_id}: no connection to the server.",
            "Check that it is running and that the address is right.",
            category="connection",
        )
    return TransientProviderError(
        f"{provider_id}: the connection was lost before the reply was complete.",
        LATER,
        category="connection-lost",
    )


def too_long(*, provider_id: str) -> ReplyError:
    """The error for a prompt that the model has no room for."""
    rule = next(r for r in RULES if r.category == "context-length")
    return ReplyError(f"{provider_id}: {rule.message}.", rule.hint, category=rule.category)


def not_the_protocol(*, provider_id: str, body: object = None) -> ReplyError:
    """The error for an answer that is not what the protocol promises: HTML, cut JSON, other fields."""
    words = message_of(body)
    server_text = f' It says: "{one_line(words, 120)}".' if words else ""
    # Anthropic's SDK adds /v1 itself
    ending = "" if provider_id.startswith("anthropic:") else "; most end in /v1"
    error = ReplyError(
        f"{provider_id}: the answer is not what this kind of server sends (cut short, or no JSON)."
        f"{server_text}",
        f"Check that --base-url names an API and not a web page{ending}.",
        category="not-json",
    )
    if isinstance(body, str) and re.match(r"\s*(data|event):", body):
        error.server_message = "the server only streams"  # as other servers word it
    return error


_NO_TEXT = {
    "empty": ("the reply holds no text.", "Use another model."),
    "refusal": ("the model refused to answer.", "Use another model."),
    "content-filter": ("the provider's content filter stopped the reply.", "Use another model."),
    "truncated": (
        "the reply was cut off at the limit of output tokens.",
        "Allow more with --max-output-tokens; a model that thinks needs thousands.",
    ),
}


def no_text(*, provider_id: str, why: str, usage: Usage | None) -> ReplyError:
    """The error for a reply without usable text; ``why`` is its category, ``usage`` what it did cost."""
    message, hint = _NO_TEXT[why]
    error = ReplyError(f"{provider_id}: {message}", hint, category=why)
    error.usage = usage
    return error


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
