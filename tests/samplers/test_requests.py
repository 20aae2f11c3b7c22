"""When an LLM is asked, for how many candidates, and what becomes of those that wait."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.attrs import STOPPED
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.events import Event
from sllmbo_magic.events import Fallback
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.proposers import prompts
from sllmbo_magic.proposers.base import Ask
from sllmbo_magic.proposers.base import Candidate
from sllmbo_magic.proposers.base import Proposal
from sllmbo_magic.proposers.memory import state
from sllmbo_magic.samplers.candidate_queue import CandidateQueue
from sllmbo_magic.samplers.surrogate import Rating
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder

SPACE = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(3)})


class Adviser:
    """A proposer that answers with points from a generator and notes what it was asked."""

    id = "adviser"
    source = "llm"
    instant = False

    def __init__(self, n: int | None = None, expects: str = "similar") -> None:
        self.n = n
        self.expects = expects
        self.asks: list[Ask] = []
        self.rng = np.random.default_rng(0)

    def initialize(self, ask: Ask) -> Proposal:
        raise AssertionError("not asked here")

    def propose(self, ask: Ask) -> Proposal:
        self.asks.append(ask)
        n = ask.n_candidates if self.n is None else self.n
        candidates = tuple(Candidate(SPACE.sample(self.rng), expects=self.expects) for _ in range(n))
        return Proposal(candidates, request=len(self.asks) - 1)


def bowl(trial: optuna.Trial) -> float:
    return float(sum((v - 0.3) ** 2 for v in SPACE.suggest(trial).values()))


def study_of(adviser: Adviser, n_trials: int, *, queued: int = 0, **options: Any) -> optuna.Study:
    arguments: dict[str, Any] = {"search_space": SPACE, "seed": 1, "schedule": "bernoulli", **options}
    study = optuna.create_study(sampler=LLMTPESampler(proposer=adviser, n_trials=n_trials, **arguments))
    rng = np.random.default_rng(9)
    for _ in range(queued):
        study.enqueue_trial(SPACE.sample(rng))
    study.optimize(bowl, n_trials=n_trials)
    return study


def sources(study: optuna.Study) -> list[str]:
    return [t.user_attrs["sllmbo:source"] for t in study.trials]


def test_the_first_batch_is_asked_for_when_the_last_queued_trial_starts() -> None:
    """So that the first trial after the initial ones can be the LLM's, with all scores but one told."""
    adviser = Adviser()
    study = study_of(adviser, 12, queued=6, llm_ratio=1.0, judge=False)
    assert adviser.asks[0].trial_number == 5
    assert [o.number for o in adviser.asks[0].history.observations] == [*range(5)]
    assert sources(study)[6:] == ["llm"] * 6


def test_when_no_candidate_is_left_the_next_request_goes_out_at_once() -> None:
    adviser = Adviser(n=1)
    study = study_of(adviser, 40, llm_ratio=1.0, judge=False)
    reasons = [str(t.user_attrs["sllmbo:provenance"].get("reason")) for t in study.trials]
    empty = [number for number, reason in enumerate(reasons) if "no candidate is left" in reason]
    assert empty
    asked = [a.trial_number for a in adviser.asks]
    assert len(asked) <= 8, "at most one request per five trials"
    assert asked == sorted(set(asked))
    for number in empty:
        waiting = [a for a in asked if a <= number]
        assert len(waiting) * 5 > number or number in asked, "nothing was asked although it could be"


@pytest.mark.parametrize("n_trials", [7, 10, 23, 26])
def test_there_are_never_more_candidates_than_trials_left(n_trials: int) -> None:
    adviser = Adviser()
    study = study_of(adviser, n_trials, llm_ratio=1.0, judge=False)
    assert len(study.trials) == n_trials
    for ask in adviser.asks:
        assert 1 <= ask.n_candidates <= n_trials - ask.trial_number - 1
    assert sources(study)[-1] == "llm"


def test_one_at_a_time_asks_for_the_last_trial_too() -> None:
    adviser = Adviser()
    study = study_of(adviser, 8, llm_ratio=1.0, judge=False, candidates=1)
    assert [a.trial_number for a in adviser.asks] == [*range(8)]
    assert {a.n_candidates for a in adviser.asks} == {1}
    assert sources(study) == ["llm"] * 8


def test_trials_that_were_cut_off_do_not_count_for_the_budget() -> None:
    """They run again; so the number of a trial is not how many are behind it."""
    cut = (Observation(0, {}, value=0.5), *(Observation(n, {}, "FAIL", error=STOPPED) for n in (1, 2, 3)))
    for trial_number, line in [(4, "7 of 8 trials are left"), (10, "1 of 8 trials is left")]:
        ask = Ask(SPACE, SPACE, History(cut), trial_number=trial_number, n_trials=8)
        assert f"Next is trial #{trial_number}; {line}." in prompts.propose(ask, "")[-1].content


