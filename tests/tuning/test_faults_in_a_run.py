"""A server that fails, seen from a whole run: no trial is lost, one line says why, the chat shows it."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.trial import TrialState

from sllmbo_magic import tune
from sllmbo_magic.events import Fallback
from sllmbo_magic.llm.recorder import RecordingProvider
from tests.loopback import Fault
from tests.loopback import LoopbackServer
from tests.marks import long

FAULTS = {
    "401": (Fault(status=401), True),
    "403": (Fault(status=403), True),
    "404": (Fault(status=404), True),
    "408": (Fault(status=408), False),
    "409": (Fault(status=409), False),
    "413": (Fault(status=413), False),
    "429": (Fault(status=429), False),
    "429 with Retry-After": (Fault(status=429, headers={"Retry-After": "1"}), False),
    "500": (Fault(status=500), False),
    "502": (Fault(status=502), False),
    "503": (Fault(status=503), False),
    "529": (Fault(status=529), False),
    "reset": (Fault("reset"), False),
    "reset mid-body": (Fault("reset-mid-body"), False),
    "html": (Fault("html"), False),
    "cut json": (Fault("cut-json"), False),
    "refusal": (Fault("refusal"), False),
    "content filter": (Fault("content-filter"), False),
    "truncated": (Fault("truncated"), False),
    "empty": (Fault("empty"), False),
}
OTHER_STATUSES = ("403", "408", "409", "413", "500", "502", "529")
"""What each is taken for is tested in tests/llm/test_error_mapping.py; a run treats them as the others."""


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts: retries have tests of their own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-openai-key-1234567890abcdef")
    start = RecordingProvider.__init__

    def once(self: Any, *args: Any, **options: Any) -> None:
        start(self, *args, **{**options, "retries": 0, "deadline": 60.0})

    monkeypatch.setattr(RecordingProvider, "__init__", once)


@pytest.mark.parametrize("name", [long(name) if name in OTHER_STATUSES else name for name in FAULTS])
def test_no_trial_is_lost_and_the_run_says_why(name: str, data: Any, model: Any) -> None:
    fault, permanent = FAULTS[name]
    with LoopbackServer([fault]) as server:
        result = tune(
            model, *data, llm="openai:test-model", base_url=server.url, n_trials=8, seed=1, verify=False, cv=2
        )
    assert [t.state for t in result.trials] == [TrialState.COMPLETE] * 8
    falls = [e for e in result.events if isinstance(e, Fallback)]
    assert falls
    assert all(e.category and e.message.strip() and "\n" not in e.message for e in falls)
    assert "planted" not in "".join(e.message for e in falls)
    assert any(e.permanent for e in falls) is permanent
    if permanent:
        assert len(falls) == 1, "said once"
    shown = [item for item in result.bundle()["chat"] if item["kind"] == "fallback"]
    assert len(shown) == len(falls)


def test_a_run_without_its_llm_says_why_as_it_happens_and_at_its_end(
    data: Any, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"n_trials": 6, "seed": 1, "verify": False, "folder": ""}
    refusal = Fault(status=401, body={"error": {"message": "bad key"}})
    with LoopbackServer([refusal]) as server:
        result = tune(model, *data, llm="openai:test-model", base_url=server.url, **options)
    [fall] = [e for e in result.events if isinstance(e, Fallback)]
    assert fall.message in caplog.messages
    text = result.summary["text"]
    assert (
        "The LLM openai:test-model was not asked again after trial 1: the key was not accepted (401)" in text
    )
    assert 'The server says: "bad key". Check the key. The rulebook\'s first configurations are used.' in text
    assert "once" not in text, "it is off for good"

    with LoopbackServer([Fault(status=503, body="all slots are busy")]) as server:
        result = tune(
            model, *data, llm="openai:test-model", base_url=server.url, **{**options, "n_trials": 12}
        )
    text = result.summary["text"]
    assert "gave no usable proposal" in text
    assert 'Why: the server failed (503). The server says: "all slots are busy".' in text
    assert "asked again later" not in text

    caplog.clear()
    with LoopbackServer([refusal]) as server:
        shown: list[Any] = []
        tune(model, *data, llm="openai:test-model", base_url=server.url, **options, sinks=[shown.append])
    assert any(isinstance(event, Fallback) for event in shown)
    assert not caplog.messages, "who shows the events says it"


def test_a_server_that_is_not_there(data: Any, model: Any) -> None:
    result = tune(
        model,
        *data,
        llm="openai:test-model",
        base_url="http://127.0.0.1:9/v1",
        n_trials=5,
        seed=1,
        verify=False,
    )
    assert [t.state for t in result.trials] == [TrialState.COMPLETE] * 5
    assert any(isinstance(e, Fallback) for e in result.events)
