"""Line commands about LLM providers: ``providers``, ``key``, ``doctor``."""

from __future__ import annotations

from collections.abc import Callable

from sllmbo_magic.errors import InputError
from sllmbo_magic.magic import listing
from sllmbo_magic.magic.commands.arguments import Arguments
from sllmbo_magic.magic.session import Session


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
    words = list(arguments.words)
    base_url = None
    if "--base-url" in words:
        at = words.index("--base-url")
        base_url = next(iter(words[at + 1 :]), None)
        del words[at : at + 2]
    if not words:
        from sllmbo_magic.llm.registry import list_providers

        print(listing.installation_table(), end="\n\n")
        print(listing.providers_table(list_providers()))
        print("\n%sllmbo doctor PROVIDER:MODEL sends a tiny request to that LLM.")
        return
    from sllmbo_magic.llm.doctor import doctor

    llm = Arguments("doctor", words).one("an LLM, as --llm takes it, or nothing")
    print(listing.checks_table(doctor(llm, base_url)))


COMMANDS: dict[str, Callable[[Session, Arguments], None]] = {
    "providers": _providers,
    "key": _key,
    "doctor": _doctor,
}
