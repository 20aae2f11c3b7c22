"""Beyond the outer space a run goes on in a new, linked study, with all its trials."""

from __future__ import annotations

import re
import signal
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import TrialState
from sklearn.tree import DecisionTreeClassifier

from sllmbo_magic import TuneResult
from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history.history import History
from sllmbo_magic.proposers.reply import read_initialize
from sllmbo_magic.proposers.reply import read_propose
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.storage.backends import open_storage
from sllmbo_magic.storage.run_directory import RunFolder
from sllmbo_magic.storage.runs import list_runs
from sllmbo_magic.storage.study_migration import current
from sllmbo_magic.storage.study_migration import link
from sllmbo_magic.storage.study_migration import migrate_trials
from sllmbo_magic.testing import FunctionProvider
from sllmbo_magic.tuning.tune import plan
from tests.replies import reply

WANTED = [
    {"action": "widen", "name": "criterion", "choices": ["log_loss", "foo"], "reason": "entropy does well"},
    {"action": "add", "name": "splitter", "choices": ["best", "random"], "reason": "noise"},
]


def asking(*changes: dict[str, Any], of: int = 2) -> FunctionProvider:
    """Answers at random; its ``of``-th later answer has these changes, and a configuration beyond."""
    asked: list[int] = []

    def answer(request: Any) -> Any:
        text = request.messages[-1].content
        asked.append(1)
        said = reply(text, np.random.default_rng(len(asked)))
        if len(asked) == of + 1:
            said["space_changes"] = list(changes)
            if any(c["name"] == "criterion" for c in changes):
                said["configurations"][0]["params"]["criterion"] = "log_loss"
        return said

    return FunctionProvider(answer)


def grow(data: Any, *changes: dict[str, Any], **options: Any) -> tuple[TuneResult, list[Event]]:
    events: list[Event] = []
    given = {"n_trials": 24, "judge": False, "schedule": "alternate", "seed": 3, "verify": False, **options}
    given.setdefault("llm", asking(*(changes or WANTED)))
    sinks = [*given.pop("sinks", ()), events.append]
    return tune(DecisionTreeClassifier(random_state=0), *data, sinks=sinks, **given), events


def params_of(study: Study) -> list[dict[str, Any]]:
    return [t.params for t in study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]


def stored(name: str) -> Study:
    """A study of the run's own journal, by its own name."""
    folder = RunFolder(Path(".sllmbo") / name.partition("~")[0])
    return optuna.load_study(study_name=name, storage=folder.storage())


# --- the LLM asks ---------------------------------------------------------------------------------------


def test_an_llm_gets_a_category_that_the_estimator_takes_in_a_new_study_with_all_trials(data: Any) -> None:
    llm = asking(*WANTED)
    result, events = grow(data, name="t", llm=llm, n_trials=32)
    old, new = stored("t"), stored("t~2")
    assert (old.user_attrs[attrs.CONTINUED_IN], new.user_attrs[attrs.CONTINUES]) == ("t~2", "t")
    assert result.study.study_name == "t~2"
    assert [t.number for t in result.trials] == list(range(32))
    switch = len(params_of(old))
    assert 6 < switch < 20
    for was, now in zip(old.trials, result.trials, strict=False):
        known = ("number", "state", "values", "user_attrs", "datetime_start", "datetime_complete")
        assert [getattr(was, k) for k in known] == [getattr(now, k) for k in known]
        assert now.params == {**was.params, "splitter": "best"}, "what it had unsaid is said"
    for name in result.trials[0].params:
        assert len({str(t.distributions[name]) for t in result.trials}) == 1, name
    used = [t for t in result.trials if t.params["criterion"] == "log_loss"]
    assert used[0].number >= switch
    assert used[0].user_attrs[attrs.SOURCE] == "llm"

    told = llm.requests[-1].messages[-1].content
    assert re.search(r"^#,by,score,.*\bsplitter\b", told, re.M)
    shown = {int(n) for n in re.findall(r"^#(\d+),.*,(?:best|random)\b", told, re.M)}
    assert min(shown) < switch <= max(shown), "the LLM is shown it of earlier trials too"

    changed = next(e for e in events if isinstance(e, SpaceChanged) and e.outer is not None and e.version)
    assert changed.trial_number == switch
    assert changed.reason == "widen criterion: entropy does well; add splitter: noise"
    assert changed.by == "llm"
    outer = SearchSpace.from_json(changed.outer)
    assert outer["criterion"] == CategoricalDistribution(["gini", "entropy", "log_loss"])
    assert [e.text for e in events if isinstance(e, Note) and "the run goes on" in e.text] == [
        "criterion gains log_loss; splitter is new: one of 'best', 'random'. That is beyond the outer space"
        " of study t, so the run goes on in study t~2, with all trials."
    ]
    assert result.space_versions[-1].reason == changed.reason
    assert SearchSpace.from_json(result.bundle()["space"]["outer"])["criterion"] == outer["criterion"]
    assert set(result.importances()) <= set(outer)  # a parameter that never moved has none
    assert len(TuneResult.load(".sllmbo/t").trials) == 32
    assert [(r.n_done, r.best) for r in list_runs()] == [(32, result.best_value)]


