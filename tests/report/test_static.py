"""The saved output: what an untrusted notebook keeps of it, its size, its texts, and that they stay texts."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import sys
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from sllmbo_magic.events import Event
from sllmbo_magic.events import Note
from sllmbo_magic.events import RunStarted
from sllmbo_magic.events import TrialFinished
from sllmbo_magic.events import TrialStarted
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.card import card
from sllmbo_magic.report.limits import json_ready
from sllmbo_magic.report.static import MIME
from sllmbo_magic.report.static import budget
from sllmbo_magic.report.static import mimebundle
from sllmbo_magic.report.summary import plain_text
from sllmbo_magic.report.summary import result_text
from sllmbo_magic.report.summary import summary_text
from sllmbo_magic.report.summary import verdict
from sllmbo_magic.report.text import clean
from sllmbo_magic.report.text import one_line
from tests.bundles import make_bundle
from tests.bundles import make_hostile_bundle
from tests.bundles import make_multi_objective_bundle

pytest.importorskip("matplotlib")
from PIL import Image

# What JupyterLab 4.6's Sanitizer lets through, as far as this output may use it (packages/apputils).
TAGS = {
    "table": {"style"},
    "thead": set(),
    "tbody": set(),
    "tr": {"style"},
    "th": {"scope", "style"},
    "td": {"style"},
    "div": {"style"},
    "span": {"style"},
    "img": {"alt", "width", "style", "src"},
    "br": set(),
    "details": set(),
    "summary": {"style"},
}
_LENGTH = r"-?\d+(\.\d+)?(px|em|%)|0"
STYLES = {
    "font-size": rf"({_LENGTH})",
    "font-weight": r"400|600",
    "line-height": r"\d+(\.\d+)?",
    "max-width": rf"({_LENGTH})",
    "height": "auto",
    "margin": rf"(({_LENGTH})\s*){{1,4}}",
    "padding": rf"(({_LENGTH})\s*){{1,4}}",
    "border": r"1px solid rgba\(\d+,\d+,\d+,0\.\d+\)",
    "border-bottom": r"1px solid rgba\(\d+,\d+,\d+,0\.\d+\)",
    "border-left": r"3px solid rgba\(\d+,\d+,\d+,0\.\d+\)",
    "border-radius": rf"({_LENGTH})",
    "border-collapse": "collapse",
    "background-color": r"#[0-9a-f]{6}",
    "opacity": r"0\.\d+",
    "text-align": "left",
    "vertical-align": "top",
    "white-space": "normal|nowrap|pre-wrap",
    "overflow-wrap": "break-word",
    "overflow-x": "auto",
    "cursor": "pointer",
}
PAYLOADS = {
    "script": "<script>window.pwned=1</script>",
    "handler": '"><img src=x onerror="window.pwned=1">',
    "single quotes": "' onmouseover='window.pwned=1",
    "closing tags": "</div></td></tr></table></details><h1>big</h1>",
    "comment": "<!-- --><!--",
    "entity": "&lt;script&gt; &#60;b&#62; &quot;",
    "markdown": "[here](javascript:window.pwned=1) ![](x) **b** `c` # h",
    "formula": "$x_1$ and $$\\frac{a}{b}$$ and \\(y\\) and \\begin{equation}z\\end{equation}",
    "ansi": "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 \x9b1m",
    "bidi": "a\u202egnp.exe\u202c \u2066b\u2069 \u200fc \u061cd",
    "invisible": "pass\u200bword \ufeff\u2060 \U000e0041",
    "surrogate": "half \ud83d a pair",
    "null": "nu\x00ll \x08\x08 bell\x07",
    "lines": "one\r\ntwo\u2028three\n\n\nfour\ttab",
}


class Reader(HTMLParser):
    """Tags, attributes and styles of a page, and the runs of text between tags."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "br":
            self.texts.append("\n")
        elif tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def in_a_notebook(data: dict[str, Any]) -> int:
    """Bytes of a notebook with this one output."""
    from nbformat import v4
    from nbformat import writes

    output = v4.new_output("display_data", data=data)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("%%sllmbo", outputs=[output])])
    return len(writes(notebook).encode())


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    return make_bundle(50)


