"""Where the search space and the first configurations come from."""

from __future__ import annotations

import re
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution

from sllmbo_magic import SearchSpace
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.events import Note
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import SpaceChanged
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.events import WishApplied
from sllmbo_magic.history.history import History
from sllmbo_magic.llm.base import Request
from sllmbo_magic.proposers import prompts
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.testing import FunctionProvider
from tests.marks import long
from tests.replies import Responder


def entry(name: str, kind: str, low: Any = None, high: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "low": low, "high": high, "log": None, "choices": None, **more}


def first(space: list[dict[str, Any]], *configurations: dict[str, Any]) -> Any:
    """A provider with this answer to the first question, and random ones to the later ones."""
    later = Responder(0)

    def answer(request: Request) -> Any:
        if request.purpose != "initialize":
            return later(request)
        pairs = [[{"name": k, "value": v} for k, v in c.items()] for c in configurations]
        return {
            "reasoning": "Regularization matters here.",
            "space": space,
            "configurations": [
                {"reason": f"start {i}", "expects": "better", "params": p} for i, p in enumerate(pairs)
            ],
        }

    return FunctionProvider(answer)


def run(data: Any, model: Any, llm: Any, n_trials: int = 6, **options: Any) -> TuneResult:
    plain: dict[str, Any] = {"n_trials": n_trials, "seed": 1, "folder": "", "verify": False, "cv": 2}
    return tune(model, *data, llm=llm, **{**plain, **options})


def sources(result: TuneResult) -> list[str]:
    return [t.user_attrs["sllmbo:source"] for t in result.trials]


def told(result: TuneResult) -> ReplyReceived:
    return next(e for e in result.events if isinstance(e, ReplyReceived) and e.purpose == "initialize")


GOOD = [
    entry("C", "float", 0.01, 10.0, log=True),
    entry("intercept_scaling", "float", 0.5, 4.0),
    entry("fit_intercept", "categorical", choices=[True, False]),
]


def test_one_request_brings_a_typed_space_and_first_configurations(data: Any, model: Any) -> None:
    starts = [{"C": c, "intercept_scaling": 1.0, "fit_intercept": True} for c in (0.1, 1.5, 0.02)]
    llm = first(GOOD, *starts)
    result = run(data, model, llm)
    assert [r.purpose for r in llm.requests][:1] == ["initialize"]
    assert llm.requests[0].trial_number == 1
    assert sources(result)[:4] == ["default", "llm-init", "llm-init", "llm-init"]
    version = result.space_versions[1]
    assert (version.by, version.trial_number, version.reason) == ("llm", 1, "Regularization matters here.")
    space = version.space
    assert space["C"] == FloatDistribution(0.01, 10.0, log=True)
    assert isinstance(space["fit_intercept"], CategoricalDistribution)
    assert "intercept_scaling" in space, "a parameter that the prior does not search"
    for trial, start in zip(result.trials[1:4], starts, strict=True):
        assert {k: trial.params[k] for k in start} == start
        provenance = trial.user_attrs["sllmbo:provenance"]
        assert provenance["request"] == 0
        assert provenance["space_version"] == 1
        assert provenance["reason"].startswith("start ")


@pytest.mark.parametrize("n_usable", [0, 1, long(2)])
def test_what_became_of_the_first_configurations_stands_once_in_the_next_request(
    data: Any, model: Any, n_usable: int
) -> None:
    """Where one was usable, the next request goes out at the start of its trial."""
    usable = [{"C": c, "intercept_scaling": 1.0, "fit_intercept": True} for c in (0.1, 1.5)][:n_usable]
    llm = first(GOOD, *usable, {"C": -3.0, "intercept_scaling": 1.0, "fit_intercept": True})
    run(data, model, llm, n_trials=20, sampler="llm")
    texts = [r.messages[-1].content for r in llm.requests if r.purpose == "propose"]
    assert len(texts) > 2
    held = [("-3 is out of range" if n_usable else "nothing of it") in text for text in texts]
    assert held == [number == (0 if n_usable else held.index(True)) for number in range(len(texts))]


