"""One change of a space inside its outer space: what is made, and what is noted."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.space.changes import Add
from sllmbo_magic.space.changes import Drop
from sllmbo_magic.space.changes import Narrow
from sllmbo_magic.space.changes import SpaceChange
from sllmbo_magic.space.changes import Widen
from sllmbo_magic.space.changes import apply
from sllmbo_magic.space.search_space import SearchSpace

OUTER = SearchSpace.from_user(
    {"rounds": (5, 8000), "rate": (1e-4, 1.0, "log"), "kind": ["a", "b", "c"], "depth": (1, 20)}
)
SPACE = SearchSpace.from_user(
    {"rounds": (400, 4000), "rate": (0.01, 0.3, "log"), "kind": ["a", "b"], "depth": 6}
)


def ends(space: SearchSpace, name: str) -> tuple[Any, Any]:
    return space[name].low, space[name].high  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "expected", "notes"),
    [
        (Narrow("rounds", 500, 3000), (500, 3000), []),
        (Narrow("rounds", low=500), (500, 4000), []),
        (Narrow("rounds", 100, 3000), (400, 3000), ["its low stays 400: narrow never grows a range"]),
        (Widen("rounds", 100, 8000), (100, 8000), []),
        (Widen("rounds", 700, 8000), (400, 8000), ["its low stays 400: widen never shrinks a range"]),
        (Widen("rounds", 1, 9000), (5, 8000), [
            "its low is 5, where its outer range ends", "its high is 8000, where its outer range ends"]),
        (Widen("rate", high=30.0), (0.01, 1.0), ["its high is 1, where its outer range ends"]),
        (Add("depth", low=2, high=30), (2, 20), ["its high is 20, where its outer range ends"]),
        (Add("depth"), (1, 20), []),
    ],
)  # fmt: skip
def test_what_is_made_otherwise_than_asked_for_is_noted(
    change: SpaceChange, expected: tuple[float, float], notes: list[str]
) -> None:
    space, said = apply(change, SPACE, OUTER)
    assert ends(space, change.name) == pytest.approx(expected)
    assert said == notes


GRID = SearchSpace({"s": FloatDistribution(0, 1, step=0.25), "t": IntDistribution(0, 9)})


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        (Drop("s", 0.3), ["its value is 0.25, the nearest to 0.3 in steps of 0.25"]),
        (Drop("s", 0.2501), []),
        (Narrow("s", 0.1, 0.9), [
            "its low is 0.25, not 0.1: it goes in steps of 0.25",
            "its high is 0.75, not 0.9: it goes in steps of 0.25"]),
        (Narrow("s", 0.25, 0.75), []),
        (Drop("t", 3), []),
    ],
)  # fmt: skip
def test_what_a_grid_moves_is_noted(change: SpaceChange, notes: list[str]) -> None:
    assert apply(change, GRID, GRID)[1] == notes


@pytest.mark.parametrize(
    ("change", "choices", "notes"),
    [
        (Narrow("kind", choices=("b",)), ("b",), []),
        (Narrow("kind", choices=("b", "c")), ("b",), ["'c' is not in its range now; widen brings it in"]),
        (Widen("kind", choices=("c",)), ("a", "b", "c"), []),
        (Widen("kind", choices=("c", "z")), ("a", "b", "c"), ["'z' is no choice that it can have"]),
    ],
)
def test_choices_that_cannot_be_had_are_noted(
    change: SpaceChange, choices: tuple[str, ...], notes: list[str]
) -> None:
    space, said = apply(change, SPACE, OUTER)
    assert space["kind"].choices == choices  # type: ignore[attr-defined]
    assert said == notes


def test_a_dropped_parameter_is_held_at_a_value_of_its_outer_range() -> None:
    space, said = apply(Drop("rate", 0.9), SPACE, OUTER)
    assert "rate" not in space
    assert (space.fixed["rate"], said) == (0.9, [])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (Drop("rate", 5.0), "out of range"),
        (Drop("rate", None), "None is not a number"),
        (Narrow("depth", 2, 4), "it is held fixed; add it first"),
        (Widen("depth", 2, 4), "it is held fixed; add it first"),
        (Add("rate", low=0.1, high=0.2), "it is searched already"),
        (Narrow("rounds", 3000, 500), "its low is not below its high"),
        (Narrow("rounds", 9000, 9500), "lies outside its outer range"),
        (Narrow("rounds", 5000, 6000), "lies outside its range now"),
        (Narrow("rounds", choices=(1, 2)), "it needs low or high"),
        (Narrow("kind", low=1), "it needs choices"),
        (Narrow("kind", choices=("z",)), "none of its choices is allowed"),
        (Narrow("kind", choices=("c",)), "none of its choices is in its range now"),
    ],
)
def test_a_change_that_cannot_be_made_is_one_clause(change: SpaceChange, named: str) -> None:
    with pytest.raises(InputError, match=named):
        apply(change, SPACE, OUTER)