@pytest.fixture(scope="module")
def static(bundle: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(bundle)
    made = mimebundle(bundle)
    assert bundle == before
    return made


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib is not there: pictures take seconds, and these tests look at what else stands there."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


# ---------------------------------------------------------------- survival


def test_the_html_is_what_an_untrusted_notebook_keeps(static: dict[str, Any]) -> None:
    page = Reader(static["text/html"])
    assert page.open == [], "every tag is closed"
    assert set(page.tags) <= set(TAGS)
    for tag, name, value in page.attributes:
        assert name in TAGS[tag], f"{name} on {tag}"
        if name == "style":
            for declaration in filter(None, value.split(";")):
                key, _, given = declaration.partition(":")
                assert re.fullmatch(STYLES[key], given), declaration


def test_every_pane_is_a_crisp_png_with_words(static: dict[str, Any], bundle: dict[str, Any]) -> None:
    page = Reader(static["text/html"])
    alts = page.values("alt")
    starts = ("Scores of 50", "Search space:", "Scores by source.", "Importance:", "Parallel coordinates")
    assert [next(s for s in starts if alt.startswith(s)) for alt in alts] == list(starts)
    for source, width in zip(page.values("src"), page.values("width"), strict=True):
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.format == "PNG"
        assert image.width >= 1.25 * int(width)
    assert Image.open(io.BytesIO(base64.b64decode(static["image/png"]))).format == "PNG"


def test_tables_show_the_best_configuration_and_trials(
    static: dict[str, Any], bundle: dict[str, Any]
) -> None:
    page = Reader(static["text/html"])
    best = bundle["trials"][bundle["run"]["best_number"]]
    for name, value in best["params"].items():
        assert name in page.texts
        assert (f"{value:.4g}" if isinstance(value, float) else str(value)) in page.text
    ranked = sorted((t for t in bundle["trials"] if t["value"] is not None), key=lambda t: -t["value"])
    shown = [f"{-t['value']:.4f} ± {t['std']:.4f}" for t in ranked[:10]]  # neg_log_loss is shown as log loss
    assert [text for text in page.texts if " ± 0.0" in text and text.startswith("0.1")][:10] == shown
    assert any(ranked[0]["reason"] == text for text in page.texts)


def test_the_conversation_is_readable(static: dict[str, Any], bundle: dict[str, Any]) -> None:
    text = Reader(static["text/html"]).text
    assert "Conversation: 10 requests, 24 entries" in text
    assert "Rate limit; the base sampler takes this trial." in text
    assert "hint prefer shallow trees (applied)" in text
    assert "accepted: learning_rate=" in text
    assert "rejected: learning_rate=" in text
    assert "nearly the same as trial 3" in text


@pytest.mark.usefixtures("without_pictures")
def test_a_shared_reason_of_rejected_configurations_stands_once(bundle: dict[str, Any]) -> None:
    why = "max_depth 40 is out of range"
    candidates = [{"params": {"n": i}, "status": "rejected", "why": why} for i in range(4)]
    candidates.append({"params": {"n": 9}, "status": "rejected", "why": "n is missing"})
    entry = {
        "id": "r9",
        "kind": "reply",
        "trial": 1,
        "time": 0.0,
        "candidates": candidates,
        "reasoning": "Deep.",
    }
    text = Reader(mimebundle({**bundle, "chat": [entry]})["text/html"]).text
    assert text.count(why) == 1
    assert f"4 rejected: {why}" in text
    assert "rejected: n=9 – n is missing" in text
    assert all(f"– n={i}" in text for i in range(4))


@pytest.mark.usefixtures("without_pictures")
def test_changes_of_the_space_stand_in_the_conversation(bundle: dict[str, Any]) -> None:
    bundle = {**bundle, "chat": [entry for entry in bundle["chat"] if entry["kind"] != "space"]}
    text = Reader(mimebundle(bundle)["text/html"]).text
    assert "Changed by llm. " in text
    assert "The best eight trials have few leaves" in text
    assert "num_leaves: 4 to 48 (log)" in text
    assert "extra_trees: fixed at True" in text
    assert text.index("num_leaves: 4 to 48 (log)") < text.index("extra_trees: fixed at True")


def test_nbconvert_keeps_the_pictures(static: dict[str, Any]) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    from nbformat import v4

    output = v4.new_output("display_data", data=static)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("1", outputs=[output])])
    html, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert html.count("data:image/png;base64") == 5


