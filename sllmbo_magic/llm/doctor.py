"""Is this provider ready? A few checks with one tiny request; each failure says what to do."""

from __future__ import annotations

import difflib
import os
import time
from dataclasses import dataclass

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.credentials import SOURCES
from sllmbo_magic.llm.credentials import find_key
from sllmbo_magic.llm.extract import extract_json
from sllmbo_magic.llm.recording import RecordingProvider
from sllmbo_magic.llm.registry import NO_LLM
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.llm.registry import parse

PING = Request(
    messages=(
        Message("system", "You are being checked. Answer in JSON."),
        Message("user", 'Give the object with "ready" set to true and "number" set to 7.'),
    ),
    schema={
        "type": "object",
        "properties": {"ready": {"type": "boolean"}, "number": {"type": "integer"}},
        "required": ["ready", "number"],
        "additionalProperties": False,
    },
    purpose="check",
    max_output_tokens=1024,
)
"""A tiny request with a schema."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report. ``ok`` is None for what could not be checked."""

    name: str
    ok: bool | None
    detail: str


def is_pong(text: str) -> bool:
    """Whether the text answers :data:`PING`."""
    try:
        data = extract_json(text)
    except ReplyError:
        return False
    return isinstance(data, dict) and data.get("ready") is True and data.get("number") == 7


def doctor(
    spec: str, base_url: str | None = None, *, timeout: float = 30.0, api_key: str | None = None
) -> list[Check]:
    """Check key, reachability, model name, structured output and latency with one tiny request.

    Args:
        spec: The provider, e.g. ``"openai:gpt-4o"``.
        base_url: The server; None: the provider's own.
        timeout: Seconds for the request.
        api_key: A key from a prompt; None: the environment's.

    Returns:
        The checks in the order made; after a failure, those that depend on it have ``ok=None``.
    """
    if spec.strip().lower() in NO_LLM:
        return [Check("provider", True, "expert rules: no LLM, no key, no server.")]
    names = ("key", "server", "model", "structured output", "latency")
    try:
        provider = make_provider(spec, base_url=base_url, timeout=timeout, deadline=timeout, api_key=api_key)
    except (InputError, MissingExtraError) as error:
        about = "key" if "key" in error.message else "provider"
        return [Check(about, False, str(error)), *_not_checked([n for n in names if n != about])]
    name = parse(spec).name
    if name in ("replay", "manual"):
        return [Check("provider", True, f"{name} needs no key and no server.")]
    checks = [_key_check(name, api_key)]
    start = time.monotonic()
    try:
        completion = provider.complete(PING)
    except ProviderError as error:
        return checks + _failed(provider, error)
    seconds = time.monotonic() - start
    checks.append(Check("server", True, "answered."))
    checks.append(Check("model", True, f"{completion.model or spec} answered."))
    checks.append(_structure_check(provider, completion))
    usage = completion.usage
    cost = "" if usage.money is None else f", ${usage.money:.5f}"
    tokens = f"{usage.input_tokens} + {usage.output_tokens} tokens"
    checks.append(Check("latency", True, f"{seconds:.1f} s for {tokens}{cost}."))
    return checks


def _key_check(name: str, given: str | None) -> Check:
    if name not in SOURCES:
        return Check("key", None, "a third party's provider looks after its own key.")
    source = SOURCES[name]
    if given is not None:
        return Check("key", True, "typed at the prompt.")
    found = next((v for v in source.variables if os.environ.get(v, "").strip()), None)
    if found:
        return Check("key", True, f"found in {found}.")
    if find_key(name) is not None:
        return Check("key", True, "typed at the prompt.")
    if source.required:
        return Check("key", True, "found by the SDK in its own files.")
    return Check("key", True, "none set, and none needed by most such servers.")


def _failed(provider: RecordingProvider, error: ProviderError) -> list[Check]:
    """The checks after a failed request: which one it fails, and what that leaves unknown."""
    category = error.category
    if category in ("bad-key", "permission", "quota"):
        about = {"bad-key": "key"}.get(category, "account")
        return [Check("server", True, "answered."), Check(about, False, str(error)), *_not_checked(_AFTER)]
    if category == "unknown-model":
        return [
            Check("server", True, "answered."),
            Check("model", False, f"{error.message} {_closest(provider)}"),
            *_not_checked(_AFTER[1:]),
        ]
    if category in ("connection", "connection-lost", "tls", "timeout", "deadline", "redirect"):
        return [Check("server", False, str(error)), *_not_checked(_AFTER)]
    if isinstance(error, ReplyError):
        return [
            Check("server", True, "answered."),
            Check("model", None, "not checked."),
            Check("structured output", False, str(error)),
            *_not_checked(_AFTER[2:]),
        ]
    return [Check("server", False, str(error)), *_not_checked(_AFTER)]


_AFTER = ("model", "structured output", "latency")


def _closest(provider: RecordingProvider) -> str:
    """The server's closest model names, if it lists its models."""
    models = getattr(provider.provider, "models", None)
    try:
        names = models() if models is not None else []
    except ProviderError:
        names = []
    if not names:
        return "The server does not list its models."
    wanted = provider.id.partition(":")[2]
    close = difflib.get_close_matches(wanted, names, 3, 0.4)
    if close:
        return f"Closest: {', '.join(close)}."
    return f"The server has: {', '.join(sorted(names)[:8])}{', ...' if len(names) > 8 else '.'}"


def _structure_check(provider: RecordingProvider, completion: Completion) -> Check:
    inner = provider.provider
    mode = str(getattr(inner, "mode", "text"))
    how = {
        "json_schema": "by the server's own JSON schema",
        "json_object": "by the server's JSON mode",
        "tool": "by a tool call",
        "text": "as plain text with the schema in words",
    }.get(mode, mode)
    if is_pong(completion.text):
        return Check("structured output", True, f"{how}.")
    return Check(
        "structured output",
        False,
        f"the reply ({how}) does not fit the schema. Use a larger model, or one with structured output.",
    )


def _not_checked(names: tuple[str, ...] | list[str]) -> list[Check]:
    return [Check(name, None, "not checked.") for name in names]