def test_what_the_llm_leaves_out_stays_at_the_default(data: Any, model: Any) -> None:
    result = run(data, model, first([GOOD[0]], {"C": 0.1}, {"C": 5.0}), n_trials=12)
    space = result.space_versions[1].space
    assert [*space] == ["C"] or set(space) - {"C"} <= set(result.space_versions[0].space)
    own, needed = model.get_params(), result.space_versions[0].space.fixed
    assert needed.items() <= space.fixed.items(), "what the known ranges need stays"
    assert all(own[name] == value for name, value in space.fixed.items() if name not in needed)
    assert {t.distributions["C"].high for t in result.trials} == {result.trials[0].distributions["C"].high}  # type: ignore[attr-defined]


def test_an_entry_that_cannot_be_used_keeps_the_known_range_and_is_said(data: Any, model: Any) -> None:
    bad = [
        entry("C", "float", -1.0, 10.0, log=True),
        entry("tol", "float", 1e-5, 1e-3, log=True),
        entry("dual_carburettor", "int", 1, 2),
        entry("max_iter", "int", 10, 20),
        {"type": "int"},
    ]
    known = run(data, model, first([])).space_versions[0].space
    start = {"C": 0.1, "tol": 1e-4}
    result = run(data, model, first(bad, start))
    assert sources(result)[1] == "llm-init"
    space = result.space_versions[-1].space
    assert space["C"] == known["C"]
    assert space["tol"] == FloatDistribution(1e-5, 1e-3, log=True)
    text = told(result).reasoning
    assert "Not done:" in text
    assert "'dual_carburettor'" in text
    assert "'C'" in text
    assert "max_iter is held at 50" in text


def test_a_scale_that_is_not_said_stays_what_it_was(data: Any, model: Any) -> None:
    result = run(data, model, first([entry("C", "float", 0.01, 10.0)], {"C": 0.1}))
    assert result.space_versions[1].space["C"] == FloatDistribution(0.01, 10.0, log=True)
    linear = run(data, model, first([entry("C", "float", 0.01, 10.0, log=False)], {"C": 0.1}))
    assert linear.space_versions[1].space["C"] == FloatDistribution(0.01, 10.0)


def test_no_range_leaves_the_outer_one(data: Any, model: Any) -> None:
    result = run(data, model, first([entry("C", "float", 1e-30, 1e30, log=True)], {"C": 0.1}))
    versions = [e for e in result.events if isinstance(e, SpaceChanged)]
    outer = next(p for p in versions[0].outer or [] if p["name"] == "C")
    space = result.space_versions[1].space["C"]
    assert (space.low, space.high) == (outer["low"], outer["high"])  # type: ignore[attr-defined]


def test_a_space_given_by_the_user_may_be_narrowed_unless_it_is_frozen(data: Any, model: Any) -> None:
    given = {"C": (0.001, 100.0, "log"), "tol": (1e-6, 1e-2, "log")}
    answer = [entry("C", "float", 0.01, 1.0, log=True), entry("tol", "float", 1e-6, 1e-2, log=True)]
    start = {"C": 0.5, "tol": 1e-4}
    free = run(data, model, first(answer, start), search_space=given)
    assert free.space_versions[1].space["C"] == FloatDistribution(0.01, 1.0, log=True)
    frozen = run(data, model, first(answer, start), search_space=given, dynamic_space=False)
    assert len(frozen.space_versions) == 1
    assert sources(frozen)[1] == "llm-init"