@pytest.mark.usefixtures("without_pictures")
def test_without_matplotlib_there_are_tables_and_a_hint(bundle: dict[str, Any]) -> None:
    made = mimebundle(bundle)
    page = Reader(made["text/html"])
    assert (
        'No pictures: matplotlib is not installed. Install it with: pip install "sllmbo-magic[plots]"'
        in page.text
    )
    assert page.tags["img"] == 0
    assert page.tags["table"] == 3
    assert "image/png" not in made


def test_dark_pictures_stand_on_dark(bundle: dict[str, Any]) -> None:
    page = Reader(mimebundle(bundle, theme="dark")["text/html"])
    data = page.values("src")[0].partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).convert("L").resize((1, 1)).getpixel((0, 0)) < 60


# ---------------------------------------------------------------- size


def test_a_run_of_50_trials_is_below_300_kb(static: dict[str, Any]) -> None:
    assert in_a_notebook(static) < 300_000


def test_pictures_fit_their_room_without_being_drawn_again_and_again(
    bundle: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sllmbo_magic.report import pictures
    from sllmbo_magic.report.figures import canvas

    drawn: list[float] = []
    png = canvas.png

    def counted(figure: Any, *, scale: float, palette: Any) -> bytes:
        drawn.append(scale)
        return png(figure, scale=scale, palette=palette)

    monkeypatch.setattr(canvas, "png", counted)
    room = budget(50) * 53 // 100
    made = pictures.pictures(bundle, "light", room)
    assert sum(len(picture.png) for picture in made) * 4 / 3 <= room
    assert len(drawn) <= 2 * len(made)
    assert min(drawn) > 1.0, "no smaller than it has to be"


def test_a_run_of_1000_trials_is_below_2_mb() -> None:
    bundle = make_bundle(1000)
    made = mimebundle(bundle)
    assert in_a_notebook(made) < 2_000_000
    assert [t["params"] for t in made[MIME]["trials"]] == [json_ready(t["params"]) for t in bundle["trials"]]


def test_a_talkative_run_keeps_its_size_and_says_what_is_missing() -> None:
    bundle = make_bundle(50, extra_params=20)
    for entry in bundle["chat"]:
        entry["text"] = "ä word\n" * 6_000
    made = mimebundle(bundle)
    assert in_a_notebook(made) < 300_000
    note = re.compile(r"\[… [\d,]+ more characters are in the run's folder\]$")
    texts = [entry["text"] for entry in made[MIME]["chat"] if entry["kind"] == "prompt"]
    assert len(texts) == 10
    assert all(note.search(text) for text in texts)
    assert [t["value"] for t in made[MIME]["trials"]] == [t["value"] for t in bundle["trials"]]


@pytest.mark.usefixtures("without_pictures")
def test_an_endless_run_is_thinned_out_last() -> None:
    bundle = make_bundle(6000, chat=False)
    made = mimebundle(bundle)
    assert in_a_notebook(made) < 2_000_000
    kept = {t["n"] for t in made[MIME]["trials"]}
    best, improving = float("-inf"), set()
    for trial in bundle["trials"]:
        if trial["value"] is not None and trial["value"] > best:
            best = trial["value"]
            improving.add(trial["n"])
    assert improving <= kept
    assert made[MIME]["omitted"]["trials"] == 6000 - len(kept) > 0


# ---------------------------------------------------------------- the bundle as data


def test_the_bundle_comes_back_exactly(static: dict[str, Any], bundle: dict[str, Any]) -> None:
    data = json.loads(json.dumps(static[MIME], allow_nan=False))
    assert data["schema"] == 1
    assert data["space"] == bundle["space"]
    for key in ("name", "metric", "direction", "status", "best_number"):
        assert data["run"][key] == bundle["run"][key]
    for kept, given in zip(data["trials"], bundle["trials"], strict=True):
        assert kept["params"] == json_ready(given["params"])
        assert kept["value"] == given["value"]
        assert kept["splits"] == pytest.approx(given["splits"], rel=1e-5)


@pytest.mark.usefixtures("without_pictures")
def test_the_best_of_trials_that_differ_in_their_last_digits_is_the_studys() -> None:
    values = [123456789.5, 123456789.2, 123456789.3]
    events: list[Event] = [RunStarted(run={"metric": "cost", "direction": "minimize"})]
    events += [
        TrialFinished(number=n, state="COMPLETE", value=v, params={"x": float(n)}, source="tpe")
        for n, v in enumerate(values)
    ]
    view = RunView()
    for event in events:
        view.apply(event)
    bundle = view.snapshot()
    assert [t["value"] for t in mimebundle(bundle)[MIME]["trials"]] == values
    assert "Best cost 1.234568e+08 (trial 1, tpe)." in result_text(bundle)
    assert "Best parameters: x=1" in result_text(bundle)
    bundle["run"]["default_value"] = values[0]
    assert "from 123456789.500 to 123456789.200 (trial 1, tpe)" in verdict(bundle)


def test_the_conversation_of_a_saved_run_keeps_its_order() -> None:
    """The view sorts by seconds since 1970, which need twelve digits."""
    view = RunView()
    start = 1795520833.25
    for i in range(3):
        view.apply(TrialStarted(number=i, params={"x": 0.5}, source="tpe", time=start + i))
        view.apply(Note(text=f"after {i}", time=start + i + 0.5))
    saved = mimebundle(view.snapshot())[MIME]
    times = [t["time"] for t in saved["trials"]] + [item["time"] for item in saved["chat"]]
    assert times == [start, start + 1, start + 2, start + 0.5, start + 1.5, start + 2.5]


@pytest.mark.usefixtures("without_pictures")
def test_numbers_that_json_lacks_become_none() -> None:
    bundle = make_bundle(6)
    bundle["trials"][3].update(value=float("nan"), std=float("inf"))
    bundle["run"]["best_value"] = float("-inf")
    made = mimebundle(bundle)
    data = json.loads(json.dumps(made[MIME], allow_nan=False))
    assert (data["trials"][3]["value"], data["trials"][3]["std"], data["run"]["best_value"]) == (None,) * 3


@pytest.mark.parametrize(
    "bundle",
    [
        {},
        {"schema": 1, "run": {}, "space": {}, "trials": []},
        make_bundle(0),
        make_bundle(9, fail=1),
        make_multi_objective_bundle(),
        {"schema": 1, "run": {"direction": "minimize"}, "trials": [{"n": 0, "state": "RUNNING"}]},
    ],
    ids=["empty", "no trial", "no trial yet", "all failed", "several objectives", "one running"],
)
def test_a_bundle_with_little_in_it_is_shown_all_the_same(bundle: dict[str, Any]) -> None:
    made = mimebundle(bundle)
    assert Reader(made["text/html"]).tags["img"] == 5
    assert made["text/plain"]


def test_a_bundle_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="bundle of schema 2; this version reads schema 1"):
        mimebundle({"schema": 2})


