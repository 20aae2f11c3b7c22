"""The dashboard and the extension in a real JupyterLab and Notebook 7, with a real kernel behind them."""

from __future__ import annotations

import random
import re
import urllib.request
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sllmbo_magic import TuneResult
from sllmbo_magic import events as ev
from sllmbo_magic.report.bundle import RunView
from sllmbo_magic.report.static import mimebundle
from tests.browser.jupyter import LOAD
from tests.browser.jupyter import MIME
from tests.browser.jupyter import SLOW
from tests.browser.jupyter import Server
from tests.browser.jupyter import at_least
from tests.browser.jupyter import final
from tests.browser.jupyter import notebook
from tests.browser.jupyter import still_running
from tests.browser.payloads import hostile_events
from tests.browser.test_view import attacks
from tests.marks import long
from tests.sample_run import run_events

WIDGET = "application/vnd.jupyter.widget-view+json"


def test_every_control_answers_while_the_cell_blocks_and_the_picture_is_saved(open_lab: Any) -> None:
    lab = open_lab("steer", LOAD, SLOW.format(n=300), "print('reached')")
    lab.run(0)
    lab.run(1)
    view = lab.view(1)
    view.wait_for()
    wishes = view.get_by_role("log", name="Commands")
    view.get_by_text(re.compile(r"^[1-9]\d* of 300$")).wait_for()

    def steer(act: Callable[[], Any], said: str) -> None:
        act()
        line = wishes.get_by_role("listitem").last
        line.filter(has_text=said).filter(has_text=re.compile("pending|applied")).wait_for()
        line.filter(has_text="applied at trial").wait_for()
        assert still_running(lab), "the control must act while the cell runs"

    steer(lambda: view.get_by_role("radio", name="TPE", exact=True).check(force=True), "Sampler TPE")
    steer(lambda: view.get_by_role("radio", name="Rulebook-TPE").check(force=True), "Sampler Rulebook-TPE")
    steer(lambda: view.get_by_label("Rulebook share").fill("0.25"), "Rulebook share 0.25")
    assert view.get_by_label("Hint").count() == 0, "the rulebook reads no hints"
    view.get_by_label("Search the chat").click()
    lab.page.keyboard.type("dd aa bb")
    view.get_by_label("Search the chat").fill("")
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == 3, (
        "typing in the view reached Jupyter's shortcuts"
    )
    steer(lambda: view.get_by_role("button", name="Add trials").click(), "10 more trials")
    view.get_by_text("of 310").wait_for()
    view.get_by_role("tab", name="Search space").click()

    def type_range() -> None:
        view.get_by_label("Lower end of depth, typed").fill("3")
        view.get_by_label("Upper end of depth, typed").fill("8")
        lab.page.keyboard.press("Enter")

    steer(type_range, "Range of depth: 3 to 8")
    steer(lambda: view.get_by_role("button", name="Lock kind").click(), "Lock kind")
    steer(lambda: view.get_by_role("button", name="Enqueue again").click(), "Configuration enqueued")
    steer(lambda: view.get_by_role("button", name="Pause").click(), "Pause")
    view.get_by_text("paused", exact=True).wait_for()
    steer(lambda: view.get_by_role("button", name="Resume").click(), "Resume")
    chat = view.get_by_role("region", name="Chat")
    for text in ("Sampler TPE", "Rulebook share 0.25", "Range of depth: 3 to 8", "Lock kind", "Pause"):
        assert chat.get_by_text(text).count() > 0, text
    view.get_by_role("button", name="Stop", exact=True).click()
    shown = final(lab)
    shown.get_by_text("stopped", exact=True).wait_for()
    assert lab.watched.errors == []
    saved = lab.save()
    (output,) = [o for o in saved.cells[1].outputs if "data" in o]
    assert set(output.data) == {MIME, "text/html", "image/png", "text/plain"}
    assert len(nbformat.writes(saved)) < 600_000
    numbers = [t["n"] for t in output.data[MIME]["trials"]]
    assert numbers == list(range(len(numbers)))
    assert "widgets" not in saved.metadata


