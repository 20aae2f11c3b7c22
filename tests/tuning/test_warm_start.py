"""A run that starts with the best configurations of an earlier one, and says what that gained."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from sklearn.svm import SVC

from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunFinished
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.report.text import decimals
from sllmbo_magic.report.text import score

SPACE: dict[str, Any] = {"x": (-10.0, 10.0), "rate": (1e-4, 1.0, "log")}


def bowl(params: dict[str, Any]) -> float:
    import math

    return float((params["x"] - 3) ** 2 + math.log10(params["rate"] / 0.01) ** 2)


def run(name: str = "new", n_trials: int = 12, space: Any = None, **options: Any) -> TuneResult:
    return tune(
        bowl,
        direction="minimize",
        search_space=SPACE if space is None else space,
        sampler="tpe",
        name=name,
        n_trials=n_trials,
        seed=options.pop("seed", 2),
        **options,
    )


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """A run of 40 trials, made once; nothing may change its folder."""
    return run("old", 40, seed=1, folder=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def earlier(stored_run: TuneResult) -> TuneResult:
    """The run of 40 trials in the folder of the test."""
    shutil.copytree(stored_run.path, ".sllmbo/old")
    return stored_run


def best_of(study: optuna.Study, n: int = 3) -> list[dict[str, Any]]:
    return [t.params for t in sorted(study.trials, key=lambda t: t.value)[:n]]


def stored(*points: tuple[float, float]) -> optuna.Study:
    """A study with these trials (x, rate), the first one the best."""
    study = optuna.create_study(direction="minimize")
    ranges = {n: optuna.distributions.FloatDistribution(low, high) for n, (low, high, *_) in SPACE.items()}
    for value, (x, rate) in enumerate(points):
        params = {"x": x, "rate": rate}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=float(value)))
    return study


def check(result: TuneResult, expected: list[dict[str, Any]], label: str) -> None:
    begun = result.trials[: len(expected)]
    assert [t.params for t in begun] == expected
    for trial in begun:
        assert trial.user_attrs["sllmbo:source"] == "user"
        assert label in trial.user_attrs["sllmbo:provenance"]["reason"]
    assert result.trials[len(expected)].user_attrs["sllmbo:source"] == "tpe"
    notes = [e.text for e in result.events if isinstance(e, Note)]
    assert f"Warm start: the 3 best configurations of {label} are tried first." in notes


def test_by_name_path_saved_file_result_and_study(earlier: TuneResult, tmp_path: Path) -> None:
    expected = best_of(earlier.study)
    saved = earlier.save(tmp_path / "kept.zip")
    for given, label in [
        ("old", "run 'old'"),
        (".sllmbo/old", "run 'old'"),
        (Path(".sllmbo/old").resolve(), "run 'old'"),
        (saved, "run 'kept.zip'"),
        (earlier, "run 'old'"),
        (earlier.study, "study 'old'"),
    ]:
        check(run(n_trials=5, warm_start=given), expected, label)


def test_from_a_plain_optuna_study() -> None:
    study = optuna.create_study(study_name="plain", direction="minimize")
    study.optimize(
        lambda t: bowl({"x": t.suggest_float("x", -50, 50), "rate": t.suggest_float("rate", 1e-3, 0.5)}),
        n_trials=30,
    )
    result = run(warm_start=study)
    queued = result.trials[:3]
    for trial, params in zip(queued, best_of(study), strict=True):
        assert trial.params["rate"] == params["rate"]
        assert trial.params["x"] == min(max(params["x"], -10.0), 10.0), "moved into this run's range"


def test_a_run_that_follows_its_predecessor_of_the_same_name(earlier: TuneResult) -> None:
    expected = best_of(earlier.study)
    result = run("old", 4, warm_start="old")
    assert [t.params for t in result.trials[:3]] == expected


def test_configurations_of_another_space_take_what_is_shared(earlier: TuneResult) -> None:
    result = run(n_trials=4, space={**SPACE, "more": (0, 4)}, warm_start=earlier)
    expected = [{**p, "more": 2} for p in best_of(earlier.study)]
    assert [t.params for t in result.trials[:3]] == expected


def test_equal_configurations_are_taken_once() -> None:
    study = optuna.create_study(direction="minimize")
    for value in (1.0, 1.0, 2.0):
        params = {"x": value, "rate": 0.1}
        dist = {
            "x": optuna.distributions.FloatDistribution(-10, 10),
            "rate": optuna.distributions.FloatDistribution(1e-4, 1),
        }
        study.add_trial(optuna.trial.create_trial(params=params, distributions=dist, value=value))
    result = run(n_trials=4, warm_start=study)
    assert [t.params["x"] for t in result.trials[:2]] == [1.0, 2.0]
    assert result.trials[2].user_attrs["sllmbo:source"] == "tpe"


def test_the_gain_over_not_doing_so_is_said(earlier: TuneResult, data: Any, model: Any) -> None:
    text = run(warm_start=earlier, n_trials=12).summary["text"]
    best = earlier.best_value
    assert f"Warm start: its best configuration (trial 0) scored {score(best, decimals(best))}" in text
    assert "no other trial of this run reached that." in text
    far = optuna.create_study(direction="minimize")
    params = {"x": -9.0, "rate": 0.9}
    dist = {
        "x": optuna.distributions.FloatDistribution(-10, 10),
        "rate": optuna.distributions.FloatDistribution(1e-4, 1),
    }
    far.add_trial(optuna.trial.create_trial(params=params, distributions=dist, value=0.0))
    slow = run(warm_start=far, n_trials=20)
    own = next(t.number for t in slow.trials[1:] if t.value <= slow.trials[0].value)
    assert f"without it the run was as far at trial {own}." in slow.summary["text"]

    first = tune(model, *data, n_trials=15, seed=1, folder="", verify=False)
    second = tune(model, *data, n_trials=8, seed=2, folder="", verify=False, warm_start=first)
    given = [t for t in second.trials if t.user_attrs["sllmbo:source"] == "user"]
    top = max(given, key=lambda t: t.value)
    gain = top.value - second.default_value
    digits = decimals(second.default_value, second.best_value)
    words = f"scored {score(top.value, digits)}, {score(gain, digits)} better than the default"
    assert words in second.summary["text"]
    assert second.summary["default_value"] == second.trials[0].value, "the default comes first all the same"


def test_what_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="warm start 'odl' is no run"):
        run(warm_start="odl")
    other = optuna.create_study(direction="minimize")
    other.optimize(lambda t: t.suggest_float("z", 0, 1), n_trials=3)
    with pytest.raises(InputError, match="no scored trial with a parameter of this search space"):
        run(warm_start=other)
    two = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(InputError, match="several objectives"):
        run(warm_start=two)
    junk = tmp_path / "junk.zip"
    junk.write_text("no zip")
    with pytest.raises(InputError, match="cannot be read"):
        run(warm_start=junk)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"warm_start": "nothing"}, "warm start 'nothing' is no run"),
        ({"enqueue": [{"x": 99.0}]}, "x: 99"),
        ({"enqueue": [{"depth": 3}]}, "no parameter 'depth'"),
    ],
)
def test_what_cannot_be_tried_first_is_said_before_the_run_has_a_folder(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(**wrong)
    with pytest.raises(InputError, match=message):
        run(resume=True, **wrong)
    assert not Path(".sllmbo/new").exists()


def test_what_an_enqueued_configuration_leaves_out_is_said() -> None:
    result = run(n_trials=2, enqueue=[{"x": 0.25}, {"x": 0.5, "rate": 0.1}])
    notes = [e.text for e in result.events if isinstance(e, Note)]
    assert notes.count("The enqueued configuration leaves out rate: the sampler chooses the rest.") == 1


def test_configurations_that_do_not_fit_into_the_total_are_said_when_they_are_queued_and_at_the_end() -> None:
    mine = [{"x": x, "rate": 0.1} for x in (0.25, 0.5, 0.75)]
    result = run(n_trials=2, enqueue=mine)
    assert [e.text for e in result.events if isinstance(e, Note) and e.level == "warning"] == [
        "1 queued configuration of yours does not fit into the total of 2 trials: extend 1, or n_trials=3.",
        "1 queued configuration of yours did not run: all 2 trials are done.",
    ]
    again = run(n_trials=3, resume=True)
    assert [t.params["x"] for t in again.trials] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("more", [[], [("extend", 2)]])
def test_configurations_that_are_queued_too_late_are_said_so(more: list[Any]) -> None:
    control = Control()

    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 4:
            commands = [("enqueue", {"x": x, "rate": 0.1}) for x in (0.25, 0.5, 0.75)]
            for name, value in [*commands, *more]:
                control.wish(name, value)

    result = run(n_trials=6, control=control, sinks=[sink])
    told = [e.text for e in result.events if isinstance(e, Note) and "of yours" in e.text]
    if more:
        assert told == []
        assert [t.params["x"] for t in result.trials[5:]] == [0.25, 0.5, 0.75]
    else:
        assert told == [
            "2 queued configurations of yours do not fit into the total of 6 trials: extend 2, or"
            " n_trials=8.",
            "2 queued configurations of yours did not run: all 6 trials are done.",
        ]


GRIDS: dict[str, Any] = {"n": range(2, 13, 2), "q": FloatDistribution(0.0, 1.0, step=0.25), "held": 0.5}


@pytest.mark.parametrize(
    ("mine", "refused"),
    [
        ({"n": 7}, r"n: 7 is off the grid; allowed: whole number 2 to 12, in steps of 2\."),
        ({"q": 0.3}, r"q: 0\.3 is off the grid; allowed: 0 to 1, in steps of 0\.25\."),
        ({"q": "0.75", "n": 8.0}, None),
        ({"q": 0.1 + 0.2 + 0.45, "n": 8}, None),
        ({"n": 4, "q": 0.5, "held": 0.5}, None),
        (
            {"n": 4, "held": 0.25},
            r"held is held at 0\.5 in the search space, not searched\.",
        ),
    ],
)
@pytest.mark.parametrize("door", ["tune", "command"])
def test_a_configuration_runs_as_it_was_written_or_is_refused(
    mine: dict[str, Any], refused: str | None, door: str
) -> None:
    def objective(params: dict[str, Any]) -> float:
        return float(params["n"] + params["q"])

    control = Control()
    options = {"direction": "minimize", "search_space": GRIDS, "n_trials": 3, "sampler": "tpe", "folder": ""}
    if door == "command":
        control.wish("enqueue", mine)
        result = tune(objective, control=control, **options)
        told = [e.text for e in result.events if isinstance(e, Note) and e.level == "warning"]
        assert bool(told) == (refused is not None)
        assert refused is None or re.match(refused, told[0])
    elif refused is not None:
        with pytest.raises(InputError, match=refused):
            tune(objective, enqueue=[mine], **options)
    if refused is None:
        result = result if door == "command" else tune(objective, enqueue=[mine], **options)
        first = result.trials[0].params
        assert all(first[name] == pytest.approx(float(mine[name])) for name in {"n", "q"} & {*mine})


def test_the_best_configuration_of_a_run_can_be_enqueued_again() -> None:
    best = run(n_trials=3, space={"x": (0.0, 1.0), "rate": 0.5}).best_params
    assert best["rate"] == 0.5
    again = run(n_trials=1, space={"x": (0.0, 1.0), "rate": 0.5}, enqueue=[best])
    assert again.best_params == best


def test_a_resumed_run_is_not_started_warm_again(earlier: TuneResult) -> None:
    run("twice", 8, warm_start="old")
    again = run("twice", 14, warm_start="old", resume=True)
    assert [t.user_attrs["sllmbo:source"] for t in again.trials].count("user") == 3


def test_what_is_given_to_a_resumed_run_is_tried_next_and_once(earlier: TuneResult) -> None:
    first = {"x": 0.25, "rate": 0.5}
    run("twice", 4, enqueue=[first])
    again = run("twice", 6, enqueue=[first, {"x": 0.75, "rate": 0.5}], resume=True)
    assert [t.params["x"] for t in again.trials if t.user_attrs["sllmbo:source"] == "user"] == [0.25, 0.75]
    assert again.trials[4].params == {"x": 0.75, "rate": 0.5}
    notes = [e.text for e in again.events if isinstance(e, Note)]
    assert notes.count("1 enqueued configuration is tried next.") == 1
    warm = run("twice", 10, warm_start="old", enqueue=[first], resume=True)
    assert [t.params for t in warm.trials[6:9]] == best_of(earlier.study)
    shutil.rmtree(".sllmbo/old")  # it has given what it has
    last = run("twice", 12, warm_start="old", resume=True)
    assert [t.user_attrs["sllmbo:source"] for t in last.trials].count("user") == 5


def test_an_enqueued_configuration_waits_for_a_larger_total() -> None:
    run("full", 3)
    more = {"enqueue": [{"x": 0.25, "rate": 0.5}], "resume": True}
    notes = [e.text for e in run("full", 3, **more).events if isinstance(e, Note)]
    assert "1 enqueued configuration waits: the run has all its 3 trials. Give a larger n_trials." in notes
    assert run("full", 4, **more).trials[3].params == {"x": 0.25, "rate": 0.5}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"warm_start": "nothing"}, "warm start 'nothing' is no run"),
        ({"enqueue": [{"x": 99.0}]}, "x: 99"),
        ({"enqueue": [{"depth": 3}]}, "no parameter 'depth'"),
    ],
)
def test_what_a_resumed_run_cannot_try_is_refused(wrong: dict[str, Any], message: str) -> None:
    run("first", 3)
    with pytest.raises(InputError, match=message):
        run("first", 5, resume=True, **wrong)
    events = run("first", 3, resume=True).events
    assert [e.status for e in events if isinstance(e, RunFinished)] == ["finished", "finished"]


def test_a_resumed_run_takes_what_its_ranges_have_become() -> None:
    control = Control()
    control.wish("range", {"param": "x", "low": 20.0, "high": 30.0})
    run("wide", 3, control=control)
    again = run("wide", 5, enqueue=[{"x": 25.0, "rate": 0.5}], resume=True)
    assert again.trials[3].params == {"x": 25.0, "rate": 0.5}
    once_more = run("wide", 6, enqueue=[{"x": 25.0, "rate": 0.5}], resume=True)
    assert [t.params["x"] for t in once_more.trials].count(25.0) == 1


def test_a_run_comes_before_a_folder_of_its_name() -> None:
    first = run_of("churn", [1, 2], 2)
    Path("churn").mkdir()
    second = run_of("second", [1, 2], 2, n_trials=1, warm_start="churn")
    assert second.best_params == first.best_params


def test_an_infeasible_configuration_is_not_tried_first() -> None:
    def constrained(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5.0, 5.0)
        trial.set_constraint("x is 0 at most", x)
        return abs(x - 1)

    study = optuna.create_study()
    for x in (1.0, -1.0, 2.0, -2.0):
        study.enqueue_trial({"x": x})
    study.optimize(constrained, n_trials=4)
    result = run(warm_start=study, n_trials=4)
    first = [t.params["x"] for t in result.trials if t.user_attrs["sllmbo:source"] == "user"]
    assert first == [-1.0, -2.0]
    infeasible = optuna.create_study()
    infeasible.enqueue_trial({"x": 1.0})
    infeasible.optimize(constrained, n_trials=1)
    with pytest.raises(InputError, match=r"has no feasible trial\."):
        run(warm_start=infeasible)


CUBE, NEGATIVE, SQUARE = (lambda v: v**3), (lambda v: -v), (lambda v: v**2)
OBJECTS: dict[str, tuple[list[Any], list[Any], Any]] = {
    "estimators": ([SVC(), SVC(kernel="sigmoid")], [SVC(kernel="sigmoid"), SVC()], SVC()),
    "with text": ([SVC(), "off"], [SVC(kernel="poly"), SVC(), "off"], SVC()),
    "ufuncs": ([np.log1p, np.sqrt], [np.sqrt, np.log1p], np.log1p),
    "functions": ([CUBE, NEGATIVE], [SQUARE, NEGATIVE, CUBE], CUBE),
    "weights": ([{"a": 1}, {"b": 1}], [{"b": 1}, {"a": 1}], {"a": 1}),
    "tuples": ([(1, 2), (3,)], [(3,), (1, 2)], (1, 2)),
}


def run_of(name: str, choices: list[Any], best: Any, n_trials: int = 6, **options: Any) -> TuneResult:
    """Of an objective that is best with one of the objects."""

    def objective(params: dict[str, Any]) -> float:
        return float(repr(params["part"]) != repr(best)) + params["x"]

    space = {"part": choices, "x": [0.0, 0.25]}
    return tune(
        objective, direction="minimize", search_space=space, name=name, n_trials=n_trials, seed=0, **options
    )


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_object_is_found_again_under_another_label(kind: str, tmp_path: Path) -> None:
    choices, others, best = OBJECTS[kind]
    first = run_of("first", choices, best)
    for given in ("first", first, first.study, first.save(tmp_path / "first.zip")):
        second = run_of("second", others, best, n_trials=1, warm_start=given)
        assert repr(second.best_params) == repr(first.best_params)
        assert second.best_value == 0.0


def test_the_best_trial_whose_object_is_a_choice_is_taken_and_that_is_said() -> None:
    first = run_of("first", [SVC(), SVC(kernel="poly")], SVC())
    second = run_of("second", [SVC(gamma=9.0), SVC(kernel="poly")], SVC(), n_trials=2, warm_start=first)
    assert [t.params for t in second.trials] == [
        {"part": "SVC()", "x": 0.0},
        {"part": "SVC()", "x": 0.25},
    ]
    assert repr(second.best_params["part"]) == "SVC(kernel='poly')"
    notes = [e.text for e in second.events if isinstance(e, Note)]
    assert any(t.endswith("are tried first, of those whose objects are choices here.") for t in notes)
    with pytest.raises(InputError, match="no scored trial whose object for part is a choice here"):
        run_of("third", [SVC(kernel="sigmoid"), (1, 2)], SVC(), warm_start=first)


def test_objects_of_a_run_of_an_earlier_version_are_compared_as_far_as_they_are_stored() -> None:
    first = run_of("first", [SVC(), SVC(kernel="poly"), (3,)], SVC(), n_trials=10)
    stored = first.study.user_attrs["sllmbo:choices"]
    old = {
        label: {key: value for key, value in data.items() if key != "id"}
        for label, data in stored["part"].items()
    }
    first.study.set_user_attr("sllmbo:choices", {"part": old})
    second = run_of("second", [SVC(kernel="poly"), SVC(), (3,)], SVC(), n_trials=1, warm_start="first")
    assert repr(second.best_params["part"]) == "SVC()"
