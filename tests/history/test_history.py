"""What an LLM is told of the trials: bounded, true, with the bad trials, and used."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest

from sllmbo_magic import LLMSampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.history.history import History
from sllmbo_magic.history.importances import importances
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.recorder import RecordingProvider
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.llm import LLMProposer
from sllmbo_magic.proposers.summary_check import checked
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder
from tests.replies import random_pick
from tests.replies import reply
from tests.replies import trials

SPACE = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "depth": (1, 20), "share": (0.5, 1.0)})


def score(params: Any) -> float:
    """Between 0 and 1; the best is at rate 0.03, depth 8."""
    distance = (np.log10(params["rate"]) + 1.5) ** 2 + ((params["depth"] - 8) / 10) ** 2
    return float(np.exp(-distance) * 0.9)


def made(n: int, space: SearchSpace = SPACE, seed: int = 0, f: Any = score) -> History:
    """n trials at random; each tenth failed, every third is the LLM's."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        params = space.sample(rng)
        failed = i % 10 == 7
        found.append(
            Observation(
                i,
                params,
                state="FAIL" if failed else "COMPLETE",
                value=None if failed else f(params),
                source="llm" if i % 3 == 0 else "tpe",
                error=("timeout" if i % 20 == 7 else "out-of-memory") if failed else None,
                request=i // 6 if i % 3 == 0 else None,
                asked_at=i - i % 6 if i % 3 == 0 else None,
                reason="a reason of some length that the LLM gave for it" if i % 3 == 0 else "",
                expects="better" if i % 3 == 0 else "",
            )
        )
    return History(tuple(found), "maximize", "f1_weighted")


def asked(
    history: History, policy: str, space: SearchSpace = SPACE, answer: Any = None, **more: Any
) -> list[Request]:
    """The requests for the next candidates after this history."""
    provider = FunctionProvider(answer or Responder(7))
    ask = Ask(space, space, history, trial_number=len(history), **more)
    LLMProposer(provider, history=policy).propose(ask)
    return provider.requests


def size(request: Request) -> int:
    return sum(len(m.content) for m in request.messages) + len(json.dumps(request.schema))


@pytest.mark.parametrize(("policy", "few"), [("state", 50), ("summary", 50), ("window", 70)])
def test_a_request_does_not_grow_with_the_number_of_trials(policy: str, few: int) -> None:
    def answer(request: Request) -> Any:
        if request.purpose == "summarize":
            return "Low rates are good. " * 100
        return Responder(0)(request)

    short, long = (asked(made(n), policy, answer=answer) for n in (few, 1000))
    assert len(short) == len(long)
    for a, b in zip(short, long, strict=True):
        assert size(b) <= 1.06 * size(a)
    assert size(asked(made(1000), "full")[-1]) > 4 * size(short[-1])


def test_a_request_is_bounded_when_many_trials_run_at_once() -> None:
    history = made(60)
    running = tuple(
        Observation(60 + i, SPACE.sample(np.random.default_rng(i)), "RUNNING") for i in range(200)
    )
    more = History((*history.observations, *running), "maximize", "f1_weighted")
    assert size(asked(more, "state")[0]) < size(asked(history, "state")[0]) + 1500


def test_the_state_shows_the_best_the_last_the_bad_and_the_failed() -> None:
    history = made(60)
    text = asked(history, "state")[0].messages[-1].content
    shown = {n: s for n, _, s, _ in trials(text)}
    best = [o.number for o in history.ranked()[:5]]
    assert {*best, *range(40, 60)} == set(shown)
    worst = min(history.complete[-15:], key=lambda o: o.value or 0.0)
    assert worst.number in shown
    assert shown[57] == "FAILED (out-of-memory)"
    assert len(re.findall(r"^#\d+,", text, re.M)) == len(shown), "no trial stands there twice"
    assert "Failed with timeout: 3 trials (last: #7, #27, #47)." in text
    assert f"Incumbent: trial #{best[0]} with f1_weighted" in text
    assert re.search(r"Rough importance: much (rate|depth) \d+%", text)