def test_a_reload_while_running_reconnects_and_the_extension_writes_the_final_picture(open_lab: Any) -> None:
    lab = open_lab("reload", LOAD, SLOW.format(n=200))
    lab.run(0)
    lab.run(1)
    lab.view(1).get_by_text(at_least(3)).wait_for()
    lab.save()
    lab.open()
    view = lab.view(1)
    view.wait_for()
    done = int(view.get_by_text(re.compile(r"^\d+ of 200$")).inner_text().split()[0])
    assert done >= 3
    view.get_by_role("tab", name="Trials").click()
    rows = view.locator("tbody tr:not([aria-hidden])")
    assert rows.count() >= min(done, 12), "only the rows in sight are drawn"
    view.get_by_role("radio", name="TPE", exact=True).check(force=True)
    view.get_by_role("log", name="Commands").get_by_text("applied at trial").wait_for()
    view.get_by_role("button", name="Stop", exact=True).click()
    final(lab)
    saved = lab.save()
    keys = [set(o.data) for o in saved.cells[1].outputs if "data" in o]
    assert {MIME, "text/html", "image/png", "text/plain"} in keys
    assert all(WIDGET not in k for k in keys)


def test_the_side_panel_lists_reveals_opens_and_stops(
    open_lab: Any, serious: Callable[..., list[str]]
) -> None:
    lab = open_lab("panel", LOAD, SLOW.format(n=200))
    page = lab.page
    lab.run(0)
    lab.run(1)
    lab.view(1).wait_for()
    page.locator(".jp-SideBar [data-id='sllmbo-runs']").click()
    panel = page.get_by_role("region", name="Runs of %%sllmbo")
    panel.get_by_text("running").wait_for()
    panel.get_by_text(at_least(2)).wait_for()
    assert serious(page, ".sllmbo-panel") == []
    panel.get_by_role("button", name="Open slow in a tab").click()
    tab = page.locator(".sllmbo-tab .view")
    tab.get_by_text(at_least(3)).wait_for()
    tab.get_by_role("radio", name="TPE", exact=True).check(force=True)
    tab.get_by_role("log", name="Commands").get_by_text("applied at trial").wait_for()
    lab.view(1).get_by_role("log", name="Commands").get_by_text(
        "applied at trial"
    ).wait_for()  # both show one run
    panel.get_by_role("button", name="slow", exact=True).click()
    assert "jp-mod-active" in lab.cell(1).get_attribute("class")
    lab.cell(0).locator(".jp-InputPrompt").click()
    lab.command("Show the Cell of the Latest Run")
    page.locator(".jp-Notebook .jp-Cell.jp-mod-active").get_by_text("%%sllmbo").wait_for()
    tab_bar = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text=re.compile("^slow$"))
    tab_bar.locator(".lm-TabBar-tabCloseIcon").click()
    tab.wait_for(state="detached")
    lab.command("Open the Dashboard of the Latest Run")
    tab.wait_for()
    panel.get_by_role("button", name="Stop slow").click()
    panel.get_by_text("stopped").wait_for()
    assert lab.watched.errors == []


def test_a_restarted_kernel_is_shown_as_gone(open_lab: Any) -> None:
    lab = open_lab("restart", LOAD, SLOW.format(n=200))
    page = lab.page
    lab.run(0)
    lab.run(1)
    lab.view(1).get_by_text(at_least(2)).wait_for()
    page.locator(".jp-SideBar [data-id='sllmbo-runs']").click()
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    lab.view(1).get_by_text("disconnected", exact=True).wait_for()
    lab.view(1).get_by_role("alert").get_by_role("button", name="Copy: the option for").wait_for()
    lab.view(1).get_by_text("The kernel was restarted").wait_for()
    page.get_by_role("region", name="Runs of %%sllmbo").get_by_text("disconnected").wait_for()
    lab.run(0)
    lab.run(1)
    lab.view(1).get_by_text(at_least(1)).wait_for()
    page.get_by_role("region", name="Runs of %%sllmbo").get_by_text("running").wait_for()
    (kernel,) = (s["kernel"]["id"] for s in lab.server.sessions() if s["path"] == lab.name)
    restart = urllib.request.Request(f"{lab.server.url}/api/kernels/{kernel}/restart", method="POST")
    urllib.request.urlopen(restart).close()  # as another page does, or a program
    lab.view(1).get_by_text("The kernel was restarted").wait_for()
    page.get_by_role("region", name="Runs of %%sllmbo").get_by_text("disconnected").wait_for()
    lab.save()
    lab.open()  # its widget is gone with the kernel: Lab alone says "model not found"
    lab.view(1).get_by_text("running when this was saved", exact=True).wait_for()
    lab.view(1).get_by_text("%sllmbo show slow", exact=True).wait_for()


