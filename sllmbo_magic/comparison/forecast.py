"""What a comparison is about to run, and the requests that it is likely to send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sllmbo_magic.comparison.result import Comparison
from sllmbo_magic.report.text import count
from sllmbo_magic.tuning.forecast import forecast
from sllmbo_magic.tuning.plan import Plan


def forecast_text(plans: Sequence[Plan], comparison: Comparison) -> str:
    """How many runs of how many trials are left, and the requests that they are likely to send."""
    done = {(run.variant, run.seed) for run in comparison.runs}
    runs: Counter[int] = Counter()
    requests, llms = 0, []
    for label, plan in zip(comparison.variants, plans, strict=True):
        n_left = sum((label, seed) not in done for seed in comparison.seeds)
        runs[plan.settings.n_trials] += n_left
        if n_left and plan.settings.uses_llm:
            requests += n_left * forecast(plan)["requests"]
            llms.append(plan.settings.llm_id)
    parts = [f"{count(n, 'run')} of {count(n_trials, 'trial')}" for n_trials, n in runs.items() if n]
    text = " and ".join(parts) or count(0, "run")
    if requests:
        text += f", about {count(requests, 'request')} to {', '.join(dict.fromkeys(llms))}"
        text += ", and more where an answer has to be asked for again"
    return f"{text}."