def at_the_bound(depth: int) -> History:
    """60 trials, and then the best three, all with this depth."""
    best = [{"rate": rate, "depth": depth, "share": 0.7} for rate in (0.1, 0.2, 0.3)]
    three = tuple(Observation(60 + i, params, value=1.0) for i, params in enumerate(best))
    return History((*made(60).observations, *three), "maximize", "f1_weighted")


def bound_note(history: History, outer: SearchSpace, **more: Any) -> bool:
    provider = FunctionProvider(Responder(7))
    LLMProposer(provider).propose(Ask(SPACE, outer, history, trial_number=len(history), **more))
    return "bound of depth" in provider.requests[0].messages[-1].content


def test_a_bound_that_the_best_trials_hit_is_said_where_it_can_move() -> None:
    wide = SearchSpace.from_user({"rate": (0.001, 1.0, "log"), "depth": (1, 60), "share": (0.5, 1.0)})
    assert bound_note(at_the_bound(20), wide)
    assert bound_note(at_the_bound(25), wide), "a trial from outside the range now"
    assert not bound_note(at_the_bound(20), SPACE), "the outer range ends there"
    assert not bound_note(at_the_bound(1), wide), "so it does at the other end"
    assert not bound_note(at_the_bound(70), wide), "a value that the outer range does not hold"
    assert not bound_note(at_the_bound(20), wide, frozen_space=True)
    assert not bound_note(at_the_bound(20), wide, locked=frozenset({"depth"}))


WIDE = SearchSpace.from_user({f"p{i:02}": (0.0, 1.0) for i in range(60)})


def wide_score(params: Any) -> float:
    return float(-((params["p07"] - 0.3) ** 2) - (params["p41"] - 0.8) ** 2)


def test_of_many_parameters_a_request_is_about_the_important_ones_and_some_others() -> None:
    few = SearchSpace({n: WIDE[n] for n in [*WIDE][:24]})
    small = asked(made(80, few, f=lambda p: p["p07"]), "state", few)[0]
    turns = set()
    for n in range(80, 180, 5):
        history = made(n, WIDE, f=wide_score)
        request = asked(history, "state", WIDE)[0]
        assert size(request) < 1.3 * size(small)
        assert request.schema is not None
        items = request.schema["properties"]["configurations"]["items"]
        names = {*items["properties"]["params"]["properties"]}
        assert len(names) == 24
        assert {"p07", "p41"} <= names
        turns |= names
    assert turns == {*WIDE}, "each parameter has its turn"


def test_parameters_that_were_not_asked_for_stay_as_the_incumbent_has_them() -> None:
    history = made(100, WIDE, f=wide_score)
    names: set[str] = set()

    def answer(request: Request) -> Any:
        assert request.schema is not None
        items = request.schema["properties"]["configurations"]["items"]
        names.update(items["properties"]["params"]["properties"])
        rng = np.random.default_rng(0)
        picked = [{"params": {n: float(rng.uniform()) for n in names}} for _ in range(5)]
        return {"configurations": picked}

    ask = Ask(WIDE, WIDE, history, trial_number=100)
    proposal = LLMProposer(FunctionProvider(answer)).propose(ask)
    best = history.incumbent
    assert best is not None
    assert len(proposal.candidates) == 5
    for candidate in proposal.candidates:
        held = {n: v for n, v in candidate.params.items() if n not in names}
        assert held == {n: best.params[n] for n in held}
        assert len(candidate.params) == 60


def test_importances_find_slopes_and_humps_and_are_shares() -> None:
    weights = importances(made(120, WIDE, f=wide_score), WIDE)
    assert {*[*weights][:2]} == {"p07", "p41"}
    assert sum(weights.values()) == pytest.approx(1.0)
    assert importances(made(7), SPACE) == {}


# --- the paper's memories -------------------------------------------------------------------------------


