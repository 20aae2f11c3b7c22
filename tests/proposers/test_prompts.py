"""What a prompt says, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers import prompts
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.memory import state
from sllmbo_magic.proposers.schemas import propose_schema
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.planning import make_plan

SPACE = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "depth": (1, 20)})


def observation(
    number: int, rate: float = 0.1, depth: int = 5, value: float = 0.5, **more: Any
) -> Observation:
    return Observation(number, {"rate": rate, "depth": depth}, value=value, **more)


def ask_of(*observations: Observation, space: SearchSpace = SPACE, **more: Any) -> Ask:
    outer = more.pop("outer", SPACE)
    history = History(observations, "maximize", "f1")
    return Ask(space, outer, history, trial_number=len(observations), **more)


def text_of(ask: Ask) -> str:
    return "\n".join(m.content for m in prompts.propose(ask, state(ask, [*ask.space]).text))


def test_an_objective_hears_nothing_of_a_default_it_does_not_have() -> None:
    plan = make_plan(lambda params: 0.0, direction="minimize", search_space={"x": (0.0, 1.0)}, llm=provider())
    ask = plan.first_ask(History((Observation(0, {"x": 0.5}, value=1.0),), "minimize"), seconds=2.0)
    messages = (*prompts.initialize(ask, ()), *prompts.propose(ask, state(ask, ["x"]).text))
    text = "\n".join(m.content for m in messages)
    assert "default" not in text
    assert "better (than trial #0)" in text


def test_an_estimator_hears_of_its_default(data: Any) -> None:
    plan = make_plan(LogisticRegression(), *data, llm=provider())
    text = "\n".join(m.content for m in prompts.initialize(plan.first_ask(History()), plan.allowed))
    assert "better (than the default)" in text
    assert "a parameter that you leave out keeps its default" in text


def test_parameters_that_are_not_set_are_named_once(data: Any) -> None:
    plan = make_plan(LGBMClassifier(verbose=-1), *data, llm=provider())
    ask = plan.first_ask(History())
    text = prompts.initialize(ask, plan.allowed)[-1].content
    assert "=None" not in text
    assert "subsample_for_bin=200000" in text, "it may be added"
    assert "importance_type" not in text, "it may not"
    later = prompts.propose(ask, state(ask, [*ask.space]).text)[-1].content
    assert "subsample_for_bin=200000" not in later


def test_a_trial_stands_in_the_table_once_and_names_in_its_header() -> None:
    text = text_of(ask_of(*(observation(i, value=i / 30) for i in range(30))))
    assert text.count("\n#12,") == 1
    assert text.count("#,by,score,rate,depth") == 1
    assert "rate=" not in text


def test_a_dropped_parameter_stays_in_the_lines_of_trials_that_had_it() -> None:
    space = SPACE.drop("depth", 6)
    text = text_of(ask_of(observation(0, depth=3), observation(1, depth=6), space=space))
    assert "#,by,score,rate,depth" in text
    assert "#0,base,0.5,0.1,3" in text
    same = text_of(ask_of(observation(0, depth=6), observation(1, depth=6), space=space))
    assert "#,by,score,rate\n" in same, "not where all trials have the value that is held"


def test_trials_before_an_added_parameter_had_the_estimators_default() -> None:
    wide = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "depth": (1, 20), "trees": (1, 5)})
    text = text_of(ask_of(observation(0), space=wide, outer=wide, defaults={"trees": 1}))
    assert "#0,base,0.5,0.1,5,1" in text
    without = text_of(ask_of(observation(0), space=wide, outer=wide))
    assert "#0,base,0.5,0.1,5,-" in without, "what nobody knows is not made up"


def test_seconds_and_warnings_are_told() -> None:
    slow = observation(1, value=0.4, seconds=192.34, warnings={"ConvergenceWarning": 3})
    ask = ask_of(observation(0, seconds=2.0), slow)
    history = state(ask, [*ask.space])
    line = "Seconds that these trials took, in the same order: 2.0 192"
    assert line in history.text
    assert history.volatile == (line,), "a replay does not compare it"
    assert "Warnings of the fits: ConvergenceWarning in 1 trial (last: #1)." in history.text


def test_warnings_that_python_issues_only_in_some_processes_are_not_told() -> None:
    """Else a recording that was made under -W default could not be replayed without it."""
    quiet, noisy = (
        ask_of(observation(0), observation(1, warnings=warnings))
        for warnings in ({}, {"DeprecationWarning": 5, "ResourceWarning": 1})
    )
    assert state(noisy, [*noisy.space]).text == state(quiet, [*quiet.space]).text


def test_a_training_score_stands_beside_the_validation_score() -> None:
    text = text_of(ask_of(observation(0, training_score=0.98), observation(1, value=0.4)))
    assert "#,by,score,train,rate,depth" in text
    assert "#0,base,0.5,0.98,0.1,5" in text
    assert "#1,base,0.4,-,0.1,5" in text


def test_what_became_of_the_last_answer_is_told_once() -> None:
    early = observation(0, sent_request=True, feedback=("configuration 2: the same as trial 0",))
    told = text_of(ask_of(early, observation(1)))
    assert "Of your last answer not taken, or changed:\n- configuration 2: the same as trial 0" in told
    later = text_of(ask_of(early, observation(1, sent_request=True), observation(2)))
    assert "Of your last answer" not in later


def test_an_answer_that_may_add_names_values_and_says_what_a_range_needs() -> None:
    held = SPACE.drop("depth", 6)
    ask = ask_of(observation(0), space=held)
    assert "name such a parameter under added" in text_of(ask)
    assert "add one that is held fixed: depth (int 1 to 20)" in text_of(ask)
    schema = propose_schema(held, may_add=prompts.may_add(ask))["properties"]
    assert "added" in schema["configurations"]["items"]["required"]
    assert "log" in schema["space_changes"]["items"]["required"]
    assert not prompts.may_add(ask_of(observation(0)))
    assert not prompts.may_add(ask_of(observation(0), space=held, frozen_space=True))


def provider() -> FunctionProvider:
    return FunctionProvider(lambda request: "")


def test_numbers_that_differ_have_as_many_digits_as_tell_them_apart() -> None:
    scores = (1234569.49, 1234570.22, 3.0, 3.0 + 1e-13)
    close = ask_of(*(observation(i, value=score) for i, score in enumerate(scores)))
    text = text_of(close)
    assert "#0,base,1234569,0.1,5\n" in text
    assert "#1,base,1234570,0.1,5\n" in text
    assert "#2,base,3,0.1,5\n" in text, "no more digits than it takes, and none for rounding errors"
    assert "with f1 1234570 (" in text
    assert text_of(ask_of(observation(0, value=1234569.49))).count("1.2346e+06") == 2


@pytest.mark.parametrize(
    ("notation", "line"),
    [
        ((1000000.25, 1000001.75), "rate: float 1000000.25 to 1000001.75"),
        ((0.00512345678, 0.3), "rate: float 0.0051235 to 0.3"),
        ((1234567, 9876543), "rate: int 1234567 to 9876543"),
        ((0.001, 1.0, "log"), "rate: float 0.001 to 1, log"),
    ],
)
def test_a_range_has_the_digits_that_its_width_needs(notation: Any, line: str) -> None:
    space = SearchSpace.from_user({"rate": notation})
    assert prompts.space_text(space) == line


def test_choices_are_told_apart_in_a_table() -> None:
    space = SearchSpace.from_user({"rate": [0.1234567, 0.1234568]})
    text = text_of(ask_of(observation(0, rate=0.1234567), space=space, outer=space))
    assert "#0,base,0.5,0.1234567" in text
