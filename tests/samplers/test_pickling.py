"""Both samplers, copied in the middle of a run, also while a request is under way, go on with the same
trials.
"""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study

from sllmbo_magic import LLMSampler
from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic.errors import InputError
from sllmbo_magic.testing import FunctionProvider
from tests.loopback import LoopbackServer
from tests.replies import Responder

SPACE = SearchSpace.from_user(
    {"x": (-1.0, 1.0), "rate": (1e-3, 1.0, "log"), "n": (1, 30), "kind": ["a", "b", "c"]}
)


def bowl(trial: optuna.Trial) -> float:
    p = SPACE.suggest(trial)
    x, rate, n = (float(p[k] or 0) for k in ("x", "rate", "n"))
    return (x - 0.3) ** 2 + (rate - 0.1) ** 2 + abs(n - 12) / 30 + (p["kind"] == "b")


def make(kind: type[LLMTPESampler], **options: Any) -> LLMTPESampler:
    return kind(FunctionProvider(Responder(4)), search_space=SPACE, seed=11, **options)


def told(study: Study) -> list[Any]:
    return [(t.params, t.user_attrs["sllmbo:source"], t.value) for t in study.trials]


def until_asked(study: Study, at_least: int) -> None:
    """Run on until a request is under way at the end of a trial."""
    sampler: Any = study.sampler
    study.optimize(bowl, n_trials=at_least)
    for _ in range(40):
        if sampler.queue.pending_since is not None:
            return
        study.optimize(bowl, n_trials=1)
    raise AssertionError("no request was ever under way")


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("judge", [True, False])
def test_a_copy_with_a_request_under_way_goes_on_as_the_original(way: str, judge: bool) -> None:
    study = optuna.create_study(sampler=make(LLMTPESampler, judge=judge))
    until_asked(study, 14)
    other = COPIES[way](study)
    original, twin = (s.sampler.queue.proposer.provider for s in (study, other))
    for s in (study, other):
        s.optimize(bowl, n_trials=16)
    assert told(other) == told(study)
    assert {"llm", "tpe"} <= {source for _, source, _ in told(study)}
    assert len(twin.requests) == len(original.requests), "nothing was asked twice"


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("n", [4, 13])
@pytest.mark.parametrize("candidates", [1, 5])
def test_a_copy_of_the_llm_alone_goes_on_as_the_original(way: str, n: int, candidates: int) -> None:
    study = optuna.create_study(sampler=make(LLMSampler, candidates=candidates))
    study.optimize(bowl, n_trials=n)
    other = COPIES[way](study)
    for s in (study, other):
        s.optimize(bowl, n_trials=12)
    assert told(other) == told(study)
    assert [source for _, source, _ in told(study)].count("llm") >= 10


@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
def test_the_rulebook_too(kind: type[LLMTPESampler]) -> None:
    study = optuna.create_study(sampler=kind(search_space=SPACE, seed=2))
    study.optimize(bowl, n_trials=12)
    other = pickle.loads(pickle.dumps(study))
    for s in (study, other):
        s.optimize(bowl, n_trials=10)
    assert told(other) == told(study)


GATE = threading.Event()


def behind_the_gate(request: Any) -> Any:
    GATE.wait(60)
    return Responder(4)(request)


def test_a_copy_waits_for_the_answer_that_is_under_way() -> None:
    GATE.clear()
    gated = FunctionProvider(behind_the_gate)
    sampler = LLMTPESampler(gated, search_space=SPACE, seed=11, judge=False, schedule="alternate")
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=2)
    assert sampler.queue.pending_since == 1
    copies: list[LLMTPESampler] = []
    copier = threading.Thread(target=lambda: copies.append(copy.deepcopy(sampler)))
    copier.start()
    assert not copies
    GATE.set()
    copier.join(60)
    provider: Any = copies[0].queue.proposer
    assert len(provider.provider.requests) == 1
    proposal = copies[0].queue.collect(2)
    assert proposal is not None
    assert len(proposal.candidates) == 5


def test_a_failed_answer_is_copied_as_the_failure_it_is() -> None:
    sampler = LLMTPESampler(FunctionProvider(str), search_space=SPACE, seed=11, judge=False)
    study = optuna.create_study(sampler=sampler)
    until_asked(study, 2)
    other = pickle.loads(pickle.dumps(study))
    for s in (study, other):
        s.optimize(bowl, n_trials=15)
    assert told(other) == told(study)
    assert {source for _, source, _ in told(study)} == {"tpe", "fallback"}


