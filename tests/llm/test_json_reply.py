"""Reply text to data: what is found, what is repaired, what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.json_reply import MAX_BYTES
from sllmbo_magic.llm.json_reply import extract_json


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"a": 1}', {"a": 1}),
        ("\ufeff \n[1, 2]\n", [1, 2]),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure!\n```\n{"a": 1}\n```\nHope it helps.', {"a": 1}),
        ('```json\n{"draft": 1}\n```\nBetter:\n```json\n{"a": 1}\n```', {"a": 1}),
        ('Use {this} as I said: {"a": {"b": "}"}}. Done {or not}.', {"a": {"b": "}"}}),
        ('<think>maybe {"a": 2}?</think>{"a": 1}', {"a": 1}),
        ('{"note": "```json\\n{}\\n```", "a": 1}', {"note": "```json\n{}\n```", "a": 1}),
        ('{"a": 1, "a": 1}', {"a": 1}),
        ('{"a": "\\ud800"}', {"a": "?"}),
    ],
)
def test_data_is_found(text, data):
    assert extract_json(text) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
        ("{'a': True, 'b': None, 'c': 'it is'}", {"a": True, "b": None, "c": "it is"}),
        ('{"a": 1, // the rate\n "b": 2}', {"a": 1, "b": 2}),
        ('{a: 0.5, b: "x"}', {"a": 0.5, "b": "x"}),
        ('Here: {"a": 1e-3, "b": -2.50,} ok', {"a": 0.001, "b": -2.5}),
        ('```json\n{"a": [1, 2}\n```', {"a": [1, 2]}),
        ('{"lr": 2e,}', {"lr": "2e"}),
        ('{"lr": 0.1.2,}', {"lr": "0.1.2"}),
        ('{"n": ' + "9" * 5000 + "}", {"n": "9" * 5000}),
    ],
)
def test_harmless_slips_are_repaired_and_no_number_is_guessed(text, data):
    assert extract_json(text) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (
            '{"why": 1, "list": [{"a": 0.1}, {"a": 0.02}, {"a": 0.0',
            {"why": 1, "list": [{"a": 0.1}, {"a": 0.02}]},
        ),
        ('```json\n{"list": [{"lr": 0.1}, {"lr": 0.02', {"list": [{"lr": 0.1}]}),
        ('{"a": {"b": 1}, "c": 0.0', {"a": {"b": 1}}),
        ('{"list": [{"s": "a } b"}, {"s": "c', {"list": [{"s": "a } b"}]}),
        ('{"space": [{"p": {"x": [1, 2]}}, {"p": {"x": [1', {"space": [{"p": {"x": [1, 2]}}]}),
    ],
)
def test_of_a_cut_reply_only_whole_objects_are_kept(text, data):
    assert extract_json(text) == data


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("", "not-json"),
        ("no data here", "not-json"),
        ("use {learning_rate} with care", "not-json"),
        ("3", "not-json"),
        ('"words"', "not-json"),
        ('{"lr": 0.0', "not-json"),
        ('{"lr": 10%,}', "not-json"),
        ('{"lr": NaN}', "not-finite"),
        ('{"lr": -Infinity}', "not-finite"),
        ('{"lr": 1e999}', "not-finite"),
        ("{'lr': NaN,}", "not-finite"),
        ('{"lr": 1, "lr": 2}', "duplicate-key"),
        ('{"p": {"lr": 1, "lr": 2}}', "duplicate-key"),
        ("[" * 100_000, "too-large"),
        ("[" * 5000 + "]" * 5000, "too-large"),
        ('{"a":' * 60 + "1" + "}" * 60, "too-large"),
        ('{"a": "' + "x" * MAX_BYTES + '"}', "too-large"),
        ("é" * (MAX_BYTES // 2 + 1), "too-large"),
        ('__import__("os").system("x")', "not-json"),
        ("dict(lr=0.1)", "not-json"),
    ],
)
def test_what_is_refused(text, category):
    with pytest.raises(ReplyError) as caught:
        extract_json(text)
    assert caught.value.category == category
    assert len(str(caught.value)) < 200


json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_data, min_size=1, max_size=5))
def test_what_json_writes_is_read_back(data):
    assert extract_json(json.dumps(data)) == data
    assert extract_json("Sure:\n```json\n" + json.dumps(data) + "\n```") == data


@given(st.text(alphabet="{}[]\":,\\ \n0123456789.eE-+aNtf'`#/", max_size=80))
def test_any_text_is_data_or_a_reply_error(text):
    try:
        data = extract_json(text)
    except ReplyError:
        return
    assert isinstance(data, dict | list)
    json.dumps(data, allow_nan=False)


@given(
    st.lists(
        st.fixed_dictionaries({"lr": st.floats(1e-6, 1.0), "n": st.integers(1, 999)}), min_size=1, max_size=4
    ),
    st.data(),
)
def test_a_cut_never_invents_a_number(candidates, data):
    text = json.dumps({"why": "because", "candidates": candidates})
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        found = extract_json(cut)
    except ReplyError:
        return
    found = found["candidates"] if isinstance(found, dict) and "candidates" in found else [found]
    assert found == candidates[: len(found)]
