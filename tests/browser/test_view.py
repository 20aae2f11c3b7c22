"""The one view in a real browser: every pane, every control, keyboard, themes, hostile text, long runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from sllmbo_magic import events as ev
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.html import write_report
from tests.browser.payloads import TEXT
from tests.browser.payloads import hostile_events
from tests.sample_run import run_events

PANES = ("Scores", "Search space", "Trials", "Importance", "Parallel coordinates", "Cost")
THEMES = ("light", "dark")


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


@pytest.mark.parametrize("scheme", THEMES)
def test_every_pane_of_the_report_shows_the_run_and_axe_finds_nothing_serious(
    new_page: Any, report: str, serious: Callable[..., list[str]], scheme: str
) -> None:
    watched = new_page(color_scheme=scheme)
    page = watched.page
    page.goto(report)
    expected = {
        "Scores": "default",
        "Search space": "learning_rate",
        "Trials": "50 of 50 trials",
        "Importance": "46 %",
        "Parallel coordinates": "boosting_type",
        "Cost": "Tokens received",
    }
    for name in PANES:
        open_pane(page, name).get_by_text(expected[name]).first.wait_for()
        # the report's own policy forbids eval, which axe needs; it is lifted for the check in another test
    assert page.get_by_role("region", name="Chat").get_by_text("openai:gpt-4o").count() > 0
    assert watched.errors == []
    assert [r for r in watched.requests if not r.startswith("file:")] == []


@pytest.mark.parametrize("scheme", THEMES)
@pytest.mark.parametrize("width", [1280, 420])
def test_axe_finds_nothing_serious_in_any_pane(
    new_widget: Any, serious: Callable[..., list[str]], scheme: str, width: int
) -> None:
    widget = new_widget(color_scheme=scheme, viewport={"width": width, "height": 900})
    widget.show()
    widget.sink(*running())
    for name in (*PANES, *(["Chat"] if width == 420 else [])):
        open_pane(widget.root, name)
        assert serious(widget.page) == [], name
    assert widget.root.locator(".view").get_attribute("data-theme") == scheme


def test_a_narrow_page_scrolls_in_panes_and_not_sideways(new_widget: Any) -> None:
    widget = new_widget(viewport={"width": 380, "height": 800})
    widget.show()
    widget.sink(*running())
    for name in (*PANES, "Chat"):
        open_pane(widget.root, name)
        assert widget.page.evaluate("document.documentElement.scrollWidth") <= 380, name


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
    open_pane(page, "Trials")
    page.get_by_text(f"{count} of 50 trials").wait_for()
    page.get_by_role("button", name="Clear the brush").click()
    page.get_by_text("50 of 50 trials").wait_for()


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


def test_on_paper_stands_everything(new_page: Any, report: str) -> None:
    page = new_page().page
    page.goto(report)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for name in (*PANES, "Chat"):
        page.get_by_role("heading", name=name, exact=True).wait_for()
    assert page.locator(".trials tbody tr").count() == 50
    assert len(page.pdf()) > 10_000
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.get_by_role("tab", name="Scores", exact=True).count() == 1


# ---------------------------------------------------------------- steer


def test_each_control_sends_its_wish_and_shows_pending_then_applied(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    root = widget.root
    wishes = root.get_by_role("log", name="Wishes")

    def wish(act: Callable[[], Any], name: str, value: Any, said: str) -> None:
        act()
        widget.pump()
        (taken,) = widget.control.take()
        assert (taken.name, taken.value) == (name, value)
        line = wishes.get_by_role("listitem").last
        assert said in line.inner_text()
        assert "pending" in line.inner_text()
        widget.sink(ev.WishApplied(wish=name, value=taken.value, trial_number=24, id=taken.id))
        assert "applied at trial 24" in line.inner_text()

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
            root.get_by_label("Hint for the model").fill("fewer leaves"),
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
    widget.sink(ev.RunFinished(status="stopped", reason="Stopped by you.", summary={}))
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
    tab_to("Hint for the model")
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
    assert widget.root.get_by_role("tab", name="Cost").get_attribute("aria-selected") == "true"
    keys.press("Home")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Home")
    keys.press("ArrowRight")
    keys.press("Enter")
    widget.root.get_by_role("region", name="Trial in focus").get_by_text("Trial 1", exact=True).wait_for()


def test_a_refusal_says_why(new_widget: Any) -> None:
    widget = new_widget()
    widget.show()
    widget.sink(*running())
    widget.live.sink(ev.RunFinished(status="stopped", reason="", summary={}))
    widget.root.get_by_role("button", name="Pause").click()
    widget.pump()
    assert "refused: The run has ended." in widget.root.get_by_role("log", name="Wishes").inner_text()


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
    widget.root.get_by_role("alert").wait_for()
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
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert attacks(page) == [None, []]
    text = root.locator(".view").inner_text()
    assert "<img src=x onerror='window.hacked=3'>" in text, "markup is shown as it was written"
    for char in ("\x1b", "\u202e", "\u2066", "\x9b", "\u200b"):
        assert any(char in payload for payload in TEXT)
        assert char not in text
    assert [r for r in watched.requests if "evil" in r] == []


def test_a_crafted_file_is_cleaned_when_it_is_shown(
    new_page: Any, bundle: dict[str, Any], tmp_path: Any
) -> None:
    bundle["chat"][1]["reasoning"] = "\x1b[31mred\u202e <img src=x onerror=window.hacked=1>"
    bundle["run"]["name"] = "</title><script>window.hacked=2</script>"
    bundle["trials"][3]["params"]["__proto__"] = {"x": 1}
    bundle["space"]["versions"].append({"version": 99, "trial": "x", "params": 3})
    watched = new_page()
    watched.page.goto(write_report(bundle, tmp_path / "crafted.html").as_uri())
    assert attacks(watched.page) == [None, []]
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
