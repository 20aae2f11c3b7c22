"""Doubles and a test kit for everything that talks to an LLM. Only tests and users import this.

* :class:`ScriptedProvider` gives prepared replies in order; :class:`FunctionProvider` computes them.
* :func:`block_network_requests` makes every other request an error, so that a test suite cannot spend money.
* :func:`check_provider` checks a provider of one's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.network_guard import block_requests as block_network_requests

__all__ = [
    "FunctionProvider",
    "Reply",
    "ScriptedProvider",
    "block_network_requests",
    "check_provider",
]

Reply = str | dict[str, Any] | list[Any] | Completion | BaseException
"""What a double gives: text, data (sent as JSON), a finished Completion, or an error to raise."""


class FunctionProvider(BaseProvider):
    """Answers with what a function makes of the request.

    Args:
        function: Request to :data:`Reply`.
        id: The provider's id.

    Attributes:
        requests: All requests so far, oldest first.
    """

    __test__ = False
    remote = False

    def __init__(self, function: Callable[[Request], Reply], *, id: str = "test:function") -> None:
        self.id = id
        self.requests: list[Request] = []
        self._function = function

    def complete(self, request: Request) -> Completion:
        """The function's reply, or the error it returns; usage is one token per four characters."""
        self.requests.append(request)
        reply = self._function(request)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, Completion):
            return reply
        text = reply if isinstance(reply, str) else json.dumps(reply)
        n_characters = sum(len(m.content) for m in request.messages)
        return Completion(text, Usage(n_characters // 4, len(text) // 4), model=self.id.partition(":")[2])


class ScriptedProvider(FunctionProvider):
    """Gives prepared replies, one after the other; then fails with category ``"script-ended"``.

    Args:
        replies: See :data:`Reply`.
        id: The provider's id.
        repeat: Begin again when all were given.
    """

    def __init__(self, replies: Iterable[Reply], *, id: str = "test:scripted", repeat: bool = False) -> None:
        super().__init__(self._next, id=id)
        self._all = list(replies)
        self._left = list(self._all)
        self._repeat = repeat

    def _next(self, request: Request) -> Reply:
        if not self._left and self._repeat:
            self._left = list(self._all)
        if not self._left:
            return ReplyError("the script has no further reply.", category="script-ended")
        return self._left.pop(0)


def check_provider(provider: Provider) -> Completion:
    """Check that a provider keeps the contract; for the tests of a third party's provider.

    Sends one tiny request with a schema. The provider must have an id like ``"name:model"`` that holds no
    key, answer with a Completion whose text is JSON for the schema, report its usage as counts, and hide keys
    in its ``repr``.

    Returns:
        The reply.

    Raises:
        AssertionError: What is wrong, one sentence.
        ProviderError: The provider failed as it should fail; everything else that it raises is wrong.
    """
    from sllmbo_magic.llm.doctor import PING
    from sllmbo_magic.llm.doctor import is_pong
    from sllmbo_magic.llm.redact import looks_like_key

    assert isinstance(provider, Provider), "a provider has an `id` and a method `complete(request)`"
    assert ":" in provider.id, f"the id {provider.id!r} is not like 'name:model'"
    assert not looks_like_key(provider.id), "the id holds a key"
    assert not looks_like_key(repr(provider)), "repr() shows a key"
    try:
        completion = provider.complete(PING)
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is reported)
        raise AssertionError(f"complete() raised {type(error).__name__}, which is no ProviderError") from None
    assert isinstance(completion, Completion), (
        f"complete() returned {type(completion).__name__}, no Completion"
    )
    counts = (completion.usage.input_tokens, completion.usage.output_tokens)
    assert all(isinstance(n, int) and n >= 0 for n in counts), f"usage {counts} is not two counts"
    assert is_pong(completion.text), "the reply does not satisfy the request's schema"
    return completion
