"""The hidden layers of scikit-learn's perceptron: searched and shown as tuples, new ones of a model too."""

from __future__ import annotations

from typing import Any
from typing import ClassVar

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sllmbo_magic import SLLMBOSearchCV
from sllmbo_magic import TuneResult
from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.errors import InputError
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.priors import accepts
from sllmbo_magic.priors import prior_for
from sllmbo_magic.space.layers import are_layers
from sllmbo_magic.space.layers import label
from sllmbo_magic.space.layers import layers_of
from sllmbo_magic.testing import FunctionProvider
from tests.replies import ranges
from tests.replies import reply

pytestmark = [pytest.mark.filterwarnings("ignore")]

X, y = make_classification(40, 4, random_state=0)
K: dict[str, Any] = {"n_trials": 6, "seed": 0, "cv": 2, "folder": "", "verify": False}
LAYERS = "hidden_layer_sizes"
RNG = np.random.default_rng(0)


class Quick(MLPClassifier):  # type: ignore[misc]
    """Few iterations; remembers the layers that it was given."""

    given: ClassVar[list[Any]] = []

    def fit(self, X: Any, y: Any) -> Any:
        type(self).given.append(self.hidden_layer_sizes)
        return super().fit(X, y)


def network(**options: Any) -> Quick:
    Quick.given = []
    return Quick(max_iter=3, random_state=0, **options)


def test_a_tuple_and_its_text() -> None:
    for value in [(64, 32), [64, 32], "(64, 32)", "(64,32)", "[64, 32]", " ( 64 ,32, ) "]:
        assert layers_of(value) == (64, 32)
    assert label((64,)) == "(64,)"
    assert layers_of("(64,)") == (64,) == layers_of("(64)")
    nothing = ["", "()", [], "64", "(a,)", "(1.5,)", "(-1,)", [True], [1.5], None, 64, "(1,)" * 99, [1] * 21]
    assert [value for value in nothing if layers_of(value) is not None] == []
    assert are_layers(["(64,)", "(64, 32)"])
    assert not are_layers(["(64,)", "tanh"])
    assert not are_layers(["(64)"])
    assert not are_layers([])


def test_layers_are_searched_as_tuples() -> None:
    prior = prior_for(MLPClassifier())
    choices = prior.space[LAYERS].choices  # type: ignore[attr-defined]
    assert {"(100,)", "(64,)", "(64, 64)", "(256, 128, 64)"} <= {*choices}
    assert [prior.space.objects[LAYERS][choice] for choice in choices] == [layers_of(c) for c in choices]
    assert len({params[LAYERS] for params, _ in prior.configurations}) >= 3
    assert any(len(layers_of(params[LAYERS]) or ()) > 1 for params, _ in prior.configurations)
    inside = prior_for(make_pipeline(StandardScaler(), MLPRegressor()))
    assert inside.space.objects[f"mlpregressor__{LAYERS}"]["(64, 64)"] == (64, 64)
    assert inside.outer.objects == inside.space.objects


@pytest.mark.parametrize("own", [(50,), [50], 50])
def test_the_users_own_layer_is_among_the_choices(own: Any) -> None:
    assert "(50,)" in prior_for(MLPClassifier(hidden_layer_sizes=own)).space[LAYERS].choices  # type: ignore[attr-defined]
    result = tune(network(hidden_layer_sizes=own), X, y, **{**K, "n_trials": 1})
    assert result.trials[0].params[LAYERS] == "(50,)"
    assert Quick.given == [own] * 2, "the default is evaluated as the user wrote it"


def test_several_layers_of_the_user_stay() -> None:
    for own in [(64, 64), [30, 20], "nonsense"]:
        assert LAYERS not in prior_for(MLPClassifier(hidden_layer_sizes=own)).space


@pytest.mark.parametrize("llm", ["rulebook", None])
def test_tune_gives_and_shows_tuples(llm: str | None, tmp_path: Any) -> None:
    provider = FunctionProvider(lambda request: reply(request.messages[-1].content, RNG, n=5))
    options = {**K, "n_trials": 8, "llm": llm or provider, "sampler": "llm-tpe" if llm else "llm"}
    result = tune(network(hidden_layer_sizes=(1,), alpha=1e4), X, y, scoring="neg_log_loss", **options)
    assert all(isinstance(layers, tuple) for layers in Quick.given)
    assert len({*Quick.given}) > 2
    shown = {event.params[LAYERS] for event in result.events if isinstance(event, TrialFinished)}
    assert are_layers(shown)
    assert isinstance(result.best_params[LAYERS], tuple)
    assert f"hidden_layer_sizes={result.best_params[LAYERS]}" in result.code()
    loaded = TuneResult.load(result.save(tmp_path / "r.zip"))
    assert loaded.best_params == result.best_params
    if not llm:
        text = provider.requests[0].messages[-1].content
        assert '"(64, 64)"' in next(line for line in text.splitlines() if line.startswith(LAYERS))


