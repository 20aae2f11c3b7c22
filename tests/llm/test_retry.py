"""Retries, Retry-After, the deadline, and cutting a request short, with the real SDK and a real server."""

from __future__ import annotations

import _thread
import threading
import traceback

import pytest

from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm import retry
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.registry import make_provider
from tests.loopback import Fault
from tests.loopback import LoopbackServer

from .conftest import request

BUSY = Fault(status=429, headers={"Retry-After": "0"})
pytestmark = pytest.mark.timeout(20)  # a request that is not cut would wait for minutes


def connect(server: LoopbackServer, **options):
    return make_provider("openai-compatible:m", base_url=server.url, **options)


def test_a_transient_fault_is_retried_and_counted():
    with LoopbackServer([BUSY, Fault(status=503, headers={"Retry-After-Ms": "1"}), "hello"]) as server:
        provider = connect(server)
        completion = provider.complete(request())
    assert (completion.text, completion.retries) == ("hello", 2)
    assert len(server.requests) == 3
    assert provider.transcript.exchanges()[0]["retries"] == 2
    assert provider.budget.charged.requests == 3


def test_retries_end():
    with LoopbackServer([BUSY]) as server:
        with pytest.raises(TransientProviderError, match="429"):
            connect(server).complete(request())
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_permanent_fault_is_not_retried(status):
    with LoopbackServer([Fault(status=status)]) as server:
        with pytest.raises(ProviderError):
            connect(server).complete(request())
        assert len(server.requests) == 1


def test_without_retry_after_the_wait_grows(monkeypatch):
    waits = []
    monkeypatch.setattr(retry.tenacity, "sleep_using_event", lambda event: waits.append)
    with LoopbackServer([Fault(status=500)]) as server, pytest.raises(TransientProviderError):
        connect(server).complete(request())
    first, second = waits
    assert 0.5 <= first <= 0.75
    assert 1.0 <= second <= 1.25


def test_a_retry_after_beyond_the_deadline_fails_at_once():
    with LoopbackServer([Fault(status=429, headers={"Retry-After": "3600"})]) as server:
        with pytest.raises(TransientProviderError) as caught:
            connect(server, deadline=60).complete(request())
        assert len(server.requests) == 1
    assert caught.value.category == "rate-limit"
    assert caught.value.retry_after == 3600


def test_the_deadline_is_over_all_attempts():
    with LoopbackServer(["hello", Fault("silent")]) as server:
        provider = connect(server, timeout=600)
        provider.complete(request())  # the SDK is imported now
        provider.deadline = 0.5
        with pytest.raises(TransientProviderError) as caught:
            provider.complete(request())
        assert len(server.requests) == 2
    assert caught.value.category == "deadline"


def when_asked(server: LoopbackServer, act) -> threading.Thread:
    """Act as soon as the server has a request."""

    def watch() -> None:
        while not server.requests:
            pass
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_cancel_cuts_a_pending_request_short():
    with LoopbackServer([Fault("silent")]) as server:
        provider = connect(server, deadline=600, timeout=600)
        watcher = when_asked(server, provider.cancel)
        with pytest.raises(TransientProviderError) as caught:
            provider.complete(request())
        watcher.join()
        assert caught.value.category == "cancelled"
        with pytest.raises(TransientProviderError):
            provider.complete(request())
        assert len(server.requests) == 1
        assert [r["error"]["category"] for r in provider.transcript.exchanges()] == ["cancelled"] * 2


def test_cancel_ends_the_wait_between_attempts():
    with LoopbackServer([Fault(status=503, headers={"Retry-After": "500"})]) as server:
        provider = connect(server, deadline=600)
        watcher = when_asked(server, provider.cancel)
        with pytest.raises(TransientProviderError):
            provider.complete(request())
        watcher.join()
        assert len(server.requests) == 1


def test_a_cancelled_provider_can_be_opened_again():
    with LoopbackServer(["hello"]) as server:
        provider = connect(server)
        provider.cancel()
        provider.reopen()
        assert provider.complete(request()).text == "hello"


def test_an_interrupt_cuts_a_pending_request_short_and_is_recorded():
    with LoopbackServer([Fault("silent")]) as server:
        provider = connect(server, deadline=600, timeout=600)
        watcher = when_asked(server, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt):
            provider.complete(request())
        watcher.join()
    (record,) = provider.transcript.exchanges()
    assert record["error"]["category"] == "cancelled"
    assert record["charged"]["requests"] == 1
    assert record["charged"]["tokens"] > request().max_output_tokens  # it may have been billed


def test_a_bug_in_a_provider_is_not_hidden():
    class Broken:
        id = "broken:m"

        def complete(self, request: Request) -> Completion:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        make_provider(Broken()).complete(request())


def test_what_a_provider_was_handling_when_it_failed_is_left_behind():
    class Careless:
        id = "careless:m"

        def complete(self, request: Request) -> Completion:
            try:
                raise ConnectionError("to http://user:planted-key@host")
            except ConnectionError as error:
                raise TransientProviderError("no answer.", category="timeout") from error

    with pytest.raises(TransientProviderError) as caught:
        make_provider(Careless(), deadline=0.1).complete(request())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "planted-key" not in "".join(traceback.format_exception(caught.value))


def test_a_bug_that_shows_a_key_is_raised_without_it(monkeypatch):
    monkeypatch.setenv("ACME_API_KEY", "planted-key-0123")

    class Broken:
        id = "broken:m"

        def complete(self, request: Request) -> Completion:
            raise ValueError("illegal header b'Bearer planted-key-0123'")

    with pytest.raises(RuntimeError, match=r"ValueError in the provider: illegal header") as caught:
        make_provider(Broken()).complete(request())
    assert "planted-key-0123" not in "".join(traceback.format_exception(caught.value))


def test_proxy_variables_do_not_disturb_a_server_on_this_machine():
    with LoopbackServer(["hello"]) as server:  # the fixture has set the proxies to a dead port
        assert connect(server).complete(request()).text == "hello"


def test_requests_beyond_this_machine_are_blocked_in_tests():
    with pytest.raises(RuntimeError, match=r"example\.invalid are blocked"):
        make_provider("openai-compatible:m", base_url="http://example.invalid/v1").complete(request())