@pytest.mark.parametrize("mode", ["llm", "llm-tpe"])
def test_past_its_total_a_study_goes_on_as_one_without(mode: str) -> None:
    adviser = Adviser()
    study = study_of(adviser, 10, llm_ratio=1.0, judge=False, mode=mode)
    study.optimize(bowl, n_trials=20)
    late = [ask for ask in adviser.asks if ask.trial_number >= 10]
    assert sources(study)[10:].count("llm") >= 15
    assert "Next is trial #12." in prompts.propose(replace(late[0], trial_number=12), "")[-1].content


def test_promises_are_checked_in_a_study_of_ones_own() -> None:
    adviser = Adviser(expects="better")
    study = study_of(adviser, 30, llm_ratio=1.0, judge=False)
    history = adviser.asks[-1].history
    promised = [o for o in history.complete if o.source == "llm" and o.asked]
    assert promised
    for o in promised:
        best = min(float(t.values[0]) for t in study.trials if t.number < o.asked)
        assert o.came_true is (o.value is not None and o.value < best)
    assert f"of {len(promised)} that you expected to be better" in state(adviser.asks[-1], [*SPACE]).text


def test_the_last_batch_need_not_explore() -> None:
    adviser = Adviser()
    study_of(adviser, 40, llm_ratio=1.0, judge=False)
    explore = {a.trial_number: a.explore for a in adviser.asks}
    early = [e for number, e in explore.items() if 15 <= number < 34]
    late = [e for number, e in explore.items() if number >= 35]
    assert early
    assert late
    assert all(early)
    assert not any(late)


def test_the_first_request_of_a_short_run_asks_for_what_can_run() -> None:
    provider = FunctionProvider(Responder(0))
    tune(
        lambda p: float(p["x"]),
        search_space={"x": (0.0, 1.0)},
        direction="minimize",
        llm=provider,
        n_trials=3,
        seed=0,
        folder="",
    )
    first = provider.requests[0].messages[-1].content
    assert "5 different whole configurations" not in first


# --- a contest costs one candidate ----------------------------------------------------------------------


class Critic:
    """A surrogate that expects nothing of the LLM's candidates and much of all others."""

    mature = True

    def __init__(self, queue: CandidateQueue, chance: float) -> None:
        self.queue = queue
        self.chance = chance

    def rate(self, configurations: list[dict[str, Any]], *, per_cost: bool = False) -> list[Rating]:
        waiting = [queued.candidate.params for queued in self.queue.candidates]
        return [Rating(-50.0 if c in waiting else 0.0, self.chance) for c in configurations]


def criticized(
    adviser: Adviser, n_trials: int, chance: float = 0.0, **options: Any
) -> tuple[optuna.Study, LLMTPESampler]:
    sampler = LLMTPESampler(
        proposer=adviser, search_space=SPACE, seed=1, schedule="alternate", n_trials=n_trials, **options
    )
    critic = Critic(sampler.queue, chance)
    sampler._sources.prefetch.get = lambda number, space, history: critic if number > 10 else None  # type: ignore
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=n_trials)
    return study, sampler


def test_a_lost_contest_costs_the_candidate_that_lost_and_no_other() -> None:
    adviser = Adviser()
    study, _ = criticized(adviser, 40)
    vetoed = [t.user_attrs["sllmbo:provenance"].get("vetoed", []) for t in study.trials]
    assert {len(v) for v in vetoed} == {0, 1}
    lost = sum(map(len, vetoed))
    assert lost >= 10
    turns = sum(number % 2 for number in range(11, 40))
    assert lost >= turns - 3, "the queue was not emptied by the first veto"
    stored = [v[0]["params"] for v in vetoed if v]
    assert all(SPACE.contains(params) for params in stored)


def test_a_veto_is_told_to_the_user_in_a_line() -> None:
    events: list[Any] = []
    criticized(Adviser(), 20, emit=events.append)
    notes = [e.text for e in events if type(e).__name__ == "Note"]
    assert notes
    assert {text.partition(" of the LLM's candidate than of ")[0] for text in notes} == {
        "The surrogate expects less"
    }


# --- candidates that wait -------------------------------------------------------------------------------


def queue_with(adviser: Adviser, *asked_at: int) -> CandidateQueue:
    queue = CandidateQueue(adviser, 5)
    for number in asked_at:
        queue.add(Proposal((Candidate(SPACE.sample(adviser.rng)),)), number)
    return queue


def ask_at(number: int) -> Ask:
    observation = Observation(0, {"x0": 0.5, "x1": 0.5, "x2": 0.5}, value=1.0)
    return Ask(SPACE, SPACE, History((observation,), "maximize"), trial_number=number)


def test_candidates_that_wait_for_long_do_not_hold_up_the_next_request() -> None:
    queue = queue_with(Adviser(), 3, 3, 3)
    assert not queue.due(13, eager=False)
    assert queue.due(14, eager=False)


def test_a_fresh_answer_takes_the_place_of_candidates_that_waited_for_long() -> None:
    queue = queue_with(Adviser(), 3, 3, 3)
    queue.send(ask_at(14))
    proposal = queue.collect(15)
    assert proposal is not None
    queue.add(proposal, 14)
    assert [c.asked_at for c in queue.candidates] == [14] * 5


