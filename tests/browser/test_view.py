"""The one view in a real browser: every pane, every control, keyboard, themes, hostile text, long runs."""

from __future__ import annotations

import ast
import csv
import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from sllmbo_magic import events as ev
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.html import script_json
from sllmbo_magic.report.html import static_file
from sllmbo_magic.report.html import write_report
from tests.browser.conftest import OPEN_PANE
from tests.browser.payloads import TEXT
from tests.browser.payloads import hostile_events
from tests.marks import long
from tests.sample_run import run_events

PANES = (
    "Scores",
    "Search space",
    "Trials",
    "Importance",
    "Slice",
    "Parallel coordinates",
    "Contour",
    "Failures",
    "Cost",
)
THEMES = ("light", "dark")
LOOKS: dict[str, tuple[dict[str, str], str, str]] = {
    # options of the browser, the page's background, the front end's variables
    "light": ({"color_scheme": "light"}, "#fff", ""),
    "dark": ({"color_scheme": "dark"}, "#111", ""),
    "Lab's dark high contrast": (
        {"color_scheme": "dark"},
        "#000",
        "--jp-content-font-color0: #fff; --jp-layout-color0: #000;",
    ),
    "forced light": ({"color_scheme": "light", "forced_colors": "active"}, "#fff", ""),
    "forced dark": ({"color_scheme": "dark", "forced_colors": "active"}, "#111", ""),
}


def running(n: int = 24) -> list[ev.Event]:
    """A run of 50 trials in which ``n`` are done."""
    events: list[ev.Event] = []
    for event in run_events(50, finish=False):
        if isinstance(event, ev.TrialStarted) and event.number == n:
            break
        events.append(event)
    return events


@pytest.fixture
def bundle() -> dict[str, Any]:
    view = RunView()
    for event in run_events(50):
        view.apply(event)
    return view.snapshot()


@pytest.fixture
def report(bundle: dict[str, Any], tmp_path: Any) -> str:
    return write_report(bundle, tmp_path / "run.html").as_uri()


def open_pane(root: Any, name: str) -> Any:
    root.get_by_role("tab", name=name, exact=True).click()
    return root.get_by_role("tabpanel")


# ---------------------------------------------------------------- see


@pytest.mark.parametrize("scheme", ["light", long("dark")])
def test_every_pane_of_the_report_shows_the_run_and_axe_finds_nothing_serious(
    new_page: Any, report: str, bundle: dict[str, Any], serious: Callable[..., list[str]], scheme: str
) -> None:
    watched = new_page(color_scheme=scheme)
    page = watched.page
    unguarded = new_page(
        color_scheme=scheme, bypass_csp=True
    ).page  # axe needs eval, which the policy forbids
    unguarded.goto(report)
    page.goto(report)
    assert page.get_by_text(bundle["run"]["summary"]["text"]).count() == 1, "the paragraph, once"
    expected = {
        "Scores": "default",
        "Search space": "learning_rate",
        "Trials": "50 of 50 trials",
        "Importance": "46 %",
        "Slice": "learning_rate, log scale",
        "Parallel coordinates": "boosting_type",
        "Contour": "what the trials near a point suggest",
        "Failures": "out-of-memory",
        "Cost": "Tokens received",
    }
    for name in PANES:
        open_pane(page, name).get_by_text(expected[name]).locator("visible=true").first.wait_for()
        open_pane(unguarded, name)
        assert serious(unguarded, "body" if name == PANES[0] else OPEN_PANE) == [], name
    assert page.get_by_role("region", name="Chat").get_by_text("openai:gpt-4o").count() > 0
    assert watched.errors == []
    assert [r for r in watched.requests if not r.startswith("file:")] == []


@pytest.mark.parametrize(
    ("width", "scheme"), [long(1280, "dark"), long(1280, "light"), (420, "dark"), long(420, "light")]
)
def test_axe_finds_nothing_serious_in_any_pane(
    new_widget: Any, serious: Callable[..., list[str]], scheme: str, width: int
) -> None:
    widget = new_widget(color_scheme=scheme, viewport={"width": width, "height": 900})
    widget.show()
    widget.sink(*running())
    for name in (*PANES, "Compare", *(["Chat"] if width == 420 else [])):
        open_pane(widget.root, name)
        widget.pump()
        assert serious(widget.page, "body" if name == PANES[0] else OPEN_PANE) == [], name
    assert widget.root.locator(".view").get_attribute("data-theme") == scheme


CONTRASTS = """() => {
    const root = document.querySelector('.sllmbo-run').shadowRoot;
    const parse = text => {
        const parts = text.match(/[-\\d.e]+/g).map(Number);
        const scale = text.startsWith('color(') ? 1 : 255;
        return [...parts.slice(0, 3).map(x => x / scale), parts[3] ?? 1];
    };
    const over = ([r, g, b, a], below) => [r, g, b].map((x, i) => x * a + below[i] * (1 - a));
    const light = c => {
        const [r, g, b] = c.map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => {
        const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05);
    };
    const view = root.querySelector('.view');
    const page = parse(getComputedStyle(view).backgroundColor);
    const found = {};
    const look = (least, paint, ...selectors) => selectors.forEach(selector => {
        for (const e of root.querySelectorAll(`.pane ${selector}, .status ${selector}`)) {
            const style = getComputedStyle(e);
            const color = parse(style[paint ?? (style.fill !== 'none' ? 'fill' : 'stroke')]);
            for (let node = e; node !== view; node = node.parentElement) {
                color[3] *= Number(getComputedStyle(node).opacity);
            }
            const band = e.closest('.param')?.querySelector('.band');
            const below = [page, ...(band ? [over(parse(getComputedStyle(band).fill), page)] : [])];
            const worst = Math.min(...below.map(b => ratio(over(color, b), b)));
            const key = `${selector} | ${e.getAttribute('class')} | ${e.parentElement.getAttribute('class')}`;
            if (!(worst >= least)) {
                found[key] = Math.min(found[key] ?? 99, Math.round(worst * 100) / 100);
            }
        }
    });
    look(3, undefined, '.marks path:not(.is-out, .is-running)', '.legend path', '.best-line', '.incumbent',
         '.out-marks', '.handle rect:last-child', '.lines:not(.many) .line', '.line-focus',
         '.spread.focused');
    look(3, 'stroke', '.param .is-out', '.param .is-running', '.reference line'); // seen by their outline
    look(3, 'backgroundColor', '.swatch', '.split div', '.importance-name .bar div', '.progress div');
    look(4.5, 'fill', 'text');
    return found;
}"""


@pytest.mark.parametrize(
    "look", [long("light"), "dark", long("Lab's dark high contrast"), "forced light", long("forced dark")]
)
def test_marks_stand_out_three_to_one_and_words_in_charts_as_text_must(new_widget: Any, look: str) -> None:
    options, background, variables = LOOKS[look]
    widget = new_widget(**options, reduced_motion="reduce")  # what breathes is measured at rest
    widget.page.evaluate(
        "style => document.body.setAttribute('style', style)", f"background: {background}; {variables}"
    )
    widget.show()
    widget.sink(*running(34))
    for name in PANES:
        pane = open_pane(widget.root, name)
        if name == "Scores":
            pane.get_by_role("group", name=re.compile("Score of each trial")).press("Home")
            widget.pump()
        assert widget.page.evaluate(CONTRASTS) == {}, name


