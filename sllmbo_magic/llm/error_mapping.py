"""What went wrong with a server, in one vocabulary: HTTP status and body to an error of ours.

Both SDKs' exceptions are mapped here, so that a fault has the same category whoever reports it. No exception
of an SDK survives: it holds the request, and the request holds the key. :data:`RULES` is the table; the first
rule that fits decides. The server's own words are quoted in every message, shortened and redacted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.llm.redact import redact
from sllmbo_magic.llm.waiting import retry_after


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
        statuses: The HTTP statuses that it is about.
        category: The error's category.
        error: The error's class.
        message: What is said after the provider's id and before the status; ``{model}`` is filled in.
        hint: What to do; ``{provider_id}``, ``{model}`` and ``{api}`` (where a server's API usually is) are
            filled in.
        words: A pattern that must occur in the body; None: any body.
    """

    statuses: Container[int]
    category: str
    error: type[ProviderError]
    message: str
    hint: str = ""
    words: re.Pattern[str] | None = None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_NO_CREDIT = _words(
    r"insufficient_quota|credit balance|insufficient (balance|credits?|funds)|billing_(hard_limit|not_active)"
    r"|billing hard limit|spend(ing)? limit|available credits|out of credits|exceeded_current_quota_error"
    r"|account is (suspended|not active)|budget.{0,20}exceeded"
)
_BAD_KEY = _words(
    r"(api.?key|access token)\b.{0,30}(not valid|invalid|incorrect|expired|missing|required)"
    r"|(invalid|incorrect|expired|missing|no) (api.?key|access token)|api_key_invalid"
)
_PER_TIME = _words(
    r"per.?(min|sec|hour|day)|\b[rt]p[md]\b|rate.?limit|retrydelay"
    r"|retry.{0,20}(in|after)\W+\d|try again in|too many requests"
)
_QUOTA = _words(r"quota|billing|plan and|payment")
_ENDPOINT = (
    r"unexpected endpoint|cannot (post|get)\b|(no such|unknown|invalid) (address|endpoint|route|url|path)"
)
_NO_ENDPOINT = _words(_ENDPOINT)
_ADDRESS = _words(
    _ENDPOINT + r"|(page|file|resource|path|route) not found|^\W*(\w+\W+)?not found\W*$|not allowed"
)
_MODEL = _words(
    r"(model|deployment).{0,80}(not (found|exist|available|supported)|does(n't| not) exist|decommissioned)"
    r"|(no|unknown|invalid|not a valid) model\b|model_not_found|model not exist|unable to access model"
    r"|no models? (is )?loaded|\bmodel: \S+"
)
_CONTEXT = _words(
    r"context.{0,20}(length|window|size|limit)|maximum context|prompt is too long|too many (input )?tokens"
    r"|exceeds? the (model'?s )?(available )?context|input.{0,20}too long|tokens must be at least 1, got -"
)
_FLAGGED = _words(r"flagged|requires moderation|content.?(filter|policy|management)")
_FILTER = _words(r"content.?(filter|policy|management)|safety|flagged|responsible ?ai")

_NO_QUOTA = "the account has no credit or quota left"
_ADD_CREDIT = "Add credit at the provider, or use another one: %sllmbo providers"
_LESS_OFTEN = "Ask less often with a larger --candidates, or use another model."
_LATER = "Try again later; a server of your own says more in its log."