def llm_run(policy: str, n_trials: int, summary: str = "", **options: Any) -> tuple[Any, list[Request]]:
    def answer(request: Request) -> Any:
        if request.purpose == "summarize":
            return summary
        return reply(request.messages[-1].content, rng, n=5)

    rng = np.random.default_rng(3)
    provider = FunctionProvider(answer)
    result = tune(
        score,
        direction="maximize",
        search_space={"rate": (0.001, 1.0, "log"), "depth": (1, 20)},
        llm=provider,
        history=policy,
        n_trials=n_trials,
        seed=1,
        folder="",
        **{"judge": False, "schedule": "alternate", **options},
    )
    return result, provider.requests


def test_a_summary_is_written_every_ten_trials_and_carried_on() -> None:
    result, requests = llm_run("summary", 60, "Rates near 0.03 are good. Depth hardly matters.")
    at = [r.trial_number for r in requests if r.purpose == "summarize"]
    assert 3 <= len(at) <= 6
    assert all(b is not None and a is not None and b - a >= 10 for a, b in pairwise(at))
    assert all(r.schema is None for r in requests if r.purpose == "summarize")
    later = [r.messages[-1].content for r in requests if r.purpose == "propose"][2:]
    assert all("Rates near 0.03 are good. Depth hardly matters." in text for text in later)
    second = [r for r in requests if r.purpose == "summarize"][1].messages[-1].content
    assert "Your last summary:\nRates near 0.03 are good." in second
    assert "FAILED" in second or "#" in second
    assert result.status == "finished"


def test_a_summary_that_states_a_wrong_best_does_not_reach_a_prompt() -> None:
    wrong = "Trial #2 is the best with 0.999. The best score is 0.123 at rate 0.5. Low rates are good."
    result, requests = llm_run("summary", 40, wrong)
    texts = [r.messages[-1].content for r in requests]
    assert sum("Low rates are good." in text for text in texts) >= 2
    assert not [text for text in texts if "0.999" in text or "0.123" in text]
    told = [e.reasoning for e in result.events if isinstance(e, ReplyReceived) and e.purpose == "summarize"]
    assert told
    assert all("Taken out" in text and "Trial #2 is the best with 0.999." in text for text in told)


def test_a_best_that_was_beaten_since_leaves_the_summary() -> None:
    history = made(30)
    best = history.incumbent
    assert best is not None
    text = f"Trial #{best.number} is the best with {best.value:.4f}. Low depth is bad."
    assert checked(text, history, SPACE) == (text, [])
    better = Observation(30, dict(best.params), value=0.95)
    later = History((*history.observations, better), "maximize", "f1_weighted")
    assert checked(text, later, SPACE)[0] == "Low depth is bad."


def ten() -> History:
    """Ten trials; #6 is the best with 0.8734, #3 the second with 0.8610, #7 failed."""
    values = [0.712, 0.655, 0.8012, 0.861, 0.79, 0.6044, 0.8734, None, 0.8302, 0.8455]
    rng = np.random.default_rng(0)
    return History(
        tuple(
            Observation(i, SPACE.sample(rng), "FAIL" if v is None else "COMPLETE", v, source="tpe")
            for i, v in enumerate(values)
        ),
        "maximize",
        "f1_weighted",
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "The best trial is #6 with 0.8734.",
        "The incumbent (trial 6) scored 0.873.",
        "#6 is best.",
        "The highest score so far is 0.8734, at trial #6.",
        "Top 3 trials: #6, #3, #9.",
        "The best 2 trials, #6 (0.8734) and #3 (0.861), have a low rate.",
        "The best region is rate 0.01 to 0.05 with depth 6-10.",
        "Trial #5 got only 0.6044.",
        "#7 failed.",
        "Scores of trials 0 to 2 are 0.712, 0.655 and 0.8012.",
        "Of 10 trials one failed.",
        "Rates below 0.002 are bad: #1 reached 0.655.",
        "The incumbent has rate 0.0079 and depth 9.",
        "The incumbent has a rate near 0.008 and a depth below 12.",
        "The best trials have depth above 7.",
        "#6 (0.8734) beats the default.",
        "Trials #0 and #1 had depth 6 and 17.",
        "#7 timed out at depth 14.",
        "rate matters most; depth little.",
        "share=0.9 has not been tried with rate below 0.01.",
        "Best accuracy: 87.3% (#6).",
        "Larger depth gives better scores than 3.",
    ],
)
def test_true_sentences_stay(sentence: str) -> None:
    assert checked(sentence, ten(), SPACE) == (sentence, [])


