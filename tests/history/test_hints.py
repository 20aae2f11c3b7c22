"""Hints of the user: they reach the prompt, fade as evidence arrives, and are overruled when they prove
wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sllmbo_magic import tune
from sllmbo_magic.control import Control
from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.history.hints import Hint
from sllmbo_magic.history.hints import overruled
from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.llm.base import Request
from sllmbo_magic.testing import FunctionProvider
from tests.replies import at
from tests.replies import reply

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}


def bowl(params: dict[str, Any]) -> float:
    return (params["x"] - 0.2) ** 2 + (params["y"] - 0.2) ** 2


def obeying(request: Request) -> Any:
    """Goes to large values once it reads the hint, until the hint is called overruled. No LLM."""
    text = request.messages[-1].content
    rng = np.random.default_rng([len(text), request.trial_number or 0])
    told = "prefer large values" in text and "overruled" not in text
    low, high = (0.7, 1.0) if told else (0.05, 0.45)
    return reply(text, rng, lambda space, draw: at(space, lambda: draw.uniform(low, high)))


def run(hint: str, n_trials: int = 70, **options: Any) -> tuple[Any, list[str]]:
    control = Control()
    done: list[bool] = []

    def sink(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.number == 19 and not done:
            done.append(True)
            control.wish("hint", hint)

    provider = FunctionProvider(obeying)
    given = {"schedule": "alternate", "judge": False, **options}
    result = tune(
        bowl,
        direction="minimize",
        search_space=SPACE,
        llm=provider,
        n_trials=n_trials,
        seed=1,
        folder="",
        control=control,
        sinks=[sink],
        **given,
    )
    return result, [r.messages[-1].content for r in provider.requests]


def test_a_hint_that_proves_wrong_is_overruled_and_the_run_says_so() -> None:
    result, texts = run("prefer large values")
    notes = [e for e in result.events if isinstance(e, Note) and "overruled" in e.text]
    assert len(notes) == 1
    assert notes[0].text.startswith(
        "The hint 'prefer large values' is overruled: of the 8 trials proposed since"
    )
    assert notes[0].trial_number is not None
    assert 27 <= notes[0].trial_number <= 50
    following = [t for t in texts if "given at trial 20) prefer large values" in t]
    against = [t for t in texts if "overruled by the scores, do not follow it" in t]
    assert following
    assert against
    assert texts.index(against[0]) > texts.index(following[-1])
    late = [t for t in result.trials[-15:] if t.user_attrs["sllmbo:source"] == "llm"]
    assert late
    assert all(max(t.params.values()) <= 0.5 for t in late)
    assert notes[0].text in result.summary["text"]


def test_a_hint_that_does_no_harm_stays_and_fades() -> None:
    result, texts = run("prefer small steps")
    assert not [e for e in result.events if isinstance(e, Note) and "overruled" in e.text]
    lines = [line for text in texts for line in text.split("\n") if "prefer small steps" in line]
    weights = [int(line.split("%")[0].split()[-1]) for line in lines]
    assert 60 <= weights[0] <= 100
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] <= 15


def told(llm: list[float | None], others: list[float], before: float = 0.8) -> History:
    """A best before trial 10, then the LLM's and the others' trials."""
    found = [Observation(i, {}, value=before - 0.01 * (9 - i), source="tpe") for i in range(10)]
    for i, value in enumerate(llm):
        state = "FAIL" if value is None else "COMPLETE"
        found.append(Observation(10 + i, {}, state, value, source="llm", asked_at=10))
    for i, value in enumerate(others):
        found.append(Observation(10 + len(llm) + i, {}, value=value, source="tpe"))
    return History(tuple(found), "maximize")


HINT = Hint("prefer large values", 10)


def test_a_hint_is_judged_by_eight_trials_of_the_llm_and_by_the_scores_alone() -> None:
    assert overruled(HINT, told([0.3] * 7, [0.7] * 8)) is None, "too early"
    assert overruled(HINT, told([0.3] * 8, [0.7] * 8)) is not None
    assert overruled(HINT, told([None] * 8, [0.7] * 8)) is not None, "failures are evidence too"
    assert overruled(HINT, told([0.3] * 7 + [0.85], [0.7] * 8)) is None, "it found a new best"
    assert overruled(HINT, told([0.78] * 8, [0.7] * 8)) is None, "no worse than the others"
    assert overruled(HINT, told([0.3] * 8 + [0.9], [0.7] * 8)) is not None, "judged once"
    assert overruled(Hint("the task in words", 0), told([0.3] * 8, [0.7] * 8)) is None


def test_a_weight_halves_every_ten_trials() -> None:
    assert [HINT.weight(n) for n in (5, 10, 20, 30)] == [1.0, 1.0, 0.5, 0.25]
