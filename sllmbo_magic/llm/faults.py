"""What went wrong with a server, in one vocabulary: HTTP status and body to an error of ours.

Both SDKs' exceptions are mapped here, so that a fault has the same category whoever reports it. No exception
of an SDK survives: it holds the request, and the request holds the key. The table is the documentation::

    401 bad-key          402 quota            403 permission       404 unknown-model
    400 422 bad-request  context-length       413 too-large        429 rate-limit, quota
    408 504 timeout      409 conflict         5xx server           529 overloaded
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import one_line

_TEACHING = ("bad-request", "unknown-model", "server")
_LATER = "The base sampler takes this trial; the LLM is asked again at the next."
_WITHOUT = "The base sampler goes on without the LLM."
_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|prompt is too long|too many (input )?tokens"
    r"|exceeds? the (model'?s )?(available )?context|input.{0,20}too long",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content.?(filter|policy|management)|safety|flagged|responsible ?ai", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|billing|credit balance|spend limit|quota exceeded.*billing", re.IGNORECASE
)


@dataclass
class Failure:
    """What an SDK's exception was translated to.

    It is handed out instead of being raised, so that the error is raised where no exception of the SDK is
    being
    handled: neither its context nor its traceback leads to a request and its key.

    Attributes:
        error: Our error; None if all went well.
        refusal: The server's words, if they may teach how to ask differently.
    """

    error: ProviderError | None = None
    refusal: str | None = None

    def take_status(self, status: int, *, who: str, body: object, headers: Mapping[str, str]) -> None:
        """Set both from an HTTP status that is no success."""
        self.error = from_status(status, who=who, body=body, headers=headers)
        said = message_of(body)
        if self.error.category in _TEACHING and (
            status in (400, 422) or (said and status in (404, 415, 501))
        ):
            self.refusal = said


def from_status(
    status: int, *, who: str, body: object = None, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error for an HTTP status that is no success.

    Args:
        status: The HTTP status code.
        who: The provider's id, e.g. ``"openai:gpt-4o"``.
        body: The decoded body, for telling kinds of one status apart.
        headers: The response's headers, for ``Retry-After``.
    """
    said = message_of(body)
    model = who.partition(":")[2]
    if status == 401:
        return PermanentProviderError(
            f"{who}: the key was not accepted (401).", f"Check the key. {_WITHOUT}", category="bad-key"
        )
    if status == 402 or (status in (400, 403, 429) and _QUOTA.search(said)):
        return PermanentProviderError(
            f"{who}: the account has no credit or quota left ({status}).", _WITHOUT, category="quota"
        )
    if status == 403:
        return PermanentProviderError(
            f"{who}: the key may not use this model or server (403).", _WITHOUT, category="permission"
        )
    if status == 404:
        return PermanentProviderError(
            f"{who}: the server knows no model or address like {model!r} (404).",
            f"Check the name with: %sllmbo doctor {who}. {_WITHOUT}",
            category="unknown-model",
        )
    if status == 413:
        return ReplyError(
            f"{who}: the request is too large for the server (413).", _LATER, category="too-large"
        )
    if status in (400, 422) and _CONTEXT.search(said):
        return too_long(who=who)
    if status in (400, 422) and _FILTER.search(said):
        return ReplyError(
            f"{who}: the provider's content filter refused the prompt.", _LATER, category="content-filter"
        )
    if status == 429:
        error = TransientProviderError(f"{who}: too many requests (429).", _LATER, category="rate-limit")
    elif status in (408, 504):
        error = TransientProviderError(
            f"{who}: the server gave up waiting ({status}).", _LATER, category="timeout"
        )
    elif status == 409:
        error = TransientProviderError(
            f"{who}: the server reported a conflict (409).", _LATER, category="conflict"
        )
    elif status == 529:
        error = TransientProviderError(
            f"{who}: the provider is overloaded (529).", _LATER, category="overloaded"
        )
    elif status >= 500:
        error = TransientProviderError(f"{who}: the server failed ({status}).", _LATER, category="server")
    elif 300 <= status < 400:
        return PermanentProviderError(
            f"{who}: the server redirects elsewhere ({status}), which is not followed with a key.",
            "Give the final address with --base-url.",
            category="redirect",
        )
    else:
        reason = f' The server says: "{one_line(said)}".' if said else ""
        return PermanentProviderError(
            f"{who}: the server does not accept the request ({status}).{reason}",
            _WITHOUT,
            category="bad-request",
        )
    error.retry_after = retry_after(headers or {})
    return error


def no_answer(*, who: str, timeout: float) -> ProviderError:
    """The error for a server that did not answer in time."""
    return TransientProviderError(f"{who} did not answer within {timeout:g} s.", _LATER, category="timeout")


_NOT_CONNECTED = ("ConnectError", "ConnectionRefusedError", "gaierror", "UnsupportedProtocol", "ProxyError")


def no_connection(*, who: str, cause: BaseException | None) -> ProviderError:
    """The error for a connection that could not be made, or was lost; told apart by the cause's class."""
    kinds = [type(c).__name__ for c in _chain(cause)]
    if any(
        kind in ("SSLError", "SSLCertVerificationError") for kind in kinds
    ):  # not SSLEOFError: a lost line
        return PermanentProviderError(
            f"{who}: no secure connection, the server's certificate or TLS is not accepted.",
            f"Check --base-url (http or https) and the system's certificates. {_WITHOUT}",
            category="tls",
        )
    if any(kind in _NOT_CONNECTED for kind in kinds):
        return TransientProviderError(
            f"{who}: no connection to the server.",
            f"Is it running, is the address right? {_LATER}",
            category="connection",
        )
    return TransientProviderError(
        f"{who}: the connection was lost before the reply was complete.", _LATER, category="connection-lost"
    )


def too_long(*, who: str) -> ReplyError:
    """The error for a prompt that the model has no room for."""
    return ReplyError(
        f"{who}: the prompt is longer than the model's context.",
        f"Use --history state, or a model with a longer context. {_LATER}",
        category="context-length",
    )


def not_the_protocol(*, who: str) -> ReplyError:
    """The error for an answer that is not what the protocol promises: HTML, cut JSON, other fields."""
    return ReplyError(
        f"{who}: the answer is not what this kind of server sends (cut short, or no JSON).",
        f"Does --base-url name an API and not a web page? {_LATER}",
        category="not-json",
    )


_NO_TEXT = {
    "empty": "the reply holds no text.",
    "refusal": "the model refused to answer.",
    "content-filter": "the provider's content filter stopped the reply.",
    "truncated": "the reply was cut off at the limit of output tokens.",
}


def no_text(*, who: str, why: str, usage: Usage | None) -> ReplyError:
    """The error for a reply without usable text; ``why`` is its category, ``usage`` what it did cost."""
    error = ReplyError(f"{who}: {_NO_TEXT[why]}", _LATER, category=why)
    error.usage = usage
    return error


def count(usage: object, name: str) -> int:
    """A token count of an SDK's usage object; 0 where it is missing or no number."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (``Retry-After-Ms``, ``Retry-After``); None if it does not."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None


def message_of(body: object) -> str:
    """The words of an error body of any shape; for matching and, shortened and redacted, for showing."""
    if isinstance(body, str):
        return body[:2000]
    if isinstance(body, Mapping):
        error: Any = body.get("error", body)
        if isinstance(error, Mapping):
            parts = (error.get("message"), error.get("code"), error.get("type"), body.get("detail"))
            return " ".join(str(p) for p in parts if p)[:2000]
        return str(error)[:2000]
    return ""


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