def test_what_the_estimator_does_not_take_is_not_brought_in(data: Any) -> None:
    changes = [
        {"action": "widen", "name": "criterion", "choices": ["foo", "log_loss "]},
        {"action": "add", "name": "splitter", "choices": ["best", "worst"]},
        {"action": "add", "name": "random_state", "low": 0, "high": 9},
        {"action": "add", "name": "max_leaf_nodes", "low": -5, "high": 9},
        {"action": "widen", "name": "ccp_alpha", "low": 1e-9, "high": 100},
    ]
    result, events = grow(data, *changes, folder="")
    assert attrs.CONTINUES not in result.study.user_attrs
    assert set(result.trials[-1].params) == set(result.trials[1].params)
    told = "\n".join(e.reasoning for e in events if isinstance(e, ReplyReceived))
    assert "add splitter: the estimator does not take worst" in told
    assert "there is no parameter 'random_state' to change" in told
    assert "add max_leaf_nodes: the estimator does not take -5" in told


NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 9, 1e-300, 1e300, 9e15, 2**60, 10**400, float("inf"), float("nan")),
    *("7", "x" * 900, [], [1], {}),
)


def test_no_change_of_an_llm_whatever_it_holds_ends_a_run(data: Any) -> None:
    task = plan(DecisionTreeClassifier(random_state=0), *data, llm=asking(), n_trials=9)
    ask = task.first_ask(History((), "maximize"))
    assert ask.extension is not None
    choices = [
        None,
        3,
        "log_loss",
        ["log_loss", None, float("nan"), {}],
        [*range(300)],
        [["gini"]],
        [10**400, "best"],
    ]
    names = ["criterion", "splitter", "max_leaf_nodes", "max_features", "min_impurity_decrease", "max_depth"]
    rng = np.random.default_rng(0)

    def any_of(values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    grown = 0
    for _ in range(1500):
        entry = {
            "name": any_of(names),
            "low": any_of(NASTY),
            "high": any_of(NASTY),
            "choices": any_of(choices),
        }
        action = any_of(["add", "widen", "narrow", "drop", None])
        change = {**entry, "action": action, "value": any_of(NASTY)}
        later, _ = read_propose({"space_changes": [change]}, ask, [*ask.space])
        kind = any_of(["float", "int", "categorical", None])
        first, _ = read_initialize({"space": [{**entry, "type": kind}]}, ask, task.allowed, task.limits)
        for wide, inside in ((later.outer, later.space), (first.outer, first.space)):
            if wide is None or inside is None:
                continue
            grown += 1
            assert SearchSpace.from_json(wide.to_json()) == wide
            assert inside.within(wide) == inside
    assert grown > 10


@pytest.mark.parametrize("how", ["locked", "given", "frozen", "study"])
def test_an_llm_gets_nothing_from_beyond_where_the_user_says_no(data: Any, how: str) -> None:
    control = Control()
    options: dict[str, Any] = {"control": control, "folder": ""}
    if how == "locked":
        control.wish("lock", "criterion")
        control.wish("range", {"param": "splitter", "choices": ["best"]})
    elif how == "given":
        options["search_space"] = {"criterion": ["gini", "entropy"], "max_depth": (1, 9)}
    elif how == "frozen":
        options["dynamic_space"] = False
    else:
        options["study"] = optuna.create_study(direction="maximize")
    result, _ = grow(data, **options)
    assert {t.params["criterion"] for t in result.trials} <= {"gini", "entropy"}
    assert {t.params.get("splitter", "best") for t in result.trials} == {"best"}


def test_the_same_seed_and_replies_give_the_same_trials_and_the_recording_plays_again(data: Any) -> None:
    first, _ = grow(data, name="a")
    second, _ = grow(data, name="b")
    assert params_of(first.study) == params_of(second.study)
    again, _ = grow(data, name="c", llm="replay:.sllmbo/a")
    assert params_of(again.study) == params_of(first.study)
    assert [v.to_json() for v in again.space_versions] == [v.to_json() for v in first.space_versions]


def test_the_first_space_may_have_such_a_category_too(data: Any) -> None:
    def answer(request: Any) -> Any:
        said = reply(request.messages[-1].content, np.random.default_rng(1))
        for entry in said.get("space", ()):
            if entry["name"] == "criterion":
                entry["choices"] = ["gini", "log_loss"]
        if "space" in said:
            for pair in said["configurations"][0]["params"]:
                pair["value"] = "log_loss" if pair["name"] == "criterion" else pair["value"]
        return said

    result, _ = grow(data, llm=FunctionProvider(answer), n_trials=8, name="first")
    assert result.study.study_name == "first~2"
    assert result.trials[0].user_attrs[attrs.SOURCE] == "default"
    assert result.trials[1].params["criterion"] == "log_loss"
    assert {t.params["criterion"] for t in result.trials[1:]} <= {"gini", "log_loss"}


# --- the user asks --------------------------------------------------------------------------------------


def bowl(params: dict[str, Any]) -> float:
    kind = {"a": 0.3, "b": 0.2, "c": 0.0}[params["kind"]]
    return float((params["x"] - 2.5) ** 2 / 10 + (np.log10(params["rate"]) + 3) ** 2 / 9 + kind)


BOWL = {"x": (0.0, 1.0), "rate": (1e-2, 1.0, "log"), "kind": ["a", "b"], "still": 7}


def steer(at: int, *wishes: tuple[str, Any], **options: Any) -> tuple[TuneResult, list[Event]]:
    """A run in which the user has these wishes while a trial runs."""
    control = Control()
    events: list[Event] = []

    def sink(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.number == at:
            for name, value in wishes:
                control.wish(name, value)

    given = {"search_space": BOWL, "direction": "minimize", "n_trials": 20, "seed": 1, **options}
    sinks = [*given.pop("sinks", ()), sink, events.append]
    return tune(
        given.pop("target", bowl), *given.pop("data", ()), control=control, sinks=sinks, **given
    ), events


def test_the_user_may_have_any_category_and_any_range() -> None:
    wishes = [
        ("range", {"param": "kind", "choices": ["b", "c"]}),
        ("range", {"param": "x", "low": 0.5, "high": 4.0}),
        ("range", {"param": "rate", "low": 1e-4, "high": 0.1}),
        ("range", {"param": "rest", "low": 0.0, "high": 1.0}),
    ]
    done: list[int] = []

    def count(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 15:
            done.extend(run.n_done for run in list_runs())

    result, events = steer(9, *wishes, name="u", sinks=[count])
    assert done == [16], "the list of runs follows the links"
    assert [e.trial_number for e in events if isinstance(e, WishApplied)] == [10, 10, 10]
    assert result.study.study_name == "u~4"
    assert current(stored("u")).study_name == "u~4"
    assert "the search space has no parameter 'rest'" in str([e.text for e in events if isinstance(e, Note)])
    last = result.space_versions[-1].space
    assert last["x"] == FloatDistribution(0.5, 4.0)
    assert last["rate"] == FloatDistribution(1e-4, 0.1, log=True)
    assert last["kind"] == CategoricalDistribution(["b", "c"])
    assert {v.by for v in result.space_versions[1:]} == {"user"}
    later = result.trials[10:]
    assert {t.params["kind"] for t in later} == {"b", "c"}
    assert max(t.params["x"] for t in later) > 1.0
    assert min(t.params["rate"] for t in later) < 1e-2
    assert all(t.distributions["x"] == FloatDistribution(0.0, 4.0) for t in result.trials)
    assert result.best_trial.number >= 10


def test_the_user_may_add_a_parameter_of_the_estimator(data: Any) -> None:
    wishes = [
        ("range", {"param": "max_leaf_nodes", "low": 2, "high": 40}),
        ("range", {"param": "criterion", "choices": ["gini", "foo"]}),
        ("range", {"param": "max_leaf_noddes", "low": 2, "high": 40}),
        ("range", {"param": "ccp_alpha", "low": -1.0, "high": 0.1}),
    ]
    options: dict[str, Any] = {"search_space": None, "direction": None, "verify": False}
    result, events = steer(5, *wishes, target=DecisionTreeClassifier(random_state=0), data=data, **options)
    assert all(isinstance(t.params["max_leaf_nodes"], int) for t in result.trials[6:])
    assert "max_leaf_nodes" not in result.trials[3].params, "None, its default, has no place in the range"
    assert {t.params["max_leaf_nodes"] for t in result.trials[6:]} <= set(range(2, 41))
    failed = [t for t in result.trials if t.state == TrialState.FAIL]
    assert {t.params["criterion"] for t in failed} == {"foo"}, "any category, also a wrong one"
    said = "\n".join(e.text for e in events if isinstance(e, Note))
    assert "does not take criterion='foo'" in said
    assert "Did you mean 'max_leaf_nodes'?" in said
    assert "ccp_alpha: -1 is nothing that the estimator takes" in said


def test_a_range_of_the_user_is_his_until_he_unlocks_it(data: Any) -> None:
    changes = [{"action": "widen", "name": "max_depth", "low": 1, "high": 38, "reason": "more"}]
    control = Control()
    control.wish("range", {"param": "max_depth", "low": 2, "high": 5})
    result, events = grow(data, *changes, control=control, folder="")
    assert all(2 <= t.params["max_depth"] <= 5 for t in result.trials[1:])
    assert "max_depth is locked by the user" in str(
        [e.reasoning for e in events if isinstance(e, ReplyReceived)]
    )
    control.wish("range", {"param": "max_depth", "low": 2, "high": 5})
    control.wish("unlock", "max_depth")
    result, _ = grow(data, *changes, control=control, folder="")
    assert max(t.params["max_depth"] for t in result.trials[1:]) > 5


def test_trials_in_flight_end_in_the_old_study() -> None:
    with ThreadPoolExecutor(3) as pool:
        result, _ = steer(9, ("range", {"param": "kind", "choices": ["a", "c"]}), executor=pool, name="par")
    old = stored("par")
    assert {t.state for t in old.trials} == {t.state for t in result.trials} == {TrialState.COMPLETE}
    assert [t.number for t in result.trials] == list(range(20))
    assert params_of(result.study)[: len(params_of(old))] == params_of(old)
    kinds = {t.params["kind"] for t in result.trials[len(params_of(old)) :]}
    assert "c" in kinds, "the new choice"
    assert kinds <= {"a", "c"}, "and none of the old ones that were taken out"


def test_a_study_of_the_caller_is_not_left() -> None:
    study = optuna.create_study()
    result, events = steer(4, ("range", {"param": "kind", "choices": ["a", "c"]}), study=study, folder="")
    assert result.study is study
    assert len(study.trials) == 20
    assert "which a study of yours keeps" in str([e.text for e in events if isinstance(e, Note)])


def test_a_shared_storage_holds_both_studies_and_later_runs_go_on() -> None:
    url = "sqlite:///shared.db"
    result, _ = steer(4, ("range", {"param": "kind", "choices": ["a", "c"]}), name="s", storage=url)
    studies = [optuna.load_study(study_name=n, storage=url) for n in ("s", "s~2")]
    names = {study.study_name: len(study.get_trials()) for study in studies}
    assert names["s~2"] == 20 > names["s"] >= 5
    more = tune(
        bowl, search_space=BOWL, direction="minimize", name="s", storage=url, n_trials=23, resume=True
    )
    assert more.study.study_name == "s~2"
    assert len(more.trials) == 23
    assert result.study.study_name == "s~2"


# --- ends and beginnings --------------------------------------------------------------------------------


def test_a_resumed_run_goes_on_after_the_switch_as_if_never_ended(data: Any) -> None:
    wish = ("range", {"param": "kind", "choices": ["a", "c"]})
    whole, _ = steer(6, wish, name="whole", n_trials=22)
    steer(6, wish, name="parts", n_trials=12)
    parts, _ = steer(99, name="parts", n_trials=22, resume=True, seed=None)
    # the last batch of the shorter run holds no more candidates than it had trials left
    assert params_of(parts.study)[:11] == params_of(whole.study)[:11]
    assert [v.to_json() for v in parts.space_versions][:2] == [v.to_json() for v in whole.space_versions][:2]
    assert parts.study.study_name == "parts~2"
    again, _ = steer(
        23, ("range", {"param": "x", "low": 0.0, "high": 9.0}), name="parts", n_trials=26, resume=True
    )
    assert again.study.study_name == "parts~3"
    assert params_of(again.study)[:22] == params_of(parts.study)


TILTED = """
def tilted(params):
    return (params["x"] - 0.3) ** 2 + len(params["kind"] + "b") / 9
"""
KILLED = """
    import os, signal
    import optuna
    from sllmbo_magic import tune
    from sllmbo_magic.tuning import run_study
    from sllmbo_magic.control import Control
    from sllmbo_magic.events import TrialStarted
    {tilted}
    space = {{"x": (0.0, 1.0), "rate": (1e-2, 1.0, "log"), "kind": ["a", "b"], "still": 7}}
    control = Control()
    def sink(event):
        if isinstance(event, TrialStarted) and event.number == 8:
            control.wish("range", {{"param": "kind", "choices": ["a", "c"]}})
    def die(*args, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    {kill}
    given = dict(search_space=space, direction="minimize", n_trials=14, seed=1, name="k")
    tune(tilted, control=control, sinks=[sink], **given)
"""
COPYING = """
    add, added = optuna.study.Study.add_trial, []
    def few(self, trial):
        if self.study_name == "k~2":
            added.append(trial)
        die() if len(added) == 5 else add(self, trial)
    optuna.study.Study.add_trial = few
"""
LINKED = """
    link = run_study.link
    run_study.link = lambda old, new: (link(old, new), die())
"""


@pytest.mark.parametrize(("kill", "switched"), [(COPYING, False), (LINKED, True)])
def test_kill_9_while_trials_are_carried_over_loses_none(
    child: Callable[[str], Popen[str]], kill: str, switched: bool
) -> None:
    assert (
        child(textwrap.dedent(KILLED).format(kill=textwrap.dedent(kill), tilted=TILTED)).wait(60)
        == -signal.SIGKILL
    )
    before = TuneResult.load(".sllmbo/k")
    assert before.study.study_name == ("k~2" if switched else "k")
    known = params_of(before.study)
    assert len(known) == 9
    assert [r.n_done for r in list_runs()] == [9]
    same: dict[str, Any] = {"__name__": "__main__"}
    exec(TILTED, same)
    wish = ("range", {"param": "kind", "choices": ["a", "c"]})
    result, _ = steer(11, wish, name="k", resume=True, target=same["tilted"])
    assert [t.number for t in result.trials] == list(range(20))
    assert params_of(result.study)[:9] == known
    assert result.study.study_name == "k~2"
    assert "c" in {t.params["kind"] for t in result.trials[9 if switched else 12 :]}
    told = {e.version: e for e in result.events if isinstance(e, SpaceChanged)}
    assert set(told) == {v.version for v in result.space_versions}, "each stored version was told"


@pytest.mark.parametrize("spec", [None, "journal:j.log", "sqlite:///l.db"])
def test_everything_about_a_trial_is_carried_over(spec: str | None) -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0), "n": (1, 9), "kind": ["a", "b"]})
    study = optuna.create_study(study_name="all", storage=open_storage(spec), direction="maximize")
    with pytest.warns(ExperimentalWarning):
        study.set_metric_names(["score"])
    study.set_user_attr("mine", {"a": 1})
    study.enqueue_trial({"kind": "a", "x": 0.5, "n": 3}, user_attrs={attrs.SOURCE: "default"})
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING):
        trial = study.ask()
        space.suggest(trial)
        trial.report(0.25, 0)
        trial.report(0.5, 1)
        trial.set_user_attr("fold", [1, 2])
        if state != TrialState.RUNNING:
            study.tell(trial, 0.75 if state == TrialState.COMPLETE else None, state=state)
    study.enqueue_trial({"kind": "b"}, user_attrs={attrs.SOURCE: "user"})
    outer = SearchSpace.from_user(
        {"x": (-1.0, 2.0), "n": (1, 90), "kind": ["a", "b", "c"], "new": [True, False]}
    )
    draft = migrate_trials(study, outer, {"new": True})
    assert current(study).study_name == "all", "not linked yet"
    new = migrate_trials(study, outer, {"new": True})
    assert new.study_name == draft.study_name == "all~2", "a draft is thrown away"
    link(study, new)
    assert current(study).study_name == "all~2"
    assert new.metric_names == ["score"]
    assert new.user_attrs["mine"] == {"a": 1}
    pairs = list(zip(study.trials, new.trials, strict=True))
    assert [b.state.name for _, b in pairs] == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "WAITING"]
    for a, b in pairs[:3]:
        assert (b.number, b.values, b.intermediate_values, b.user_attrs) == (
            a.number,
            a.values,
            a.intermediate_values,
            a.user_attrs,
        )
        assert (b.datetime_start, b.datetime_complete) == (a.datetime_start, a.datetime_complete)
        assert b.params == {**a.params, "new": True}
        assert b.distributions == dict(outer)
    assert new.best_trial.number == study.best_trial.number == 0
    waiting = new.ask()
    assert waiting.number == 4
    assert waiting.suggest_categorical("kind", ["a", "b", "c"]) == "b"
    assert waiting.suggest_categorical("new", [True, False]) is True