def test_what_the_user_set_and_locked_before_the_first_request_stays(data: Any, model: Any) -> None:
    control = Control()

    def sink(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.number == 0:
            control.wish("range", {"param": "C", "low": 0.5, "high": 2.0})
            control.wish("lock", "C")
            control.wish("hint", "small C, please")

    llm = first([GOOD[0]], {"C": 1.2}, {"C": 9.0})
    result = run(data, model, llm, control=control, sinks=[sink])
    mine = FloatDistribution(0.5, 2.0, log=True)
    assert all(v.space["C"] == mine for v in result.space_versions if v.trial_number > 0)
    assert result.trials[1].params["C"] == 1.2
    assert [c["why"] for c in told(result).candidates if c["status"] == "rejected"] == [
        "C: 9 is out of range; allowed: 0.5 to 2, log scale"
    ]
    assert "small C, please" in llm.requests[0].messages[-1].content


def test_no_rulebook_is_named_where_an_objective_has_none() -> None:
    def fail(request: Request) -> Any:
        raise PermanentProviderError("the key was not accepted.", category="bad-key")

    events: list[Event] = []
    result = tune(
        lambda params: params["x"] ** 2, direction="minimize", search_space={"x": (-1.0, 1.0)}, n_trials=4,
        llm=FunctionProvider(fail), folder="", sinks=[events.append],
    )  # fmt: skip
    (fall,) = [e for e in events if isinstance(e, Fallback)]
    assert fall.instead == "sampler"
    assert fall.message.endswith("The base sampler goes on.")
    assert "rulebook" not in result.summary["text"]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (PermanentProviderError("the key was not accepted.", category="bad-key"), True),
        (TransientProviderError("too many requests.", category="rate-limit"), False),
    ],
)
def test_if_it_fails_the_rulebooks_configurations_stand_in(
    data: Any, model: Any, error: Exception, permanent: bool
) -> None:
    result = run(data, model, FunctionProvider(lambda request: error), n_trials=8)
    assert sources(result)[1] == "rulebook"
    fall = next(e for e in result.events if isinstance(e, Fallback))
    assert fall.permanent == permanent
    assert fall.message.endswith("The rulebook's first configurations are used.")
    assert len(result.trials) == 8
    assert "llm" not in " ".join(sources(result))


def test_init_default_is_nothing_but_the_default(data: Any, model: Any) -> None:
    llm = FunctionProvider(Responder(0))
    result = run(data, model, llm, n_trials=10, init="default")
    assert "initialize" not in [r.purpose for r in llm.requests]
    assert sources(result)[0] == "default"
    assert "llm-init" not in sources(result)
    assert len(result.space_versions) == 1


def test_init_random_queues_random_configurations_of_the_known_ranges(data: Any, model: Any) -> None:
    llm = FunctionProvider(Responder(0))
    result = run(data, model, llm, n_trials=10, init="random")
    assert sources(result)[:6] == ["default"] + ["random"] * 5
    assert "initialize" not in [r.purpose for r in llm.requests]
    space = result.space_versions[0].space
    assert all(space.contains({n: t.params[n] for n in space if n in t.params}) for t in result.trials[1:6])
    again = run(data, model, FunctionProvider(Responder(0)), n_trials=10, init="random")
    assert [t.params for t in again.trials] == [t.params for t in result.trials]


def test_init_user_begins_with_the_users_own(data: Any, model: Any) -> None:
    llm = FunctionProvider(Responder(0))
    mine = [{"C": 0.3}, {"C": 3.0, "solver": "saga"}]
    result = run(data, model, llm, n_trials=8, init="user", enqueue=mine)
    assert sources(result)[:3] == ["default", "user", "user"]
    assert [t.params["C"] for t in result.trials[1:3]] == [0.3, 3.0]
    assert "initialize" not in [r.purpose for r in llm.requests]


def test_the_users_own_come_before_the_llms(data: Any, model: Any) -> None:
    result = run(data, model, first([GOOD[0]], {"C": 0.4}), enqueue=[{"C": 0.7}])
    assert sources(result)[:3] == ["default", "user", "llm-init"]
    assert [t.params["C"] for t in result.trials[1:3]] == [0.7, 0.4]


