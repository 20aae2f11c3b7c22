"""Answers of doubles to our two questions, made from the request's own text. Never called an LLM's.

A double gets the ranges from the lines of the prompt and the parameters from the schema, as a model would.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMERIC = re.compile(r"^(\S+): (float|int) (\S+) to ([^\s,]+)(, log)?", re.M)
_CHOICES = re.compile(r"^(\S+): one of (\[.*\])", re.M)

Pick = Callable[[dict[str, Any], np.random.Generator], dict[str, Any]]


def ranges(text: str) -> dict[str, Any]:
    """The current search space as the prompt's lines say it: name to (kind, low, high, log) or a list of
    choices.
    """
    section = text.split("Current search space:\n")[-1].split("\n\n")[0]
    if "Current search space" not in text:
        section = text.split("(change it where this task calls for it):")[-1].split("No range may leave")[0]
    found: dict[str, Any] = {
        m[1]: (m[2], float(m[3]), float(m[4]), bool(m[5])) for m in _NUMERIC.finditer(section)
    }
    found.update({m[1]: json.loads(m[2]) for m in _CHOICES.finditer(section)})
    return found


def trials(text: str) -> list[tuple[int, str, str, dict[str, float]]]:
    """The trials that the prompt's tables show: number, source, score, numeric parameters."""
    rows = []
    names: list[str] = []
    for line in text.splitlines():
        if line.startswith("#,by,score"):
            names = line.split(",")
        elif names and re.match(r"#\d+,", line):
            cells = dict(
                zip(names, next(csv.reader([line], escapechar="\\", doublequote=False)), strict=True)
            )
            number, source, score = (cells.pop(key) for key in ("#", "by", "score"))
            params = {}
            for name, value in cells.items():
                if name in ("se", "train"):
                    continue
                try:
                    params[name] = float(value)
                except ValueError:
                    continue
            rows.append((int(number[1:]), source, score, params))
    return rows


def at(space: dict[str, Any], unit: Callable[[], float]) -> dict[str, Any]:
    """A configuration at unit positions of the ranges."""
    params: dict[str, Any] = {}
    for name, spec in space.items():
        u = unit()
        if isinstance(spec, list):
            params[name] = spec[min(int(u * len(spec)), len(spec) - 1)]
            continue
        kind, low, high, log = spec
        value = (
            float(np.exp(np.log(low) + u * (np.log(high) - np.log(low)))) if log else low + u * (high - low)
        )
        value = min(max(value, low), high)
        params[name] = round(value) if kind == "int" else value
    return params


def random_pick(space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Anywhere in the ranges."""
    return at(space, rng.random)


def same_pick(space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Always the same place."""
    return at(space, lambda: 0.3)


def bounds_pick(space: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Always at the bounds."""
    return at(space, lambda: float(rng.integers(2)))


def reply(
    text: str,
    rng: np.random.Generator,
    pick: Pick = random_pick,
    n: int = 5,
    changes: list[Any] | None = None,
) -> dict[str, Any]:
    """A valid answer to either question."""
    space = ranges(text)
    picked = [pick(space, rng) for _ in range(n)]
    if "Write the search space" in text:
        entries = []
        for name, spec in space.items():
            if isinstance(spec, list):
                entry = {
                    "name": name,
                    "type": "categorical",
                    "low": None,
                    "high": None,
                    "log": None,
                    "choices": spec,
                }
            else:
                entry = {
                    "name": name,
                    "type": spec[0],
                    "low": spec[1],
                    "high": spec[2],
                    "log": spec[3],
                    "choices": None,
                }
            entries.append(entry)
        pairs = [[{"name": k, "value": v} for k, v in p.items()] for p in picked]
        return {
            "reasoning": "first look",
            "space": entries,
            "configurations": [{"reason": "start", "expects": "better", "params": p} for p in pairs],
        }
    return {
        "reasoning": "next look",
        "space_changes": changes or [],
        "configurations": [
            {"reason": f"pick {i}", "expects": "similar", "params": p} for i, p in enumerate(picked)
        ],
    }


class Responder:
    """A function of a request that answers with :func:`reply`; counts its questions."""

    def __init__(self, seed: int = 0, pick: Pick = random_pick, n: int = 5) -> None:
        self.rng = np.random.default_rng(seed)
        self.pick = pick
        self.n = n
        self.texts: list[str] = []

    def __call__(self, request: Any) -> dict[str, Any]:
        text = request.messages[-1].content
        self.texts.append(text)
        return reply(text, self.rng, self.pick, self.n)


def near_the_best(text: str, space: dict[str, Any], rng: np.random.Generator, width: float) -> dict[str, Any]:
    """A configuration near the best trial of the prompt's tables, lower scores being better or not as the
    prompt's task has it; anywhere where no trial is shown."""
    scored = [(float(score), params) for _, _, score, params in trials(text) if _is_number(score)]
    if not scored:
        return random_pick(space, rng)
    lower = "lower is better" in text or "minimize" in text
    best = (min if lower else max)(scored, key=lambda row: row[0])[1]
    params = random_pick(space, rng)
    for name, spec in space.items():
        if isinstance(spec, list) or name not in best:
            continue
        kind, low, high, log = spec
        a, b, x = np.log([low, high, max(best[name], low)]) if log else (low, high, best[name])
        value = float(np.clip(x + rng.normal() * width * (b - a), a, b))
        value = min(max(float(np.exp(value)) if log else value, low), high)
        params[name] = round(value) if kind == "int" else float(f"{value:.3g}")
    return params


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


class Expert(Responder):
    """Proposes near the best trial, in answers as long as a language model's (see the recorded run that the
    example of a replay plays: 400 characters of reasoning, 85 for each configuration)."""

    def __call__(self, request: Any) -> dict[str, Any]:
        text = request.messages[-1].content
        self.texts.append(text)
        widths = iter([0.05, 0.08, 0.12, 0.2, 0.3] * 3)
        answer = reply(
            text, self.rng, lambda space, rng: near_the_best(text, space, rng, next(widths)), self.n
        )
        answer["reasoning"] = ("The leaders have small trees and a slow rate, and the rest lost. " * 8)[:430]
        for configuration in answer["configurations"]:
            configuration["reason"] = (
                "The best trial with a slower rate and more rounds, and half of the rows."
            )
        return answer
