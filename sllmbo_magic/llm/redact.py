"""Keys never leave: every text that is shown, stored or raised passes through :func:`redact`.

Two nets. Known secrets (values of environment variables with a secret's name, and keys handed to us) are
replaced wherever they occur; text that looks like somebody's key is replaced too. :class:`Secret` keeps a key
out of ``repr`` and so out of tracebacks that show local variables.
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections.abc import Callable
from collections.abc import Sequence

MASK = "[redacted]"

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API)?(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|HEADER)S?(?:_|$)", re.IGNORECASE
)
_SHORTEST = 8  # shorter values ("1", "true") would mask ordinary words

KEY_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(r"(?<![A-Za-z0-9])" + shape))  # not the end of a word: "risk-averse", "task-7"
    for kind, shape in (
        ("an Anthropic key", r"sk-ant-[A-Za-z0-9_-]{8,}"),
        # one long run, or with hyphens and a digit: "sk-learn-compatible-estimators" is none
        (
            "an OpenAI key",
            r"sk-(?:proj-|svcacct-|admin-|or-v1-)?"
            r"(?:[A-Za-z0-9*_]{12,}|(?=[A-Za-z*_-]*[0-9])[A-Za-z0-9*_-]{12,})",
        ),
        ("a Google key", r"AIza[A-Za-z0-9_-]{20,}"),
        ("a Groq key", r"gsk_[A-Za-z0-9]{16,}"),
        ("an xAI key", r"xai-[A-Za-z0-9]{16,}"),
        ("a Hugging Face token", r"hf_[A-Za-z0-9]{16,}"),
        ("a GitHub token", r"gh[pousr]_[A-Za-z0-9]{16,}"),
        ("an NVIDIA key", r"nvapi-[A-Za-z0-9_-]{16,}"),
    )
)
"""What a key of each vendor looks like; also used to refuse keys typed into options."""

_OTHER_SHAPES = (
    # "Basic" with a digit, "=" or a capital inside: "a basic configuration" is none
    re.compile(r"\b((?i:bearer)|(?i:basic)(?=\s+(?:\S*[0-9=]|\S+[A-Z])))\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)\b(x-api-key|api[-_]?key|authorization)(\W{1,4})[A-Za-z0-9._~+/=-]{8,}"),
    # a user part with or without a password, which may hold "/" and "@"
    re.compile(r"(?<=://)(?:[^/@\s:\"'<>]*:[^\s\"'<>]*|[^/@\s:\"'<>]+)(?=@)"),
)
_IN_ADDRESS = re.compile(
    r"://(?:[^/@\s]*|[^/@\s]*:[^@\s]*)@"
    r"|[?&#](?:[^=&#\s]*(?:key|token|secret|password|passwd|pwd|sig|signature|auth|authorization|credential|jwt)"
    r"|code)=",
    re.IGNORECASE,
)
"""A user part of an address, or a part of its query that is named like a secret."""

_registered: set[str] = set()
_lock = threading.Lock()


class Secret:
    """A key that only :meth:`reveal` returns."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """The key itself, for an SDK's constructor only."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")


def remember(secret: str) -> None:
    """Redact this value wherever it occurs from now on. Values under 8 characters are not remembered."""
    if len(secret) >= _SHORTEST:
        with _lock:
            _registered.add(secret)


def _secrets() -> list[str]:
    values = set()
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name):
            for line in value.splitlines():  # a variable of headers has one "Name: value" a line
                values |= {line.strip(), line.partition(":")[2].strip()}
    with _lock:
        values |= _registered
    return sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True)


def redact(text: str) -> str:
    """The text without keys: known secrets and whatever looks like a key become ``[redacted]``."""
    return _redacted(text, _secrets())


def redactor() -> Callable[[str], str]:
    """:func:`redact` for several texts at one moment: the environment is read once."""
    secrets = _secrets()
    return lambda text: _redacted(text, secrets)


def _redacted(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    for _, shape in KEY_SHAPES:
        text = shape.sub(MASK, text)
    text = _OTHER_SHAPES[0].sub(rf"\1 {MASK}", text)
    text = _OTHER_SHAPES[1].sub(rf"\1\2{MASK}", text)
    return _OTHER_SHAPES[2].sub(MASK, text)


def one_line(text: object, limit: int = 200) -> str:
    """Untrusted text as one short redacted line: no control, escape or direction characters."""
    plain = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in str(text)
    )
    plain = " ".join(redact(plain).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def looks_like_key(text: str) -> str | None:
    """What kind of key the text holds (``"an OpenAI key"``; ``"a key"`` in an address), or None."""
    for kind, shape in KEY_SHAPES:
        if shape.search(text):
            return kind
    return "a key" if _IN_ADDRESS.search(text) else None
