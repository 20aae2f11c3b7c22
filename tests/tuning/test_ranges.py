"""A range that the user sets while a run goes on: it holds from then on, or the run says why not."""

from __future__ import annotations

from typing import Any

import pytest
from lightgbm import LGBMClassifier
from optuna.distributions import FloatDistribution
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import WishApplied
from sllmbo_magic.proposers.space_extension import for_user
from sllmbo_magic.tuning.planning import make_plan
from tests.marks import long

SPACE = {"max_depth": (2, 12), "min_samples_leaf": (1, 20), "criterion": ["gini", "entropy"]}


def steered(data: Any, commands: dict[int, list[tuple[str, Any]]], **options: Any) -> tuple[Any, list[Event]]:
    """A run in which each trial of ``commands`` is followed by commands."""
    control, seen = Control(), []

    def sink(event: Event) -> None:
        seen.append(event)
        if isinstance(event, TrialFinished):
            for name, value in commands.get(event.number, []):
                control.wish(name, value)

    result = tune(
        DecisionTreeClassifier(random_state=0),
        *data,
        n_trials=24,
        seed=3,
        verify=False,
        judge=False,
        control=control,
        sinks=[sink],
        **{"sampler": "tpe", "search_space": SPACE, **options},
    )
    return result, seen


def steered_objective(
    objective: Any, space: dict[str, Any], commands: dict[int, list[tuple[str, Any]]], **options: Any
) -> tuple[Any, list[Event]]:
    """Likewise, of an objective."""
    control, seen = Control(), []

    def sink(event: Event) -> None:
        seen.append(event)
        if isinstance(event, TrialFinished):
            for name, value in commands.get(event.number, []):
                control.wish(name, value)

    result = tune(
        objective,
        search_space=space,
        control=control,
        sinks=[sink],
        **{"direction": "minimize", "n_trials": 8, "seed": 0, "sampler": "tpe", "folder": "", **options},
    )
    return result, seen


def warnings_of(seen: list[Event]) -> list[str]:
    return [e.text for e in seen if isinstance(e, Note) and e.level == "warning"]


def depth(low: int, high: int) -> tuple[str, Any]:
    return "range", {"param": "max_depth", "low": low, "high": high}


def from_trial(result: Any, number: int, name: str) -> set[Any]:
    return {t.params[name] for t in result.trials if t.number >= number}


@pytest.mark.parametrize("before", [long([depth(3, 8)]), [depth(3, 8), ("lock", "max_depth")], long([])])
@pytest.mark.parametrize("sampler", ["tpe", "llm-tpe"])
def test_a_range_wider_than_the_outer_space_holds_also_after_a_narrower_one(
    data: Any, before: list[Any], sampler: str
) -> None:
    result, seen = steered(data, {3: before, 6: [depth(20, 40)]}, sampler=sampler)
    applied = [e for e in seen if isinstance(e, WishApplied) and e.wish == "range"]
    assert applied[-1].value["high"] == 40
    assert all(20 <= d <= 40 for d in from_trial(result, 7, "max_depth"))
    assert result.space_versions[-1].space["max_depth"].high == 40


def test_a_choice_beyond_the_outer_space_holds_also_after_fewer_choices(data: Any) -> None:
    choices = lambda *names: ("range", {"param": "criterion", "choices": list(names)})  # noqa: E731
    result, _ = steered(data, {3: [choices("gini")], 6: [choices("log_loss")]})
    assert from_trial(result, 7, "criterion") == {"log_loss"}


def test_another_parameters_range_of_the_user_stays_when_one_goes_beyond_the_outer_space(data: Any) -> None:
    leaf = ("range", {"param": "min_samples_leaf", "low": 5, "high": 9})
    result, _ = steered(data, {3: [leaf, depth(3, 8)], 6: [depth(20, 40)]})
    assert all(5 <= n <= 9 for n in from_trial(result, 4, "min_samples_leaf"))
    assert all(20 <= d <= 40 for d in from_trial(result, 7, "max_depth"))


def test_the_last_of_several_ranges_holds_after_a_resume_too(data: Any) -> None:
    steered(data, {3: [depth(3, 8)], 6: [depth(20, 40)]}, name="again")
    control = Control()
    result = tune(
        DecisionTreeClassifier(random_state=0),
        *data,
        n_trials=30,
        seed=3,
        search_space=SPACE,
        verify=False,
        judge=False,
        sampler="tpe",
        name="again",
        resume=True,
        control=control,
    )
    assert all(20 <= d <= 40 for d in from_trial(result, 7, "max_depth"))


