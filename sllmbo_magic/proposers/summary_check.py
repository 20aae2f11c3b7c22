"""An LLM's summary against the study's truth: sentences that the study contradicts are taken out.

The truth stands in front of every summary anyway (``memory.headline``); a false best next to it would still
pull proposals its way. So each sentence must be explained by the study: the trials that it names exist, a
score is one that a trial had, and what it calls the best is the best. Where that cannot be told, the sentence
goes: a summary loses little by a sentence, and a search much by a wrong best.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution

from sllmbo_magic.history.history import History
from sllmbo_magic.history.observation import Observation
from sllmbo_magic.space.search_space import SearchSpace

MAX_LENGTH = 4000
"""Characters of a summary that are kept."""
_TOP = 5

_BULLET = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+", re.M)
_SENTENCE = re.compile(r"[^\n]+?(?:(?<!\bno)[.!?;](?=\s|$)|(?=\n)|$)")
_TRIALS = re.compile(
    r"(?:\btrials?\s+(?:no\.?\s*|number\s+)?#?|#)(\d{1,9})"
    r"((?:\s*(?:,|and|&|/|or|to|-|–)\s*(?:trial\s+)?#?\d{1,9}\b(?!\.\d))*)",
    re.I,
)
_NUMBER = re.compile(r"(?<![\w.])[-−+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?:\s?%)?")
_BEST = re.compile(
    r"\b(?:best|top|incumbent|highest|lowest|optim\w*|maxim\w*|minim\w*|peak\w*|record|winn\w+|wins?|won"
    r"|lead\w*|strongest|superior|unbeaten|unmatched|beat\w*|outperform\w*|surpass\w*|exceed\w*|better|greatest"
    r"|ideal|number one|first place|tops|topped|ahead|outrank\w*|improv\w* (?:on|over|upon)|champion"
    r"|favou?rite)\b",
    re.I,
)
_SEVERAL = re.compile(
    r"\b(?:top|best)\s+(?:\d+|few|two|three|four|five|ones|trials|configurations|configs)\b|\bamong\b", re.I
)
_SPELT = re.compile(
    r"\btrial\s+(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
    r"|\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+(?:st|nd|rd|th))\s+"
    r"(?:trial|run|best)\b",
    re.I,
)
_COMPARED = re.compile(
    r"[<>≤≥]|\b(?:worse|inferior|behind|weaker|poorer|trail\w*|below|lower|higher|above)\b", re.I
)
_FAILED = re.compile(
    r"\b(?:fail\w*|error\w*|crash\w*|tim(?:ed?|eout|ing)\w*|memory|invalid|no score)\b", re.I
)
_THAN_DEFAULT = re.compile(
    r"\b(?:than|over|beat\w*|above|outperform\w*|exceed\w*|surpass\w*|upon|on)\s+(?:the\s+|its\s+)?defaults?\b",
    re.I,
)
_SOURCES = {
    "default": re.compile(r"\bdefaults?\b", re.I),
    "tpe": re.compile(r"\btpe\b", re.I),
    "rulebook": re.compile(r"\brulebook\b", re.I),
}
_AT_LEAST = re.compile(
    r"(?:\b(?:above|over|more than|greater than|larger than|at least|from|between|beyond)|>=?|≥)\s*$", re.I
)
_AT_MOST = re.compile(r"(?:\b(?:below|under|less than|smaller than|at most|up to|within)|<=?|≤)\s*$", re.I)
_ABOUT = re.compile(r"(?:\b(?:around|near|about|close to|roughly|approximately|some)|~|≈)\s*$", re.I)
_THROUGH = re.compile(r"\s*(?:to|and|-|–|\.\.)\s*$", re.I)
_SCORE = re.compile(
    r"\b(?:scor\w*|reach\w*|achiev\w*|g[ao]ve|gives|giving|yield\w*|g[oe]t\w*|obtain\w*|result\w*|attain\w*"
    r"|accuracy|loss|error|metric|value|f1\w*|mae|rmse|mse|auc|r2)\b|->|→|=>",
    re.I,
)
_COUNTED = re.compile(
    r"\s*(?:scored|failed|other|more|new|different|best|bad|good|of|\w+\s)?\s*"
    r"(?:trials?|configurations?|configs?|parameters?|folds?|times|values|regions?|runs?|attempts?|failures?)\b",
    re.I,
)


@dataclass(frozen=True)
class _Number:
    """A number of a sentence: its value, how far the text's rounding may move it, and where it stands."""

    value: float
    slack: float
    start: int
    end: int

    def is_near(self, other: float | None) -> bool:
        return other is not None and abs(self.value - other) <= self.slack + 1e-12 * abs(other)