# ---------------------------------------------------------------- text stays text


@pytest.mark.parametrize("name", PAYLOADS)
def test_text_of_an_llm_is_shown_and_does_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # pictures hold pixels; test_figures has their texts
    payload = PAYLOADS[name]
    made, plain = mimebundle(make_hostile_bundle(payload)), mimebundle(make_hostile_bundle("plain words"))
    page, harmless = Reader(made["text/html"]), Reader(plain["text/html"])
    for tag in ("span", "br"):  # the signs of formulas stand in spans of their own, lines are broken
        page.tags[tag] = harmless.tags[tag]
    assert page.tags == harmless.tags, "the text became markup"
    assert {v for _, k, v in page.attributes if k != "style"} <= {"row", "col"}
    assert one_line(payload, 60) in page.text
    assert clean(payload) in page.text
    for text in page.texts:
        assert not re.search(r"\$.|.\$|\\.", text, re.DOTALL), "a formula could begin here"
    for text in (made["text/html"], made["text/plain"], json.dumps(made[MIME], ensure_ascii=False)):
        text.encode()
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]", text
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a\x1b[1;31mb\x1b[0mc", "abc"),
        ("\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\", "text"),
        ("\x1bPhidden\x1b\\shown", "shown"),
        ("\x1b(Bx\x9b3my\x1b", "xy"),
        ("abc\u202edcba\u202c", "abcdcba"),
        ("a\r\nb\rc\u2028d\x0be", "a\nb\nc\nd\ne"),
        ("tab\tstays, ümläut und 漢字 auch 🙂", "tab\tstays, ümläut und 漢字 auch 🙂"),
        ("\ud800x\udfff", "x"),
        (None, "None"),
    ],
)
def test_clean(given: Any, expected: str) -> None:
    assert clean(given) == expected


# ---------------------------------------------------------------- the summary


def test_the_summary_in_full(static: dict[str, Any], bundle: dict[str, Any]) -> None:
    assert static["text/plain"] == (
        "run: LGBMClassifier, log loss\n"
        "Best log loss 0.1033 (trial 48, llm), default 0.1911: a gain of 0.0878. "
        "On ten fresh folds the best configuration beats the default by more than the noise. "
        "50 trials in 1 min 10 s (1 failed, 1 pruned). "
        "The LLM openai:gpt-4o proposed 23 trials and improved the best score 9 times. "
        "The base sampler proposed 25 trials and improved the best score 5 times. "
        "Of 22 predicted effects on the score 9 came true. "
        "The best of the other trials was 0.1046 (trial 49), 0.0013 worse (within the noise). "
        "Every proposal used the scores of all earlier trials. "
        "Most important parameters: learning_rate (34%; 0.03766 to 0.05355 in the best 5), "
        "n_estimators (22%; 235 to 361 in the best 5), boosting_type (16%; gbdt in the best 5). "
        "The search space changed twice (by the LLM): narrowed learning_rate; moved num_leaves, reg_lambda; "
        "fixed extra_trees. "
        "The LLM openai:gpt-4o gave no usable proposal once; the base sampler proposed instead. "
        "Cost: 10 requests, 20,700 tokens, $0.10.\n"
        "Best parameters: learning_rate=0.05355, n_estimators=274, num_leaves=11, max_depth=9, "
        "min_child_samples=46, reg_lambda=0.7352, subsample=1, boosting_type=gbdt, extra_trees=True"
    )
    assert summary_text(bundle) == static["text/plain"].split("\n")[1]


def test_the_same_run_gives_the_same_output(static: dict[str, Any]) -> None:
    assert mimebundle(make_bundle(50)) == static


def test_the_summary_of_a_minimised_metric() -> None:
    text = summary_text(make_bundle(30, direction="minimize", llm="rulebook"))
    best, default, gain = map(
        float, re.match(r"Best \S+ ([\d.]+) .*?default ([\d.]+): a gain of ([\d.]+)\.", text).groups()
    )  # type: ignore[union-attr]
    assert best < default
    assert gain == pytest.approx(default - best, abs=0.02)
    n = sum(
        t["source"] == "rulebook" for t in make_bundle(30, direction="minimize", llm="rulebook")["trials"]
    )
    assert f"The rulebook proposed {n} trials" in text
    assert "$" not in text


def test_what_the_rulebook_found_beside_an_llm_is_not_the_llms(bundle: dict[str, Any]) -> None:
    bundle = copy.deepcopy(bundle)
    best = bundle["trials"][bundle["run"]["best_number"]]
    best["source"] = "rulebook"  # it stood in for a vetoed candidate
    text = summary_text(bundle)
    assert re.search(
        r"The best trial of openai:gpt-4o was 0\.10\d+ .* worse than the best other one", text
    ), text
    assert "The best of the other trials" not in text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "running"}, "Still running. Best"),
        (
            {"status": "stopped", "reason": "Patience is over."},
            "Stopped by the user: Patience is over. Best",
        ),
        ({"status": "stopped", "reason": "stopped by the user"}, "Stopped by the user. Best"),
        (
            {"status": "finished", "reason": "the time limit of 60 s is over"},
            "Ended early: the time limit of 60 s is over. Best",
        ),
        ({"status": "failed", "reason": "no score"}, "Failed: no score. Best"),
        ({"default_value": -0.1}, "Default log loss 0.10000; no configuration was better."),
        ({"summary": None}, "a gain of 0.0878. 50 trials"),
    ],
)
def test_what_the_summary_says_of_a_run(
    change: dict[str, Any], expected: str, bundle: dict[str, Any]
) -> None:
    assert expected in summary_text({**bundle, "run": {**bundle["run"], **change}})