@pytest.mark.parametrize(
    "value",
    [
        {"param": "max_depth", "choices": [3, 4]},
        {"param": "criterion", "low": 1, "high": 2},
        {"param": "max_depth", "low": -5, "high": 3},
    ],
)
def test_a_range_that_cannot_hold_says_why_and_is_not_called_applied(data: Any, value: Any) -> None:
    result, seen = steered(data, {3: [("range", value)]})
    assert not [e for e in seen if isinstance(e, WishApplied)]
    notes = [e.text for e in seen if isinstance(e, Note) and e.level == "warning"]
    assert any(value["param"] in text for text in notes), notes
    assert len(result.trials) == 24


def test_ends_that_a_parameter_cannot_have_are_set_as_near_as_they_go_and_named(data: Any) -> None:
    _, seen = steered(data, {3: [("range", {"param": "max_depth", "low": 3.2, "high": 6.8})]})
    (note,) = [e.text for e in seen if isinstance(e, Note) and e.level == "warning"]
    assert note.startswith("max_depth: 3.2 to 6.8 was set as")


def test_a_log_scale_that_is_left_for_a_range_from_0_is_told_and_comes_back(data: Any) -> None:
    def penalty(low: float) -> tuple[str, Any]:
        return "range", {"param": "ccp_alpha", "low": low, "high": 0.1}

    space = {"ccp_alpha": (1e-5, 0.1, "log"), "max_depth": (2, 12)}
    result, seen = steered(data, {3: [penalty(0.0)], 6: [penalty(1e-4)]}, search_space=space)
    (text,) = [e.text for e in seen if isinstance(e, Note) and e.level == "warning"]
    assert text == (
        "ccp_alpha is searched on a linear scale now, 0 to 0.1: a log scale cannot begin at 0. A range that"
        " begins above 0 brings the log scale back."
    )
    scales = [(v.space["ccp_alpha"].low, v.space["ccp_alpha"].log) for v in result.space_versions]
    assert scales == [(1e-5, True), (0.0, False), (1e-4, True)]
    assert all(t.params["ccp_alpha"] >= 1e-4 for t in result.trials if t.number >= 7)


@pytest.mark.parametrize(
    ("search_space", "lines"),
    [
        ({"C": (0, 10)}, ["whole number 0 to 10"]),
        ({"C": (0.0, 10.0), "tol": (0.0, 0.1)}, ["0 to 10"]),
        ({"C": (1e-3, 10.0)}, []),  # a linear scale that was written, where a log one could be
        ({"C": (1e-3, 10.0, "log")}, []),
        ({"C": FloatDistribution(0.0, 10.0, step=0.5)}, []),
    ],
)
def test_a_search_space_from_0_where_a_log_scale_is_usual_is_told(
    data: Any, search_space: Any, lines: list[str]
) -> None:
    plan = make_plan(LogisticRegression(), *data, search_space=search_space)
    assert [note for note in plan.notes if "linear" in note] == [
        f"C is searched on a linear scale, {line}. Its usual scale is the log scale, which cannot begin at 0:"
        ' write (0.0001, 10000.0, "log").'
        for line in lines
    ]


@pytest.mark.parametrize("sampler", ["tpe", "llm-tpe", long("llm"), long("random")])
@pytest.mark.parametrize("locks", [[], long([("lock", name) for name in SPACE])])
def test_ranges_of_the_user_hold_when_they_are_used_up(data: Any, sampler: str, locks: list[Any]) -> None:
    few = [
        depth(3, 4),
        ("range", {"param": "min_samples_leaf", "low": 2, "high": 3}),
        ("range", {"param": "criterion", "choices": ["gini"]}),
    ]
    result, seen = steered(data, {5: [*few, *locks]}, sampler=sampler)
    (start,) = {e.trial_number for e in seen if isinstance(e, WishApplied)}
    tried = {
        (t.params["max_depth"], t.params["min_samples_leaf"], t.params["criterion"])
        for t in result.trials
        if t.number >= start
    }
    assert tried == {(d, n, "gini") for d in (3, 4) for n in (2, 3)}
    assert result.summary["reason"] == "all 4 configurations of the search space have been tried"


def test_an_objective_that_suggests_its_choices_itself_gets_no_further_ones(data: Any) -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1) + (trial.suggest_categorical("kind", ["a", "b"]) == "a"))

    new, fewer = [("range", {"param": "kind", "choices": names}) for names in (["a", "z"], ["b"])]
    result, seen = steered_objective(objective, {"x": (0.0, 1.0), "kind": ["a", "b"]}, {2: [new], 4: [fewer]})
    assert warnings_of(seen) == [
        "kind: 'z' is no choice; allowed: one of 'a', 'b'. The objective suggests its choices itself: add one"
        " there and in search_space, for a new run."
    ]
    assert [e.value for e in seen if isinstance(e, WishApplied)] == [fewer[1]]
    assert {t.state.name for t in result.trials} == {"COMPLETE"}
    assert from_trial(result, 5, "kind") == {"b"}