STARTS = [{"C": c, "intercept_scaling": 1.0, "fit_intercept": True} for c in (0.125, 1.5, 0.25, 2.5)]


def commanded(data: Any, model: Any, *commands: tuple[str, Any], after: int = 1, **options: Any) -> Any:
    """A run with four first configurations, its commands given at the end of a trial; and its notes."""
    control, notes = Control(), []

    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == after:
            for command in commands:
                control.wish(*command)
        if isinstance(event, Note):
            notes.append(event.text)

    llm = first(GOOD, *STARTS)
    return run(data, model, llm, 7, control=control, sinks=[sink], candidates=4, **options), notes, llm


def test_a_configuration_of_the_user_runs_before_the_queued_first_ones(data: Any, model: Any) -> None:
    commands = [("enqueue", {"C": c, "intercept_scaling": 1.0, "fit_intercept": True}) for c in (0.5, 0.75)]
    result, _, _ = commanded(data, model, *commands)
    assert [t.params["C"] for t in result.trials[1:]] == [0.125, 0.5, 0.75, 1.5, 0.25, 2.5]
    applied = [e.trial_number for e in result.events if isinstance(e, WishApplied)]
    assert applied == [result.trials[2].number] * 2, "the number of the trial that comes next"
    assert sources(result)[1:] == ["llm-init", "user", "user", "llm-init", "llm-init", "llm-init"]


def test_first_configurations_that_a_new_range_rules_out_are_not_run(data: Any, model: Any) -> None:
    result, notes, _ = commanded(data, model, ("range", {"param": "C", "low": 0.2, "high": 2.0}))
    assert sources(result)[1:4] == ["llm-init"] * 3
    assert [t.params["C"] for t in result.trials[1:4]] == [0.125, 1.5, 0.25]
    assert all(0.2 <= t.params["C"] <= 2.0 for t in result.trials[2:])
    assert len(result.trials) == 7, "what was withdrawn counts for nothing"
    text = "1 queued first configuration is not run: C is outside its new range."
    assert [note for note in notes if "not run" in note] == [text]


@pytest.mark.parametrize("command", [("sampler", "tpe"), ("ratio", 0)])
def test_without_the_llm_none_of_its_queued_configurations_is_run(
    data: Any, model: Any, command: tuple[str, Any]
) -> None:
    result, notes, llm = commanded(data, model, command)
    assert sources(result) == ["default", "llm-init", *["tpe"] * 5]
    assert sum("3 queued first configurations are not run" in note for note in notes) == 1
    result, _, llm = commanded(data, model, command, after=0)
    assert sources(result) == ["default", *["tpe"] * 6]
    assert llm.requests == [], "nor is it asked for any"
    assert sources(commanded(data, model, ("sampler", "llm"))[0])[1:5] == ["llm-init"] * 4


@pytest.mark.parametrize("storage", [None, "sqlite:///trials.db"])
def test_a_resume_does_not_queue_what_a_command_has_ruled_out(
    data: Any, model: Any, storage: str | None
) -> None:
    control = Control()

    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.number == 1:
            control.wish("range", {"param": "C", "low": 0.2, "high": 2.0})
            control.wish("enqueue", {"C": 0.5, "intercept_scaling": 1.0, "fit_intercept": True})
            control.wish("pause")
        if isinstance(event, Note) and event.text.startswith("Paused"):
            control.wish("stop")

    given = {"seed": 1, "name": "r", "verify": False, "candidates": 4, "llm": first(GOOD, *STARTS)}
    given |= {"storage": storage}
    tune(model, *data, n_trials=6, control=control, sinks=[sink], **given)
    result = tune(model, *data, n_trials=6, resume=True, **given)
    assert [t.params["C"] for t in result.trials[1:5]] == [0.125, 0.5, 1.5, 0.25]


