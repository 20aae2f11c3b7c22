"""How models and servers wrap an answer: it is found if it is unambiguous, and never guessed."""

from __future__ import annotations

import json

import pytest

from sllmbo_magic.errors import ReplyError
from sllmbo_magic.llm.json_reply import extract_json
from sllmbo_magic.llm.json_reply import final_text
from sllmbo_magic.llm.registry import make_provider
from tests.loopback import Fault
from tests.loopback import LoopbackServer

from .conftest import SCHEMA
from .conftest import request

GOOD = {"x": 0.5, "kind": "a"}
TEXT = json.dumps(GOOD)


def call(arguments):
    return {"type": "function", "function": {"name": "reply", "arguments": arguments}}


@pytest.mark.parametrize(
    "data",
    [
        {"response": GOOD},
        [GOOD],
        [[GOOD]],
        {"response": TEXT},
        {"result": f"```json\n{TEXT}\n```", "type": "result", "cost": 0.1},
        {"name": "reply", "arguments": GOOD},
        {"name": "reply", "parameters": TEXT},
        {"tool_calls": [call(TEXT)]},
        [call(GOOD)],
        {"type": "tool_use", "input": GOOD},
        [{"type": "text", "text": TEXT}],
        {"type": "object", "properties": GOOD},
        {"a": {"b": {"c": GOOD}}},
        [GOOD, GOOD],
        {"kind": "wrapper", "answer": GOOD},
        {"reasoning": 'I first took {"x": 0.9, "kind": "b"}, which is too large.', "answer": GOOD},
    ],
)
def test_an_answer_inside_wrappers_is_found(data):
    assert extract_json(json.dumps(data), SCHEMA) == GOOD


@pytest.mark.parametrize("text", [json.dumps(TEXT), json.dumps(json.dumps({"response": GOOD}))])
def test_json_inside_a_string_is_found(text):
    assert extract_json(text, SCHEMA) == GOOD


OTHER = json.dumps({"x": 0.7, "kind": "b"})


@pytest.mark.parametrize(
    "text",
    [
        f'```\n{{"note": 1}}\n```\nThe answer: {TEXT}',
        f'{TEXT}\n```json\n{{"note": "a text longer than the answer itself"}}\n```',
        f'An aside {{"note": "a text longer than the answer itself, by far"}} and then {TEXT}',
        f"{TEXT}\nOnce more: {TEXT}",
        f'An aside {{"note": 1}} and then {TEXT[:-1]},}}',
        f"```json\n{OTHER}\n```\nBetter:\n```json\n{TEXT}\n```",
        f"<|begin_of_thought|>{OTHER}<|end_of_thought|>{TEXT}",
        f'Input:\n```json\n{{"history": [{{"x": 0.1}}]}}\n```\nOutput: {TEXT}',
        f"{json.dumps(SCHEMA)}\n{TEXT}",
        f"```json\n{TEXT}\n```\nIt follows the schema {json.dumps(SCHEMA)}.",
    ],
)
def test_what_answers_is_found_among_other_objects(text):
    assert extract_json(text, SCHEMA) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "{“x”: 0.5, “kind”: “a”}",
        TEXT.replace('"', '\\"'),
        TEXT.replace('"', "&quot;"),
        f"```json\n{TEXT.replace(chr(34), chr(8221))}\n```",
        "{'x': 0.5 // a half\n, 'kind': 'a'}",
    ],
)
def test_quotes_that_a_chat_or_a_page_changed_are_read(text):
    assert extract_json(text, SCHEMA) == GOOD


@pytest.mark.parametrize(
    "number",
    ["10^-3", "0.1 - 0.5", "0.5 or 0.6", "1 000", "1'000", "3×10", "0.5±0.1", "~0.5", ">0.5", "1:2", "5²"],
)
def test_what_is_no_single_number_is_not_guessed(number):
    with pytest.raises(ReplyError, match="no usable JSON"):
        extract_json(f'{{"x": {number}, "kind": "a"}}', SCHEMA)


def test_a_typographic_minus_keeps_its_sign():
    assert extract_json('{"x": −0.5, "kind": "a"}', SCHEMA) == {"x": -0.5, "kind": "a"}


@pytest.mark.parametrize(
    "text", [f"{TEXT}\n{OTHER}", f"Like {OTHER}: I take {TEXT}", f"{TEXT} or {OTHER[:-1]},}}"]
)
def test_two_answers_in_prose_are_ambiguous_whichever_is_longer(text):
    with pytest.raises(ReplyError) as caught:
        extract_json(text, SCHEMA)
    assert caught.value.category == "ambiguous"


def test_a_tag_inside_a_string_of_the_answer_ends_no_thought():
    answer = {"x": 0.5, "kind": "between <think> and </think>"}
    assert extract_json(json.dumps(answer), SCHEMA) == answer