def test_the_final_picture_takes_marks_while_its_kernel_lives(open_lab: Any) -> None:
    lab = open_lab("marks", LOAD, SLOW.format(n=3))
    page = lab.page
    lab.run(0)
    lab.run(1)
    view = final(lab)
    view.get_by_role("button", name=re.compile("Star trial")).click()
    view.get_by_role("button", name=re.compile("Star trial"), pressed=True).wait_for()
    view.get_by_text(re.compile("^Star on trial")).wait_for()
    folder = lab.server.root / "marks" / ".sllmbo" / "slow"
    assert any(t.get("star") for t in TuneResult.load(folder).bundle()["trials"])
    (output,) = [o for o in lab.save().cells[1].outputs if "data" in o]
    assert [t["n"] for t in output.data[MIME]["trials"] if t.get("star")] == [
        t["n"] for t in TuneResult.load(folder).bundle()["trials"] if t.get("star")
    ]
    assert "image/png" in output.data
    lab.open()
    view = final(lab)
    view.get_by_role("button", name=re.compile("Star trial"), pressed=True).wait_for()
    assert lab.watched.errors == []  # a restart may cancel a request of the debugger: an error of Lab itself
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    view.get_by_role("button", name=re.compile("Star trial")).wait_for(state="detached")
    assert view.get_by_text("disconnected").count() == 0
    view.get_by_role("img", name="Starred").wait_for()
    assert [error for error in lab.watched.errors if "debugger" not in error] == []


def test_notebook_7_does_as_lab_does(open_lab: Any) -> None:
    lab = open_lab("classic", LOAD, SLOW.format(n=200), "model = 1\nX, y = 2, 3", classic=True)
    page = lab.page
    lab.run(0)
    lab.run(1)
    view = lab.view(1)
    view.get_by_role("radio", name="TPE", exact=True).check(force=True)
    view.get_by_role("log", name="Commands").get_by_text("applied at trial").wait_for()
    assert still_running(lab)
    lab.cell(2).locator(".cm-content").click()
    page.locator("[data-command='sllmbo:wrap-cell']").first.click()
    lab.cell(2).locator(".cm-line").first.filter(has_text=re.compile("^%%sllmbo run$")).wait_for()
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    page.keyboard.type(" --sch")
    page.keyboard.press("Tab")
    page.get_by_text("--schedule").first.wait_for()
    page.keyboard.press("Escape")
    lab.command("Show the Runs of the Notebook")
    lab.row("slow").get_by_text("running").wait_for()
    lab.row("slow").get_by_role("button", name="Open slow in a tab").click()
    tab = page.locator(".sllmbo-tab .view")
    tab.get_by_text(at_least(2)).wait_for()
    lab.row("slow").get_by_role("button", name="Stop slow").click()
    tab.get_by_text("stopped", exact=True).wait_for()
    final(lab).get_by_text("stopped", exact=True).wait_for()


def test_a_cell_is_wrapped_completed_and_explained(open_lab: Any) -> None:
    lab = open_lab("cells", "model = 1\nX, y = 2, 3", "%%sllmbo run --n-trials 5 --sampler tpe\nx = 1")
    page = lab.page
    lab.cell(0).locator(".cm-content").click()
    page.locator(
        ".jp-NotebookPanel-toolbar [data-command='sllmbo:wrap-cell'], [data-command='sllmbo:wrap-cell']"
    ).first.click()
    first = lab.cell(0).locator(".cm-line").first
    first.filter(has_text=re.compile("^%%sllmbo run2$")).wait_for()
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    page.keyboard.type(" --sch")
    page.keyboard.press("Tab")
    lab.page.get_by_text("--schedule").first.wait_for()
    page.keyboard.press("Escape")
    lab.cell(1).locator(".cm-content").click()
    word = (
        lab.cell(1)
        .locator(".cm-line")
        .first.evaluate(
            """line => {
            const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const at = texts.currentNode.data.indexOf('sampler');
                if (at >= 0) {
                    const range = new Range();
                    range.setStart(texts.currentNode, at);
                    range.setEnd(texts.currentNode, at + 7);
                    const box = range.getBoundingClientRect();
                    return [box.x, box.y + box.height / 2];
                }
            }
        }"""
        )
    )
    page.mouse.move(word[0] + 10, word[1])
    page.mouse.move(word[0] + 25, word[1], steps=4)
    help_text = page.locator(".sllmbo-hover")
    help_text.wait_for()
    assert "What proposes configurations" in help_text.inner_text()

    page.on("dialog", lambda dialog: dialog.accept())  # what was typed gets lost
    budgets = {"nTrials": 20, "maxRequests": 5, "maxTokens": 1000, "maxCost": 0.5}
    lab.server.settings("sllmbo-magic:cells", llm="openai:gpt-4o", sampler="tpe", **budgets)
    try:
        lab.open()
        lab.cell(0).locator(".cm-content").click()
        lab.command("Tune This Cell with %%sllmbo")
        options = "--llm openai:gpt-4o --sampler tpe --n-trials 20 --max-requests 5 --max-tokens 1000"
        first.filter(has_text=f"%%sllmbo run2 {options} --max-cost 0.5").wait_for()
    finally:
        lab.server.settings("sllmbo-magic:cells")


