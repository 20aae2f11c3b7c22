"""What stands in the body of an error, whichever server wrote it: its words, and the status that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

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

_PAGE = re.compile(r"\s*<(!doctype|!--|\?xml|(html|head|title|meta|body|center|h\d|p|div|pre|error)\b)", re.I)
"""How a web page begins; a server's words may begin with "<", too: "<|im_start|> is not a token"."""


def status_in(error: object) -> int:
    """The status that an error's ``code``, ``status`` or ``type`` names; 500 if none does."""
    if isinstance(error, list):
        return status_in(error[0]) if error else 500
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


def error_in(body: object) -> object:
    """The error inside a body of any shape: ``{"error": ...}``, a list of those, ``{"object": "error"}``."""
    if isinstance(body, list):  # Gemini
        return next((error for error in map(error_in, body) if error), None)
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
        return message_of(error_in(body) or next(iter(body), ""))[:2000]
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
    if _PAGE.match(body):  # of a proxy, for example: its title is the most useful text
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