RULES: tuple[Rule, ...] = (
    Rule(
        range(300, 400),
        "redirect",
        PermanentProviderError,
        "the server redirects elsewhere, which is not followed with a key",
        "Give the final address with --base-url.",
    ),
    Rule((401,), "bad-key", PermanentProviderError, "the key was not accepted", "Check the key."),
    Rule(
        (400, 403), "bad-key", PermanentProviderError, "the key was not accepted", "Check the key.", _BAD_KEY
    ),
    Rule(
        (407,),
        "proxy",
        PermanentProviderError,
        "the proxy wants a user and a password",
        "Write them in the environment: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    Rule(
        (400, 403, 429),
        "quota",
        PermanentProviderError,
        _NO_QUOTA,
        _ADD_CREDIT,
        words=_NO_CREDIT,
    ),
    Rule((403, 429), "rate-limit", TransientProviderError, "too many requests", _LESS_OFTEN, _PER_TIME),
    Rule((402,), "quota", PermanentProviderError, _NO_QUOTA, _ADD_CREDIT),
    Rule((403, 429), "quota", PermanentProviderError, _NO_QUOTA, _ADD_CREDIT, _QUOTA),
    Rule(
        (403,),
        "content-filter",
        ReplyError,
        "the provider's content filter refused the prompt",
        "Use other words in --describe, or another model.",
        words=_FLAGGED,
    ),
    Rule(
        (403,),
        "permission",
        PermanentProviderError,
        "the key does not allow this model or this server",
        "Use a key that allows it, or another model.",
    ),
    Rule(
        (404, 400, 422, 500),
        "unknown-model",
        PermanentProviderError,
        "the server has no model {model!r}",
        "List its models with: %sllmbo doctor {provider_id}",
        words=_MODEL,
    ),
    Rule(
        (404, 405),
        "wrong-address",
        PermanentProviderError,
        "the server has nothing at this address",
        "Most such servers want --base-url {api}",
        words=_ADDRESS,
    ),
    Rule(
        (405,),
        "wrong-address",
        PermanentProviderError,
        "the server has nothing at this address",
        "Most such servers want --base-url {api}",
    ),
    Rule(  # LM Studio answers 200 with this error in the body
        (500,),
        "wrong-address",
        PermanentProviderError,
        "the server has nothing at this address",
        "Most such servers want --base-url {api}",
        words=_NO_ENDPOINT,
    ),
    Rule(
        (404,),
        "unknown-model",
        PermanentProviderError,
        "the server has no model {model!r}, or nothing at this address",
        "Check both with: %sllmbo doctor {provider_id}",
    ),
    Rule((413,), "too-large", ReplyError, "the request is too large for the server", "Use --history state."),
    Rule(
        (400, 422, 500),
        "context-length",
        ReplyError,
        "the prompt is longer than the model's context",
        "Use --history state, or a model with a longer context.",
        words=_CONTEXT,
    ),
    Rule(
        (400, 422),
        "content-filter",
        ReplyError,
        "the provider's content filter refused the prompt",
        "Use other words in --describe, or another model.",
        words=_FILTER,
    ),
    Rule((429,), "rate-limit", TransientProviderError, "too many requests", _LESS_OFTEN),
    Rule(
        (408, 504, 524),
        "timeout",
        TransientProviderError,
        "the server gave up waiting",
        "Use a faster model, or allow more time at the server.",
    ),
    Rule((409,), "conflict", TransientProviderError, "the server reported a conflict", _LATER),
    Rule((529,), "overloaded", TransientProviderError, "the provider is overloaded", _LATER),
    Rule(range(500, 600), "server", TransientProviderError, "the server failed", _LATER),
    Rule(
        range(1000),
        "bad-request",
        PermanentProviderError,
        "the server does not accept the request",
        "Check model and address with: %sllmbo doctor {provider_id}",
    ),
)


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
        The error of the first rule of :data:`RULES` that fits, with the server's words in it.
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


_CODES = {
    "authentication_error": 401, "invalid_api_key": 401, "unauthenticated": 401, "unauthorized": 401,
    "insufficient_quota": 429, "rate_limit_exceeded": 429, "rate_limit_error": 429, "resource_exhausted": 429,
    "permission_error": 403, "permission_denied": 403, "forbidden": 403,
    "not_found_error": 404, "model_not_found": 404, "not_found": 404,
    "invalid_request_error": 400, "invalid_argument": 400, "context_length_exceeded": 400,
    "content_filter": 400, "bad_request": 400, "badrequesterror": 400,
    "request_too_large": 413, "timeout": 504, "deadline_exceeded": 504,
    "overloaded_error": 529, "overloaded": 529, "unavailable": 503,
}  # fmt: skip
"""Names of errors that stand where an HTTP status should be, in bodies that came with status 200."""


def error_inside(
    body: object, *, provider_id: str, headers: Mapping[str, str] | None = None, base_url: str = ""
) -> ProviderError | None:
    """The error that a reply with status 200 holds instead of an answer; None if it holds none."""
    error = _error_in(body)
    if not error:
        return None
    return from_status(
        _status_in(error), provider_id=provider_id, body=error, headers=headers, base_url=base_url
    )


