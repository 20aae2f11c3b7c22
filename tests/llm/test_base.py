"""What a provider may leave out, and what a run then assumes."""

from __future__ import annotations

from sllmbo_magic import tune
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Provider
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.base import Usage
from sllmbo_magic.llm.base import complete_provider
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

from .conftest import request


class Bare:
    """As the documentation of a third party's provider once had it: an id and a method."""

    def __init__(self) -> None:
        self.id = "bare:m"
        self.asked: list[Request] = []
        self._responder = Responder(0)

    def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        return Completion(str(self._responder(request)), Usage(10, 10))


class WithSome(Bare):
    remote = False
    free = True
    warmed = False

    def warm_up(self) -> None:
        self.warmed = True


def test_what_is_missing_has_its_default():
    provider = complete_provider(Bare())
    assert (provider.remote, provider.free, provider.then, provider.deadline) == (True, False, None, None)
    assert (provider.next_id, provider.spent, provider.transcript, provider.diverged) == (
        None,
        Usage(),
        None,
        None,
    )
    assert provider.models() == []
    assert provider.prepare(request()) == request()
    assert provider.warm_up() is None
    assert provider.cancel() is None


def test_what_is_there_is_used():
    bare = WithSome()
    provider = complete_provider(bare)
    assert (provider.remote, provider.free) == (False, True)
    provider.warm_up()
    assert bare.warmed
    assert provider.asked is bare.asked, "attributes of its own stay reachable"


def test_a_base_provider_is_used_as_it_is():
    double = FunctionProvider(lambda r: "x")
    assert complete_provider(double) is double
    assert RecordingProvider(double).provider is double
    assert isinstance(double, BaseProvider)
    assert isinstance(Bare(), Provider)


def test_a_bare_object_serves_a_run():
    bare = Bare()
    result = tune(
        lambda params: params["x"],
        direction="minimize",
        search_space={"x": (0.0, 1.0)},
        llm=bare,
        n_trials=6,
        seed=0,
        folder="",
    )
    assert len(result.trials) == 6
    assert bare.asked