@pytest.mark.parametrize(
    "sentence",
    [
        "The best trial is #3 with 0.861.",
        "The best trial is #6 with 0.95.",
        "The best score is 0.95.",
        "The best score is 0.80.",
        "Best so far: 12.5 at trial 6.",
        "Trial #4 is the optimum.",
        "Trial 4 outperforms all others.",
        "#4 beats #6.",
        "#3 is the incumbent, ahead of #6.",
        "The record is trial no. 2.",
        "Peak performance was 0.91.",
        "#9 is unbeaten.",
        "Trial #12 has the highest score.",
        "Trial #5 scored 0.9.",
        "#7 reached 0.99.",
        "We have reached 0.9999 already.",
        "Top 3 trials: #6, #3, #5.",
        "The best 2 trials are #6 (0.95) and #3 (0.861).",
        "share 0.8 reached 0.91.",
        "Best accuracy: 99%.",
        "The maximum of f1_weighted is 1.0.",
        "The best value, 0.861, came from trial 6.",
        "The incumbent has rate 0.6386.",
        "Best configuration: rate=0.0079, depth=17.",
        "The best trials have depth below 7.",
        "The best has a rate between 0.1 and 0.9.",
        "Rates above 0.3 are bad: #1 reached 0.655.",
        "#1 used depth 3.",
        "#4 tops the table.",
        "#4 is ahead.",
        "No trial improved on #3.",
        "Trial #7 worked well.",
        "The default remains the top performer.",
        "The rulebook found the best trial.",
        "The third trial won.",
        "Trial four is worse than trial five.",
        "#5 > #4.",
        "#9 is worse than #5.",
    ],
)
def test_sentences_that_the_study_contradicts_go(sentence: str) -> None:
    text = f"Low rates are good. {sentence}\n- Depth matters."
    assert checked(text, ten(), SPACE) == ("Low rates are good.\n- Depth matters.", [sentence])


def test_no_summary_is_too_strange_to_be_checked() -> None:
    rng = random.Random(5)
    parts = [
        "#6",
        "trial",
        "best",
        "0.8734",
        "1e999999",
        "9" * 5000,
        "#" + "7" * 400,
        "rate",
        ".",
        ";",
        "%",
        "−3",
    ]
    parts += ["\n- ", "±0.1", "to", ",", "1e-", "depth 3", "\ud800", "```", "{}", "(#3-#9)", "of 10", "score"]
    for _ in range(500):
        text = " ".join(rng.choice(parts) for _ in range(rng.randrange(1, 60)))
        kept, removed = checked(text, ten(), SPACE)
        assert len(kept) <= len(text) + 10
        assert "9999999" not in kept
        assert all(isinstance(sentence, str) for sentence in removed)
    assert checked("The best is #3. " * 60_000, ten(), SPACE)[0] == ""