def _status_in(error: object) -> int:
    """The status that an error's ``code``, ``status`` or ``type`` names; 500 if none does."""
    if isinstance(error, list):
        return _status_in(error[0]) if error else 500
    if isinstance(error, Mapping):
        for name in ("code", "status", "status_code", "type"):
            value = error.get(name)
            if isinstance(value, str) and value.strip().isdigit():
                value = int(value)
            if isinstance(value, int) and 400 <= value < 600:
                return value
            if isinstance(value, str) and value.strip().lower() in _CODES:
                return _CODES[value.strip().lower()]
    return 500


def _error_in(body: object) -> object:
    """The error inside a body of any shape: ``{"error": ...}``, a list of those, ``{"object": "error"}``."""
    if isinstance(body, list):  # Gemini
        return next((error for error in map(_error_in, body) if error), None)
    if isinstance(body, Mapping):
        if isinstance(body.get("error"), bool) and body["error"]:
            return body
        if body.get("error") or body.get("errors"):
            return body.get("error") or body["errors"]
        if body.get("object") == "error" or body.get("type") == "error":  # vLLM
            return body
    return None


def message_of(body: object) -> str:
    """The words of an error body of any shape, at most 2,000 characters; untrusted, for :func:`one_line`."""
    if isinstance(body, list):
        return message_of(_error_in(body) or next(iter(body), ""))[:2000]
    if isinstance(body, Mapping):
        error = body.get("error") or body.get("errors") or body
        error = body if isinstance(error, bool) else error
        if not isinstance(error, Mapping):
            return message_of(error)
        for name in ("message", "detail", "msg", "error_msg", "error", "code", "type"):
            if error.get(name) and not isinstance(error[name], bool):
                return (message_of(error[name]) + _behind_gateway(error))[:2000]
        return json.dumps(error, default=str)[:300] if any(v is not None for v in error.values()) else ""
    if not isinstance(body, str):
        return "" if body is None else str(body)[:2000]
    if body.lstrip().startswith("<"):  # a web page, of a proxy for example: its title says most
        title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
        return title.group(1)[:2000] if title else ""
    return body[:2000]


def _behind_gateway(error: Mapping[str, object]) -> str:
    """What the server behind a gateway said, where the gateway quotes it (OpenRouter's ``metadata.raw``)."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str):
        with suppress(ValueError):  # often plain text
            raw = json.loads(raw)
    words = message_of(raw)
    return f": {words}" if words else ""


def evidence_of(body: object) -> str:
    """All text of an error body, codes and details included, for matching only."""
    if isinstance(body, str):
        return message_of(body)
    return "" if body is None else json.dumps(body, default=str, ensure_ascii=False)[:5000]


# Errors without a status


def no_answer(*, provider_id: str, timeout: float) -> ProviderError:
    """The error for a server that did not answer in time."""
    return TransientProviderError(
        f"{provider_id} did not answer within {timeout:g} s.",
        "Allow more time with --llm-timeout.",
        category="timeout",
    )


_NOT_CONNECTED = ("ConnectError", "ConnectionRefusedError", "gaierror", "UnsupportedProtocol", "ProxyError")


def no_connection(*, provider_id: str, cause: BaseException | None) -> ProviderError:
    """The error for a connection that could not be made, or was lost; told apart by the cause's class."""
    kinds = [type(c).__name__ for c in _chain(cause)]
    if any(kind in ("SSLError", "SSLCertVerificationError") for kind in kinds):
        # SSLEOFError is not among them: that is a lost connection
        return PermanentProviderError(
            f"{provider_id}: no secure connection, the server's certificate or TLS is not accepted.",
            "Check --base-url (http or https) and the system's certificates.",
            category="tls",
        )
    if any(kind in _NOT_CONNECTED for kind in kinds):
        return TransientProviderError(
            f"{provider_id}: no connection to the server.",
            "Check that it is running and that the address is right.",
            category="connection",
        )
    return TransientProviderError(
        f"{provider_id}: the connection was lost before the reply was complete.",
        _LATER,
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
        error.server_message = "the server only streams"  # as it would say if it said so
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
