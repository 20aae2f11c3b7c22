"""What providers behind an official SDK have in common: one client, one attempt, errors of ours.

The SDKs of OpenAI and Anthropic are made by the same generator, so they have the same client and the same
names for what can go wrong. What differs is in :mod:`sllmbo_magic.llm.providers.openai` and
:mod:`sllmbo_magic.llm.providers.anthropic`: the wire format.
"""

from __future__ import annotations

import importlib
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import ClassVar
from urllib.parse import parse_qsl

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import missing_extra
from sllmbo_magic.llm import error_mapping
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.client_errors import client_error
from sllmbo_magic.llm.client_errors import header_error
from sllmbo_magic.llm.credentials import find_key
from sllmbo_magic.llm.credentials import missing_key
from sllmbo_magic.llm.network_guard import check_allowed
from sllmbo_magic.llm.providers.capabilities import Capabilities
from sllmbo_magic.llm.providers.capabilities import capabilities_of
from sllmbo_magic.llm.redact import Secret
from sllmbo_magic.llm.retry import AskAgainError


@dataclass
class Failure:
    """What an SDK's exception was translated to; None if all went well.

    It is handed out instead of being raised, so that the error is raised where no exception of the SDK is
    being handled: neither its context nor its traceback leads to a request and its key.
    """

    error: ProviderError | None = None


_ERROR_FIELDS = ("error", "errors", "object", "type", "message", "code", "status", "detail")


def error_fields(reply: Any) -> Any:
    """The fields of an SDK's reply in which servers put an error, as plain data; of a list, those of each."""
    if isinstance(reply, list):
        return [error_fields(part) for part in reply]
    if isinstance(reply, Mapping | str):
        return reply
    fields = {name: getattr(reply, name, None) for name in _ERROR_FIELDS}
    error = fields["error"]
    if error is not None and not isinstance(error, str | bool | Mapping | list):
        fields["error"] = {"message": getattr(error, "message", ""), "code": getattr(error, "code", None)}
    return fields


class SDKProvider(BaseProvider, ABC):
    """A model behind an official SDK.

    Args:
        name: The provider's name in ids.
        model: The model's name, as the server has it.
        key: The key; None for servers that need none.
        base_url: The server.
        timeout: Seconds for one attempt.
    """

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

    def __deepcopy__(self, memo: dict[int, Any]) -> SDKProvider:
        """Itself: the key and the connection are not copied."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the connection, and whether there was a key instead of the key."""
        return {**self.__dict__, "_client": None, "_key": self._key is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With the key as it is found now.

        Raises:
            InputError: There was a key, and none is found.
        """
        name = state["id"].partition(":")[0]
        key = find_key(name)
        if state["_key"] and key is None:
            raise missing_key(name)
        self.__dict__.update(state, _key=key)

    @property
    def capabilities(self) -> Capabilities:
        """What has been learned about this server and model."""
        return capabilities_of(self.base_url, self.model, self._first_capabilities)

    @property
    def mode(self) -> str:
        """How structured output is asked for: one of ``capabilities.modes``."""
        return self.capabilities.mode

    def prepare(self, request: Request) -> Request:
        """The request with the bound on the reply that was learned for this server and model."""
        return replace(request, max_output_tokens=self.capabilities.output_bound(request.max_output_tokens))

    def complete(self, request: Request) -> Completion:
        """Answer one request in one attempt; see :class:`~sllmbo_magic.llm.base.Provider`.

        Raises:
            AskAgainError: The server's refusal taught another way of asking.
        """
        check_allowed(self.base_url)
        client = self._connect()
        try:
            return self._attempt(client, request)
        except ProviderError as error:
            failure = error
        if self.capabilities.learn(failure, request):
            raise AskAgainError(self.id, failure)
        raise failure

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
    def _first_capabilities(self) -> Capabilities:
        """What is assumed of a server and model before anything was learned."""

    @abstractmethod
    def _make_client(self, sdk: Any, **common: Any) -> Any:
        """The SDK's client, with these arguments among others."""

    @abstractmethod
    def _asking(self, client: Any, request: Request) -> Callable[[], Any]:
        """A function that sends the request and returns the SDK's reply; a streamed one is put together."""

    @abstractmethod
    def _read(self, reply: Any, request: Request) -> Completion:
        """The completion in a reply. Raises ProviderError when there is none."""

    def _other_error(self, error: Exception) -> ProviderError:
        """For an error of the SDK that is about neither an answer's status nor the connection."""
        return error_mapping.not_the_protocol(provider_id=self.id)

    def _attempt(self, client: Any, request: Request) -> Completion:
        ask = self._asking(client, request)
        with self._translated() as failed:
            reply = ask()
        if failed.error is not None:
            raise failed.error
        return self._read(reply, request)

    def _connect(self) -> Any:
        if self._client is None:
            try:
                sdk = importlib.import_module(self.sdk)
            except ImportError:
                raise missing_extra(self.sdk, self.sdk) from None
            from sllmbo_magic.llm.network import http_client

            address, _, query = self.base_url.partition("?")  # the SDK would put its paths behind the query
            try:
                self._client = self._make_client(
                    sdk,
                    base_url=address,
                    default_query=dict(parse_qsl(query, keep_blank_values=True)) or None,
                    max_retries=0,  # retries are made where the budget can count them
                    timeout=self._timeout,
                    http_client=http_client(self.base_url, self._timeout),
                )
            except Exception as error:  # noqa: BLE001 (proxies, certificates, addresses: any class)
                failure = client_error(error, provider_id=self.id)
            else:
                unsendable = header_error(self._client.default_headers, provider_id=self.id)
                if unsendable is None:
                    return self._client
                self._client, failure = None, unsendable
            raise failure
        return self._client

    @contextmanager
    def _translated(self) -> Iterator[Failure]:
        """The one place where an SDK's exceptions become ours."""
        import httpx2

        sdk, provider_id, failure = importlib.import_module(self.sdk), self.id, Failure()
        try:
            yield failure
        except (sdk.APITimeoutError, httpx2.TimeoutException):
            failure.error = error_mapping.no_answer(provider_id=provider_id, timeout=self._timeout)
        except sdk.APIStatusError as error:
            failure.error = error_mapping.from_status(
                error.status_code,
                provider_id=provider_id,
                body=error.body,
                headers=error.response.headers,
                base_url=self.base_url,
            )
        except sdk.APIConnectionError as error:
            failure.error = error_mapping.no_connection(
                provider_id=provider_id, cause=error.__cause__, base_url=self.base_url
            )
        except httpx2.RequestError as error:
            failure.error = error_mapping.no_connection(
                provider_id=provider_id, cause=error, base_url=self.base_url
            )
        except sdk.APIError as error:  # an error in the middle of a stream
            failure.error = error_mapping.error_inside(
                {"error": error.body or error.message}, provider_id=provider_id
            )
        except (getattr(sdk, self.sdk_error), ValueError) as error:  # ValueError: no JSON, or cut short
            failure.error = self._other_error(error)