def test_a_front_ends_theme_of_high_contrast_is_seen_by_its_name(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    view = widget.root.locator(".view")
    assert view.get_attribute("data-contrast") == "normal"
    widget.page.evaluate("document.body.dataset.jpThemeName = 'JupyterLab Dark High Contrast'")
    widget.root.locator(".view[data-contrast=more]").wait_for()
    muted, fg = view.evaluate("e => [e.querySelector('.muted'), e].map(x => getComputedStyle(x).color)")
    assert muted == fg, "nothing is said in a paler colour"


def test_who_wants_no_motion_sees_none(new_widget: Any) -> None:
    counts = {}
    for motion in ("no-preference", "reduce"):
        widget = new_widget(reduced_motion=motion)
        widget.show()
        widget.sink(*running())
        moving = "e => e.getAnimations({ subtree: true }).length"
        counts[motion] = widget.root.locator(".view").evaluate(moving)
    assert counts["no-preference"] > 0, "else the test sees nothing"
    assert counts["reduce"] == 0


def test_only_the_dot_of_the_state_moves_while_a_run_goes_on(new_widget: Any) -> None:
    """What moves by its size, or within a chart, has the page painted sixty times a second: 0.2 of a core for
    as long as a run takes.
    """
    widget = new_widget()
    widget.show()
    moving = "e => e.getAnimations({ subtree: true }).map(a => a.effect.target.getAttribute('class'))"
    seen: list[str] = []
    for event in running():
        widget.sink(event)
        seen += widget.root.locator(".view").evaluate(moving)
    assert set(seen) == {"state is-running"}


def test_a_narrow_page_scrolls_in_panes_and_not_sideways(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 360, "height": 800})
    widget.show()
    widget.sink(*running())
    for name in (*PANES, "Chat"):
        open_pane(widget.root, name)
        assert widget.page.evaluate("document.documentElement.scrollWidth") <= 360, name


def test_how_a_run_ended_fits_a_narrow_page(new_page: Any, report: str) -> None:
    page = new_page(viewport={"width": 360, "height": 800}).page
    page.goto(report)
    beyond = page.locator(".closing > *, .figure").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > 360).map(e => e.className)"
    )
    assert beyond == []
    open_pane(page, "Trials")
    assert page.get_by_label("Filter the trials").bounding_box()["width"] > 120