def test_a_default_that_alone_has_a_score_is_not_said_to_be_the_best_of_several() -> None:
    run = {"metric": "r2", "direction": "maximize", "default_value": 0.5, "best_value": 0.5, "best_number": 0}
    trials = [
        {"n": 0, "state": "COMPLETE", "value": 0.5, "source": "default"},
        {"n": 1, "state": "FAIL", "value": None, "source": "tpe", "error": "stopped"},
    ]
    for text in (verdict({"run": run, "trials": trials}), summary_text({"run": run, "trials": trials})):
        assert "no other configuration has a score" in text
        assert "was better" not in text


def test_the_summary_has_the_words_of_the_verification(bundle: dict[str, Any]) -> None:
    bundle = copy.deepcopy(bundle)
    bundle["run"]["summary"]["verification"] = {"text": "On 10 fresh folds a loss of 0.1 \x1b[31m± 0.2"}
    assert "a gain of 0.0878. On 10 fresh folds a loss of 0.1 ± 0.2. 50 trials" in summary_text(bundle)
    bundle["run"]["summary"]["verification"] = None
    assert "a gain of 0.0878. 50 trials" in summary_text(bundle)


def test_what_the_rulebook_did_in_an_llm_run_is_not_said_of_the_llm() -> None:
    bundle = make_bundle(50)
    mine = [t for t in bundle["trials"] if t["source"] == "llm"]
    for trial in mine[::2]:
        trial["source"] = "rulebook"
    text = summary_text(bundle)
    n_llm = sum(t["source"] in ("llm", "llm-init") for t in bundle["trials"])
    assert f"openai:gpt-4o proposed {n_llm} trials" in text
    assert f"The rulebook proposed {len(mine[::2])} trials" in text


