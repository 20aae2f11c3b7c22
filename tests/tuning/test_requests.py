"""What goes to an LLM, seen by a real HTTP server through the real SDKs."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer
from sklearn.preprocessing import StandardScaler

from sllmbo_magic import LLMTPESampler
from sllmbo_magic import SearchSpace
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import Note
from sllmbo_magic.events import ReplyReceived
from sllmbo_magic.events import RequestSent
from sllmbo_magic.testing import FunctionProvider
from tests import tokens
from tests.marks import long
from tests.replies import Responder
from tests.replies import trials
from tests.small_task import Server
from tests.small_task import text_of

SPACE = {"C": (1e-3, 1e3, "log"), "tol": (1e-6, 1e-1, "log")}


class ProviderWithClient(FunctionProvider):
    """A user's provider, which holds what cannot be copied, as every client of an SDK does."""

    def __init__(self) -> None:
        super().__init__(Responder(0))
        self.lock = threading.Lock()


def test_a_provider_that_cannot_be_copied_serves_a_stored_run(data: Any, model: Any, tmp_path: Path) -> None:
    result = tune(model, *data, n_trials=3, llm=ProviderWithClient(), folder=tmp_path, name="own", seed=0)
    assert "llm-init" in [trial.user_attrs["sllmbo:source"] for trial in result.trials]
    written = json.loads((tmp_path / "own" / "run.json").read_text(encoding="utf-8"))
    assert written["options"]["n_trials"] == 3