def test_the_window_is_the_conversation_of_the_last_exchanges() -> None:
    history = made(100)
    request = asked(history, "window")[0]
    roles = [m.role for m in request.messages]
    assert roles == ["system"] + ["user", "assistant"] * 10 + ["user"]
    answers = [json.loads(m.content) for m in request.messages if m.role == "assistant"]
    last = [o for o in history.observations if o.request == 16]
    for shown, o in zip(answers[-1]["configurations"], last, strict=True):
        assert shown["params"] == {n: pytest.approx(o.params[n], rel=1e-4) for n in SPACE}
        assert len(json.dumps(shown["params"]["rate"])) <= 9, "with the digits of the tables"
        assert shown["expects"] == "better", "in the form that is asked for"
    assert answers[-1]["configurations"][0]["reason"] == last[0].reason
    best = history.ranked()[0].number
    told = [n for m in request.messages if m.role == "user" for n, *_ in trials(m.content) if n != best]
    assert told == sorted(set(told)), "each trial is told once, in order"
    assert told[-1] == 99
    assert 57 in told, "a failed one too"
    assert 3 not in told, "what lies before the window is forgotten"
    lines = [n for m in request.messages if m.role == "user" for n, *_ in trials(m.content)]
    assert lines.count(best) == 1, "but for the incumbent, which stands in the last question then"


@pytest.mark.parametrize("policy", ["state", "summary", "window", "full"])
def test_every_story_has_the_incumbent_with_its_parameters(policy: str) -> None:
    """Its score alone would tell a model that something was good, and not what."""
    best = Observation(2, {"rate": 0.0271, "depth": 9, "share": 0.612}, value=0.99, source="tpe")
    history = made(100)
    history = History((*history.observations[:2], best, *history.observations[3:]), "maximize", "f1_weighted")

    def answer(request: Request) -> Any:
        return "Low rates are good." if request.purpose == "summarize" else Responder(0)(request)

    text = asked(history, policy, answer=answer)[-1].messages[-1].content
    assert "#2,tpe,0.99,0.0271,9,0.612" in text


def test_the_llm_is_told_which_of_its_predictions_came_true() -> None:
    kinds = [("better", True), ("better", False), ("better", False), ("similar", True), ("explore", None)]
    own = [
        replace(o, source="llm", expects=kinds[i % 5][0], came_true=kinds[i % 5][1])
        for i, o in enumerate(made(10).complete)
    ]
    others = [replace(o, number=10 + o.number, source="tpe") for o in own]
    history = History((*own, *others), "maximize", "f1_weighted")
    text = asked(history, "state")[0].messages[-1].content
    assert (
        "Your predictions that came true so far: 2 of 6 that you expected to be better,"
        " 2 of 2 that you expected to be similar." in text
    )
    assert "came true" not in asked(history.permuted(1), "state")[0].messages[-1].content


def test_a_resumed_run_has_its_conversation() -> None:
    def run(n_trials: int, resume: bool) -> list[Request]:
        provider = FunctionProvider(Responder(1))
        tune(
            score,
            direction="maximize",
            search_space={"rate": (0.001, 1.0, "log"), "depth": (1, 20)},
            llm=provider,
            history="window",
            n_trials=n_trials,
            seed=1,
            name="talk",
            resume=resume,
        )
        return provider.requests

    first = run(20, False)
    rest = run(40, True)
    assert [m.role for m in rest[0].messages].count("assistant") >= 2
    assert rest[0].messages[1] == first[-1].messages[1], "the same first turn"
    assert rest[0].messages[2] == first[-1].messages[2]


def test_a_resumed_run_goes_on_with_its_summary() -> None:
    def run(n_trials: int, resume: bool) -> list[Request]:
        def answer(request: Request) -> Any:
            return "Low rates are good." if request.purpose == "summarize" else responder(request)

        responder = Responder(1)
        provider = FunctionProvider(answer)
        tune(
            score,
            direction="maximize",
            search_space={"rate": (0.001, 1.0, "log"), "depth": (1, 20)},
            llm=provider,
            history="summary",
            n_trials=n_trials,
            seed=1,
            name="summed",
            resume=resume,
        )
        return provider.requests

    first = run(24, False)
    assert "summarize" in [r.purpose for r in first]
    rest = run(50, True)
    told = next(r for r in rest if r.purpose == "propose").messages[-1].content
    assert "Low rates are good." in told
    again = [r for r in rest if r.purpose == "summarize"]
    assert "Your last summary:\nLow rates are good." in again[0].messages[-1].content


