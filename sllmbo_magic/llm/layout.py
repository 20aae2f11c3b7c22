"""The turns of a conversation as chat servers take them: alternating roles, with or without a system turn."""

from __future__ import annotations

from sllmbo_magic.llm.base import Message
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.schemas import in_words


def turns(messages: tuple[Message, ...], *, instruction: str = "", system_role: bool = True) -> list[Message]:
    """The messages with strictly alternating roles.

    Many chat templates refuse two turns of one role in a row, so those are joined with a blank line between.

    Args:
        messages: As in a request.
        instruction: Added to the end of the last turn; ``""`` adds nothing.
        system_role: Whether the server takes a system turn; else its text begins the first user's turn.

    Returns:
        At most one system turn, first; then user, assistant, user, ..., ending with the user.
    """
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    if instruction:
        turns.append(Message("user", instruction))
    if system and not system_role:
        turns.insert(0, Message("user", system))
    alternating = [Message("system", system)] if system and system_role else []
    for message in turns:
        if alternating and alternating[-1].role == message.role:
            alternating[-1] = Message(message.role, f"{alternating[-1].content}\n\n{message.content}")
        else:
            alternating.append(message)
    return alternating


def as_text(request: Request) -> str:
    """A request as one text, for a chat window or a program: all turns, and the form of the answer."""
    texts = [m.content for m in request.messages]
    if request.schema is not None:
        texts.append(in_words(request.schema))
    return "\n\n".join(texts)