def test_what_mattered_is_said_only_with_enough_trials_to_tell(bundle: dict[str, Any]) -> None:
    """Of 45 parameters after 16 trials some correlate with the score by chance."""
    assert "Most important parameters" in summary_text(bundle)
    many = {f"p{i}": 1 / 26 for i in range(26)}
    assert "Most important parameters" not in summary_text({**bundle, "importances": many})


def test_the_best_parameters_of_a_default_that_stayed_best_are_not_made_up(bundle: dict[str, Any]) -> None:
    """The study records the nearest values in the search space for it; those were not what was fitted."""
    bundle = copy.deepcopy(bundle)
    for trial in bundle["trials"][1:]:
        trial["value"] = -9.0
    bundle["run"]["best_number"] = 0
    assert plain_text(bundle).splitlines()[-1] == "Best parameters: those before tuning."


def test_the_summary_of_runs_without_a_best() -> None:
    assert summary_text(make_bundle(9, fail=1)).startswith("No trial has a score. 9 trials in")
    assert summary_text(make_multi_objective_bundle()).startswith(
        "20 trials with several objectives; no single best."
    )
    assert summary_text({"schema": 1}) == "No trial has a score. 0 trials."


@pytest.mark.parametrize(
    ("verification", "expected"),
    [
        (
            {"verdict": "real", "gain": 0.08, "noise": 0.01, "n_folds": 10, "fresh": True},
            "more than its noise",
        ),
        (
            {"verdict": "within noise", "gain": 0.01, "noise": 0.02, "n_folds": 10},
            "0.01 ± 0.02, within its noise",
        ),
        (
            {"verdict": "within noise", "gain": -0.014, "noise": 0.016, "n_folds": 10},
            "on 10 fresh folds it is 0.014 ± 0.016 worse than the default, within the noise",
        ),
        (
            {"verdict": "worse", "gain": -0.05, "noise": 0.01, "n_folds": 10},
            "0.05 ± 0.01 worse than the default",
        ),
        ({"verdict": "real", "gain": 0.08, "noise": 0.01, "fresh": False}, "was not checked on other folds"),
        ({"verdict": "unknown", "gain": None, "text": "A fit failed"}, "was not checked on other folds"),
        (None, "was not checked on other folds"),
    ],
)
def test_the_verdict_is_no_better_than_its_evidence(
    bundle: dict[str, Any], verification: dict[str, Any] | None, expected: str
) -> None:
    run = {**bundle["run"], "summary": {"verification": verification}}
    sentence = verdict({**bundle, "run": run})
    assert sentence.startswith("Tuning lowered log loss from 0.1911 to 0.1033 (trial 48, llm); ")
    assert expected in sentence
    assert sentence.count(".") == sentence.count("0.") + 1, "one sentence"


