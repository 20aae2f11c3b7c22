"""The space that no proposer's error can confine: all that any version held."""

from __future__ import annotations

from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.versions import Versions

OUTER = SearchSpace.from_user({"x": (0.0, 10.0), "kind": ["a", "b", "c"], "n": (1, 50)})
START = SearchSpace.from_user({"x": (1.0, 5.0), "kind": ["a", "b"], "n": (1, 20)})


def versions(*more: tuple[SearchSpace, str]) -> Versions:
    made = Versions()
    made.declare(START, OUTER, 0, "start", "prior")
    for number, (space, by) in enumerate(more, 1):
        made.add(space, number, "because", by)
    return made


def test_what_was_narrowed_or_dropped_stays_in_the_wide_space() -> None:
    narrow = START.narrow("x", low=2.0, high=3.0).narrow("kind", choices=["a"]).drop("n", 7)
    wide = versions((narrow, "llm")).wide
    assert wide == START


def test_what_was_widened_or_added_is_in_it() -> None:
    wider = START.widen("x", high=9.0).widen("kind", choices=["c"])
    wide = versions((wider, "llm"), (wider.narrow("x", low=2.0, high=3.0), "llm")).wide
    assert wide == wider


def test_what_the_user_set_is_as_the_user_set_it() -> None:
    narrow = START.narrow("x", low=2.0, high=3.0)
    made = versions((narrow, "user"), (narrow.drop("n", 7), "llm"))
    assert made.wide is not None
    assert made.wide["x"] == narrow["x"]
    assert made.wide["n"] == START["n"], "what the LLM dropped is still searched"


def test_without_a_narrowing_it_is_the_current_space_itself() -> None:
    made = versions((START.widen("x", high=8.0), "rulebook"))
    assert made.wide is made.space
