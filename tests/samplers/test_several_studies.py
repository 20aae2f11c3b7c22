"""One sampler object for several studies, one after the other and in turns, as Optuna's samplers allow."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

SPACE = {"x": (-1.0, 1.0), "n": (1, 30)}
MAKERS: dict[str, Callable[[], LLMTPESampler]] = {
    "rulebook": lambda: LLMTPESampler(seed=3),
    "declared": lambda: LLMTPESampler(seed=3, search_space=SPACE),
    "llm-tpe": lambda: LLMTPESampler(FunctionProvider(Responder(1)), seed=3, search_space=SPACE),
    "llm": lambda: LLMSampler(FunctionProvider(Responder(1)), seed=3),
    "base sampler": lambda: LLMTPESampler(mode="tpe", seed=3, search_space=SPACE),
}


def bowl(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", -1.0, 1.0) - 0.3) ** 2 + abs(trial.suggest_int("n", 1, 30) - 12) / 30


def slope(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", -1.0, 1.0) - trial.suggest_int("n", 1, 30)


def told(study: optuna.Study) -> list[Any]:
    return [(t.params, t.value) for t in study.trials]


@pytest.mark.parametrize("name", MAKERS)
def test_two_studies_in_turns_have_their_own_history(name: str) -> None:
    sampler = MAKERS[name]()
    a, b = (optuna.create_study(sampler=sampler) for _ in range(2))
    for _ in range(4):
        a.optimize(bowl, n_trials=5)
        b.optimize(slope, n_trials=4)
    for study in (a, b):
        observed = [(dict(o.params), o.value) for o in sampler.history(study).observations]
        assert observed == told(study)


@pytest.mark.parametrize("name", ["rulebook", "declared", "base sampler"])
def test_in_turns_each_study_has_the_trials_that_it_has_alone(name: str) -> None:
    alone = optuna.create_study(sampler=MAKERS[name]())
    alone.optimize(bowl, n_trials=20)
    sampler = MAKERS[name]()
    a, b = (optuna.create_study(sampler=sampler) for _ in range(2))
    for _ in range(4):
        b.optimize(slope, n_trials=3)
        a.optimize(bowl, n_trials=5)
    assert told(a) == told(alone)


@pytest.mark.parametrize("name", MAKERS)
def test_two_studies_in_two_threads_do_not_mix(name: str) -> None:
    sampler = MAKERS[name]()
    studies = [optuna.create_study(sampler=sampler) for _ in range(2)]
    threads = [
        threading.Thread(target=study.optimize, args=(objective,), kwargs={"n_trials": 14})
        for study, objective in zip(studies, (bowl, slope), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(study.trials) for study in studies] == [14, 14]
    for study in studies:
        assert [o.value for o in sampler.history(study).observations] == [t.value for t in study.trials]


def test_a_space_that_one_study_narrowed_is_whole_in_the_next() -> None:
    sampler = LLMTPESampler(seed=0, search_space=SPACE)
    optuna.create_study(sampler=sampler).optimize(bowl, n_trials=3)
    space = sampler.space_state.space
    assert space is not None
    sampler.space_state.change(space.narrow("x", low=0.5), 3, "a test", "llm")
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=12)
    assert min(t.params["x"] for t in study.trials) < 0.0
    assert sampler.space_state.number == 0


def test_what_the_user_sets_holds_for_every_study() -> None:
    sampler = LLMTPESampler(seed=0, search_space=SPACE)
    a, b = (optuna.create_study(sampler=sampler) for _ in range(2))
    a.optimize(bowl, n_trials=12)
    sampler.mode = "tpe"
    b.optimize(bowl, n_trials=14)
    assert {t.user_attrs["sllmbo:source"] for t in b.trials} == {"tpe"}


def test_a_copy_goes_on_with_the_study_that_it_knows() -> None:
    study = optuna.create_study(sampler=MAKERS["llm"]())
    study.optimize(bowl, n_trials=7)
    waiting = [c.candidate for c in study.sampler.queue.candidates]  # type: ignore[attr-defined]
    study.sampler = copy.deepcopy(study.sampler)
    study.sampler.history(study)  # type: ignore[attr-defined]
    assert [c.candidate for c in study.sampler.queue.candidates] == waiting != []  # type: ignore[attr-defined]


def test_a_search_with_a_sampler_object_fits_twice() -> None:
    X, y = load_iris(return_X_y=True)
    search = SLLMBOSearchCV(
        LogisticRegression(), search_space={"C": (0.01, 10.0, "log")}, n_trials=8, cv=2, random_state=0,
        sampler=LLMTPESampler(seed=0),
    )  # fmt: skip
    first = search.fit(X[:100], y[:100]).result_.study.trials
    assert len(search.fit(X, y).result_.study.trials) == len(first) == 8
