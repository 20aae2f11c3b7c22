"""A pasted answer is checked on the spot."""

from __future__ import annotations

import io
import json

import pytest

from sllmbo_magic import tune
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.budget import Charge
from sllmbo_magic.llm.providers.manual import ManualProvider
from sllmbo_magic.llm.providers.manual import ask_in_terminal
from sllmbo_magic.llm.registry import make_provider
from sllmbo_magic.tuning.forecast import forecast
from sllmbo_magic.tuning.planning import make_plan

from .conftest import SCHEMA
from .conftest import request


class Person:
    """Pastes prepared answers and keeps the prompts that were shown."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return self.answers.pop(0)


def test_the_prompt_holds_everything_and_the_answer_is_taken():
    person = Person('Sure: ```json\n{"x": 1, "kind": "a"}\n```')
    provider = make_provider("manual", ask=person)
    completion = provider.complete(request("question", schema=SCHEMA))
    assert completion.text.startswith("Sure")
    for part in ("You tune.", "question", json.dumps(SCHEMA)):
        assert part in person.prompts[0]
    assert provider.budget.charged == Charge(requests=1)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("no idea", "no usable JSON"),
        ('{"x": 1}', "'kind' is a required property"),
        ('{"x": "high", "kind": "a"}', "at x: 'high' is not of type"),
        ('{"x": 1, "kind": "a", "y": 2}', "Additional properties"),
    ],
)
def test_a_wrong_answer_is_asked_for_again_with_the_problem(bad, problem):
    person = Person(bad, '{"x": null, "kind": "b"}')
    assert ManualProvider(person).complete(request(schema=SCHEMA)).text == '{"x": null, "kind": "b"}'
    assert person.prompts[1].startswith("That answer cannot be used: ")
    assert problem in person.prompts[1].splitlines()[0]


def test_three_wrong_answers_end_it():
    person = Person("a", "b", "c", '{"x": 1, "kind": "a"}')
    with pytest.raises(ReplyError, match="no usable JSON"):
        ManualProvider(person).complete(request(schema=SCHEMA))
    assert len(person.prompts) == 3


def test_an_empty_answer_skips_the_request():
    with pytest.raises(ReplyError) as caught:
        ManualProvider(Person("  \n")).complete(request(schema=SCHEMA))
    assert caught.value.category == "skipped"


def test_free_text_is_not_checked():
    assert ManualProvider(Person("words")).complete(request()).text == "words"


def test_the_terminal(monkeypatch, capsys):
    lines = iter(['{"x": 1,', ' "kind": "a"}', ""])
    monkeypatch.setattr("builtins.input", lambda: next(lines))
    assert json.loads(ask_in_terminal("the prompt")) == {"x": 1, "kind": "a"}
    assert "the prompt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ("x", "ask is .*, not a function. Write ask=function"),
        (3, "ask is .*, not a function"),
        (lambda: "", "ask cannot be called with a prompt"),
    ],
)
def test_ask_is_checked_before_the_first_fit(ask, words):
    fitted = []
    with pytest.raises(InputError, match=words):
        tune(
            fitted.append, direction="minimize", search_space={"x": (0, 1)}, llm="manual", ask=ask, folder=""
        )
    with pytest.raises(InputError, match="ask is for llm='manual', and llm is 'rulebook'"):
        tune(fitted.append, direction="minimize", search_space={"x": (0, 1)}, ask=ask, folder="")
    assert not fitted


def test_a_limit_on_requests_counts_the_prompts_and_none_on_tokens_or_money_does():
    """All of them were shown, whatever the limit."""
    shown = []

    def ask(prompt):
        shown.append(prompt)
        return ""

    def objective(params):
        return params["x"]

    options = {"search_space": {"x": (0.0, 1.0)}, "sampler": "llm", "n_trials": 16, "seed": 0}
    options |= {"direction": "minimize", "llm": "manual"}
    assert forecast(make_plan(objective, max_requests=2, **options))["requests"] == 2
    result = tune(objective, ask=ask, folder="", max_requests=2, **options)
    assert len(shown) == 2
    assert result.summary["cost"]["requests"] == 2
    assert "A limit was reached" in result.summary["text"]
    tune(objective, ask=ask, folder="", max_tokens=1, max_cost=0.01, **options)
    assert len(shown) > 4


@pytest.mark.parametrize(("answer", "kind"), [(None, "NoneType"), ({"x": 1}, "dict"), (b"{}", "bytes")])
def test_ask_that_returns_no_text(answer, kind):
    with pytest.raises(PermanentProviderError, match=f"ask returned {kind}, not a string"):
        make_provider("manual", ask=lambda prompt: answer).complete(request(schema=SCHEMA))


def test_nobody_can_type(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(PermanentProviderError, match=r"nobody can type an answer here .*Pass ask="):
        make_provider("manual").complete(request(schema=SCHEMA))