def with_new_layers(request: Any, form: Any) -> dict[str, Any]:
    """A first answer whose space and configurations have layers that the prior lacks."""
    text = request.messages[-1].content
    answer = reply(text, RNG, n=3)
    if "Write the search space" in text:
        for entry in answer["space"]:
            if entry["name"] == LAYERS:
                entry["choices"] = [form, *entry["choices"][:4]]
        for pair in answer["configurations"][0]["params"]:
            pair["value"] = form if pair["name"] == LAYERS else pair["value"]
    return answer


@pytest.mark.parametrize("form", ["(48, 24)", "(48,24)", [48, 24]])
def test_a_language_model_may_bring_in_other_layers(form: Any) -> None:
    provider = FunctionProvider(lambda request: with_new_layers(request, form))
    result = tune(network(), X, y, llm=provider, **K)
    assert (48, 24) in Quick.given
    assert {t.state.name for t in result.trials} == {"COMPLETE"}
    assert "(48, 24)" in {t.params[LAYERS] for t in result.trials}


def test_a_later_answer_may_widen_the_layers_and_a_resumed_run_has_them(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def widening(request: Any) -> dict[str, Any]:
        text = request.messages[-1].content
        change = {"action": "widen", "name": LAYERS, "choices": [[40, 20, 10]], "reason": "deeper"}
        answer = reply(text, RNG, n=2, changes=[change])
        known = "(40, 20, 10)" in ranges(text).get(LAYERS, ())
        for one in answer["configurations"] if known else ():
            params = one["params"]
            if isinstance(params, dict):
                params[LAYERS] = "(40, 20, 10)"
        return answer

    options = {**K, "folder": None, "name": "n", "sampler": "llm", "candidates": 2}
    tune(network(), X, y, llm=FunctionProvider(widening), **{**options, "n_trials": 8})
    resumed = tune(
        network(), X, y, llm=FunctionProvider(widening), resume=True, **{**options, "n_trials": 14}
    )
    assert (40, 20, 10) in Quick.given
    assert {t.state.name for t in resumed.trials} == {"COMPLETE"}
    assert TuneResult.load(".sllmbo/n").best_params == resumed.best_params


def test_what_is_no_layer_is_refused() -> None:
    model = MLPClassifier()
    for wrong in ["(0,)", "(5000,)", "deep", "()", "(9, 9, 9, 9, 9, 9, 9, 9, 9)"]:
        assert accepts(model, LAYERS, wrong) is False
    assert accepts(model, LAYERS, "(300, 3)") is True
    assert accepts(make_pipeline(StandardScaler(), model), f"mlpclassifier__{LAYERS}", "many") is False
    provider = FunctionProvider(lambda request: with_new_layers(request, "(0, 5)"))
    result = tune(network(), X, y, llm=provider, **K)
    assert all(0 not in layers for layers in Quick.given)
    assert {t.state.name for t in result.trials} == {"COMPLETE"}


def test_the_user_may_change_the_layers_while_the_run_goes_on() -> None:
    control = Control()
    control.wish("range", {"param": LAYERS, "choices": ["(7,)", "(8, 4)"]})
    tune(network(), X, y, control=control, **K)
    assert {*Quick.given[2:]} <= {(7,), (8, 4)}
    assert {(7,), (8, 4)} & {*Quick.given}


def test_layers_are_given_in_a_prepared_configuration() -> None:
    for mine in [(64, 64), [64, 64], "(64,64)"]:
        result = tune(network(), X, y, enqueue=[{LAYERS: mine}], **{**K, "n_trials": 2})
        assert result.trials[1].params[LAYERS] == "(64, 64)"
        assert Quick.given[-1] == (64, 64)
    with pytest.raises(InputError, match="allowed: one of"):
        tune(network(), X, y, enqueue=[{LAYERS: "wide"}], **K)


def test_the_search_of_scikit_learn_searches_layers() -> None:
    search = SLLMBOSearchCV(network(), n_trials=5, random_state=0, cv=2).fit(X, y)
    assert all(isinstance(params[LAYERS], tuple) for params in search.cv_results_["params"][1:])
    assert {*Quick.given} > {(100,)}
    assert search.best_params_ == search.result_.best_params


def test_the_users_iterations_are_neither_searched_nor_changed() -> None:
    result = tune(network(), X, y, **K)
    assert all("max_iter" not in trial.params for trial in result.trials)
    assert result.best_estimator.max_iter == 3