def test_prompts_hold_earlier_trials_good_and_bad_from_both_sources(
    provider: tuple[str, str], server: Server, data: Any, model: Any
) -> None:
    llm, base_url = provider
    result = tune(
        model,
        *data,
        llm=llm,
        base_url=base_url,
        n_trials=22,
        seed=3,
        search_space=SPACE,
        schedule="alternate",
        judge=False,
    )
    last = text_of(server.requests[-1])
    shown = {n: (source, score, params) for n, source, score, params in trials(last)}
    told = [t for t in result.trials if t.number in shown]
    assert len(told) >= 12
    for trial in told:
        source, score, params = shown[trial.number]
        assert source == trial.user_attrs["sllmbo:source"]
        assert float(score) == pytest.approx(trial.value, rel=1e-4)
        assert params["C"] == pytest.approx(trial.params["C"], rel=1e-4)
    sources = {source for source, _, _ in shown.values()}
    assert {"llm", "tpe"} <= sources
    values = sorted(t.value for t in result.trials if t.number < max(shown))
    worst = min(t.value for t in told)
    assert worst <= values[len(values) // 4], "the bad quarter of the trials is shown too"


def test_trial_0_makes_no_request_and_one_request_brings_space_and_configurations(
    provider: tuple[str, str], server: Server, data: Any, model: Any
) -> None:
    llm, base_url = provider
    counted: list[int] = []
    result = tune(
        model,
        *data,
        llm=llm,
        base_url=base_url,
        n_trials=6,
        seed=0,
        callbacks=[lambda study, trial: counted.append(len(server.requests))],
    )
    assert counted[0] == 0
    assert counted[1] == 1
    assert [t.user_attrs["sllmbo:source"] for t in result.trials] == ["default"] + ["llm-init"] * 5
    assert len(result.space_versions) == 1 or result.space_versions[1].by == "llm"


def test_a_run_of_the_base_sampler_asks_its_llm_once_the_user_chooses_that(data: Any, model: Any) -> None:
    llm, control = FunctionProvider(Responder(1)), Control()
    n_asked: list[int] = []

    def choose(study: Any, trial: Any) -> None:
        n_asked.append(len(llm.requests))
        if trial.number == 1:
            control.wish("hint", "deeper")
        if trial.number == 2:
            control.wish("sampler", "llm")

    options = {"sampler": "tpe", "llm": llm, "search_space": SPACE, "name": "t", "verify": False, "seed": 1}
    result = tune(model, *data, n_trials=6, control=control, callbacks=[choose], **options)
    assert n_asked[:3] == [0, 0, 0]
    assert {t.user_attrs["sllmbo:source"] for t in result.trials[3:]} == {"llm"}
    assert "deeper" in llm.requests[-1].messages[-1].content
    again = tune(model, *data, n_trials=8, resume=True, **options)
    assert {t.user_attrs["sllmbo:source"] for t in again.trials[6:]} == {"llm"}, "a command is kept"


def test_a_run_that_asks_no_llm_goes_on_without_the_key_of_one(
    data: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    control = Control()
    options = {"sampler": "tpe", "llm": "openai:gpt-4o", "verify": False, "folder": ""}
    result = tune(model, *data, n_trials=2, control=control, **options)
    note = next(e.text for e in result.events if isinstance(e, Note) and "gpt-4o" in e.text)
    assert note.startswith("openai:gpt-4o cannot be asked, also not after a change of the sampler: ")
    with pytest.raises(InputError, match="reads no hints"):
        control.wish("hint", "deeper")


@pytest.mark.parametrize(("sampler", "seed"), [("llm-tpe", 0), long("llm-tpe", 7), long("llm", 0)])
def test_fifty_trials_make_at_most_twelve_requests(data: Any, model: Any, sampler: str, seed: int) -> None:
    responder = Responder(seed)
    tune(
        model,
        *data,
        llm=FunctionProvider(responder),
        sampler=sampler,
        n_trials=50,
        seed=seed,
        folder="",
        verify=False,
    )
    assert 3 <= len(responder.texts) <= 12


def test_each_trial_has_one_source(data: Any, model: Any) -> None:
    """LLM values have two decimals here, the sampler's have more: a mixed trial would show both."""

    def answer(request: Any) -> Any:
        reply = Responder(len(request.messages[-1].content))(request)
        for configuration in reply["configurations"]:
            pairs = configuration["params"]
            items = pairs if isinstance(pairs, list) else [{"name": k, "value": v} for k, v in pairs.items()]
            rounded = {
                p["name"]: round(p["value"], 2) if isinstance(p["value"], float) else p["value"]
                for p in items
            }
            configuration["params"] = rounded
        return reply

    space = {f"x{i}": (0.0, 1.0) for i in range(5)}
    sampler = LLMTPESampler(
        FunctionProvider(answer), search_space=SearchSpace.from_user(space), seed=1, judge=False
    )
    import optuna

    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda trial: sum((trial.suggest_float(n, 0.0, 1.0) - 0.4) ** 2 for n in space), n_trials=40
    )
    sources = {"llm": 0, "tpe": 0}
    for trial in study.trials:
        rounded = {round(v, 2) == v for v in trial.params.values()}
        assert len(rounded) == 1, trial.params
        source = trial.user_attrs["sllmbo:source"]
        sources[source] += 1
        assert rounded == {source == "llm"}
    assert min(sources.values()) >= 8


class Touchy(LogisticRegression):
    """Cannot be fitted with a large C, and says so with words that must stay here."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.C > 30:
            raise ValueError(f"zanzibar-7781 {X[0]!r}")
        return super().fit(X, y, sample_weight)


def test_failed_trials_are_shown_by_category_without_their_message(
    provider: tuple[str, str], server: Server, data: Any
) -> None:
    llm, base_url = provider
    result = tune(
        Touchy(), *data, llm=llm, base_url=base_url, n_trials=20, seed=1, search_space=SPACE, judge=False
    )
    failed = [t.number for t in result.trials if t.state == TrialState.FAIL]
    assert failed
    asked = [text_of(r) for r in server.requests]
    shown = {n for text in asked for n, _, score, _ in trials(text) if score.startswith("FAILED")}
    last = max(e.trial_number or 0 for e in result.events if isinstance(e, RequestSent))
    assert {n for n in failed if n < last - 1} <= shown
    assert any("FAILED (fit-failed)" in text for text in asked)
    assert "zanzibar" not in "\n".join(asked)
    assert "zanzibar" in Path(".sllmbo/run/run.json").read_text()  # the user's own folder keeps the cause


def test_no_value_label_column_or_weight_of_the_data_is_in_any_request(
    provider: tuple[str, str], server: Server
) -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    values = np.round(rng.uniform(1000, 9000, size=(60, 3)), 6)
    frame = pd.DataFrame(values, columns=["xqcol_alpha", "xqcol_beta", "xqcol_gamma"])
    labels = np.where(values[:, 0] + values[:, 1] > 9000, "xqlabel_yes", "xqlabel_no")
    pipeline = Pipeline(
        [
            ("prep", ColumnTransformer([("scale", StandardScaler(), ["xqcol_alpha", "xqcol_beta"])])),
            ("clf", LogisticRegression(class_weight={"xqlabel_yes": 3.77731, "xqlabel_no": 1.0})),
        ]
    )
    llm, base_url = provider
    tune(
        pipeline,
        frame,
        labels,
        llm=llm,
        base_url=base_url,
        n_trials=14,
        seed=0,
        description="Two kinds of things.",
    )
    sent = "\n".join(json.dumps(r.body) for r in server.requests)
    assert len(server.requests) >= 2
    assert "Two kinds of things." in sent
    for marked in ("xqcol", "xqlabel", "3.77731"):
        assert marked not in sent
    numbers = set(re.findall(r"\d+\.\d+", sent))
    assert not numbers & {repr(float(v)) for v in values.ravel()}


def test_columns_are_sent_when_the_user_says_so(
    server: Server, data: Any, model: Any, monkeypatch: Any
) -> None:
    pd = pytest.importorskip("pandas")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-openai-key-1234567890abcdef")
    frame = pd.DataFrame(data[0], columns=["age", "income", "height"])
    tune(
        model,
        frame,
        data[1],
        llm="openai:m",
        base_url=server.url,
        n_trials=3,
        share_columns=True,
        seed=0,
        folder="",
    )
    assert "income" in text_of(server.requests[0])


def test_no_key_is_left_anywhere(
    provider: tuple[str, str], server: Server, data: Any, model: Any, capsys: Any, caplog: Any
) -> None:
    llm, base_url = provider
    result = tune(model, *data, llm=llm, base_url=base_url, n_trials=12, seed=0)
    result.save("saved.zip")
    kept = [repr(result), repr(result.history), json.dumps(result.bundle(), default=str), caplog.text]
    kept += [*capsys.readouterr()]
    kept += [p.read_bytes().decode(errors="replace") for p in Path().rglob("*") if p.is_file()]
    assert server.requests
    assert any("planted" in str(r.headers) for r in server.requests), "the key did go to the server"
    assert not [text for text in kept if "planted" in text]


def test_a_run_says_what_it_will_cost_before_it_asks(data: Any, model: Any) -> None:
    seen: list[Any] = []
    tune(model, *data, llm=FunctionProvider(Responder(0)), n_trials=4, seed=0, folder="", sinks=[seen.append])
    first = next(i for i, e in enumerate(seen) if isinstance(e, RequestSent))
    said = [e.text for e in seen[:first] if isinstance(e, Note)]
    assert any(re.match(r"About 1 request and [\d,]+ tokens", text) for text in said)


def test_a_run_sends_a_fraction_of_what_resending_the_conversation_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the real SDK, default options against one request per LLM trial with all earlier prompts and
    replies (benchmarks/tokens.py).
    """
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "loopback-key-0123456789")
    result, ours = tokens.run(n_trials=50)
    _, theirs = tokens.run(n_trials=50, **tokens.ONE_REQUEST_PER_LLM_TRIAL)
    assert len(result.trials) == 50
    assert 3 <= len(ours) <= 12
    assert len(theirs) > 18
    assert tokens.sent(ours) / tokens.resent(theirs) <= 0.07
    assert max(e.tokens for e in ours) <= 1900, "2,386 before trials stood in a table, and with less said"


