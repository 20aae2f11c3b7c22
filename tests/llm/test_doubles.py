"""The public doubles and the test kit for providers."""

from __future__ import annotations

import pytest

from sllmbo_magic import testing
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.testing import ScriptedProvider
from sllmbo_magic.testing import check_provider
from tests.loopback import LoopbackServer

from .conftest import request

PONG = {"ready": True, "number": 7}


def test_a_script_is_played_once():
    busy = TransientProviderError("busy.", category="rate-limit")
    provider = ScriptedProvider(["text", {"x": 1}, busy, Completion("c", Usage(1, 2))])
    assert provider.complete(request("a")).text == "text"
    assert provider.complete(request("b")).text == '{"x": 1}'
    with pytest.raises(TransientProviderError, match="busy"):
        provider.complete(request("c"))
    assert provider.complete(request("d")).usage == Usage(1, 2)
    with pytest.raises(ReplyError) as caught:
        provider.complete(request("e"))
    assert caught.value.category == "script-ended"
    assert [r.messages[-1].content for r in provider.requests] == list("abcde")


def test_a_script_can_repeat():
    provider = ScriptedProvider(["a", "b"], repeat=True)
    assert [provider.complete(request()).text for _ in range(5)] == list("ababa")


def test_a_function_sees_the_request():
    provider = FunctionProvider(lambda r: {"trial": r.trial_number})
    assert provider.complete(request(trial_number=3)).text == '{"trial": 3}'


def test_a_scripted_transient_error_is_not_waited_for():
    provider = make_provider(
        ScriptedProvider([TransientProviderError("busy.", category="rate-limit"), "fine"])
    )
    with pytest.raises(TransientProviderError):
        provider.complete(request())
    assert provider.complete(request()).text == "fine"


def test_the_kit_passes_a_good_provider():
    assert check_provider(FunctionProvider(lambda r: PONG)).text
    with LoopbackServer([PONG]) as server:
        check_provider(make_provider("openai-compatible:m", base_url=server.url).provider)


class Raises(FunctionProvider):
    def complete(self, request):
        raise KeyError("x")


class ShowsKey(FunctionProvider):
    def __repr__(self) -> str:
        return "ShowsKey('sk-abcdefghijklmnop')"


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (object(), "has an `id`"),
        (FunctionProvider(lambda r: PONG, id="noname"), "is not like 'name:model'"),
        (FunctionProvider(lambda r: PONG, id="a:sk-abcdefghijklmnop"), "the id holds a key"),
        (ShowsKey(lambda r: PONG), "shows a key"),
        (Raises(lambda r: PONG), "raised KeyError"),
        (FunctionProvider(lambda r: "hello"), "does not satisfy"),
        (
            FunctionProvider(lambda r: Completion('{"ready": true, "number": 7}', Usage(-1, 0))),
            "is not two counts",
        ),
    ],
)
def test_the_kit_fails_a_bad_provider(provider, words):
    with pytest.raises(AssertionError, match=words):
        check_provider(provider)


def test_the_public_names():
    assert sorted(testing.__all__) == testing.__all__
    assert all(hasattr(testing, name) for name in testing.__all__)
