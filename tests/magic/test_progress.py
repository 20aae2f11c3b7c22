"""Events become a few lines of text."""

from __future__ import annotations

from sllmbo_magic import events as ev
from sllmbo_magic.magic.progress import Progress
from sllmbo_magic.magic.progress import duration


def started(direction: str = "maximize", n_trials: int = 20) -> ev.RunStarted:
    run = {"name": "churn", "estimator": "SVC", "metric": "f1", "direction": direction, "n_trials": n_trials}
    return ev.RunStarted(run={**run, "sampler": "llm-tpe", "llm": "rulebook", "n_done": 0}, time=100.0)


def finished(
    number: int, value: float, best: int, best_value: float, source: str = "tpe"
) -> ev.TrialFinished:
    return ev.TrialFinished(
        number=number,
        state="COMPLETE",
        value=value,
        params={},
        source=source,
        seconds=2.0,
        best_number=best,
        best_value=best_value,
        time=102.0 + 2 * number,
    )


def test_the_line_holds_what_matters() -> None:
    progress = Progress()
    for event in (started(), finished(0, 0.8, 0, 0.8, "default"), finished(1, 0.9, 1, 0.9, "llm")):
        progress.apply(event)
    progress.apply(ev.RequestSent(request=0, purpose="propose", trial_number=1, provider="p", text="?"))
    usage = {"input_tokens": 900, "output_tokens": 100, "money": 0.01}
    progress.apply(
        ev.ReplyReceived(request=0, purpose="", trial_number=1, provider="p", text="", usage=usage)
    )
    assert progress.line() == (
        "churn: 2/20 trials · best 0.9 (trial 1, llm) · gain over default +0.1 · "
        "1 request, 1,000 tokens, $0.010 · 4 s, about 36 s left"
    )


def test_trials_at_once_share_the_line_and_the_time_that_is_left() -> None:
    progress = Progress()
    for event in (
        started(),
        ev.TrialStarted(number=0, params={}, source="default", time=101.0),
        ev.TrialStarted(number=1, params={}, source="tpe", time=101.0),
        ev.FoldFinished(number=0, fold=0, n_folds=5, score=0.8, time=101.5),
        ev.FoldFinished(number=1, fold=0, n_folds=5, score=0.8, time=101.6),
        ev.FoldFinished(number=0, fold=1, n_folds=5, score=0.8, time=101.7),
    ):
        progress.apply(event)
    assert progress.line().endswith("trial 0: fold 2/5 · trial 1: fold 1/5")
    progress.apply(finished(0, 0.8, 0, 0.8, "default"))
    assert progress.line().endswith("about 19 s left · trial 1: fold 1/5")  # 19 trials of 2 s, two at a time


def test_a_trial_of_a_killed_process_is_not_shown_as_running_after_a_resume() -> None:
    progress = Progress()
    for event in (
        started(),
        ev.TrialStarted(number=0, params={}, source="default", time=101.0),
        ev.FoldFinished(number=0, fold=0, n_folds=5, score=0.8, time=101.5),
        started(),
        ev.TrialStarted(number=1, params={}, source="tpe", time=102.0),
    ):
        progress.apply(event)
    assert "trial 0" not in progress.line()
    progress.apply(finished(1, 0.8, 1, 0.8))
    assert "about 38 s left" in progress.line()  # one at a time


def test_a_trial_that_was_cut_off_is_neither_done_nor_failed() -> None:
    progress = Progress()
    cut_off = ev.TrialFinished(number=1, state="FAIL", value=None, params={}, source="tpe", error="stopped")
    for event in (started(), finished(0, 0.8, 0, 0.8, "default"), cut_off):
        progress.apply(event)
    assert progress.line().startswith("churn: 1/20 trials")
    assert "failed" not in progress.line()


def test_a_gain_is_positive_when_smaller_is_better() -> None:
    progress = Progress()
    for event in (started("minimize"), finished(0, 0.8, 0, 0.8, "default"), finished(1, 0.5, 1, 0.5)):
        progress.apply(event)
    assert "gain over default +0.3" in progress.line()


def test_no_gain_has_no_sign_of_a_loss() -> None:
    progress = Progress()
    for event in (started("minimize"), finished(0, 0.8, 0, 0.8, "default")):
        progress.apply(event)
    assert "gain over default +0 ·" in progress.line()


def test_a_log_is_no_flood() -> None:
    progress = Progress()
    lines = progress.apply(started(n_trials=100))
    for n in range(100):
        lines += progress.apply(ev.TrialStarted(number=n, params={}, source="tpe"))
        lines += progress.apply(ev.FoldFinished(number=n, fold=0, n_folds=1, score=0.1))
        lines += progress.apply(finished(n, 0.1, 0, 0.1))
    lines += progress.apply(ev.RunFinished(status="finished", reason="all trials are done", summary={}))
    assert len(lines) == 1 + 1 + 10 + 1
    assert lines[0] == "churn: 100 trials of SVC by f1, llm-tpe with rulebook"
    assert lines[-1] == "churn: finished: all trials are done."


def test_notes_are_said_once_and_kept_below_the_line() -> None:
    progress = Progress("churn")
    note = ev.Fallback(trial_number=3, category="timeout", message="The LLM is late.")
    assert progress.apply(note) == ["churn: The LLM is late."]
    assert progress.apply(note) == []
    progress.apply(ev.WishApplied(wish="extend", value=5, trial_number=4))
    assert progress.block().splitlines()[1:] == ["  The LLM is late.", "  extend 5: applied at trial 4."]


def test_failures_pauses_and_the_current_fold_are_shown() -> None:
    progress = Progress()
    progress.apply(started())
    progress.apply(
        ev.TrialFinished(number=0, state="FAIL", value=None, params={}, source="tpe", error="timeout")
    )
    progress.apply(ev.TrialStarted(number=1, params={}, source="tpe"))
    progress.apply(ev.FoldFinished(number=1, fold=0, n_folds=5, score=0.2))
    assert "1 failed" in progress.line()
    assert "trial 1: fold 1/5" in progress.line()
    progress.apply(ev.WishApplied(wish="pause", value=None, trial_number=2))
    assert progress.line().endswith("paused")


def test_durations_read_well() -> None:
    assert [duration(s) for s in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]


def test_the_last_line_ends_with_one_full_stop_and_says_nothing_twice() -> None:
    ends = [("failed", "Mend the data."), ("interrupted", "interrupted"), ("stopped", "")]
    lines = [
        line
        for status, reason in ends
        for line in Progress("churn").apply(ev.RunFinished(status=status, reason=reason, summary={}))
    ]
    assert lines == ["churn: failed: Mend the data.", "churn: interrupted.", "churn: stopped."]