def checked(summary: str, history: History, space: SearchSpace) -> tuple[str, list[str]]:
    """A summary without what the study contradicts, and the sentences that were taken out.

    A sentence goes when it names a trial that does not exist; when a number in it is neither a score of a
    trial, a value in the range of the parameter it follows, nor a count; or when it mentions a best (best,
    incumbent, highest, beats, ...) and names another trial, score or source than the study's best (for "top
    5" and the like: than the five best). A parameter's value in a sentence about a best or about named trials
    must be theirs; a failed trial may only be said to have failed.
    """
    removed_sentences: list[str] = []

    def keep(match: re.Match[str]) -> str:
        sentence = match.group(0)
        if _is_true(sentence, history, space):
            return sentence
        removed_sentences.append(sentence.strip())
        return ""

    text = _SENTENCE.sub(keep, _BULLET.sub("- ", summary[:MAX_LENGTH]))
    lines = [re.sub(r"[ \t]{2,}", " ", line).strip() for line in text.split("\n")]
    return "\n".join(line for line in lines if line.strip("-*•#:. ")), removed_sentences


def _is_true(sentence: str, history: History, space: SearchSpace) -> bool:
    trials = {o.number: o for o in history.observations}
    score_by_number = _trials_named(sentence)
    if not score_by_number.keys() <= trials.keys():
        return False
    bare = _TRIALS.sub(lambda m: " " * len(m.group(0)), sentence)
    numbers = _numbers(bare)
    about = [trials[n] for n in score_by_number]
    words = _without_names(bare, space)
    if _SPELT.search(words) or (any(o.state == "FAIL" for o in about) and not _FAILED.search(words)):
        return False
    claim = bool(_BEST.search(words))
    if claim:
        ranked = history.ranked()
        allowed_trials = ranked[:_TOP] if _SEVERAL.search(bare) else ranked[:1]
        if not {o.number for o in about} <= {o.number for o in allowed_trials}:
            return False
        claims = _THAN_DEFAULT.sub(" ", words)
        if any(
            pattern.search(claims) and all(o.source != s for o in allowed_trials)
            for s, pattern in _SOURCES.items()
        ):
            return False
        about = allowed_trials
    elif len(about) > 1 and _COMPARED.search(words):
        return False  # which of them is meant to be better cannot be told
    subjects = about if claim or about else None
    about = about or list(history.complete)
    return all(_explained(n, bare, about, subjects, history, space) for n in numbers)


def _trials_named(sentence: str) -> dict[int, int]:
    """Trial numbers, and where each stands."""
    positions = {}
    for match in _TRIALS.finditer(sentence):
        last, between = -1, ""
        for between, digits in re.findall(r"([^\d]*)(\d+)", match.group(0)):
            number = int(digits)
            through = re.fullmatch(r"\s*(?:to|-|–)\s*(?:trial\s+)?#?", between, re.I)
            first = last + 1 if through and last < number < last + 1000 else number
            positions.update(dict.fromkeys(range(first, number + 1), match.start()))
            last = number
    return positions


def _numbers(text: str) -> list[_Number]:
    numbers = []
    for match in _NUMBER.finditer(text):
        digits = match.group(0).rstrip("% \t").replace("−", "-")
        mantissa, _, exponent = digits.lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        power = max(-300, min(300, int(exponent[:6] or 0)))
        scale = 10.0**power * (0.01 if match.group(0).endswith("%") else 1.0)
        value = max(-1e300, min(1e300, float(mantissa) * scale))
        numbers.append(_Number(value, 0.5 * 10.0**-decimals * scale, match.start(), match.end()))
    return numbers


