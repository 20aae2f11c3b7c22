"""The side panel and the cells' outputs when much happens: several runs, renames, reloads, dead kernels."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import Any

import nbformat
import pytest

from tests.browser.jupyter import LOAD
from tests.browser.jupyter import MIME
from tests.browser.jupyter import SLOW
from tests.browser.jupyter import Lab
from tests.browser.jupyter import Server
from tests.browser.jupyter import at_least
from tests.browser.jupyter import final
from tests.browser.jupyter import still_running

PLAIN = """import time
from sllmbo_magic import tune
def objective(p):
    time.sleep(0.4)
    return p["a"]
tune(objective, name="plain", search_space={"a": (0.0, 1.0)}, direction="maximize", n_trials=200, seed=1)"""
SOME = at_least(2)


def slow(name: str, options: str = "", n: int = 200) -> str:
    """The slow run under another name."""
    return SLOW.format(n=n).replace("%%sllmbo slow", f"%%sllmbo {name} {options}")


def applied(view: Any) -> Any:
    """The wishes that a view says were applied."""
    return view.get_by_role("log", name="Commands").get_by_text("applied at trial")


def test_runs_without_a_widget_are_listed_opened_and_stopped(open_lab: Any) -> None:
    lab = open_lab("unseen", LOAD, PLAIN, slow("text", "--no-widget"))
    lab.run(0)
    lab.run(1)
    lab.row("plain").get_by_text(SOME).wait_for()
    lab.row("plain").get_by_role("button", name="Open plain in a tab").click()
    tab = lab.page.locator(".sllmbo-tab .view")
    tab.get_by_text(at_least(3)).wait_for()
    assert still_running(lab), "the tab is live while the cell blocks the kernel"
    lab.row("plain").get_by_role("button", name="Stop plain").click()
    lab.row("plain").get_by_text("stopped", exact=True).wait_for()

    lab.run(2)
    lab.row("text").get_by_text(SOME).wait_for()
    lab.cell(2).get_by_text(re.compile(r"^text: ([2-9]|\d{2,})/200 trials")).wait_for()
    lab.save()
    lab.open()
    lab.row("text").get_by_role("button", name="Stop text").click()
    final(lab, 2).get_by_text("stopped", exact=True).wait_for()
    assert [set(o.data) & {MIME} for o in lab.save().cells[2].outputs if "data" in o] == [{MIME}]


def test_a_kernel_that_does_not_hear_the_panel_is_interrupted(open_lab: Any) -> None:
    deaf = "from sllmbo_magic.dashboard.live import LiveRun\nLiveRun.receive = lambda *_: None"
    lab = open_lab("deaf", f"{LOAD}\n{deaf}", PLAIN)
    lab.run(0)
    lab.run(1)
    lab.row("plain").get_by_role("button", name="Stop plain").click()
    lab.row("plain").get_by_text("interrupted", exact=True).wait_for()


def test_a_run_survives_a_renamed_notebook_and_an_unsaved_reload(open_lab: Any) -> None:
    lab = open_lab("before", LOAD, SLOW.format(n=2))
    page = lab.page
    lab.run(0)
    lab.run(1)
    final(lab).get_by_text("2 of 2").first.wait_for()
    lab.cell(1).locator(".cm-content").click()
    page.get_by_text("--n-trials 2 ").wait_for()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(SLOW.format(n=200))
    lab.save()  # with the picture of the first run, and the text of the second
    lab.run(1)
    lab.view(1).get_by_text(SOME).wait_for()

    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="before.ipynb").click(button="right")
    page.get_by_role("menuitem", name=re.compile("^Rename Notebook")).click()
    page.locator(".jp-Dialog input").fill("after.ipynb")
    page.keyboard.press("Enter")
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="after.ipynb").wait_for()
    lab.row("slow").filter(has_text="running").get_by_role("button", name="slow", exact=True).click()
    assert "jp-mod-active" in lab.cell(1).get_attribute("class")
    lab.view(1).get_by_role("radio", name="TPE", exact=True).check(force=True)
    applied(lab.view(1)).wait_for()

    page.on("dialog", lambda dialog: dialog.accept())  # what is not saved gets lost
    lab.name = "before/after.ipynb"
    lab.url = f"{lab.server.url}/lab/tree/{lab.name}?reset"
    lab.open()
    view = lab.view(1)
    applied(view).wait_for()
    assert view.get_by_role("radio", name="TPE", exact=True).is_checked()
    assert view.get_by_role("region", name="Chat").get_by_text("Sampler tpe").count() > 0
    view.get_by_role("button", name="Pause").click()
    view.get_by_text("paused", exact=True).wait_for()
    view.get_by_role("button", name="Stop", exact=True).click()
    final(lab).get_by_text("stopped", exact=True).wait_for()
    (output,) = [o for o in lab.save().cells[1].outputs if "data" in o]
    assert len(output.data[MIME]["trials"]) > 2
    assert not (lab.server.root / "before" / "before.ipynb").exists()


@pytest.mark.long  # test_lab has a reload, and an untrusted notebook with the extension
def test_an_untrusted_notebook_shows_the_live_view_after_a_reload(new_page: Any, server: Server) -> None:
    """What was saved in the cell is not trusted there, so that it may show no widget."""
    name = "untrusted/untrusted.ipynb"
    path = server.write(name, LOAD, SLOW.format(n=200))
    saved = nbformat.read(path, as_version=4)
    saved.cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/html": "<b>of a stranger</b>"})]
    nbformat.write(saved, path)
    lab = Lab(new_page(viewport={"width": 1500, "height": 1600}), server, name).open()
    page = lab.page
    lab.run(0)
    lab.run(1)
    lab.view(1).get_by_text(SOME).wait_for()
    page.on("dialog", lambda dialog: dialog.accept())  # what is not saved gets lost
    for _ in range(2):
        lab.open()
        view = lab.view(1)
        view.get_by_text(re.compile(r"^\d+ of 200$")).wait_for()
        assert page.get_by_text("The dashboard of a run").count() == 0
    view.get_by_role("radio", name="TPE", exact=True).check(force=True)
    applied(view).wait_for()
    view.get_by_role("button", name="Stop", exact=True).click()
    lab.cell(1).locator(".view").get_by_text("stopped", exact=True).wait_for()


def test_runs_and_notebooks_side_by_side_keep_apart(open_lab: Any) -> None:
    # the runs outlast the test, however fast a trial is
    lab = open_lab("left", LOAD, slow("one", "--background", 2000), slow("two", "--background", 2000))
    page = lab.page
    for index in (0, 1, 2):
        lab.run(index)
    one, two = lab.view(1), lab.view(2)
    two.get_by_role("radio", name="TPE", exact=True).check(force=True)
    applied(two).wait_for(timeout=60_000)
    assert applied(one).count() == 0
    assert one.get_by_role("radio", name="Rulebook-TPE").is_checked()
    lab.row("two").get_by_text("running").wait_for()
    lab.row("one").get_by_role("button", name="one", exact=True).click()
    assert "jp-mod-active" in lab.cell(1).get_attribute("class")
    lab.row("one").get_by_role("button", name="Stop one").click()
    lab.row("one").get_by_text("stopped", exact=True).wait_for()
    final(lab, 1)
    lab.row("two").get_by_text("running").wait_for()

    lab.server.write("left/right.ipynb", LOAD, slow("three"))
    page.locator(".jp-SideBar [data-id='filebrowser']").click()
    page.locator(".jp-DirListing-item", has_text="right.ipynb").dblclick()
    second = Lab(lab.watched, lab.server, "left/right.ipynb")
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")
    second.cell = shown.nth  # type: ignore[method-assign]
    second.cell(1).wait_for()
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook", has_text="three").wait_for()
    page.get_by_text("No run in this notebook yet").wait_for(state="attached")
    second.run(0)
    second.run(1)
    second.row("three").get_by_text("running").wait_for()
    assert second.runs().get_by_role("listitem").count() == 1, "the panel follows the notebook in front"
    second.view(1).get_by_role("button", name="Stop", exact=True).click()
    second.row("three").get_by_text("stopped", exact=True).wait_for()
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="left.ipynb").click()
    lab.row("two").get_by_text("running").wait_for()
    assert lab.runs().get_by_role("listitem").count() == 2
    lab.command("Stop the Latest Run")
    lab.row("two").get_by_text("stopped", exact=True).wait_for()
    assert lab.watched.errors == []


@pytest.mark.long  # test_lab has a kernel that is restarted
def test_a_killed_kernel_is_shown_as_gone(open_lab: Any) -> None:
    lab = open_lab("killed", f"{LOAD}\nimport os\nprint('pid', os.getpid())", SLOW.format(n=200))
    lab.run(0)
    said = lab.cell(0).get_by_text(re.compile(r"^pid \d+"))
    lab.run(1)
    lab.view(1).get_by_text(SOME).wait_for()
    lab.row("slow").get_by_text("running").wait_for()
    os.kill(int(said.inner_text().split()[1]), signal.SIGKILL)
    lab.view(1).get_by_text("disconnected", exact=True).wait_for()
    lab.row("slow").get_by_text("disconnected", exact=True).wait_for()
    assert lab.row("slow").get_by_role("button", name="Stop slow").count() == 0


def test_the_keyboard_alone_starts_steers_and_ends_a_run(open_lab: Any) -> None:
    lab = open_lab("keys", LOAD, SLOW.format(n=200), "print('reached')")
    keyboard = lab.page.keyboard
    where = """() => {
        let at = document.activeElement;
        while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
        return [at?.getAttribute('aria-label'), at?.parentElement?.textContent, at?.textContent].join('|');
    }"""

    def tab_to(words: str) -> None:
        for _ in range(60):
            if words in lab.page.evaluate(where):
                return
            keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {words}")

    lab.page.locator(".jp-Notebook.jp-mod-commandMode").wait_for()
    lab.page.locator(".jp-Notebook").focus()
    lab.await_kernel()
    for _ in range(3):
        keyboard.press("Shift+Enter")  # runs it and goes to the next one
        with contextlib.suppress(Exception):
            lab.cell(0).get_by_text(re.compile(r"\[\d+\]:")).wait_for(timeout=5000)
            break
        keyboard.press("ArrowUp")
    keyboard.press("Shift+Enter")
    lab.view(1).get_by_text(SOME).wait_for()
    tab_to("Rulebook-TPE")
    keyboard.press("ArrowRight")
    applied(lab.view(1)).wait_for()
    assert lab.view(1).get_by_role("radio", name="TPE", exact=True).is_checked()
    assert still_running(lab)
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    final(lab).get_by_text("stopped", exact=True).wait_for()
    assert nbformat.reads(nbformat.writes(lab.save()), 4).cells[1].outputs