@pytest.mark.parametrize("resumed", [False, True])
def test_trials_that_ran_while_a_summary_was_written_are_in_the_next_prompt(resumed: bool) -> None:
    def answer(request: Request) -> Any:
        return "Low rates are good." if request.purpose == "summarize" else Responder(0)(request)

    def ask(n: int, running: set[int]) -> Ask:
        observations = [
            replace(o, state="RUNNING", value=None, error=None) if o.number in running else o
            for o in made(n).observations
        ]
        return Ask(SPACE, SPACE, History(tuple(observations), "maximize", "f1_weighted"), trial_number=n)

    def shown(request: Request) -> set[int]:
        return {n for n, _, s, _ in trials(request.messages[-1].content) if s != "RUNNING"}

    provider = FunctionProvider(answer)
    recorded = RecordingProvider(provider)
    proposer = LLMProposer(recorded, history="summary")
    proposer.propose(ask(16, {8, 9, 13, 15}))
    assert [r.purpose for r in provider.requests] == ["summarize", "propose"]
    if resumed:
        proposer = LLMProposer(recorded, history="summary")
    proposer.propose(ask(18, {9, 17}))
    incumbent = 14
    assert shown(provider.requests[-1]) == {8, 13, 15, 16, incumbent}
    assert "Summary of the trials before #" in provider.requests[-1].messages[-1].content
    proposer.propose(ask(32, set()))
    assert [r.purpose for r in provider.requests[-2:]] == ["summarize", "propose"]
    assert {8, 9, 13, 15, 16, 17} <= shown(provider.requests[-2]), "the next summary is written from them"
    proposer.propose(ask(33, set()))
    assert {8, 9, 13, 15, 16}.isdisjoint(shown(provider.requests[-1]))


# --- it reacts to feedback ------------------------------------------------------------------------------


def follower(request: Request) -> Any:
    """A nearest-neighbour step: small steps around the best trial that the prompt shows. No LLM."""
    text = request.messages[-1].content
    rows = [(float(s), p) for _, _, s, p in trials(text) if not s.startswith(("F", "R"))]
    rng = np.random.default_rng(len(rows) + int(1e6 * abs(sum(s for s, _ in rows))) % 100_000)

    def step(spec: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
        best = min(rows)[1]
        return {
            n: float(np.clip(best[n] + draw.normal(0, 0.08) * (high - low), low, high))
            for n, (_, low, high, _) in spec.items()
        }

    return reply(text, rng, step if rows else random_pick)


def final_regret(seed: int, permute: int | None) -> float:
    space = SearchSpace.from_user({f"x{i}": (-1.0, 1.0) for i in range(3)})
    proposer = LLMProposer(FunctionProvider(follower), permute_scores=permute)
    sampler = LLMSampler(proposer=proposer, search_space=space, judge=False, seed=seed)
    study = optuna.create_study(sampler=sampler)
    centre = np.random.default_rng(seed).uniform(-0.7, 0.7, 3)
    study.optimize(
        lambda trial: float(((np.array([*space.suggest(trial).values()]) - centre) ** 2).sum()), n_trials=40
    )
    return study.best_value


def test_a_follower_of_scores_does_clearly_worse_when_they_are_permuted() -> None:
    seeds = range(12)
    true = np.array([final_regret(s, None) for s in seeds])
    permuted = np.array([final_regret(s, 100 + s) for s in seeds])
    assert (permuted > true).sum() >= 10
    assert np.median(permuted / true) >= 3.0


def test_permuting_shows_the_same_scores_and_the_same_parameters_in_other_pairs() -> None:
    history = made(40)
    mixed = history.permuted(3)
    assert sorted(o.value or 0 for o in mixed.complete) == sorted(o.value or 0 for o in history.complete)
    assert [o.params for o in mixed.observations] == [o.params for o in history.observations]
    moved = sum(a.value != b.value for a, b in zip(mixed.complete, history.complete, strict=True))
    assert moved >= 30
    assert history.permuted(3).observations == mixed.observations