def test_the_palette_has_the_commands_and_the_settings_hold_no_key(open_lab: Any) -> None:
    lab = open_lab("palette", "1")
    page = lab.page
    lab.run(0)  # once it has answered nothing takes the focus from the palette any more
    lab.cell(0).locator(".jp-InputPrompt").click()
    lab.open_palette("sllmbo")
    for label in (
        "Tune This Cell with %%sllmbo",
        "Show the Runs of the Notebook",
        "Stop the Latest Run",
        "Open the Dashboard of the Latest Run",
    ):
        # those on a run are hidden while there is none
        page.locator(".jp-ModalCommandPalette").get_by_text(label).wait_for(state="attached")
    page.goto(f"{lab.server.url}/lab")
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Settings Editor")).first.click()
    page.get_by_text("SLLMBO", exact=True).first.click()
    form = page.locator(".jp-SettingsForm, .jp-SettingsPanel").last
    form.get_by_text("Provider and model").first.wait_for()
    for title in ("Sampler", "At most so many US dollars", "Theme of plots"):
        assert form.get_by_text(title).count() > 0
    assert form.locator("input[type=password]").count() == 0


# ---------------------------------------------------------------- the saved notebook, at a colleague's


def saved_run(events: Iterable[ev.Event] | None = None) -> Any:
    """A notebook as it is saved after a run; nothing in it was ever trusted on the machine that opens it."""
    view = RunView()
    for event in run_events(50) if events is None else events:
        view.apply(event)
    saved = notebook("%%sllmbo churn")
    saved.cells[0].outputs = [nbformat.v4.new_output("display_data", data=mimebundle(view.snapshot()))]
    return saved


def open_saved(new_page: Any, server: Server, name: str, saved: Any) -> Any:
    nbformat.write(saved, server.root / name)
    watched = new_page(viewport={"width": 1400, "height": 1200})
    watched.page.set_default_timeout(25_000)
    watched.page.goto(f"{server.url}/lab/tree/{name}?reset")
    watched.page.locator(".jp-OutputArea-output").first.wait_for()
    return watched


def test_an_untrusted_notebook_without_the_extension_shows_every_pane(
    new_page: Any, plain_server: Server
) -> None:
    watched = open_saved(new_page, plain_server, "untrusted.ipynb", saved_run())
    page = watched.page
    output = page.locator(".jp-OutputArea-output").first
    pictures = output.locator("img")
    pictures.first.wait_for()
    assert pictures.count() >= 5
    sizes = pictures.evaluate_all("all => all.map(i => [i.complete, i.naturalWidth])")
    assert all(done and width > 300 for done, width in sizes), sizes
    text = output.text_content()
    for part in ("churn", "LGBMClassifier", "learning_rate", "0.88", "best three trials", "tokens"):
        assert part in text, part
    assert [r for r in watched.requests if not r.startswith((plain_server.url, "data:", "ws", "blob:"))] == []


def test_an_untrusted_notebook_with_the_extension_shows_the_live_look(new_page: Any, server: Server) -> None:
    watched = open_saved(new_page, server, "untrusted.ipynb", saved_run())
    view = watched.page.locator(".sllmbo-output .view")
    view.wait_for()
    for name in ("Search space", "Trials", "Importance", "Parallel coordinates", "Cost"):
        view.get_by_role("tab", name=name).click()
    assert view.get_by_text("50 of 50").count() > 0
    assert view.get_by_role("button", name="Pause").count() == 0, "nothing to steer without a kernel"
    assert watched.errors == []