@pytest.mark.parametrize("options", [{}, {"anonymize": True}, {"history": "summary"}, {"history": "full"}])
def test_an_answer_with_masked_names_is_read_as_the_real_ones(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"income": rng.normal(size=60), "hiv_status": rng.normal(size=60)})
    y = (X["income"] > 0).astype(int)
    bins = ColumnTransformer([("hiv_status", KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), [1])])
    model = Pipeline([("prep", bins), ("lr", LogisticRegression())])
    sent: list[str] = []
    answers = Responder(0)

    def answer(request: Any) -> str:
        sent.append("\n".join(m.content for m in request.messages) + json.dumps(request.schema))
        return json.dumps(answers(request)) if request.schema else "Trials of prep__step1__n_bins are #1."

    result = tune(
        model,
        X,
        y,
        search_space={"lr__C": (1e-3, 1e3, "log"), "prep__hiv_status__n_bins": (2, 9)},
        llm=FunctionProvider(answer),
        n_trials=14,
        cv=3,
        seed=0,
        folder="",
        **options,
    )
    assert len(sent) > 1
    assert not re.search("hiv_status|income", "".join(sent))
    asked = [t for t in result.study.trials if t.user_attrs["sllmbo:source"] in ("llm", "llm-init")]
    assert asked
    assert all({*t.params} == {"lr__C", "prep__hiv_status__n_bins"} for t in asked)
    replies = [e for e in result.events if isinstance(e, ReplyReceived) and e.candidates]
    assert {name for e in replies for c in e.candidates for name in c["params"]} == {*asked[0].params}