def test_nothing_moves_while_the_run_goes_on(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    boxes = set()
    tab = widget.root.get_by_role("tab", name="Scores", exact=True)
    height = set()
    for i, event in enumerate(run_events(50, finish=False)):
        widget.live.sink(event)
        if i % 40 == 0 and i:
            widget.pump()
            box = tab.bounding_box()
            boxes.add((round(box["x"]), round(box["y"])))
            height.add(round(widget.root.bounding_box()["height"]))
    assert len(boxes) == 1, boxes
    assert len(height) == 1, height


@pytest.mark.parametrize("width", [long(1280), 360])
def test_the_browser_measures_no_layout_shift_in_any_pane(new_widget: Any, width: int) -> None:
    """Cumulative layout shift as browsers define it; following the chat is a scroll that was asked for."""
    widget = new_widget(viewport={"width": width, "height": 1400})
    widget.show()
    events = list(run_events(70, finish=False))
    starts = {e.number: i for i, e in enumerate(events) if isinstance(e, ev.TrialStarted)}
    widget.sink(*events[: starts[14]])
    widget.page.evaluate(
        """() => {
            window.shifted = [];
            const took = list => window.shifted.push(...list.getEntries().map(e => e.value));
            new PerformanceObserver(took).observe({ type: 'layout-shift' });
        }"""
    )
    at = 14
    shifts = {}
    for name in (*PANES, *(["Chat"] if width == 360 else [])):
        # by script and pointer: what follows a click or a key within half a second is not counted
        widget.root.get_by_role("tab", name=name, exact=True).evaluate("e => e.click()")
        widget.pump()
        widget.root.get_by_role("tabpanel").hover(position={"x": 120, "y": 180})
        follow = widget.root.get_by_label("Follow")
        if follow.count():
            follow.evaluate("e => e.checked && e.click()")
        widget.pump()
        widget.page.evaluate("window.shifted = []")
        for event in events[starts[at] : starts[at + 5]]:
            widget.live.sink(event)
            if isinstance(event, ev.TrialFinished | ev.ReplyReceived):
                widget.pump()
        widget.pump()
        at += 5
        shifts[name] = sum(widget.page.evaluate("window.shifted"))
    assert all(shift < 0.01 for shift in shifts.values()), shifts


def test_pointing_at_a_trial_shows_it_everywhere(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    chart = page.get_by_role("group", name=re.compile("Score of each trial"))
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    shown = page.locator(".tip strong").inner_text()
    number = int(shown.removeprefix("Trial "))
    page.get_by_role("region", name="Trial in focus").get_by_text(shown, exact=True).wait_for()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 100)
    pane = open_pane(page, "Search space")
    assert pane.locator(".ringed.pinned").count() == pane.locator("figure").count()
    open_pane(page, "Trials")
    page.locator("tr.is-pinned td").first.filter(has_text=re.compile(f"^{number}$")).wait_for()


def test_a_candidate_card_leads_to_its_trial(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    chat = page.get_by_role("region", name="Chat")
    card = chat.locator(".candidate").first
    name = card.get_by_role("button").inner_text()
    card.get_by_role("button").click()
    page.get_by_role("region", name="Trial in focus").get_by_text(name, exact=True).wait_for()
    assert "is-focused" in card.get_attribute("class")
    rejected = chat.locator(".candidate.is-rejected").first
    assert "outside 0.001 to 1" in rejected.inner_text()


def test_a_brush_on_an_axis_selects_in_every_pane(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    open_pane(page, "Parallel coordinates")
    axis = page.get_by_role("slider", name="Brush on num_leaves")
    axis.focus()
    page.keyboard.press("ArrowUp")
    status = page.get_by_text(re.compile(r"\d+ of 47 trials inside the brush"))
    status.wait_for()
    count = int(status.inner_text().split()[0])
    assert 0 < count < 47
    marked = {"Scores": 1, "Search space": 8, "Importance": 8}  # how many charts there are
    for name, charts in marked.items():
        pane = open_pane(page, name)
        assert pane.locator(".marks.dim").count() == charts, "the others step back"
        assert pane.locator(".focus-marks > path").count() == charts * count, name
    open_pane(page, "Trials")
    page.get_by_text(f"{count} of 50 trials").wait_for()
    page.get_by_role("button", name="Clear the brush").click()
    page.get_by_text("50 of 50 trials").wait_for()


def test_the_search_space_tells_its_story(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Search space")
    panel = pane.locator("figure", has=page.get_by_text("learning_rate", exact=True))
    panel.get_by_text("log", exact=True).wait_for()
    pane.get_by_role("list", name="What the charts show").get_by_text("hollow: no score").wait_for()
    heights = panel.locator(".band").evaluate_all("bands => bands.map(b => Math.round(b.getBBox().height))")
    assert len(heights) == 4
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] < heights[0], "the range narrows from version to version"
    lanes = pane.locator("figure", has=page.get_by_text("boosting_type", exact=True))
    assert lanes.locator(".lane").count() == 2
    assert pane.locator("figure .incumbent").count() == pane.locator("figure").count() == 8
    shown = panel.locator(".marks path").evaluate_all("paths => paths.map(p => p.getAttribute('class'))")
    assert shown == ["is-out", *(f"lev-{i}" for i in range(7))], "coloured by score; what has none is hollow"
    panel.get_by_role("group", name=re.compile("learning_rate of each trial")).press("End")
    tip = panel.locator(".tip")
    tip.get_by_text("Trial 49").wait_for()
    assert re.search(r"0\.88\d+ ± 0\.00\d+", tip.inner_text())
    assert "The best five trials lie in the middle of these ranges." in tip.inner_text()


def test_scores_show_source_default_best_spread_and_what_has_no_score(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Scores")
    legend = pane.get_by_role("list", name="Sources of the trials")
    rows = [" ".join(text.split()) for text in legend.get_by_role("listitem").all_inner_texts()]
    assert {"failed 1", "pruned 2", "default 1", "fallback 2", "you 1"} <= set(rows)
    shapes = legend.locator("path").evaluate_all("paths => paths.map(p => p.getAttribute('d'))")
    assert len(set(shapes)) == len(rows), "no two of them look the same"
    assert pane.locator(".reference").get_by_text("default").count() == 1
    assert pane.locator(".spread").first.get_attribute("d").count("M") == 1, "of the best"
    assert pane.locator(".chart .out-marks").get_attribute("d").count("M") == 3
    assert pane.locator(".best-label text").text_content() == "0.8885"


def test_a_trial_is_copied_as_python(new_page: Any, report: str, bundle: dict[str, Any]) -> None:
    page = new_page().page
    page.goto(report)
    open_pane(page, "Trials")
    page.get_by_role("button", name="Copy: parameters of trial 49").click()
    page.get_by_role("button", name="Copied: parameters of trial 49").wait_for()
    page.get_by_label("Filter the trials").focus()
    page.keyboard.press("Control+V")
    pasted = ast.literal_eval(page.get_by_label("Filter the trials").input_value())
    assert pasted == next(t["params"] for t in bundle["trials"] if t["n"] == 49)


def test_rows_that_are_read_stay_in_place_when_trials_come_in(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    events = running(30)
    cut = next(i for i, e in enumerate(events) if isinstance(e, ev.TrialStarted) and e.number == 20)
    widget.sink(*events[:cut])
    open_pane(widget.root, "Trials")
    row = widget.root.locator("tbody tr", has=widget.page.get_by_text("14", exact=True)).first
    row.hover()
    before = row.bounding_box()["y"]
    widget.sink(*events[cut:])
    widget.root.get_by_text("30 of 30 trials").wait_for()
    assert row.bounding_box()["y"] == before


def test_trials_sort_and_filter(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    open_pane(page, "Trials")
    first = page.locator(".trials tbody tr:not([aria-hidden]) td").first
    page.get_by_role("button", name="Score").click()
    best = page.locator("tr.is-best td").first.inner_text()
    page.locator("th[aria-sort=descending]", has_text="Score").wait_for()
    assert first.inner_text() == best
    page.get_by_label("Filter the trials").fill("memory")
    page.get_by_text("1 of 50 trials").wait_for()
    assert first.inner_text() == "13"


def test_the_chat_is_searched(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    chat = page.get_by_role("region", name="Chat")
    chat.get_by_label("Search the chat").fill("shallow trees")
    chat.get_by_text("1 of 22").wait_for()
    chat.get_by_text("prefer shallow trees, inference must be fast").wait_for()
    chat.get_by_label("Search the chat").fill("no such words")
    chat.get_by_text("Nothing found.").wait_for()


def test_the_chat_reads_as_a_conversation(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    chat = page.get_by_role("region", name="Chat")
    asked = chat.locator(".prompt").first
    assert asked.locator("pre").count() == 0, "what was asked is folded"
    asked.locator("summary").click()
    assert "Propose 5 configurations" in asked.locator("pre").inner_text()
    answer = chat.locator(".reply").first
    assert answer.locator("strong", has_text="best three trials").count() == 1, "markdown is rendered"
    assert answer.locator("ol > li", has_text="stay near the incumbent").count() == 1
    cards = answer.locator(".candidate")
    assert cards.count() == 6
    assert re.match(r"Trial 1\s+0\.86", cards.first.inner_text())
    assert chat.locator(".is-warning", has_text="answered 429 three times").count() == 1
    assert chat.locator(".note", has_text="re-scored on fresh folds").count() == 1


def test_a_long_prompt_is_folded_by_its_parts(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    rows = "\n".join(f"#{i},tpe,0.8{i:02d}" for i in range(40))
    text = f"Estimator: SVC\n\nNext is trial #9.\n\nBest 40 of 60 scored trials:\n{rows}\n\nPropose 5."
    events = list(run_events(3, finish=False))
    widget.sink(
        *events, ev.RequestSent(request=70, purpose="propose", trial_number=3, provider="p", text=text)
    )
    n_earlier = sum(isinstance(event, ev.RequestSent) for event in events)
    asked = widget.root.locator(".prompt").nth(n_earlier)  # waits until the new one is there
    asked.locator("summary").first.click()
    asked.get_by_text("Propose 5.").wait_for()
    assert asked.locator("pre").all_inner_texts() == ["Estimator: SVC\n\nNext is trial #9.", "Propose 5."]
    part = asked.get_by_text("Best 40 of 60 scored trials:")
    assert re.search(r"40 more lines$", part.inner_text())
    part.click()
    asked.get_by_text("#39,tpe,0.839").wait_for()
    assert asked.locator("pre").nth(1).inner_text() == rows


def test_a_reason_that_several_configurations_were_rejected_for_is_said_once(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    why = "max_depth 40 is out of range; allowed: 2 to 12"
    rejected = {"reason": "deep", "expected": "", "status": "rejected", "why": why}
    candidates = [{**rejected, "params": {"max_depth": 40, "n": i}} for i in range(4)]
    candidates.append({**rejected, "params": {"n": 9}, "why": "max_depth is missing"})
    repeated = "; ".join(f"configuration {i}: {why}" for i in range(1, 5))
    widget.sink(
        *run_events(3, finish=False),
        ev.ReplyReceived(
            request=77,
            purpose="propose",
            trial_number=3,
            provider="p",
            text="{}",
            reasoning=f"Deep trees.\n\nNot usable: {repeated}",  # as runs of earlier versions have it
            candidates=candidates,
            usage={},
            seconds=1.0,
        ),
    )
    answer = widget.root.locator(".reply").last
    assert answer.get_by_text(why).all_inner_texts() == [f"4 configurations: {why}"]
    assert answer.get_by_text("max_depth is missing").count() == 1
    assert answer.get_by_text("Deep trees.").count() == 1
    answer.get_by_text("The 4 rejected configurations").click()
    answer.locator("details .candidate").nth(3).wait_for()
    assert answer.locator("details .candidate").count() == 4
    assert answer.get_by_text(why).count() == 1


def test_the_chat_is_followed_until_the_reader_scrolls_away(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    chat = widget.root.get_by_role("log", name="Conversation")
    follow = widget.root.get_by_label("Follow")
    left = "e => Math.round(e.scrollHeight - e.scrollTop - e.clientHeight)"

    def say(*words: str) -> None:
        widget.sink(*(ev.Note(text=word) for word in words))

    say("one", "two")
    assert chat.evaluate(left) <= 1
    chat.hover()
    widget.page.mouse.wheel(0, -600)
    widget.root.locator(".follow input:not(:checked)").wait_for()
    top = chat.evaluate("e => e.scrollTop")
    say("three", "four")
    assert chat.evaluate("e => e.scrollTop") == top, "what is being read stays"
    follow.check()
    widget.pump()
    assert chat.evaluate(left) <= 1
    assert chat.get_by_text("four", exact=True).is_visible()


def test_on_paper_stands_everything(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    page.emulate_media(media="print")
    # in the same breath, as a browser does that prints next
    printed = page.evaluate(
        """() => {
            window.dispatchEvent(new Event('beforeprint'));
            const run = document.querySelector('.sllmbo-run').shadowRoot.querySelector('.run');
            const wide = [...run.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 740);
            return [run.innerText, wide.map(e => e.outerHTML.slice(0, 80))];
        }"""
    )
    assert "The best three trials share a learning rate" in printed[0]
    assert "A lower learning rate with more leaves" in printed[0]
    assert re.search(r"Trial 1\s+0\.86", printed[0]), "cards name their trials"
    assert "Enqueue" not in printed[0]
    assert printed[1] == [], "wider than paper"
    for name in (*PANES, "Chat"):
        page.get_by_role("heading", name=name, exact=True).wait_for()
    assert page.locator(".trials tbody tr").count() == 50
    assert len(page.pdf()) > 10_000
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.get_by_role("tab", name="Scores", exact=True).count() == 1


# ---------------------------------------------------------------- steer


def test_no_sampler_is_shown_as_chosen_before_the_run_tells_its_own(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()  # as while the task is read: a click on what seems to be chosen already would send nothing
    assert widget.root.get_by_role("button", name="Stop").is_enabled()
    assert widget.root.get_by_role("radio").count() == 0
    started, *_ = run_events(1)
    widget.sink(started)
    assert widget.root.get_by_role("radio", checked=True).count() == 1
    widget.root.get_by_role("radio", name="TPE", exact=True).check(force=True)
    widget.pump()
    (taken,) = widget.control.take()
    assert (taken.name, taken.value) == ("sampler", "tpe")


def test_each_control_sends_its_wish_and_shows_pending_then_applied(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    root = widget.root
    wishes = root.get_by_role("log", name="Commands")
    chat = root.get_by_role("region", name="Chat")

    def wish(act: Callable[[], Any], name: str, value: Any, said: str) -> None:
        act()
        widget.pump()
        (taken,) = widget.control.take()
        assert (taken.name, taken.value) == (name, value)
        line = wishes.get_by_role("listitem").last
        assert said in line.inner_text()
        assert "pending" in line.inner_text()
        assert "pending" in chat.locator(".mine").last.inner_text(), "it is recorded in the chat"
        widget.sink(ev.WishApplied(wish=name, value=taken.value, trial_number=24, id=taken.id))
        assert "applied at trial 24" in line.inner_text()
        assert "applied at trial 24" in chat.locator(".mine").last.inner_text()

    wish(
        lambda: root.get_by_role("radio", name="TPE", exact=True).check(force=True),
        "sampler",
        "tpe",
        "Sampler TPE",
    )
    assert root.get_by_role("radio", name="TPE", exact=True).is_checked()
    wish(
        lambda: root.get_by_role("radio", name="LLM-TPE").check(force=True),
        "sampler",
        "llm-tpe",
        "Sampler LLM-TPE",
    )
    wish(lambda: root.get_by_label("LLM share").fill("0.25"), "ratio", 0.25, "LLM share 0.25")
    wish(
        lambda: (
            root.get_by_label("Hint for the LLM").fill("fewer leaves"),
            widget.page.keyboard.press("Enter"),
        ),
        "hint",
        "fewer leaves",
        "fewer leaves",
    )
    wish(
        lambda: (
            root.get_by_label("Further trials").fill("20"),
            root.get_by_role("button", name="Add trials").click(),
        ),
        "extend",
        20,
        "20 more trials",
    )
    root.get_by_text("of 70").wait_for()
    wish(lambda: root.get_by_role("button", name="Pause").click(), "pause", None, "Pause")
    root.get_by_text("paused", exact=True).wait_for()
    wish(lambda: root.get_by_role("button", name="Resume").click(), "resume", None, "Resume")

    open_pane(root, "Search space")
    low, high = (
        root.get_by_label("Lower end of subsample, typed"),
        root.get_by_label("Upper end of subsample, typed"),
    )
    low.fill("0.6")
    high.fill("0.9")
    panel = root.locator("figure", has=widget.page.get_by_text("subsample", exact=True))
    wish(
        lambda: panel.get_by_role("button", name="Set").click(),
        "range",
        {"param": "subsample", "low": 0.6, "high": 0.9},
        "Range of subsample: 0.6 to 0.9",
    )
    wish(
        lambda: root.get_by_label("dart").uncheck(force=True),
        "range",
        {"param": "boosting_type", "choices": ["gbdt"]},
        "gbdt",
    )
    wish(
        lambda: root.get_by_role("button", name="Lock max_depth").click(),
        "lock",
        "max_depth",
        "Lock max_depth",
    )
    assert root.locator("figure.is-locked").count() == 1
    wish(
        lambda: root.get_by_role("button", name="Unlock max_depth").click(),
        "unlock",
        "max_depth",
        "Unlock max_depth",
    )
    assert root.locator("figure.is-locked").count() == 0
    best = widget.live.snapshot()["trials"][widget.live.snapshot()["run"]["best_number"]]["params"]
    in_focus = root.get_by_role("region", name="Trial in focus")
    wish(lambda: in_focus.get_by_role("button", name="Enqueue again").click(), "enqueue", best, "enqueued")
    params = widget.live.snapshot()["trials"][3]["params"]
    open_pane(root, "Trials")
    wish(
        lambda: root.get_by_role("button", name="Enqueue again: trial 3").click(),
        "enqueue",
        params,
        "enqueued",
    )
    root.get_by_role("button", name="Stop", exact=True).click()
    widget.pump()
    assert widget.control.stopping
    assert "after the fold in flight" in wishes.inner_text()
    root.get_by_role("button", name="Add trials").click()
    root.get_by_role("button", name="Pause").click()
    widget.pump()
    widget.sink(ev.RunFinished(status="stopped", reason="Stopped by you.", summary={}))
    for shown in (wishes.inner_text(), chat.locator(".mine").last.inner_text()):
        assert "not applied, the run has ended" in shown
        assert "pending" not in shown
    assert root.get_by_role("button", name="Pause").is_disabled(), "nothing is paused"
    assert root.get_by_role("button", name="Stop", exact=True).is_disabled()
    assert root.get_by_role("radio", name="TPE", exact=True).is_disabled()
    assert widget.watched.errors == []


def test_a_range_is_dragged_and_sent_once_when_it_is_dropped(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    handle = widget.root.get_by_role("slider", name="Upper end of max_depth")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    mouse = widget.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    for step in range(1, 6):
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 6 * step)
    widget.pump()
    assert widget.control.take() == []
    mouse.up()
    widget.pump()
    (wish,) = widget.control.take()
    assert wish.name == "range"
    assert wish.value["param"] == "max_depth"
    assert wish.value["low"] == 3
    assert 3 < wish.value["high"] < 12
    assert wish.value["high"] == int(wish.value["high"])


def drag_upper_end(widget: Any, name: str, down: float = 30) -> None:
    """Drag the upper end of a parameter's range so many pixels down, and drop it."""
    handle = widget.root.get_by_role("slider", name=f"Upper end of {name}")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = widget.page.mouse
    mouse.move(x, y)
    mouse.down()
    for step in range(1, 6):
        mouse.move(x, y + down * step / 5)
    mouse.up()
    widget.pump()


def test_a_dragged_range_is_not_sent_again_when_its_handle_loses_the_focus(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    drag_upper_end(widget, "max_depth")
    (first,) = widget.control.take()
    handle = widget.root.get_by_role("slider", name="Upper end of max_depth")
    handle.focus()
    handle.blur()
    widget.pump()
    assert widget.control.take() == [], "it waits for its trial"
    widget.sink(ev.WishApplied(wish="range", value=first.value, trial_number=24, id=first.id))
    handle.focus()
    handle.blur()
    widget.pump()
    assert widget.control.take() == [], "it was applied"
    handle.focus()
    widget.page.keyboard.press("ArrowDown")
    handle.blur()
    widget.pump()
    assert len(widget.control.take()) == 1, "another range is another command"


def test_a_refused_range_goes_back_and_is_not_sent_again(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    handle = widget.root.get_by_role("slider", name="Upper end of max_depth")
    before = handle.get_attribute("aria-valuenow")
    widget.live._ended = True  # every command is refused
    drag_upper_end(widget, "max_depth")
    log = widget.root.get_by_role("log", name=re.compile("Commands|Wishes"))
    assert log.get_by_text("refused").count() == 1
    assert handle.get_attribute("aria-valuenow") == before, "the range in force is shown"
    handle.focus()
    handle.blur()
    widget.pump()
    assert log.get_by_text("refused").count() == 1


def test_enter_and_then_leaving_the_handle_send_one_command(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    handle = widget.root.get_by_role("slider", name="Upper end of num_leaves")
    handle.focus()
    for key in ("ArrowDown", "Enter"):
        widget.page.keyboard.press(key)
    widget.pump()
    handle.blur()
    widget.pump()
    typed = widget.root.get_by_label("Upper end of max_depth, typed")
    typed.fill("9")
    typed.press("Enter")
    typed.press("Enter")
    panel = widget.root.locator("figure", has=widget.page.get_by_label("Upper end of max_depth, typed"))
    panel.get_by_role("button", name="Set").click()
    widget.pump()
    assert [c.value["param"] for c in widget.control.take()] == ["num_leaves", "max_depth"]


@pytest.mark.parametrize(
    ("low", "high", "problem"),
    [
        ("9", "3", "The lower end must be below the upper end."),
        ("2.5", "8", "Both ends must be whole numbers."),
        ("", "8", "Both ends must be numbers."),
    ],
)
def test_a_typed_range_that_is_none_says_why(new_widget: Any, low: str, high: str, problem: str) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    widget.root.get_by_label("Lower end of max_depth, typed").fill(low)
    widget.root.get_by_label("Upper end of max_depth, typed").fill(high)
    panel = widget.root.locator("figure", has=widget.page.get_by_label("Upper end of max_depth, typed"))
    panel.get_by_role("status").get_by_text(problem).wait_for()


def test_a_run_is_steered_with_the_keyboard_alone(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    page, keys = widget.page, widget.page.keyboard

    def focused() -> str:
        return page.evaluate(
            """() => {
                let e = document.activeElement;
                while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
                const texts = [e?.textContent, e?.parentElement?.textContent];
                return [e?.getAttribute('aria-label'), ...texts].join('|');
            }"""
        )

    def tab_to(text: str) -> None:
        for _ in range(80):
            keys.press("Tab")
            if text in focused():
                return
        raise AssertionError(f"Tab never reaches {text}")

    tab_to("Pause")
    keys.press("Enter")
    tab_to("LLM-TPE")
    keys.press("ArrowRight")
    tab_to("Hint for the LLM")
    keys.type("ddxa bb")
    keys.press("Enter")
    widget.pump()
    assert [(w.name, w.value) for w in widget.control.take()] == [
        ("pause", None),
        ("sampler", "tpe"),
        ("hint", "ddxa bb"),
    ]
    tab_to("Scores")
    keys.press("ArrowRight")
    assert widget.root.get_by_role("tab", name="Search space").get_attribute("aria-selected") == "true"
    tab_to("Upper end of num_leaves")
    keys.press("ArrowDown")
    keys.press("Enter")
    widget.pump()
    (wish,) = widget.control.take()
    assert wish.value["param"] == "num_leaves"
    assert wish.value["high"] < 128
    for _ in range(4):
        keys.press("Shift+Tab")
    page.keyboard.press("Escape")
    widget.root.get_by_role("tab", name="Search space").focus()
    keys.press("End")
    assert widget.root.get_by_role("tab", name="Compare").get_attribute("aria-selected") == "true"
    keys.press("Home")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Home")
    keys.press("ArrowRight")
    keys.press("Enter")
    widget.root.get_by_role("region", name="Trial in focus").get_by_text("Trial 1", exact=True).wait_for()


def test_the_other_controls_work_with_the_keyboard_too(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    root, keys = widget.root, widget.page.keyboard

    def wished(control: Any, *pressed: str) -> tuple[str, Any]:
        """Focus by script (that Tab gets there, the test above shows), then keys alone."""
        control.focus()
        for key in pressed:
            keys.press(key)
        widget.pump()
        (wish,) = widget.control.take()
        widget.sink(ev.WishApplied(wish=wish.name, value=wish.value, trial_number=24, id=wish.id))
        return wish.name, wish.value

    assert wished(root.get_by_label("LLM share"), "ArrowRight") == ("ratio", 0.55)
    assert wished(root.get_by_role("button", name="Pause"), "Space") == ("pause", None)
    assert wished(root.get_by_role("button", name="Resume"), "Space") == ("resume", None)
    more = root.get_by_label("Further trials")
    assert wished(more, "Control+A", "2", "5", "Tab", "Enter") == ("extend", 25)
    open_pane(root, "Search space")
    typed = root.get_by_label("Upper end of max_depth, typed")
    assert wished(typed, "Control+A", "9", "Enter") == ("range", {"param": "max_depth", "low": 3, "high": 9})
    typed.fill("2.5")
    typed.press("Enter")
    widget.pump()
    assert widget.control.take() == [], "no whole number, no wish"
    assert typed.get_attribute("aria-invalid") == "true"
    choice = root.get_by_label("dart")
    assert wished(choice, "Space") == ("range", {"param": "boosting_type", "choices": ["gbdt"]})
    assert wished(root.get_by_role("button", name="Lock subsample"), "Enter") == ("lock", "subsample")
    assert wished(root.get_by_role("button", name="Unlock subsample"), "Enter") == ("unlock", "subsample")
    open_pane(root, "Trials")
    params = widget.live.snapshot()["trials"][22]["params"]
    again = root.get_by_role("button", name="Enqueue again: trial 22")
    assert wished(again, "Enter") == ("enqueue", params)
    assert wished(root.get_by_role("button", name="Stop", exact=True), "Enter") == ("stop", None)


def test_a_refusal_says_why(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    widget.live.sink(ev.RunFinished(status="stopped", reason="", summary={}))
    widget.root.get_by_role("button", name="Pause").click()
    widget.pump()
    assert "refused: The run has ended." in widget.root.get_by_role("log", name="Commands").inner_text()


def test_a_reloaded_page_shows_everything_that_happened(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running(10))
    widget.page.set_content("<!doctype html><body>")
    for event in running(20)[len(running(10)) :]:
        widget.live.sink(event)
    widget._out.clear()
    widget.show()
    widget.root.get_by_text("20 of 50").wait_for()
    assert "pending" not in widget.root.inner_text()


def test_two_runs_on_a_page_keep_apart(new_widget: Any) -> None:
    from tests.browser.conftest import Widget

    one = new_widget()
    one.show()
    two = Widget(one.watched, "w2").show()
    one.sink(*running(10))
    two.sink(*running(5))
    two.root.get_by_role("radio", name="TPE", exact=True).check(force=True)
    one.pump()
    two.pump()
    assert one.control.take() == []
    assert [w.value for w in two.control.take()] == ["tpe"]
    assert one.root.get_by_role("radio", name="LLM-TPE").is_checked()
    ids = one.page.evaluate(
        "[...document.querySelectorAll('.sllmbo-run')].flatMap(h => "
        "[...h.shadowRoot.querySelectorAll('[id]')].map(e => e.id))"
    )
    assert len(ids) == len(set(ids))


def test_a_dead_kernel_is_said(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    widget.page.evaluate("models.w.emit('comm:close')")
    widget.root.get_by_text("disconnected", exact=True).wait_for()
    assert widget.root.get_by_text(re.compile(r" left$")).count() == 0, (
        "no time is left to a run that is gone"
    )
    widget.root.get_by_role("alert").get_by_role("button", name="Copy: the option for").click()
    widget.root.get_by_role("button", name="Copied: the option for the cell's first line").wait_for()
    open_pane(widget.root, "Trials")
    widget.root.get_by_label("Filter the trials").focus()
    widget.page.keyboard.press("Control+V")
    assert widget.root.get_by_label("Filter the trials").input_value() == " --resume"
    assert widget.root.get_by_role("button", name="Stop", exact=True).is_disabled()


# ---------------------------------------------------------------- hostile text


def attacks(page: Any) -> Any:
    """Click every link and open every fold, then say what ran."""
    return page.evaluate(
        """() => {
            const roots = [document, ...[...document.querySelectorAll('*')].flatMap(e => e.shadowRoot ?? [])];
            const bad = [];
            for (const root of roots) {
                root.querySelectorAll('details').forEach(d => { d.open = true; });
                for (const e of root.querySelectorAll('*')) {
                    for (const { name, value } of e.attributes) {
                        const leads = /^(href|src|action|formaction)$/.test(name);
                        if (/^on/i.test(name) || (leads && !/^(https?:|#)/.test(value))) {
                            bad.push(e.outerHTML.slice(0, 90));
                        }
                    }
                    if (['SCRIPT', 'IFRAME', 'FORM', 'OBJECT', 'LINK', 'BASE'].includes(e.tagName)
                        && root !== document && !e.classList.contains('controls')) bad.push(e.tagName);
                }
            }
            return [window.hacked ?? null, bad];
        }"""
    )


@pytest.mark.parametrize("live", [True, False])
def test_nothing_that_an_llm_writes_does_anything(
    new_widget: Any, new_page: Any, tmp_path: Any, live: bool
) -> None:
    if live:
        widget = new_widget()
        widget.show()
        widget.sink(*hostile_events(finish=False))
        watched, root = widget.watched, widget.root
    else:
        view = RunView()
        for event in hostile_events():
            view.apply(event)
        watched = new_page()
        watched.page.goto(write_report(view.snapshot(), tmp_path / "hostile.html").as_uri())
        root = watched.page.locator("body")
    page = watched.page
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    for name in PANES:
        open_pane(root, name)
        assert attacks(page) == [None, []], name
    while (earlier := root.get_by_role("button", name=re.compile("earlier messages"))).count():
        earlier.click()
        if live:
            widget.pump()
    assert attacks(page) == [None, []]
    open_pane(root, "Scores").get_by_role("group", name=re.compile("Score of each trial")).press("Home")
    root.locator(".tip").wait_for()
    assert attacks(page) == [None, []]
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert attacks(page) == [None, []]
    text = root.locator(".view").inner_text()
    assert "<img src=x onerror='window.hacked=3'>" in text, "markup is shown as it was written"
    for char in ("\x1b", "\u202e", "\u2066", "\x9b", "\u200b"):
        assert any(char in payload for payload in TEXT)
        assert char not in text
    assert [r for r in watched.requests if "evil" in r] == []


def test_a_crafted_file_is_cleaned_when_it_is_shown(
    new_page: Any, bundle: dict[str, Any], report: str, tmp_path: Any
) -> None:
    bundle["chat"][1]["reasoning"] = "\x1b[31mred\u202e <img src=x onerror=window.hacked=1>"
    bundle["run"]["name"] = "</title><script>window.hacked=2</script>"
    bundle["trials"][3]["params"]["__proto__"] = {"x": 1}
    bundle["trials"][4]["source"] = "constructor"
    bundle["space"]["versions"].append({"version": 99, "trial": "x", "params": 3})
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    start = page.index(">", page.index('id="sllmbo-bundle"')) + 1
    crafted = tmp_path / "crafted.html"
    crafted.write_text(page[:start] + script_json(bundle) + page[page.index("</script>", start) :], "utf-8")
    watched = new_page()
    watched.page.goto(crafted.as_uri())
    assert attacks(watched.page) == [None, []]
    assert "red <img src=x" in watched.page.locator(".view").inner_text(), "the crafted data is shown"
    assert "\u202e" not in watched.page.locator(".view").inner_text()
    assert watched.errors == []


# ---------------------------------------------------------------- long runs


def test_a_thousand_trials_and_messages_stay_few_elements(new_widget: Any) -> None:
    widget = new_widget()
    events = [e for e in run_events(1000, finish=False) if not isinstance(e, ev.FoldFinished)]
    for event in events:
        widget.live.sink(event)
    for i in range(1000):
        widget.live.sink(ev.Note(text=f"note {i}"))
    widget._out.clear()
    widget.show()
    count = """() => document.querySelector('.sllmbo-run').shadowRoot.querySelectorAll('*').length"""
    for name in PANES:
        open_pane(widget.root, name)
        assert widget.page.evaluate(count) < 2500, name
    open_pane(widget.root, "Trials")
    grid = widget.root.get_by_role("group", name=re.compile("Trials. Arrow keys"))
    grid.evaluate("e => { e.scrollTop = e.scrollHeight }")
    widget.root.locator("td", has_text=re.compile("^0$")).first.wait_for()


# ---------------------------------------------------------------- the question a person has


def rulebook_run(n_trials: int = 12, *, metric: str = "neg_mean_absolute_error") -> list[ev.Event]:
    """A running run without an LLM, scored by a loss."""
    events: list[ev.Event] = []
    for event in run_events(n_trials, finish=False):
        if isinstance(event, ev.RunStarted):
            about = {"llm": "rulebook", "metric": metric, "model": "SVR in a Pipeline (3 steps)"}
            about |= {"n_rows": 442, "n_columns": 10}
            event = dataclasses.replace(event, run={**event.run, **about})
        elif isinstance(event, ev.RequestSent | ev.ReplyReceived | ev.Fallback):
            continue
        elif isinstance(event, ev.SpaceChanged):
            event = dataclasses.replace(event, by="rulebook", reason="The best trials lie at the edge.")
        elif isinstance(event, ev.FoldFinished):
            event = dataclasses.replace(event, score=event.score - 50)
        elif isinstance(event, ev.TrialFinished) and event.value is not None:
            scores = [score - 50 for score in event.split_scores]
            best = None if event.best_value is None else event.best_value - 50
            event = dataclasses.replace(event, value=event.value - 50, split_scores=scores, best_value=best)
            if event.source in ("llm", "llm-init"):
                event = dataclasses.replace(event, source="rulebook", request=None)
        elif isinstance(event, ev.TrialStarted) and event.source in ("llm", "llm-init"):
            event = dataclasses.replace(event, source="rulebook", request=None)
        events.append(event)
    return events


def shown_text(widget: Any) -> str:
    return str(widget.root.locator(".view").evaluate("e => e.innerText"))


def test_a_loss_is_shown_in_its_own_unit_everywhere(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*rulebook_run())
    for name in PANES:
        open_pane(widget.root, name)
        text = shown_text(widget)
        labels = widget.root.locator("[aria-label]").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-label'))"
        )
        drawn = widget.root.locator(".pane text").all_text_contents()
        for seen in (text, *labels, *drawn):
            assert "neg_" not in seen, (name, seen)
            assert not re.search("[−-]4[89]", seen), (name, seen)
    assert "MAE, lower is better" in widget.root.locator(".what").inner_text()
    open_pane(widget.root, "Scores").get_by_text("MAE, lower is better ↓").wait_for()
    best = widget.live.snapshot()["run"]["best_value"]
    assert best < 0, "the data keep scikit-learn's sign"
    assert f"{-best:.2f}" in widget.root.locator(".figures").inner_text()


def test_without_an_llm_no_llm_is_named(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*rulebook_run())
    for name in PANES:
        open_pane(widget.root, name)
        text = shown_text(widget).replace("llm-tpe with rulebook", "")
        assert not re.search(r"\bLLM\b|[Tt]oken|[Mm]oney|\$|\bmodel\b|\brequest", text), (name, text)
    assert widget.root.get_by_role("radio", name="Rulebook-TPE").count() == 1
    assert widget.root.get_by_label("Rulebook share").count() == 1
    assert widget.root.get_by_label(re.compile("Hint")).count() == 0, "the rulebook reads no hints"
    widget.sink(ev.RequestSent(request=0, purpose="propose", trial_number=12, provider="openai:x", text="?"))
    widget.root.get_by_text("1 request", exact=True).wait_for()


def test_the_header_says_what_is_tuned_on_what(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*rulebook_run())
    what = widget.root.locator(".what").inner_text()
    for part in ("SVR in a Pipeline (3 steps)", "442 rows × 10 columns", "5 folds", "seed 7"):
        assert part in what


def test_the_first_minute_says_what_is_going_on(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    said = shown_text(widget)
    guessed = [words for words in ("of 0", "higher is better", "none failed", "answer") if words in said]
    assert guessed == [], "before its first event nothing is known of a run"
    events = rulebook_run()
    widget.sink(events[0])
    doing = widget.root.locator(".doing")
    assert doing.inner_text() == "Reading the task."
    folds = [i for i, e in enumerate(events) if isinstance(e, ev.FoldFinished) and e.number == 0]
    widget.live._folds_sent = float("-inf")
    widget.sink(*events[1 : folds[0] + 1])
    assert doing.inner_text() == "Fitting the default configuration, fold 2 of 5."
    pane = widget.root.get_by_role("tabpanel")
    assert "Fitting the default configuration" in pane.inner_text()
    assert pane.locator("svg .grid").count() == 0, "no empty axis"
    assert "– left" not in shown_text(widget)


def test_the_closing_check_is_a_phase_with_its_own_progress(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*rulebook_run(), ev.CheckProgress(done=6, total=20))
    assert "checking the gain" in widget.root.locator(".state").inner_text()
    text = shown_text(widget)
    assert "on fresh folds, 6 of 20" in text
    assert "left" not in text.split("Best")[0]
    bar = widget.root.get_by_role("progressbar")
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == ("6", "20")
    for label in ("Pause", "Add trials"):
        assert widget.root.get_by_role("button", name=label).is_disabled(), "it no longer applies"
    assert widget.root.get_by_role("radio").first.is_disabled()
    colour = "e => getComputedStyle(e).color"
    off = widget.root.get_by_role("button", name="Add trials").evaluate(colour)
    assert off != widget.root.get_by_role("button", name="Stop").evaluate(colour)
    for words in ("Rulebook", "Rulebook-TPE", "Rulebook share"):
        label = widget.root.locator(".controls span").get_by_text(words, exact=True)
        assert label.evaluate(colour) == off, f"{words} looks as if it still had an effect"
    widget.root.get_by_role("button", name="Stop").click()
    widget.pump()
    (wish,) = widget.control.take()
    assert wish.name == "stop"
    check = {"verdict": "real", "text": "t", "gain": 3.1, "noise": 0.98, "n_folds": 10, "fresh": True}
    summary = {"verification": check, "verdict": "MAE fell.", "text": "MAE fell. And much more is said here."}
    widget.sink(ev.RunFinished(status="finished", reason="done", summary=summary))
    tested = widget.root.locator(".figure").filter(has_text="Gain, checked").inner_text()
    assert "+3.10 ± 0.98" in tested
    assert "real" in tested
    over_default = widget.root.locator(".figure").filter(has_text="over default").inner_text()
    assert "real" not in over_default, "the word stands at the number that was tested"
    closing = widget.root.get_by_role("region", name="How the run ended")
    assert closing.locator(".verdict-text").inner_text() == "MAE fell."
    assert not closing.get_by_text("And much more").is_visible(), "the rest is folded"


def test_an_objective_has_no_figures_about_a_default_or_folds(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(
        ev.RunStarted(
            run={"name": "bowl", "model": "objective", "metric": "objective", "sampler": "llm-tpe"}
        ),
        ev.RunFinished(status="finished", reason="done", summary={"text": "Best objective 0.02."}),
    )
    text = shown_text(widget)
    assert "Best objective" in text
    assert not any(words in text for words in ("Gain", "checked", "X_test", "Fold spread"))
    assert text.count("objective ·") <= 1, "what is tuned is not named twice"


def test_an_objective_has_no_default_to_change_from(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    best = {"best_number": 0, "best_value": 0.5}
    two = {"name": "two", "direction": "minimize, minimize", "n_folds": 1, "n_trials": 1}
    one = {"name": "one", "direction": "minimize", "n_folds": 1, "n_trials": 1}
    for run in (one, two):
        widget.sink(
            ev.RunStarted(run=run),
            ev.TrialFinished(number=0, state="COMPLETE", value=0.5, params={"x": 1.0}, source="tpe", **best),
            ev.RunFinished(status="interrupted", reason="interrupted", summary={"text": "Best 0.5."}),
        )
        text = shown_text(widget)
        assert [words for words in ("changed", "Gain", "the default", "X_test") if words in text] == []


def test_a_trial_that_was_cut_off_is_neither_done_nor_failed(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    *events, end = rulebook_run()
    n = max(e.number for e in events if isinstance(e, ev.TrialFinished)) + 1
    before = widget.root.locator(".figure").first
    widget.sink(*events)
    trials = before.inner_text().splitlines()[:2]
    fields = {"state": "FAIL", "value": None, "params": {}, "source": "tpe", "error": "stopped"}
    widget.sink(ev.TrialFinished(number=n, **fields, time=end.time))
    assert before.inner_text().splitlines()[:2] == trials
    assert "1 failed" not in shown_text(widget)
    assert "cut off 1" in " ".join(open_pane(widget.root, "Scores").inner_text().split())
    assert "stopped" not in open_pane(widget.root, "Failures").inner_text()
    assert "cut off" in open_pane(widget.root, "Trials").locator("tbody").inner_text()


def test_a_gain_without_fresh_folds_is_not_called_real(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    check = {"verdict": "real", "text": "t", "gain": 3.1, "noise": 0.98, "n_folds": 5, "fresh": False}
    summary = {"verification": check, "text": "MAE fell."}
    widget.sink(*rulebook_run(), ev.RunFinished(status="finished", reason="done", summary=summary))
    text = shown_text(widget)
    assert "not checked" in text
    assert "give a cv that shuffles" in text, "and how it can be checked"
    assert "real" not in text


def test_a_range_and_a_lock_can_be_taken_back(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    open_pane(widget.root, "Search space")
    handle = widget.root.get_by_role("slider", name="Upper end of max_depth")
    before = float(handle.get_attribute("aria-valuenow"))
    drag_upper_end(widget, "max_depth")
    widget.control.take()
    widget.root.get_by_role("button", name=re.compile("Undo: Range of max_depth")).click()
    widget.pump()
    (back,) = widget.control.take()
    assert (back.name, back.value["param"], back.value["high"]) == ("range", "max_depth", before)
    assert widget.root.get_by_role("button", name=re.compile("Undo")).count() == 0, "once"
    widget.root.get_by_role("button", name="Lock subsample").click()
    widget.pump()
    widget.control.take()
    widget.root.get_by_role("button", name="Undo: Lock subsample").click()
    widget.pump()
    assert [(c.name, c.value) for c in widget.control.take()] == [("unlock", "subsample")]


def test_failures_are_counted_by_cause_with_the_place_where_they_lie(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    for n in (24, 25, 26, 27):
        params = {"learning_rate": 0.9 + n / 1000, "num_leaves": 10 * (n - 20), "boosting_type": "dart"}
        error = "out-of-memory (MemoryError)" if n < 27 else "timeout"
        widget.sink(
            ev.TrialStarted(number=n, params=params, source="tpe"),
            ev.TrialFinished(
                number=n, state="FAIL", value=None, params=params, source="tpe", error=error, seconds=2.0
            ),
        )
    pane = open_pane(widget.root, "Failures")
    rows = [" ".join(row.split()) for row in pane.locator("tbody tr").all_inner_texts()]
    assert rows[0].startswith("out-of-memory (MemoryError) 4 of 28"), "trial 13 is one of them"
    assert any(row.startswith("timeout 1 of 28 2.0 s TPE") for row in rows)
    note = ev.Note(text="Trial 1 failed: no data\nIts parameters: a=1.", level="warning")
    widget.sink(note)
    said = widget.root.get_by_role("region", name="Chat").locator(".note.is-warning").last
    assert said.inner_text().split("\n")[1].startswith("Its parameters"), "lines stay lines"
    pane.get_by_role("button", name="Trial 25", exact=True).click()
    widget.root.get_by_role("region", name="Trial in focus").get_by_text("Trial 25", exact=True).wait_for()


def test_a_contour_shows_the_score_over_any_two_parameters(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Contour")
    across, up = pane.get_by_label("Across"), pane.get_by_label("Up")
    assert (across.input_value(), up.input_value()) == ("learning_rate", "num_leaves"), "what matters most"
    assert pane.locator(".ground path").count() > 3
    seams = pane.locator(".ground path").evaluate_all(
        "all => all.filter(p => /\\.\\d/.test(p.getAttribute('d')))"
    )
    assert seams == [], "cells end on whole pixels: else the page shows between them"
    frame, levels = pane.bounding_box(), pane.locator(".levels").bounding_box()
    assert levels["y"] + levels["height"] <= frame["y"] + frame["height"], "what the colours mean is seen"
    before = pane.locator(".ground path").first.get_attribute("d")
    up.select_option("boosting_type")
    assert pane.locator(".ground path").first.get_attribute("d") != before
    up.select_option("learning_rate")
    assert across.input_value() == "boosting_type", "never one parameter twice"


def test_trials_are_downloaded_as_csv(new_page: Any, report: str, bundle: dict[str, Any]) -> None:
    page = new_page().page
    page.goto(report)
    open_pane(page, "Trials")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert float(rows[3]["f1_weighted"]) == bundle["trials"][3]["value"]
    assert rows[3]["boosting_type"] == bundle["trials"][3]["params"]["boosting_type"]
    assert (rows[13]["state"], rows[13]["f1_weighted"]) == ("FAIL", "")


def test_the_chat_is_folded_to_give_the_panes_its_room(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    pane = open_pane(page, "Trials")
    before = pane.bounding_box()["width"]
    page.get_by_role("button", name="Fold the chat into a tab").click()
    assert pane.bounding_box()["width"] > before + 200
    open_pane(page, "Chat").get_by_text("openai:gpt-4o").first.wait_for()
    page.get_by_role("button", name="Show the chat beside").click()
    page.get_by_role("region", name="Chat").wait_for()


def test_the_closing_text_is_an_answer(new_widget: Any) -> None:
    """One sentence; default and best on all folds that there are; what changed; the rest is folded."""
    widget = new_widget()
    widget.show()
    params = {"max_depth": 3, "eta": 0.1}
    trials = [("default", {"max_depth": 3, "eta": 0.3}, -50.0), ("tpe", params, -44.3)]
    run = {"name": "loss", "metric": "neg_mean_absolute_error", "direction": "maximize", "n_trials": 2}
    widget.sink(ev.RunStarted(run=run))
    for n, (source, values, score) in enumerate(trials):
        widget.sink(
            ev.TrialFinished(
                number=n, state="COMPLETE", value=score, params=values, source=source, best_number=n
            )
        )
    summary = {
        "default_value": -50.0,
        "best_value": -44.3,
        "best_number": 1,
        "verdict": "MAE fell.",
        "text": "MAE fell. And much more.",
        "verification": {
            "fresh": True,
            "verdict": "real",
            "text": "",
            "n_folds": 10,
            "gain": 3.1,
            "noise": 0.98,
            "default_mean": -51.0,
            "best_mean": -47.9,
            "test_default": -52.0,
            "test_best": -48.0,
            "test_interval": [1.0, 7.0],
        },
    }
    widget.sink(ev.RunFinished(status="finished", reason="", summary=summary))
    closing = widget.root.get_by_role("region", name="How the run ended")
    assert closing.locator(".verdict-text").inner_text() == "MAE fell."
    rows = closing.get_by_role("table").first.get_by_role("row").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["MAE", "Default", "Best", "Gain ± standard error"],
        ["Search folds", "50", "44.30", "+5.70"],
        ["Fresh folds", "51", "47.90", "+3.10 ± 0.98"],
        ["Test data", "52", "48", "+4 (95 %: 1 to 7)"],
    ]
    closing.get_by_text("1 parameter changed").click()
    assert closing.locator(".changed td").all_inner_texts() == ["0.3", "0.1"]
    assert not closing.get_by_text("And much more").is_visible()
    closing.get_by_text("More about this run").click()
    assert closing.get_by_text("And much more").is_visible()


def test_importances_of_too_few_trials_are_not_shown_as_numbers(new_page: Any, tmp_path: Any) -> None:
    view = RunView()
    for event in run_events(12):
        view.apply(event)
    page = new_page().page
    page.goto(write_report(view.snapshot(), tmp_path / "few.html").as_uri())
    pane = open_pane(page, "Importance")
    pane.get_by_text("too few to tell the effects of 8 parameters apart").wait_for()
    assert "%" not in pane.inner_text()


def test_the_theme_of_jupyterlab_holds_before_the_view_is_attached(new_widget: Any) -> None:
    widget = new_widget(color_scheme="light")
    widget.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    widget.show()
    assert widget.root.locator(".view").get_attribute("data-theme") == "dark"
    widget.page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    widget.root.locator(".view[data-theme=light]").wait_for()


def test_a_view_that_is_attached_later_takes_the_theme_of_what_is_behind_it(new_widget: Any) -> None:
    widget = new_widget(color_scheme="light")
    widget.show()
    widget.page.evaluate(
        """() => {
            const el = document.getElementById('w');
            el.remove();
            window.dispose();
            document.body.style.background = '#111';
        }"""
    )
    widget.page.evaluate(
        """async ([source, snapshot]) => {
            const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
            const { default: widget } = await import(url);
            const el = document.createElement('div');
            const model = { get: () => snapshot, send: () => {}, on: () => {}, off: () => {} };
            widget.render({ model, el });
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            el.id = 'late';
            document.body.append(el);
        }""",
        [static_file("widget.js"), json.loads(json.dumps(widget.live.snapshot()))],
    )
    widget.page.locator("#late .view[data-theme=dark]").wait_for()