def test_trials_of_the_surrogate_are_not_the_base_samplers_unless_it_is_one(bundle: dict[str, Any]) -> None:
    trials = [{**t, "source": "gp"} if t["source"] == "tpe" else t for t in bundle["trials"]]

    def text(sampler: str) -> str:
        return summary_text({**bundle, "trials": trials, "run": {**bundle["run"], "sampler": sampler}})

    n = sum(t["source"] == "gp" for t in trials)
    assert f"The Gaussian process proposed {n} trials" in text("llm-tpe")
    assert "The base sampler proposed 25 trials" not in text("llm-tpe")
    assert "The base sampler proposed 25 trials" in text("gp")


@pytest.mark.parametrize("metric", ["f1_weighted", "neg_log_loss", "r2", "my_score"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_every_sentence_about_a_run_begins_with_a_capital(
    bundle: dict[str, Any], metric: str, direction: str
) -> None:
    for best, default in ((0.4, 0.3), (0.3, 0.4), (0.3, None), (None, None)):
        values = {"best_value": best, "default_value": default, "metric": metric, "direction": direction}
        run = {**bundle["run"], **values}
        texts = (verdict({**bundle, "run": run}), summary_text({**bundle, "run": run}))
        for sentence in (part for text in texts for part in re.split(r"(?<=[.!?]) ", text)):
            assert re.match(r"[A-Z0-9]", sentence), sentence


def test_a_result_is_three_lines_and_its_card_shows_what_was_tested(bundle: dict[str, Any]) -> None:
    check = {
        "verdict": "real",
        "default_mean": -0.19,
        "best_mean": -0.11,
        "gain": 0.08,
        "noise": 0.01,
        "n_folds": 10,
        "fresh": True,
        "test_default": -0.2,
        "test_best": -0.12,
        "test_interval": [0.05, 0.11],
    }
    run = {**bundle["run"], "summary": {"verification": check}, "n_rows": 1200, "n_columns": 21}
    bundle = {**bundle, "run": run}
    lines = result_text(bundle).split("\n")
    assert len(lines) == 3
    assert lines[0] == "run: LGBMClassifier, log loss, lower is better; 50 trials, finished"
    assert lines[2].startswith("Best parameters: learning_rate=0.05355")
    html = card(bundle)
    assert "1,200 rows × 21 columns" in html
    text = unescape(re.sub("<[^>]+>", "|", html))
    cells = [cell for cell in text.split("|") if cell.strip()]
    at = cells.index("10 fresh folds")
    assert cells[at + 1 : at + 4] == ["0.1900", "0.1100", "+0.0800 ± 0.01"]
    at = cells.index("test data")
    assert cells[at + 3] == "+0.0800 (95 %: 0.05 to 0.11)"
    assert re.search(r"\d parameters changed", html)
    assert "neg_" not in html