def test_an_answer_is_looked_at_two_trials_later_although_a_candidate_is_left() -> None:
    queue = queue_with(Adviser(), 8)
    queue.send(ask_at(9))
    assert queue.collect(10) is None, "it may still be on its way"
    proposal = queue.collect(11)
    assert proposal is not None
    queue.add(proposal, 9)
    assert len(queue.candidates) == 6, "the one that waited is not lost"


# --- a veto needs trials --------------------------------------------------------------------------------


def vetoes_of(study: optuna.Study) -> list[int]:
    return [t.number for t in study.trials if t.user_attrs["sllmbo:provenance"].get("vetoed")]


def test_nothing_is_vetoed_before_there_are_several_trials_per_parameter() -> None:
    space = SearchSpace.from_user({f"x{i}": (0.0, 1.0) for i in range(8)})
    sampler = LLMTPESampler(
        FunctionProvider(Responder(0)), search_space=space, seed=1, schedule="alternate", n_trials=60
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: sum((v - 0.3) ** 2 for v in space.suggest(t).values()), n_trials=60)
    assert vetoes_of(study)
    assert min(vetoes_of(study)) >= 3 * 8


@pytest.mark.parametrize("expects", ["similar", "explore"])
def test_a_candidate_that_explores_is_exempt_once_per_request(expects: str) -> None:
    """It may run on a mere chance of an improvement; a batch that only explores may not."""
    random = RandomSampler(seed=1)  # so that the first explorations pay, beside its draws
    study, _ = criticized(Adviser(expects=expects), 40, chance=0.5, base_sampler=random)
    late = [t.user_attrs["sllmbo:provenance"] for t in study.trials[11:]]
    requests = [p["request"] for p in late if p["source"] == "llm"]
    if expects == "similar":
        assert requests == []
    else:
        assert 1 <= len(requests) == len(set(requests))
        assert any(p.get("vetoed") for p in late)


class Broken:
    """A provider of a user's that raises what it likes, or forgets to answer."""

    id = "my:model"

    def __init__(self, outcome: BaseException | None) -> None:
        self.outcome, self.n_asked = outcome, 0

    def complete(self, request: Any) -> Any:
        self.n_asked += 1
        if self.outcome is not None:
            raise self.outcome


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (ConnectionError("connection reset"), "my:model raised ConnectionError: connection reset."),
        (TimeoutError(), "my:model raised TimeoutError."),
        (TypeError("key sk-proj-abcdefghijk12345"), "my:model raised TypeError: key [redacted]."),
        (None, "my:model gave NoneType, not a Completion."),
    ],
)
@pytest.mark.parametrize("candidates", [1, 5])
def test_whatever_a_provider_raises_the_study_goes_on(
    outcome: BaseException | None, words: str, candidates: int
) -> None:
    told: list[Event] = []
    provider = Broken(outcome)
    sampler = LLMTPESampler(provider, candidates=candidates, seed=0, emit=told.append)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", -1.0, 1.0) ** 2, n_trials=15)
    fallbacks = [event for event in told if isinstance(event, Fallback)]
    assert len(study.trials) == 15
    assert fallbacks[0].message.startswith(words)
    assert not fallbacks[0].permanent
    assert len(fallbacks) >= 2, "it is asked again"


@pytest.mark.parametrize(
    "error",
    [
        TransientProviderError("the rate limit is reached.", category="rate-limit"),
        PermanentProviderError("the key is wrong.", category="bad-key"),
    ],
)
@pytest.mark.parametrize("sampler_class", [LLMSampler, LLMTPESampler])
def test_in_a_study_of_ones_own_a_failing_llm_is_logged_once_and_its_trials_say_so(
    error: ProviderError, sampler_class: type[LLMTPESampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(logging.getLogger("optuna.sampler.llm"), "warning", warned.append)
    sampler = sampler_class(Broken(error), search_space=SPACE, seed=0, llm_ratio=1.0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=15)
    assert len(warned) == 1
    assert error.message in warned[0]
    fallbacks = [t for t in study.trials if t.user_attrs["sllmbo:source"] == "fallback"]
    assert len(fallbacks) >= (13 if sampler_class is LLMSampler else 3)
    assert {t.user_attrs["sllmbo:provenance"]["reason"] for t in fallbacks} == {error.message}


def test_once_an_llm_answers_again_its_trials_are_no_fallbacks() -> None:
    class Recovering(Adviser):
        def propose(self, ask: Ask) -> Proposal:
            if ask.trial_number < 3:
                raise TransientProviderError("busy.", category="server-error")
            return super().propose(ask)

    study = study_of(Recovering(), 15, llm_ratio=1.0, judge=False, candidates=1)
    assert sources(study) == ["fallback"] * 3 + ["llm"] * 12


def test_an_interrupt_in_a_provider_is_an_interrupt() -> None:
    study = optuna.create_study(sampler=LLMTPESampler(Broken(KeyboardInterrupt()), seed=0))
    with pytest.raises(KeyboardInterrupt):
        study.optimize(lambda trial: trial.suggest_float("x", -1.0, 1.0) ** 2, n_trials=15)
