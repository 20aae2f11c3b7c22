"""Whether a provider is ready: a few checks with one tiny request, each failure with what to do."""

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
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.llm.redact import one_line
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
        data = extract_json(text, PING.schema)
    except ReplyError:
        return False
    return isinstance(data, dict) and data.get("ready") is True and data.get("number") == 7


def doctor(
    spec: str,
    base_url: str | None = None,
    *,
    timeout: float | None = None,
    max_output_tokens: int | None = None,
    api_key: str | None = None,
) -> list[Check]:
    """Check key, reachability, model name, structured output and latency with one tiny request.

    Args:
        spec: The provider, e.g. ``"openai:gpt-4o"``.
        base_url: The server; None: the provider's own.
        timeout: Seconds for the request with its retries; None: as long as a run waits.
        max_output_tokens: Bound on the reply, as a run has it.
        api_key: A key from a prompt; None: the environment's.

    Returns:
        The checks in the order made; after a failure, those that depend on it have ``ok=None``.
    """
    if spec.strip().lower() in NO_LLM:
        return [Check("provider", True, "expert rules: no LLM, no key, no server.")]
    names = ("key", "server", "model", "structured output", "latency")
    try:
        provider = make_provider(
            spec,
            base_url=base_url,
            deadline=timeout,
            max_output_tokens=max_output_tokens,
            api_key=api_key,
        )
    except (InputError, MissingExtraError) as error:
        about = "key" if "no key" in error.message else "provider"
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
    except RuntimeError as error:  # a bug of a third party's provider, or block_network_requests
        return [*checks, Check("provider", False, one_line(error))]
    seconds = time.monotonic() - start
    checks.append(Check("server", True, "answered."))
    checks.append(Check("model", True, f"{completion.model or spec} answered."))
    checks.append(_structure_check(provider, completion))
    usage = completion.usage
    cost = "" if usage.money is None else f", ${usage.money:.5f}"
    tokens = f" for {usage.input_tokens} + {usage.output_tokens} tokens" if usage.output_tokens else ""
    checks.append(Check("latency", True, f"{seconds:.1f} s{tokens}{cost}."))
    return checks


def _key_check(name: str, typed: str | None) -> Check:
    if name == "command":
        return Check("key", None, "the program has its own.")
    if name not in SOURCES:
        return Check("key", None, "a third party's provider looks after its own key.")
    source = SOURCES[name]
    if typed is not None:
        return Check("key", True, "typed at the prompt.")
    variable = next((v for v in source.variables if os.environ.get(v, "").strip()), None)
    if variable:
        return Check("key", True, f"found in {variable}.")
    if find_key(name) is not None:
        return Check("key", True, "typed at the prompt.")
    if source.required:
        return Check("key", True, "found by the SDK in its own files.")
    return Check("key", True, "none set, and none needed by most such servers.")


_AFTER = ("model", "structured output", "latency")
_ACCOUNT = ("permission", "quota", "rate-limit")
"""Categories in which the server answered and the account is the matter."""


def _failed(provider: RecordingProvider, error: ProviderError) -> list[Check]:
    """The checks after a failed request: which one it fails, and what that leaves unknown."""
    category, finding = error.category, _finding(provider, error)
    server_check = Check("server", True, "answered.")
    if category == "bad-key":
        return [server_check, Check("key", False, finding), *_not_checked(_AFTER)]
    if category in _ACCOUNT:
        return [server_check, Check("account", False, finding), *_not_checked(_AFTER)]
    if category == "unknown-model":
        return [server_check, Check("model", False, finding), *_not_checked(_AFTER[1:])]
    if isinstance(error, ReplyError):
        return [
            server_check,
            Check("model", None, "not checked."),
            Check("structured output", False, finding),
            *_not_checked(_AFTER[2:]),
        ]
    return [Check("server", False, finding), *_not_checked(_AFTER)]


def _finding(provider: RecordingProvider, error: ProviderError) -> str:
    """What is wrong and what to do, without what a run would do about it."""
    model = provider.id.partition(":")[2]
    if error.category == "bad-key":
        name = provider.id.partition(":")[0]
        return f"{error.message} Type it again with: %sllmbo key {name}"
    if error.category == "connection" and provider.id.startswith("ollama:"):
        return f"{error.message} Start it in a terminal with: ollama serve"
    if error.category == "unknown-model":
        if provider.id.startswith("ollama:") and "not found" in error.message:
            return f"{error.message} Get it in a terminal with: ollama pull {model}"
        return f"{error.message} {_closest(provider, model)}"
    return str(error)


def _closest(provider: RecordingProvider, model: str) -> str:
    """What to type instead of a model that the server refused, if it lists its models."""
    try:
        names = provider.models()
    except ProviderError:
        names = []
    names = [name.removeprefix("models/") for name in names]  # Gemini's list has them as resources
    if not names:
        return "The server does not list its models."
    if model.removeprefix("models/") in names:
        return f"The server lists {model}, but does not answer with it here."
    prefix = provider.id.partition(":")[0]
    close = difflib.get_close_matches(model, names, 3, 0.4)
    if close:
        return f"Closest: {', '.join(close)}. Write: --llm {prefix}:{close[0]}"
    return f"The server has: {', '.join(sorted(names)[:8])}{', ...' if len(names) > 8 else '.'}"


def _structure_check(provider: RecordingProvider, completion: Completion) -> Check:
    how = {
        "json_schema": "by the server's own JSON schema",
        "json_object": "by the server's JSON mode",
        "tool": "by a tool call",
        "text": "as plain text with the schema in words",
    }.get(provider.mode, provider.mode)
    if is_pong(completion.text):
        return Check("structured output", True, f"{how}.")
    return Check(
        "structured output",
        False,
        f"the reply ({how}) does not fit the schema. Use a larger model, or one with structured output.",
    )


def _not_checked(names: tuple[str, ...] | list[str]) -> list[Check]:
    return [Check(name, None, "not checked.") for name in names]
