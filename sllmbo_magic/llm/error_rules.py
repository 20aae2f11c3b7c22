"""The table of errors: HTTP status and words of a body to a category, a class and a hint.

The first rule that fits decides (see :func:`sllmbo_magic.llm.error_mapping.from_status`).
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError


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

LATER = "Try again later; a server of your own says more in its log."

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
    Rule((409,), "conflict", TransientProviderError, "the server reported a conflict", LATER),
    Rule((529,), "overloaded", TransientProviderError, "the provider is overloaded", LATER),
    Rule(range(500, 600), "server", TransientProviderError, "the server failed", LATER),
    Rule(
        range(1000),
        "bad-request",
        PermanentProviderError,
        "the server does not accept the request",
        "Check model and address with: %sllmbo doctor {provider_id}",
    ),
)