MEANT = {
    "s": ["1", "2", "auto"],
    "b": [True, False],
    "n": [None, 1, 2.5],
    "h": [(64,), (32, 16)],
    "d": [{"a": 1}, {"a": 2}],
    "m": [LogisticRegression(), DecisionTreeClassifier()],
    "g": ["gini", "entropy"],
}


@pytest.mark.parametrize(
    ("name", "typed", "choices"),
    [
        ("s", [1, "2"], ["1", "2"]),
        ("b", ["true"], [True]),
        ("n", ["none", 1], [None, 1]),
        ("h", [(64,)], ["(64,)"]),
        ("h", [[64]], ["(64,)"]),
        ("h", [64, "(32,16)"], ["(64,)", "(32, 16)"]),
        ("h", ((48, 24), [64]), ["(64,)", "(48, 24)"]),
        ("d", [{"a": 1}], ["{t0: 1}"]),
        ("m", [DecisionTreeClassifier()], ["DecisionTreeClassifier()"]),
        ("g", ["Gini", "log_loss"], ["gini", "log_loss"]),
    ],
)
def test_choices_of_a_range_are_read_as_those_of_an_enqueued_configuration(
    name: str, typed: Any, choices: list[Any]
) -> None:
    given: list[Any] = []

    def objective(params: dict[str, Any]) -> float:
        given.append(params[name])
        return float(params["x"])

    command = ("range", {"param": name, "choices": typed})
    space = {"x": (0.0, 1.0), name: MEANT[name]}
    result, seen = steered_objective(objective, space, {1: [command]}, n_trials=12)
    (applied,) = [e for e in seen if isinstance(e, WishApplied)]
    assert sorted(map(str, applied.value["choices"])) == sorted(map(str, choices)), warnings_of(seen)
    assert {str(t.params[name]) for t in result.trials[2:]} == {*map(str, choices)}
    kinds = {type(choice) for choice in MEANT[name]}
    assert all(type(value) in kinds for value in given), "the objective gets what it always gets"


@pytest.mark.parametrize("typed", [[{"a": 3}], [LogisticRegression(C=3)], [(1, "a")]])
def test_an_object_that_is_no_choice_of_the_run_cannot_come_in(typed: list[Any]) -> None:
    for name in ("d", "m"):
        command = ("range", {"param": name, "choices": typed})
        space = {"x": (0.0, 1.0), name: MEANT[name]}
        _, seen = steered_objective(lambda params: params["x"], space, {1: [command]})
        assert not [e for e in seen if isinstance(e, WishApplied)]
        (text,) = warnings_of(seen)
        assert text.startswith(f"{name}: a {type(typed[0]).__name__} is no choice; allowed: one of ")
        assert text.endswith("an object has to stand in search_space.")


@pytest.mark.parametrize(
    ("name", "low", "high", "refused"),
    [
        ("n_estimators", 2, 4, None),
        ("n_estimators", 0, 4, "n_estimators: 0 is nothing that the estimator takes."),
        ("max_features", 0.1, 2, "max_features: 2 is nothing that the estimator takes."),
        ("min_samples_split", 1, 5, "min_samples_split: 1 is nothing that the estimator takes."),
        ("min_samples_split", 0.1, 0.5, None),
    ],
)
def test_a_range_may_have_what_the_estimator_declares_to_take(
    data: Any, name: str, low: float, high: float, refused: str | None
) -> None:
    plan = make_plan(RandomForestClassifier(n_jobs=1), *data)
    command = {"param": name, "low": low, "high": high}
    if refused is None:
        wider = for_user(plan.outer, command, plan.beyond())
        assert (wider[name].low, wider.contains(name, high)) == (low, True)
    else:
        with pytest.raises(InputError, match=refused):
            for_user(plan.outer, command, plan.beyond())


def test_where_an_estimator_declares_nothing_a_range_has_the_limits_of_the_known_ranges(data: Any) -> None:
    plan = make_plan(LGBMClassifier(), *data)
    with pytest.raises(InputError, match=r"learning_rate: -1 is out of range, .* Allowed: 0 to 1\."):
        for_user(plan.outer, {"param": "learning_rate", "low": -1, "high": 0.1}, plan.beyond())