@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
def test_a_deep_copy_of_a_sampler_with_a_key_uses_the_same_provider(
    kind: type[LLMTPESampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-openai-key-1234567890abcdef")
    sampler = kind("openai:some-model", search_space=SPACE)
    other: Any = copy.deepcopy(sampler)
    mine: Any = sampler.queue.proposer
    assert other.queue is not sampler.queue
    assert other.queue.proposer is not mine
    assert other.queue.proposer.provider is mine.provider


KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@pytest.mark.parametrize("llm", ["openai:m", "anthropic:m", "ollama:m", "manual", "command:cat"])
@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
def test_a_pickled_sampler_reads_the_key_anew(
    kind: type[LLMTPESampler], llm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = llm.partition(":")[0]
    pytest.importorskip("anthropic" if provider == "anthropic" else "openai")
    key, later = f"sk-planted-{provider}-key-1234567890abcdef", "sk-planted-later-key-1234567890abcdef"
    variable = KEYS.get(provider, "OLLAMA_API_KEY")
    monkeypatch.setenv(variable, key)
    sampler: Any = kind(llm, search_space=SPACE)
    original = sampler.queue.proposer.provider
    if provider in KEYS:
        original.warm_up()
    stored = pickle.dumps(sampler)
    assert key.encode() not in stored
    monkeypatch.setenv(variable, later)
    copied = pickle.loads(stored).queue.proposer.provider
    assert copied.id == original.id
    assert copied.budget.charged == original.budget.charged
    assert copied.budget is not original.budget
    if provider in (*KEYS, "ollama"):
        assert copied.provider._key.reveal() == later
        assert original.provider._key.reveal() == key
    monkeypatch.delenv(variable)
    if provider in KEYS:
        with pytest.raises(InputError, match=f"no key for {provider}: the environment variable {variable}"):
            pickle.loads(stored)


def answer(number: int) -> str:
    params = [{"x": number / 10, "rate": 0.01, "n": n, "kind": "a"} for n in range(1, 6)]
    configurations = [{"reason": "r", "expects": "explore", "params": p, "added": []} for p in params]
    return json.dumps({"reasoning": "", "space_changes": [], "configurations": configurations})


def test_a_study_goes_on_in_another_process_with_its_llm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in Optuna's tutorial: the sampler in a file, the study in a storage."""
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-planted-own-key-1234567890abcdef")
    with LoopbackServer([answer(number) for number in range(9)]) as server:
        monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", server.url)
        study = optuna.create_study(
            sampler=LLMSampler("openai-compatible:m", search_space=SPACE, seed=11),
            storage=f"sqlite:///{tmp_path / 'study.db'}",
            study_name="s",
        )
        study.optimize(bowl, n_trials=4)
        (tmp_path / "sampler.pkl").write_bytes(pickle.dumps(study.sampler))
        n_before = len(server.requests)
        sampler = pickle.loads((tmp_path / "sampler.pkl").read_bytes())
        study = optuna.load_study(
            study_name="s", storage=f"sqlite:///{tmp_path / 'study.db'}", sampler=sampler
        )
        study.optimize(bowl, n_trials=8)
    assert 1 <= n_before < len(server.requests)
    assert server.requests[-1].headers["authorization"] == "Bearer sk-planted-own-key-1234567890abcdef"
    assert sampler.queue.proposer.provider.budget.charged.requests == len(server.requests)
    assert "llm" in [trial.user_attrs["sllmbo:source"] for trial in study.trials][6:]


@pytest.mark.parametrize("kind", [LLMTPESampler, LLMSampler])
def test_every_trial_has_one_source_and_says_so(kind: type[LLMTPESampler]) -> None:
    study = optuna.create_study(sampler=make(kind))
    study.optimize(bowl, n_trials=25)
    for trial in study.trials:
        provenance = trial.user_attrs["sllmbo:provenance"]
        assert provenance["source"] == trial.user_attrs["sllmbo:source"]
        if provenance["source"] == "llm":
            assert isinstance(provenance["request"], int)
            assert provenance["asked_at"] <= trial.number
