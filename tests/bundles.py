"""Plausible bundles (schema 1) of runs that never happened: LightGBM on a binary task, of any length.

Scores come from a smooth function of the parameters with noise per fold, so that good regions, importances
and the improvements by source look like a real run's. Everything follows from the arguments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

OUTER: list[dict[str, Any]] = [
    {"name": "learning_rate", "type": "float", "low": 0.001, "high": 1.0, "log": True},
    {"name": "n_estimators", "type": "int", "low": 20, "high": 2000, "log": True},
    {"name": "num_leaves", "type": "int", "low": 2, "high": 512, "log": True},
    {"name": "max_depth", "type": "int", "low": 2, "high": 16},
    {"name": "min_child_samples", "type": "int", "low": 1, "high": 200},
    {"name": "reg_lambda", "type": "float", "low": 1e-8, "high": 100.0, "log": True},
    {"name": "subsample", "type": "float", "low": 0.3, "high": 1.0},
    {"name": "boosting_type", "type": "categorical", "choices": ["gbdt", "dart", "rf"]},
    {"name": "extra_trees", "type": "categorical", "choices": [False, True]},
    {
        "name": "drop_rate",
        "type": "float",
        "low": 0.0,
        "high": 0.5,
        "when": {"param": "boosting_type", "in": ["dart"]},
    },
]
_FIRST = {
    "learning_rate": (0.01, 0.3),
    "n_estimators": (50, 600),
    "num_leaves": (8, 128),
    "max_depth": (3, 10),
    "min_child_samples": (5, 60),
    "reg_lambda": (1e-4, 10.0),
    "subsample": (0.5, 1.0),
    "drop_rate": (0.05, 0.3),
}
_SECOND = {"learning_rate": (0.02, 0.15), "num_leaves": (4, 48), "reg_lambda": (1e-2, 30.0)}
_DEFAULT = {
    "learning_rate": 0.1,
    "n_estimators": 100,
    "num_leaves": 31,
    "max_depth": 10,
    "min_child_samples": 20,
    "reg_lambda": 1e-8,
    "subsample": 1.0,
    "boosting_type": "gbdt",
    "extra_trees": False,
}
_REASONS = (
    "The incumbent sits at a low learning rate; more trees with the same shrinkage should lower the loss.",
    "Fold spread is large with deep trees. Fewer leaves and a stronger L2 penalty trade bias for variance.",
    "Best trials share subsample near 0.7. I keep it and widen min_child_samples, for a flatter optimum.",
    "extra_trees has not been tried with the low learning rate; it decorrelates trees on little data.",
)
_BY_IMPORTANCE = (
    "learning_rate",
    "n_estimators",
    "boosting_type",
    "num_leaves",
    "reg_lambda",
    "subsample",
    "extra_trees",
    "min_child_samples",
    "max_depth",
    "drop_rate",
)
BASE = 1_700_000_000.0


def make_bundle(
    n_trials: int = 50,
    *,
    seed: int = 0,
    direction: str = "maximize",
    llm: str = "openai:gpt-4o",
    extra_params: int = 0,
    prefix: str = "",
    fail: float = 0.04,
    prune: float = 0.04,
    chat: bool = True,
    status: str = "finished",
) -> dict[str, Any]:
    """A run of ``n_trials`` trials.

    Args:
        direction: ``"maximize"`` gives ``neg_log_loss``, ``"minimize"`` a mean absolute error.
        extra_params: Further float parameters, without effect, for wide spaces.
        prefix: Goes before every parameter's name, as in a Pipeline (``"clf__"``).
        fail, prune: Shares of trials that fail and that are pruned; ``fail=1`` fails them all.
        chat: Whether the bundle has the conversation.
    """
    rng = np.random.default_rng(seed)
    outer = [
        *(dict(p) for p in OUTER),
        *({"name": f"extra_{i:02d}", "type": "float", "low": 0.0, "high": 1.0} for i in range(extra_params)),
    ]
    narrow = max(n_trials * 2 // 5, 4)
    dropped = max(n_trials * 7 // 10, 6)
    spaces = [
        _space(outer, _FIRST),
        _space(outer, {**_FIRST, **_SECOND}),
        _space(outer, {**_FIRST, **_SECOND}),
    ]
    spaces[2] = [
        {"name": "extra_trees", "fixed": True} if p["name"] == "extra_trees" else p for p in spaces[2]
    ]
    reasons = (
        "First ranges for 569 rows and 30 columns.",
        "The best eight trials have few leaves: narrowed num_leaves and learning_rate, moved reg_lambda up.",
        "extra_trees=True in all of the best five: no longer searched.",
    )
    versions = [
        {
            "version": i,
            "trial": trial,
            "params": space,
            "reason": reasons[i],
            "by": "prior" if i == 0 else "llm",
        }
        for i, (trial, space) in enumerate(zip((0, narrow, dropped), spaces, strict=True))
        if trial < max(n_trials, 1)
    ]
    trials: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None
    sign = 1 if direction == "maximize" else -1
    for n in range(n_trials):
        version = max(i for i, v in enumerate(versions) if v["trial"] <= n)
        source = _source(n, rng, llm)
        params = (
            dict(_DEFAULT)
            if source == "default"
            else _propose(versions[version]["params"], source, best, rng)
        )
        trial = _evaluate(n, params, source, version, direction, rng, fail, prune)
        trials.append(trial)
        if trial["state"] == "COMPLETE" and (best is None or sign * trial["value"] > sign * best["value"]):
            best = trial
    requests = _chat(trials, versions, llm) if chat and n_trials else []
    default = trials[0]["value"] if trials else None
    seconds = round(sum(t["seconds"] for t in trials), 3)
    bundle = {
        "schema": 1,
        "run": {
            "name": "run",
            "estimator": "LGBMClassifier" if direction == "maximize" else "LGBMRegressor",
            "metric": "neg_log_loss" if direction == "maximize" else "mean_absolute_error",
            "direction": direction,
            "n_trials": n_trials,
            "sampler": "llm-tpe",
            "llm": llm,
            "llm_ratio": 0.5,
            "schedule": "adaptive",
            "seed": seed,
            "n_folds": 5,
            "description": "Breast cancer, 569 rows; calibrated probabilities matter.",
            "taken": "model (LGBMClassifier), X (569, 30), y (569,)",
            "started_at": BASE,
            "seconds": seconds,
            "status": status,
            "reason": "",
            "default_value": default,
            "best_value": best["value"] if best else None,
            "best_number": best["n"] if best else None,
            "summary": _summary(default, best, direction),
        },
        "space": {"outer": outer, "versions": versions},
        "trials": trials,
        "chat": requests,
        "importances": _importances(len([t for t in trials if t["value"] is not None]), extra_params),
        "cost": {
            "requests": sum(c["kind"] == "prompt" for c in requests),
            "input_tokens": 1450 * sum(c["kind"] == "prompt" for c in requests),
            "output_tokens": 620 * sum(c["kind"] == "reply" for c in requests),
            "money": round(0.0098 * sum(c["kind"] == "reply" for c in requests), 4)
            if llm != "rulebook"
            else None,
            "llm_seconds": 4.2 * sum(c["kind"] == "reply" for c in requests),
            "fit_seconds": round(0.93 * seconds, 3),
            "deciding_seconds": 0.0,
        },
    }
    return _prefixed(bundle, prefix) if prefix else bundle


def make_hostile_bundle(payload: str) -> dict[str, Any]:
    """A small run whose every free text, name and category holds the payload."""
    bundle = make_bundle(12, seed=3)
    run = bundle["run"]
    for key in ("name", "estimator", "metric", "description", "taken", "reason", "llm", "sampler"):
        run[key] = payload
    run["summary"]["text"] = payload
    run["summary"]["verification"]["text"] = payload
    for version in bundle["space"]["versions"]:
        version["reason"] = version["by"] = payload
        version["params"].append({"name": payload, "type": "categorical", "choices": [payload, "other"]})
    for trial in bundle["trials"]:
        trial["reason"] = trial["expected"] = payload
        trial["params"][payload] = payload
        trial["error"] = payload
    bundle["trials"][5]["source"] = payload
    for entry in bundle["chat"]:
        entry.update(text=payload, reasoning=payload, provider=payload)
        for candidate in entry.get("candidates", ()):
            candidate.update(reason=payload, why=payload, params={payload: payload}, status=payload)
    bundle["importances"][payload] = 0.2
    return bundle


def make_multi_objective_bundle(n_trials: int = 20) -> dict[str, Any]:
    """A run with two objectives: its trials are complete and have no single value."""
    bundle = make_bundle(n_trials, seed=5, fail=0, prune=0)
    bundle["run"].update(
        direction=["maximize", "minimize"],
        default_value=None,
        best_value=None,
        best_number=None,
        summary=None,
    )
    for trial in bundle["trials"]:
        trial.update(value=None, std=None, splits=[])
    bundle["importances"] = {}
    return bundle


def _space(outer: list[dict[str, Any]], ranges: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    return [
        {**p, "low": ranges[p["name"]][0], "high": ranges[p["name"]][1]} if p["name"] in ranges else dict(p)
        for p in outer
    ]


def _source(n: int, rng: np.random.Generator, llm: str) -> str:
    name = "rulebook" if llm == "rulebook" else "llm"
    if n == 0:
        return "default"
    if n <= 4:
        return name if name == "rulebook" else "llm-init"
    if n == 17:
        return "user"
    if n in (22, 23):
        return "fallback"
    return str(rng.choice(["tpe", name], p=[0.55, 0.45]))


def _propose(
    space: list[dict[str, Any]], source: str, best: dict[str, Any] | None, rng: np.random.Generator
) -> dict[str, Any]:
    around = {"llm": 0.1, "rulebook": 0.16, "tpe": 0.22}.get(source, 1.0)
    params: dict[str, Any] = {}
    for p in space:
        name, centre = p["name"], (best or {}).get("params", {}).get(p["name"])
        if "fixed" in p:
            params[name] = p["fixed"]
        elif "choices" in p:
            keep = centre in p["choices"] and rng.random() > around + 0.1
            weights = np.array([3.0, *([1.0] * (len(p["choices"]) - 1))])
            params[name] = (
                centre if keep else p["choices"][int(rng.choice(len(weights), p=weights / weights.sum()))]
            )
        else:
            low, high = (math.log(p["low"]), math.log(p["high"])) if p.get("log") else (p["low"], p["high"])
            middle = (low + high) / 2
            if isinstance(centre, int | float) and (centre > 0 or not p.get("log")):
                middle = math.log(centre) if p.get("log") else centre
            u = rng.normal(middle, around * (high - low)) if around < 1 else rng.uniform(low, high)
            u = min(max(u, low), high)
            given = math.exp(u) if p.get("log") else u
            params[name] = (
                round(given)
                if p["type"] == "int"
                else float(f"{given:.4g}" if source.startswith("llm") else given)
            )
    if params.get("boosting_type") != "dart":
        params.pop("drop_rate", None)
    return params


def _loss(params: dict[str, Any]) -> float:
    lr, leaves = math.log10(params["learning_rate"]), math.log2(params["num_leaves"])
    work = lr + math.log10(params["n_estimators"]) - 0.95
    loss = 0.104 + 0.016 * (lr + 1.35) ** 2 + 0.024 * work**2 + 0.0022 * (leaves - 3.2) ** 2
    loss += 0.0011 * (math.log10(params["reg_lambda"]) - 0.3) ** 2 + 0.02 * (params["subsample"] - 0.7) ** 2
    loss += {"gbdt": 0.0, "dart": 0.004, "rf": 0.02}[params["boosting_type"]] - 0.003 * bool(
        params["extra_trees"]
    )
    return loss + 0.00001 * abs(params["min_child_samples"] - 18)


def _evaluate(
    n: int,
    params: dict[str, Any],
    source: str,
    version: int,
    direction: str,
    rng: np.random.Generator,
    fail: float,
    prune: float,
) -> dict[str, Any]:
    draw = rng.random()
    failed, pruned = draw < fail and (n > 0 or fail >= 1), fail <= draw < fail + prune and n > 4
    loss = _loss(params) + 0.0004 * rng.normal()
    folds = np.array([-0.012, 0.009, -0.004, 0.014, -0.007]) + 0.002 * rng.normal(size=5)
    splits = -(loss + folds) if direction == "maximize" else 18 + 100 * (loss + 0.3 * folds)
    done = not failed and not pruned
    by_llm = source in ("llm", "llm-init", "rulebook")
    return {
        "n": n,
        "state": "FAIL" if failed else "PRUNED" if pruned else "COMPLETE",
        "value": float(splits.mean()) if done else None,
        "std": float(splits.std()) if done else None,
        "splits": [float(s) for s in splits] if done else [],
        "params": params,
        "source": source,
        "reason": _REASONS[n % len(_REASONS)] if by_llm else "",
        "expected": "lower loss than the incumbent" if by_llm else "",
        "came_true": bool(n % 3 == 0) if by_llm and done else None,
        "seconds": round(0.4 + 0.004 * params["n_estimators"], 3),
        "error": "fit-failed: LightGBMError" if failed else None,
        "space": version,
        "request": n // 5 if by_llm else None,
    }


def _summary(default: float | None, best: dict[str, Any] | None, direction: str) -> dict[str, Any] | None:
    if best is None or default is None:
        return None
    gain = (best["value"] - default) if direction == "maximize" else (default - best["value"])
    return {
        "default_value": default,
        "best_value": best["value"],
        "best_number": best["n"],
        "gain": gain,
        "verification": {
            "default_mean": default * 1.01,
            "best_mean": best["value"] * 1.02,
            "gain": 0.88 * gain,
            "noise": 0.21 * abs(gain),
            "n_folds": 10,
            "verdict": "real" if gain > 0 else "within noise",
            "test_default": None,
            "test_best": None,
            "test_interval": None,
            "overtuning": 0.12 * gain,
            "text": "On ten fresh folds the best configuration beats the default by more than the noise.",
        },
    }


def _chat(trials: list[dict[str, Any]], versions: list[dict[str, Any]], llm: str) -> list[dict[str, Any]]:
    chat: list[dict[str, Any]] = []
    for request, start in enumerate(range(1, len(trials), 5)):
        batch = trials[start : start + 5]
        when = BASE + 8.0 * start
        table = "\n".join(
            f"#{t['n']} {t['source']}: {t['value']} ± {t['std']} {t['params']}"
            for t in trials[max(0, start - 20) : start]
        )
        chat.append(
            {
                "id": f"q{request}",
                "kind": "prompt",
                "trial": start,
                "time": when,
                "request": request,
                "text": "Task: LGBMClassifier on 569 rows, 30 numeric columns. Metric neg_log_loss.\n"
                f"Trials so far:\n{table}\n"
                "Propose 5 configurations as JSON, each with a reason and what you expect.",
            }
        )
        candidates = [
            {
                "params": t["params"],
                "reason": _REASONS[t["n"] % len(_REASONS)],
                "expected": "lower loss",
                "status": "accepted" if t["source"] != "tpe" else "rejected",
                "why": "" if t["source"] != "tpe" else "nearly the same as trial 3",
            }
            for t in batch
        ]
        chat.append(
            {
                "id": f"a{request}",
                "kind": "reply",
                "trial": start,
                "time": when + 4.2,
                "request": request,
                "provider": llm,
                "text": str({"configurations": candidates}),
                "reasoning": " ".join(_REASONS),
                "candidates": candidates,
                "usage": {"input_tokens": 1450, "output_tokens": 620, "money": 0.0098},
                "seconds": 4.2,
            }
        )
    for version in versions[1:]:
        chat.append(
            {
                "id": f"s{version['version']}",
                "kind": "space",
                "trial": version["trial"],
                "time": BASE + 8.0 * version["trial"],
                "text": version["reason"],
            }
        )
    if len(trials) > 22:
        when = BASE + 8.0 * 22
        chat.append(
            {
                "id": "f0",
                "kind": "fallback",
                "trial": 22,
                "time": when,
                "text": "Rate limit; the base sampler takes this trial.",
            }
        )
        chat.append(
            {
                "id": "w1",
                "kind": "wish",
                "trial": 17,
                "time": when - 40,
                "text": "",
                "wish": "hint",
                "value": "prefer shallow trees",
                "state": "applied",
            }
        )
    return sorted(chat, key=lambda entry: entry["time"])


def _importances(n_scored: int, extra_params: int) -> dict[str, float]:
    if n_scored < 10:
        return {}
    shares = (0.34, 0.22, 0.16, 0.11, 0.07, 0.04, 0.03, 0.012, 0.009, 0.004)
    known = dict(zip(_BY_IMPORTANCE, shares, strict=True))
    return {**known, **{f"extra_{i:02d}": 0.001 for i in range(extra_params)}}


def _prefixed(bundle: dict[str, Any], prefix: str) -> dict[str, Any]:
    for params in (bundle["space"]["outer"], *(v["params"] for v in bundle["space"]["versions"])):
        for p in params:
            p["name"] = prefix + p["name"].removeprefix(prefix)
            if "when" in p:
                p["when"] = {**p["when"], "param": prefix + p["when"]["param"].removeprefix(prefix)}
    for trial in bundle["trials"]:
        trial["params"] = {prefix + k: v for k, v in trial["params"].items()}
    bundle["importances"] = {prefix + k: v for k, v in bundle["importances"].items()}
    return bundle