def test_several_different_answers_are_ambiguous():
    with pytest.raises(ReplyError) as caught:
        extract_json(json.dumps([GOOD, {"x": 0.7, "kind": "b"}]), SCHEMA)
    assert caught.value.category == "ambiguous"


def test_nothing_deeper_than_three_levels_is_looked_at():
    deep = {"a": {"b": {"c": {"d": GOOD}}}}
    assert extract_json(json.dumps(deep), SCHEMA) == deep


def test_an_incomplete_answer_is_returned_as_it_is_for_a_repair():
    assert extract_json('{"x": 1}', SCHEMA) == {"x": 1}
    assert extract_json('{"y": 1}', SCHEMA) == {"y": 1}


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b</think> c", "c"),
        (f"{TEXT}</think>", ""),
        ("<think>never closed", ""),
        ("<THINK>a</THINK>\n b", "b"),
        ("[THINK]a[/THINK]b", "b"),
        ("<reasoning>a</reasoning>b", "b"),
        ("◁think▷a◁/think▷b", "b"),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "b"),
        ("<|channel|>analysis<|message|>a<|channel|>final <|constrain|>json<|message|>b", "b"),
        ("plain <b>text</b>", "plain <b>text</b>"),
    ],
)
def test_only_what_follows_the_last_thought_is_the_answer(text, final):
    assert final_text(text) == final


def test_a_draft_among_the_thoughts_is_never_the_answer():
    draft = json.dumps({"x": 0.1, "kind": "b", "more": "x" * 200})
    assert extract_json(f"<think>Perhaps {draft}? No.</think>{TEXT}", SCHEMA) == GOOD
    assert extract_json(f"Perhaps {draft}? No.</think>{TEXT}", SCHEMA) == GOOD
    with pytest.raises(ReplyError, match="no usable JSON"):
        extract_json(f"Perhaps {TEXT}? No.</think>I cannot.", SCHEMA)


def reply(message, finish="stop"):
    return Fault(status=200, body={"choices": [{"message": message, "finish_reason": finish}], "model": "m"})


def completed(message):
    with LoopbackServer([reply(message)]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url)
        return provider.complete(request(schema=SCHEMA)).text


@pytest.mark.parametrize(
    "message",
    [
        {"content": "", "reasoning_content": f"So the answer is {TEXT}"},
        {"content": None, "reasoning": TEXT},
        {"content": "<think></think>", "reasoning_content": TEXT},
        {"content": [{"type": "text", "text": TEXT}]},
        {"content": [{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": TEXT}]},
        {"content": [{"type": "text", "text": TEXT[:8]}, {"type": "text", "text": TEXT[8:]}]},
        {"content": None, "tool_calls": [{"id": "1", **call(TEXT)}]},
        {"content": "I call the tool.", "tool_calls": [{"id": "1", **call(TEXT)}]},
        {"content": [{"type": "text", "text": {"value": TEXT}}]},
        {"content": "", "thinking": TEXT},
        {"content": None, "reasoning_details": [{"type": "reasoning.text", "text": TEXT}]},
    ],
)
def test_where_servers_put_the_answer(message):
    assert extract_json(completed(message), SCHEMA) == GOOD


def test_the_content_comes_before_the_reasoning():
    other = json.dumps({"x": 0.1, "kind": "b"})
    assert extract_json(completed({"content": TEXT, "reasoning_content": other}), SCHEMA) == GOOD


@pytest.mark.parametrize(
    "message",
    [
        {"content": "", "reasoning_content": "I thought and thought."},
        {"content": "", "reasoning_content": f"{TEXT} or rather </think>"},
        {"content": "<think>only thoughts</think>"},
        {"content": []},
    ],
)
def test_thoughts_alone_are_no_answer(message):
    with pytest.raises(ReplyError) as caught:
        completed(message)
    assert caught.value.category == "empty"


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": [call(GOOD)]},
        {"content": None, "function_call": {"name": "reply", "arguments": TEXT}},
        {"content": GOOD},
    ],
    ids=["arguments as an object", "the older function_call", "content as an object"],
)
def test_an_answer_in_unusual_fields_of_a_message(message):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    body = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}
    with LoopbackServer([Fault(status=200, body=body)]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url, api_key="k" * 20)
        completion = provider.complete(request(schema=SCHEMA))
    assert extract_json(completion.text, SCHEMA) == GOOD


@pytest.mark.parametrize(
    "choice",
    [
        {"text": TEXT, "finish_reason": "stop"},
        {"message": {"content": TEXT + "\n" * 40}, "finish_reason": "length"},
    ],
    ids=["before chats", "blanks up to the limit"],
)
def test_a_choice_that_holds_a_whole_answer_is_one(choice):
    with LoopbackServer([Fault(status=200, body={"choices": [choice], "model": "m"})]) as server:
        provider = make_provider("openai-compatible:m", base_url=server.url)
        assert extract_json(provider.complete(request(schema=SCHEMA)).text, SCHEMA) == GOOD
    assert len(server.requests) == 1
