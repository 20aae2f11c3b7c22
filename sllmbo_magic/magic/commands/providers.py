"""Line commands about LLM providers: ``providers``, ``key``, ``doctor``."""

from __future__ import annotations

from collections.abc import Callable

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import listing
from sllmbo_magic.magic.command_table import BY_NAME
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.lexer import Word
from sllmbo_magic.magic.line import find_option
from sllmbo_magic.magic.line import parse_words
from sllmbo_magic.magic.namespace import value_of
from sllmbo_magic.magic.session import Session
from sllmbo_magic.options import BY_ARGUMENT
from sllmbo_magic.options import Option


def _providers(session: Session, arguments: Arguments) -> None:
    from sllmbo_magic.llm.registry import list_providers

    print(listing.providers_table(list_providers()))


def _key(session: Session, arguments: Arguments) -> None:
    from sllmbo_magic.llm.credentials import SOURCES
    from sllmbo_magic.llm.credentials import prompt_for_key

    provider = arguments.one("a provider").partition(":")[0]
    if provider not in SOURCES:
        raise InputError(f"there is no key for {provider!r}.", f"Allowed: {', '.join(SOURCES)}.")
    prompt_for_key(provider)
    print(f"The key for {provider} is kept until this kernel ends.")


def _doctor(session: Session, arguments: Arguments) -> None:
    """Without an LLM's name: what is installed and configured. With one: a tiny request to it."""
    words, options = parse_words([Word(word) for word in arguments.words], _doctors_option)
    base_url = None
    if "base_url" in options:
        base_url = value_of(BY_ARGUMENT["base_url"], options["base_url"], session.shell.user_ns)
    if not words:
        from sllmbo_magic.llm.registry import list_providers

        print(listing.installation_table(), end="\n\n")
        print(listing.providers_table(list_providers()))
        print("\n%sllmbo doctor PROVIDER:MODEL sends a tiny request to that LLM.")
        return
    from sllmbo_magic.llm.doctor import doctor

    llm = Arguments("doctor", words).one("an LLM, as --llm takes it, or nothing")
    print(listing.checks_table(doctor(llm, base_url)))


def _doctors_option(flag: str) -> Option:
    option = find_option(flag)
    if option.argument != "base_url":
        raise InputError(f"{option.flag} is not for the doctor.", f"Usage: {BY_NAME['doctor'].example}")
    return option


COMMANDS: dict[str, Callable[[Session, Arguments], None]] = {
    "providers": _providers,
    "key": _key,
    "doctor": _doctor,
}
