"""``--isolate`` and ``--devices`` in a cell."""

from __future__ import annotations

from tests.magic.conftest import Shell

CELL = """%%sllmbo crash --isolate --devices left,right --n-trials 4 --direction minimize --sampler random \
--seed 0 --no-widget
def objective(trial):
    import os
    x = trial.suggest_float("x", 0.0, 1.0)
    if trial.number == 1:
        os._exit(7)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == trial.user_attrs["device"]
    return x
"""


def test_a_process_that_ends_costs_one_trial_of_a_cell(shell: Shell) -> None:
    shell.ok(CELL)
    trials = (
        shell.user_ns["crash"].study.trials if "crash" in shell.user_ns else shell.user_ns["result"].trials
    )
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert "exit code 7" in trials[1].user_attrs["sllmbo:evaluation"]["cause"]
