"""The score on training rows is computed where an LLM reads it, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from sllmbo_magic import attrs
from sllmbo_magic import tune
from sllmbo_magic.testing import FunctionProvider
from tests.replies import Responder


def run(data: Any, **options: Any) -> Any:
    return tune(
        LogisticRegression(max_iter=50), *data, n_trials=9, seed=0, folder="", verify=False, **options
    )


def training_scores(result: Any) -> list[Any]:
    return [t.user_attrs[attrs.EVALUATION].get("training_score") for t in result.trials]


def test_an_llm_reads_training_scores_and_what_they_are(data: Any) -> None:
    llm = FunctionProvider(Responder(0))
    result = run(data, llm=llm)
    assert all(isinstance(score, float) for score in training_scores(result))
    last = [m.content for m in llm.requests[-1].messages]
    assert "score,se,train," in "\n".join(last)
    assert "train the score on training rows of one fold" in last[0]


@pytest.mark.parametrize("options", [{}, {"sampler": "tpe"}, {"permute_scores": True}])
def test_without_an_llm_or_with_permuted_scores_none_is_computed(data: Any, options: dict[str, Any]) -> None:
    llm = {"llm": FunctionProvider(Responder(0))} if "permute_scores" in options else {}
    assert set(training_scores(run(data, **options, **llm))) == {None}