def _explained(
    number: _Number,
    text: str,
    about: list[Observation],
    subjects: list[Observation] | None,
    history: History,
    space: SearchSpace,
) -> bool:
    """Whether the study accounts for a number: a score of the trials in question, a parameter's value (of one
    of ``subjects``, unless that is None), a count.
    """
    before = text[: number.start]
    if before.rstrip().endswith("±"):
        return True
    if any(_is_score(number, o) for o in about):
        return True
    name, since = _last_name(before, space)
    score_word = _SCORE.search(since) or history.metric in since
    if name is not None and _in_range(number, name, space):
        if subjects is not None and not _is_value(
            number, text, since, [o.params.get(name) for o in subjects]
        ):
            return False
        return not score_word or not _like_a_score(number.value, history)
    if score_word:
        return False
    counted = number.value == int(number.value) and 0 <= number.value <= max(len(history), 100)
    return counted and bool(
        _COUNTED.match(text[number.end :]) or re.search(r"\b(?:top|best|all|last|first|of)\s*$", before, re.I)
    )


def _is_value(number: _Number, text: str, since: str, values: list[Any]) -> bool:
    """Whether a number after a parameter's name holds for one of these values of it: as a bound ("above",
    "0.1 to ..."), roughly ("near"), or to the digits given.
    """
    numeric = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    least, most = _AT_LEAST.search(since), _AT_MOST.search(since)
    if not numeric or (re.search(r"\bthan\s*$", since) and not least and not most):
        return True
    most = most or (_THROUGH.search(since) and re.search(r"\d\s*\D{1,4}\s*$", since))
    if least or most or re.match(r"\s*(?:to|and|-|–|\.\.)\s*[\d.]", text[number.end :]):
        low, high = number.value - number.slack, number.value + number.slack
        inside = sum(v <= high if most else v >= low for v in numeric)
        return inside >= len(numeric) / 2  # of several trials, most
    slack = max(number.slack, 0.25 * abs(number.value)) if _ABOUT.search(since) else number.slack
    return any(abs(v - number.value) <= slack + 1e-12 * abs(v) for v in numeric)


def _in_range(number: _Number, name: str, space: SearchSpace) -> bool:
    distribution = space.get(name)
    if distribution is None or isinstance(distribution, CategoricalDistribution):
        return True
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return bool(low - number.slack <= number.value <= high + number.slack)


def _like_a_score(value: float, history: History) -> bool:
    """Whether a number lies where the scores are, or not far from them."""
    scores = [float(o.value) for o in history.complete if o.value is not None]
    if not scores:
        return True
    low, high = min(scores), max(scores)
    margin = max(high - low, 0.2 * max(abs(low), abs(high)))
    return low - margin <= value <= high + margin


def _is_score(number: _Number, o: Observation) -> bool:
    """Whether a number is a trial's score, to the digits given (at least two of them)."""
    if o.value is None or not number.is_near(o.value):
        return False
    return number.slack <= max(0.06 * abs(o.value), 1e-12) or number.value == o.value


def _last_name(before: str, space: SearchSpace) -> tuple[str | None, str]:
    """The last parameter named in a text, and what stands after it."""
    last: tuple[int, int, str] | None = None
    for name in (*space, *space.fixed):
        for match in _spelt(name).finditer(before):
            if last is None or match.start() > last[0]:
                last = (match.start(), match.end(), name)
    return (None, before) if last is None else (last[2], before[last[1] :])


def _without_names(text: str, space: SearchSpace) -> str:
    """The text without parameter names, which may hold words of a claim."""
    for name in (*space, *space.fixed):
        text = _spelt(name).sub(" ", text)
    return text


def _spelt(name: str) -> re.Pattern[str]:
    """A parameter's name as people write it: without its prefix, in words, in the plural."""
    short = name.rsplit("__", 1)[-1]
    words = re.escape(short).replace("_", "[ _-]")
    return re.compile(rf"(?<!\w){words}s?(?!\w)", re.I if len(short) > 1 else 0)
