"""A made-up run for tests of the views: plausible events, no model was fitted. Never shown as a result."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

from sllmbo_magic import events as ev

OUTER: list[dict[str, Any]] = [
    {"name": "learning_rate", "type": "float", "low": 0.001, "high": 1.0, "log": True},
    {"name": "num_leaves", "type": "int", "low": 2, "high": 512, "log": True},
    {"name": "max_depth", "type": "int", "low": 1, "high": 16},
    {"name": "min_child_samples", "type": "int", "low": 1, "high": 200, "log": True},
    {"name": "subsample", "type": "float", "low": 0.2, "high": 1.0},
    {"name": "colsample_bytree", "type": "float", "low": 0.2, "high": 1.0},
    {"name": "reg_lambda", "type": "float", "low": 1e-8, "high": 100.0, "log": True},
    {"name": "boosting_type", "type": "categorical", "choices": ["gbdt", "dart"]},
]
FIRST = {
    "learning_rate": (0.01, 0.3),
    "num_leaves": (8, 128),
    "max_depth": (3, 12),
    "min_child_samples": (5, 100),
    "subsample": (0.5, 1.0),
    "colsample_bytree": (0.4, 1.0),
    "reg_lambda": (1e-6, 10.0),
}
REASONS = [
    "A lower learning rate with more leaves: the fold spread is small, so capacity is what is missing.",
    "Fewer leaves and stronger `reg_lambda`, since the last three gains came with regularisation.",
    "Close to the incumbent, with `subsample` lowered to decorrelate the trees.",
    "Explores the upper end of `min_child_samples`, which no trial has tried.",
]


def _params(
    ranges: dict[str, tuple[float, float]], rng: random.Random, centre: dict[str, Any] | None
) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for spec in OUTER:
        name = spec["name"]
        if spec["type"] == "categorical":
            params[name] = "gbdt" if rng.random() < 0.75 else "dart"
            continue
        low, high = ranges[name]
        u = rng.random()
        if centre is not None:
            at = centre[name]
            position = (
                math.log(at / low) / math.log(high / low) if spec.get("log") else (at - low) / (high - low)
            )
            u = min(1.0, max(0.0, rng.gauss(position, 0.12)))
        value = low * (high / low) ** u if spec.get("log") else low + u * (high - low)
        params[name] = max(round(value), spec["low"]) if spec["type"] == "int" else float(f"{value:.5g}")
    return params


def _score(p: dict[str, Any], rng: random.Random) -> float:
    loss = (
        0.9 * (math.log10(p["learning_rate"]) + 1.4) ** 2
        + 0.5 * (math.log2(p["num_leaves"]) - 5.2) ** 2 / 4
        + 0.25 * (p["max_depth"] - 8) ** 2 / 16
        + 0.2 * (p["subsample"] - 0.8) ** 2
        + 0.15 * (p["colsample_bytree"] - 0.7) ** 2
        + 0.05 * (math.log10(p["reg_lambda"]) + 1) ** 2 / 4
        + (0.25 if p["boosting_type"] == "dart" else 0.0)
    )
    return 0.8871 - 0.025 * loss + rng.gauss(0, 0.0012)


def run_events(  # noqa: C901 - one event after the other
    n_trials: int = 50, *, seed: int = 7, finish: bool = True, name: str = "churn"
) -> Iterator[ev.Event]:
    """The events of a made-up run of LightGBM in LLM-TPE mode; times are made up as well."""
    rng = random.Random(seed)
    now = 1_790_000_000.0
    yield ev.RunStarted(
        time=now,
        run={
            "name": name,
            "estimator": "LGBMClassifier",
            "metric": "f1_weighted",
            "direction": "maximize",
            "n_trials": n_trials,
            "n_done": 0,
            "sampler": "llm-tpe",
            "llm": "openai:gpt-4o",
            "llm_ratio": 0.5,
            "schedule": "adaptive",
            "seed": seed,
            "n_folds": 5,
            "description": "Which customers leave within a month; missing a leaver costs most.",
            "path": None,
            "taken": "model LGBMClassifier, X 12,000 × 21, y 12,000 (2 classes)",
        },
    )
    ranges = dict(FIRST)

    def space(version: int, trial: int, reason: str, by: str) -> ev.SpaceChanged:
        params = [
            {
                **spec,
                **(
                    {}
                    if spec["type"] == "categorical"
                    else dict(zip(("low", "high"), ranges[spec["name"]], strict=True))
                ),
            }
            for spec in OUTER
        ]
        return ev.SpaceChanged(
            time=now,
            version=version,
            trial_number=trial,
            params=params,
            reason=reason,
            by=by,
            outer=OUTER if version == 0 else None,
        )

    best: tuple[float, int, dict[str, Any]] | None = None
    default = 0.0
    request, queue, version = 0, [], 0
    for n in range(n_trials):
        if n == 1 or (n > 1 and n % 8 == 0):
            purpose = "initialize" if n == 1 else "propose"
            now += 1
            yield ev.RequestSent(
                time=now,
                request=request,
                purpose=purpose,
                trial_number=n,
                provider="openai:gpt-4o",
                text=f"## Task\nLGBMClassifier, metric f1_weighted (maximize), 12,000 rows, 21 columns.\n\n"
                f"## History\n{n} trials so far. "
                + ("Best: " + json.dumps(best[2]) if best else "")
                + "\n\nPropose 5 configurations, each with a reason and the effect you expect.",
            )
            now += 2.4
            if request % 5 == 3:
                yield ev.Fallback(
                    time=now,
                    trial_number=n,
                    category="rate-limit",
                    message="openai:gpt-4o answered 429 three times; TPE takes this batch.",
                )
            else:
                queue = []
                centre = best[2] if best and n > 1 else None
                inside = dict(centre or {})
                for k, (low, high) in ranges.items():
                    if centre is not None:
                        inside[k] = min(high, max(low, inside[k]))
                candidates = []
                for i in range(5):
                    params = _params(ranges, rng, inside if centre else None)
                    reason = REASONS[(request + i) % len(REASONS)]
                    candidates.append(
                        {
                            "params": params,
                            "reason": reason,
                            "expected": "f1 up by 0.002" if i % 2 else "",
                            "status": "accepted",
                        }
                    )
                    queue.append((params, reason, request))
                candidates.append(
                    {
                        "params": {**candidates[0]["params"], "learning_rate": 1.8},
                        "reason": "Faster learning.",
                        "expected": "",
                        "status": "rejected",
                        "why": "learning_rate 1.8 is outside 0.001 to 1; a repair gave the same.",
                    }
                )
                yield ev.ReplyReceived(
                    time=now,
                    request=request,
                    purpose=purpose,
                    trial_number=n,
                    provider="openai:gpt-4o",
                    text=json.dumps(
                        {"candidates": [{k: c[k] for k in ("params", "reason")} for c in candidates]}
                    ),
                    reasoning="The **best three trials** share a learning rate near 0.04, 30 to 60 leaves, "
                    "and `dart` lost each time it was tried.\n\n"
                    "1. stay near the incumbent for two candidates,\n"
                    "2. test whether `reg_lambda` matters at all,\n"
                    "3. keep one far away, in case the basin is wrong.\n",
                    candidates=candidates,
                    usage={"input_tokens": 1450 + 20 * n, "output_tokens": 620, "money": 0.0098},
                    seconds=2.4,
                )
            if n == 1:
                yield space(0, n, "The model's first ranges for 12,000 rows.", "llm")
            elif n % 16 == 0 and best is not None:
                version += 1
                for k in ("learning_rate", "num_leaves", "reg_lambda"):
                    low, high = ranges[k]
                    at = best[2][k]
                    shrink = 0.6
                    ranges[k] = (
                        low * (at / low) ** (1 - shrink) if at > low else low,
                        high * (at / high) ** (1 - shrink),
                    )
                    if k == "num_leaves":
                        ranges[k] = (max(2, round(ranges[k][0])), round(ranges[k][1]))
                    else:
                        ranges[k] = (float(f"{ranges[k][0]:.3g}"), float(f"{ranges[k][1]:.3g}"))
                yield space(version, n, "The best five trials lie in the middle of these ranges.", "llm")
            request += 1
        if n == 20:
            yield ev.WishApplied(
                time=now,
                wish="hint",
                value="prefer shallow trees, inference must be fast",
                trial_number=n,
                id="w1",
            )
        if n == 0:
            source, reason, asked = "default", "The library's default configuration.", None
            params = {
                "learning_rate": 0.1,
                "num_leaves": 31,
                "max_depth": 14,
                "min_child_samples": 20,
                "subsample": 1.0,
                "colsample_bytree": 1.0,
                "reg_lambda": 1e-8,
                "boosting_type": "gbdt",
            }
        elif queue and (n < 6 or n % 2 == 0):
            params, reason, asked = queue.pop(0)
            source = "llm-init" if asked == 0 else "llm"
        elif n == 21:
            params, reason, asked, source = _params(ranges, rng, None), "Asked for by the user.", None, "user"
        else:
            params = _params(
                ranges,
                rng,
                None
                if n < 12 or best is None
                else {
                    k: (min(ranges[k][1], max(ranges[k][0], v)) if k in ranges else v)
                    for k, v in best[2].items()
                },
            )
            reason, asked = "", None
            source = "fallback" if 25 <= n < 27 else "tpe"
        yield ev.TrialStarted(
            time=now,
            number=n,
            params=params,
            source=source,
            reason=reason,
            expected="",
            space_version=version,
            request=asked,
        )
        mean = _score(params, rng)
        folds = [float(f"{mean + rng.gauss(0, 0.004):.6f}") for _ in range(5)]
        seconds = rng.uniform(1.5, 3.5)
        state = "FAIL" if n == 13 else "PRUNED" if n in (18, 31) else "COMPLETE"
        for k, score in enumerate(folds[: 2 if state == "PRUNED" else 5]):
            now += seconds / 5
            if state != "FAIL":
                yield ev.FoldFinished(time=now, number=n, fold=k, n_folds=5, score=score)
        value = sum(folds) / 5 if state == "COMPLETE" else None
        if n == 0 and value is not None:
            default = value
        if value is not None and (best is None or value > best[0]):
            best = (value, n, params)
        yield ev.TrialFinished(
            time=now,
            number=n,
            state=state,
            value=value,
            params=params,
            source=source,
            std=None if value is None else 0.004 + 0.001 * rng.random(),
            split_scores=folds if state == "COMPLETE" else folds[:2] if state == "PRUNED" else [],
            seconds=seconds,
            reason=reason,
            came_true=None if source != "llm" else value == (best or [None])[0],
            error="out-of-memory (MemoryError)" if state == "FAIL" else None,
            space_version=version,
            request=asked,
            best_number=best[1] if best else None,
            best_value=best[0] if best else None,
        )
    if finish and best is not None:
        yield ev.Note(time=now, text="The gain was re-scored on fresh folds.", trial_number=n_trials - 1)
        yield ev.RunFinished(
            time=now + 3,
            status="finished",
            reason=f"All {n_trials} trials are done.",
            summary={
                "default_value": default,
                "best_value": best[0],
                "best_number": best[1],
                "gain": best[0] - default,
                "seconds": now - 1_790_000_000.0,
                "verification": {
                    "gain": 0.0182,
                    "noise": 0.0021,
                    "verdict": "real",
                    "text": "The gain of 0.0182 is real: 8.7 times its noise on 10 fresh folds.",
                },
                "text": f"{default:.4f} by default, {best[0]:.4f} after {n_trials} trials.",
                "importances": {
                    "learning_rate": 0.46,
                    "num_leaves": 0.24,
                    "max_depth": 0.12,
                    "boosting_type": 0.09,
                    "reg_lambda": 0.04,
                    "subsample": 0.02,
                    "colsample_bytree": 0.02,
                    "min_child_samples": 0.01,
                },
            },
        )