def test_a_configuration_that_cannot_be_queued_is_one_line(data: Any, model: Any) -> None:
    with pytest.raises(InputError, match="no parameter 'c'"):
        run(data, model, "rulebook", enqueue=[{"c": 1.0}])
    with pytest.raises(InputError, match=r"C: .* is not a number"):
        run(data, model, "rulebook", enqueue=[{"C": "large"}])


def test_of_many_parameters_a_first_configuration_may_leave_some_out() -> None:
    space = {f"p{i:02}": (0.0, 1.0) for i in range(45)}
    llm = first([], {"p03": 0.25, "p40": 0.75}, {"p01": 0.1})
    result = tune(
        lambda params: sum(params.values()),
        direction="minimize",
        search_space=space,
        llm=llm,
        n_trials=4,
        seed=0,
        folder="",
    )
    assert sources(result)[1:3] == ["llm-init", "llm-init"]
    assert result.trials[1].params["p03"] == 0.25
    assert len(result.trials[1].params) == 45
    text = llm.requests[0].messages[-1].content
    assert len(text) < 2500, "equal ranges share a line"
    assert "A configuration may leave out parameters" in text


def test_no_prompt_offers_what_would_be_refused(data: Any, model: Any) -> None:
    """The search holds max_iter at the user's value; what it prints and where it runs is no question."""
    llm = FunctionProvider(Responder(0))
    run(data, model, llm, n_trials=12, llm_ratio=1.0)
    for request in llm.requests[:2]:
        text = request.messages[-1].content
        # scikit-learn before 1.8 needs the kind of the penalty beside the l1_ratio
        assert re.search(
            r"Set for the whole search, not to be changed: (penalty=\S+, )?max_iter=50[.,]", text
        )
        assert "Held fixed" not in text
    offered = llm.requests[0].messages[-1].content.split("may be added: ")[1].split(".\n")[0].split(", ")
    assert {"tol", "fit_intercept"} <= {*offered}
    assert not {"max_iter", "verbose", "n_jobs", "random_state", "warm_start", "C"} & {*offered}


def test_a_held_parameter_that_may_come_back_is_named_as_such(data: Any, model: Any) -> None:
    responder = Responder(0)

    def answer(request: Request) -> Any:
        reply = responder(request)
        if request.purpose == "propose":
            drop = {"action": "drop", "name": "C", "low": None, "high": None, "choices": None}
            reply["space_changes"] = [{**drop, "value": 0.5, "reason": "it is settled"}]
            for configuration in reply["configurations"]:
                configuration["params"].pop("C", None)
        return reply

    llm = FunctionProvider(answer)
    run(data, model, llm, n_trials=20, llm_ratio=1.0)
    last = [r for r in llm.requests if r.purpose == "propose"][-1].messages[-1].content
    assert re.search(r"Held fixed \(action add brings one back\): C=\S+\.\nSet for the whole search", last)


@pytest.mark.parametrize(
    ("candidates", "first_words"), [(1, "one whole configuration"), (3, "3 different whole")]
)
def test_the_first_question_counts_as_people_do(
    data: Any, model: Any, candidates: int, first_words: str
) -> None:
    llm = FunctionProvider(Responder(0, n=candidates))
    run(data, model, llm, n_trials=8, candidates=candidates, llm_ratio=1.0)
    assert f"and {first_words}" in llm.requests[0].messages[-1].content
    assert re.search(
        r"Next is trial #(\d); [1-7] of 8 trials (is|are) left\.", llm.requests[1].messages[-1].content
    )


def test_a_frozen_space_offers_nothing_back() -> None:
    space = SearchSpace.from_user({"x": (0.0, 1.0)})
    outer = SearchSpace.from_user({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    held = SearchSpace(space.distributions, fixed={"y": 0.5})
    texts = [
        prompts.propose(Ask(held, outer, History(), frozen_space=frozen), "")[-1].content
        for frozen in (True, False)
    ]
    assert "Set for the whole search, not to be changed: y=0.5." in texts[0]
    assert "action add" not in texts[0]
    assert "Held fixed (action add brings one back): y=0.5." in texts[1]
