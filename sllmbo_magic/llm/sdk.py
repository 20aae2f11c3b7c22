"""What providers behind an official SDK have in common: one client, one attempt, errors of ours.

The SDKs of OpenAI and Anthropic are made by the same generator, so they have the same client and the same
names for what can go wrong. What differs is in :mod:`sllmbo_magic.llm.openai` and
:mod:`sllmbo_magic.llm.anthropic`: the wire format, and how a server's refusal teaches another way of asking.
"""

from __future__ import annotations

import importlib
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import ClassVar

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm import faults
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.faults import Failure
from sllmbo_magic.llm.gate import check_allowed
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.sending import RENEGOTIATE


class SDKProvider(ABC):
    """A model behind an official SDK.

    Args:
        name: The provider's name in ids.
        model: The model's name, as the server knows it.
        key: The key; None for servers that need none.
        base_url: The server.
        timeout: Seconds for one attempt.
    """

    remote = True
    sdk: ClassVar[str]
    """The SDK's module, which is also the extra that brings it."""
    sdk_error: ClassVar[str]
    """The class of all errors of the SDK."""

    def __init__(self, name: str, model: str, *, key: Secret | None, base_url: str, timeout: float) -> None:
        self.id = f"{name}:{model}"
        self.model = model
        self.base_url = base_url
        self._key = key
        self._timeout = timeout
        self._client: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def complete(self, request: Request) -> Completion:
        """Answer one request in one attempt; see :class:`~sllmbo_magic.llm.base.Provider`.

        Raises:
            TransientProviderError: Category ``"renegotiate"``: the server's refusal taught something, send
                again.
        """
        check_allowed(self.base_url)
        ask = self._asking(self._connect(), request)
        with self._translated() as failed:
            reply = ask()
        if failed.error is None:
            return self._read(reply, request)
        if failed.refusal is not None and self._learn(failed.refusal, request):
            raise TransientProviderError(f"{self.id}: asking in another way.", category=RENEGOTIATE)
        raise failed.error

    def models(self) -> list[str]:
        """The names of the server's models, for checking a name. Raises as :meth:`complete`."""
        check_allowed(self.base_url)
        client = self._connect()
        names: list[str] = []
        with self._translated() as failed:
            names = [str(m.id) for m in client.models.list()]
        if failed.error is not None:
            raise failed.error
        return names

    def warm_up(self) -> None:
        """Import the SDK and make its client, about a second's work that can be done while a trial runs."""
        self._connect()

    @abstractmethod
    def _make_client(self, sdk: Any, **common: Any) -> Any:
        """The SDK's client, with these arguments among others."""

    @abstractmethod
    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        """A function that sends the request and gives the SDK's reply."""

    @abstractmethod
    def _read(self, reply: Any, request: Request) -> Completion:
        """The completion in a reply. Raises ProviderError when there is none."""

    @abstractmethod
    def _learn(self, said: str, request: Request) -> bool:
        """Whether the server's words taught another way of asking."""

    def _other_error(self, error: Exception) -> ProviderError:
        """For an error of the SDK that is about neither an answer's status nor the connection."""
        return faults.not_the_protocol(who=self.id)

    def _connect(self) -> Any:
        if self._client is None:
            try:
                sdk = importlib.import_module(self.sdk)
            except ImportError:
                raise missing_extra(self.sdk, self.sdk) from None
            from sllmbo_magic.llm.network import http_client

            self._client = self._make_client(
                sdk,
                base_url=self.base_url,
                max_retries=0,  # retries are made where the budget can count them
                timeout=self._timeout,
                http_client=http_client(self.base_url, self._timeout),
            )
        return self._client

    @contextmanager
    def _translated(self) -> Iterator[Failure]:
        """The one place where an SDK's exceptions become ours.

        The error is handed out instead of raised, so that it is raised where no exception of the SDK is being
        handled: neither its context nor its traceback leads to a request and its key.
        """
        import httpx2

        sdk, who, failure = importlib.import_module(self.sdk), self.id, Failure()
        try:
            yield failure
        except (sdk.APITimeoutError, httpx2.TimeoutException):
            failure.error = faults.no_answer(who=who, timeout=self._timeout)
        except sdk.APIStatusError as error:
            failure.take_status(error.status_code, who=who, body=error.body, headers=error.response.headers)
        except sdk.APIConnectionError as error:
            failure.error = faults.no_connection(who=who, cause=error.__cause__)
        except httpx2.RequestError as error:
            failure.error = faults.no_connection(who=who, cause=error)
        except (getattr(sdk, self.sdk_error), ValueError) as error:  # ValueError: no JSON, or cut short
            failure.error = self._other_error(error)
