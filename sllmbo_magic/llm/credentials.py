"""Where keys come from: the environment, a prompt without echo, an SDK's own files; never a cell's text."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass

from sllmbo_magic.errors import InputError
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.redact import looks_like_key

_prompted: dict[str, Secret] = {}


@dataclass(frozen=True)
class KeySource:
    """Where a provider's key may be.

    Attributes:
        provider: The provider's name, e.g. ``"openai"``.
        variables: Environment variables, the first one first.
        required: Whether the provider works without a key (servers on this machine often do).
        sdk: A variable that only the SDK reads; such an SDK also looks in files of its own. Empty: neither.
    """

    provider: str
    variables: tuple[str, ...]
    required: bool = True
    sdk: str = ""


SOURCES: dict[str, KeySource] = {
    source.provider: source
    for source in (
        KeySource("openai", ("OPENAI_API_KEY",)),
        KeySource("anthropic", ("ANTHROPIC_API_KEY",), sdk="ANTHROPIC_AUTH_TOKEN"),
        KeySource("gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
        KeySource("ollama", ("OLLAMA_API_KEY",), required=False),
        KeySource("openai-compatible", ("OPENAI_COMPATIBLE_API_KEY",), required=False),
    )
}


def find_key(provider: str, typed: str | None = None) -> Secret | None:
    """The key to use: ``typed``, else the one that :func:`prompt_for_key` took, else the environment's.

    Returns:
        The key; None if there is none.

    Raises:
        InputError: The key holds characters that cannot be in a key; the message does not show it.
    """
    if typed is not None:
        return _checked(typed, "the key")
    if provider in _prompted:
        return _prompted[provider]
    for variable in SOURCES[provider].variables:
        if os.environ.get(variable, "").strip():
            return _checked(os.environ[variable], variable)
    return None


def prompt_for_key(provider: str) -> None:
    """Ask for the provider's key without echo and keep it in this process's memory only.

    Raises:
        InputError: Nothing was typed, or something that cannot be a key.
    """
    typed = getpass.getpass(f"Key for {provider} (not shown, not stored): ")
    _prompted[provider] = _checked(typed, "the key")


def missing_key(provider: str) -> InputError:
    """The one line for a provider without a key, before any fit."""
    variable = SOURCES[provider].variables[0]
    return InputError(
        f"no key for {provider}: the environment variable {variable} is not set.",
        f"Set it before starting Jupyter, or type it unseen with %sllmbo key {provider}. Without a key: "
        "--llm rulebook (expert rules, no LLM) or "
        "--llm replay:PATH (a recorded run).",
    )


def refuse_key(text: str, label: str) -> None:
    """Raise InputError if the text of an option holds a key; the message does not repeat it."""
    kind_of_key = looks_like_key(text)
    if kind_of_key is not None:
        raise InputError(
            f"{label} holds {kind_of_key}; keys typed into a cell are saved with the notebook.",
            "Delete it there, consider it public, and set the provider's environment variable instead "
            "(see %sllmbo providers).",
        )


def _checked(key: str, label: str) -> Secret:
    key = key.strip()
    secret = Secret(key)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise InputError(
            f"{label} is not usable as a key: it is empty, or holds spaces or characters beyond ASCII.",
            "Copy the key again, without anything around it.",
        )
    return secret