@pytest.mark.parametrize(
    ("theme", "look"),
    [
        long("JupyterLab Light", "light"),
        ("JupyterLab Dark", "dark"),
        long("JupyterLab Dark High Contrast", "dark"),
    ],
)
def test_the_view_follows_labs_theme_and_stays_accessible(
    new_page: Any, server: Server, serious: Callable[..., list[str]], theme: str, look: str
) -> None:
    server.settings("@jupyterlab/apputils-extension:themes", theme=theme)
    try:
        watched = open_saved(new_page, server, "themes.ipynb", saved_run())
        page = watched.page
        view = page.locator(".sllmbo-output .view")
        view.and_(page.locator(f"[data-theme={look}]")).wait_for()
        page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
        for name in ("Search space", "Trials"):
            view.get_by_role("tab", name=name).click()
            assert serious(page, ".sllmbo-output") == [], name
        if look == "dark":
            return
        server.settings("sllmbo-magic:cells", theme="dark")
        page.reload()
        view.and_(page.locator("[data-theme=dark]")).wait_for()
        assert serious(page, ".sllmbo-output") == [], "a dark view in a light Lab"
    finally:
        server.settings("@jupyterlab/apputils-extension:themes", theme="JupyterLab Light")
        server.settings("sllmbo-magic:cells")


@pytest.mark.parametrize("extension", [True, long(False)])
def test_a_hostile_saved_notebook_does_nothing(
    new_page: Any, server: Server, plain_server: Server, extension: bool
) -> None:
    where = server if extension else plain_server
    watched = open_saved(new_page, where, "hostile.ipynb", saved_run(hostile_events()))
    page = watched.page
    if extension:
        shown = view = page.locator(".sllmbo-output .view")
        view.wait_for()
        for name in ("Chat", "Search space", "Trials", "Cost", "Scores"):
            view.get_by_role("tab", name=name).click()
            assert page.evaluate("window.hacked ?? null") is None, name
    else:
        shown = page.locator(".jp-OutputArea-output").first
        shown.locator("img").first.wait_for()
        page.locator(".jp-OutputArea-output details").evaluate_all(
            "all => all.forEach(d => { d.open = true })"
        )
    assert page.evaluate("window.hacked ?? null") is None
    assert [r for r in watched.requests if "evil" in r] == []
    assert "hostile" in shown.inner_text()


def test_nbconvert_shows_the_run_and_a_hostile_one_does_nothing(new_page: Any, tmp_path: Path) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    for hostile in (False, True):
        body, _ = nbconvert.HTMLExporter().from_notebook_node(
            saved_run(hostile_events() if hostile else None)
        )
        path = tmp_path / f"{hostile}.html"
        path.write_text(body)
        watched = new_page()
        watched.page.goto(path.as_uri())
        pictures = watched.page.locator(".jp-OutputArea-output img")
        assert pictures.count() >= 5
        assert all(pictures.evaluate_all("all => all.map(i => i.naturalWidth > 300)"))
        assert attacks(watched.page)[0] is None
        assert [r for r in watched.requests if "evil" in r] == []


def wordy(events: Iterable[ev.Event]) -> Iterator[ev.Event]:
    """The same run with prompts, replies and reasons as long as a real model's, no two alike."""
    rng = random.Random(3)

    def words(most: int) -> str:
        alphabet = "abcdefghijklmnopqrstuvwxyz  学習率木深"
        return "".join(rng.choices(alphabet, k=rng.randint(most // 2, most)))

    for event in events:
        if isinstance(event, ev.RequestSent):
            yield replace(event, text=words(9000))
        elif isinstance(event, ev.ReplyReceived):
            candidates = [{**c, "reason": words(600)} for c in event.candidates]
            yield replace(event, text=words(5000), reasoning=words(3000), candidates=candidates)
        elif isinstance(event, ev.TrialFinished):
            yield replace(event, reason=words(600), expected=words(200))
        else:
            yield event


@pytest.mark.parametrize(("n_trials", "most"), [(50, 300_000), long(1000, 2_000_000)])
def test_a_saved_notebook_stays_small(n_trials: int, most: int) -> None:
    saved = saved_run(wordy(run_events(n_trials)))
    assert len(nbformat.writes(saved).encode()) < most
    (output,) = saved.cells[0].outputs
    assert len(output.data[MIME]["trials"]) == n_trials, "no trial is left out to get there"
