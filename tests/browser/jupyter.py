"""A real JupyterLab and Notebook 7 on one server with fresh folders, and a way to drive their notebooks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parent.parent.parent
MIME = "application/vnd.sllmbo.run+json"

LOAD = "%load_ext sllmbo_magic"
SLOW = '''%%sllmbo slow --n-trials {n} --direction maximize --seed 1
"""Find the peak."""
import time
search_space = {{"lr": (0.001, 0.3, "log"), "depth": (2, 12), "kind": ["a", "b"]}}
def objective(p):
    time.sleep(0.4)
    return 1 - (p["lr"] - 0.05) ** 2 * 40 - (p["depth"] - 6) ** 2 / 100 + (0.05 if p["kind"] == "a" else 0)
'''


def notebook(*cells: str) -> Any:
    """A notebook with these code cells."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


class Server:
    """A running server: ``url`` ends without a slash; notebooks stand in ``root``."""

    def __init__(self, url: str, root: Path) -> None:
        self.url = url
        self.root = root

    def write(self, name: str, *cells: str) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook(*cells), path)
        return path

    def settings(self, plugin: str, **values: Any) -> None:
        """Set what a user would set on the settings page."""
        request = urllib.request.Request(
            f"{self.url}/lab/api/settings/{plugin}",
            data=json.dumps({"raw": json.dumps(values)}).encode(),
            headers={"Content-Type": "application/json"},
            method="PUT",
        )
        urllib.request.urlopen(request).close()

    def sessions(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/sessions") as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def kernels(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/kernels") as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def shut_down_kernels(self) -> None:
        """End all sessions, and kernels without one. (The server forgets the session of a kernel that is
        ended alone only later, and a notebook opened in between does not get its kernel.)"""
        for kind in ("sessions", "kernels"):
            with urllib.request.urlopen(f"{self.url}/api/{kind}") as answer:
                running = json.load(answer)
            for one in running:
                request = urllib.request.Request(f"{self.url}/api/{kind}/{one['id']}", method="DELETE")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(request).close()


@contextlib.contextmanager
def serve(folder: Path, *, extension: bool = True) -> Iterator[Server]:
    """Start a server whose data, settings and trust are all new. ``extension``: ours is installed in it."""
    root = folder / "notebooks"
    root.mkdir(parents=True)
    extensions = folder / "labextensions"
    extensions.mkdir()
    for installed in (Path(sys.prefix) / "share" / "jupyter" / "labextensions").iterdir():
        if installed.name != "sllmbo-magic":  # an installed one would be there whatever the test wants
            (extensions / installed.name).symlink_to(installed)
    if extension:
        (extensions / "sllmbo-magic").symlink_to(ROOT / "sllmbo_magic" / "labextension")
    settings = folder / "app" / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(
        json.dumps(
            {
                "@jupyterlab/apputils-extension:notification": {
                    "fetchNews": "false",
                    "checkForUpdates": False,
                },
                "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
            }
        )
    )
    environment = {
        **os.environ,
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ServerApp.port=0",
            "--ServerApp.ip=127.0.0.1",
            "--IdentityProvider.token=",
            "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={root}",
            *(
                f"--{app}.{option}={path}"
                for app in ("LabApp", "JupyterNotebookApp")
                for option, path in (("labextensions_path", extensions), ("app_settings_dir", settings))
            ),
        ],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log: list[str] = []
    url = None
    for line in process.stderr:
        log.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            url = found.group(0)
            break
    assert url, "".join(log)
    threading.Thread(target=process.stderr.read, daemon=True).start()
    server = Server(url, root)
    for _ in range(100):  # the address is said a moment before it answers
        try:
            server.kernels()
            break
        except OSError:
            threading.Event().wait(0.1)
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            server.shut_down_kernels()
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Lab:
    """One page of JupyterLab, or of Notebook 7 with ``classic=True``, on one notebook."""

    def __init__(self, watched: Any, server: Server, name: str, *, classic: bool = False) -> None:
        self.watched = watched
        self.page = watched.page
        self.page.set_default_timeout(25_000)
        # JupyterLab asks for the kernel when the server was slow to start one: whenever it does, say yes.
        asked = self.page.locator(".jp-Dialog", has_text="Select kernel for")
        self.page.add_locator_handler(asked, lambda dialog: dialog.locator(".jp-mod-accept").click())
        self.server = server
        self.name = name
        self.url = f"{server.url}/notebooks/{name}" if classic else f"{server.url}/lab/tree/{name}?reset"

    def open(self) -> Lab:
        """Go there, or reload it, and wait until the cells are shown."""
        self.page.goto(self.url)
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        return self

    def cell(self, index: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def await_kernel(self) -> None:
        """Wait until the notebook's kernel has started (one that is still starting drops what it is sent)."""
        for _ in range(250):
            for session in self.server.sessions():
                kernel = session["kernel"]
                started = kernel["execution_state"] in ("idle", "busy") and kernel["connections"]
                if session["path"] == self.name and started:
                    return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"no kernel for {self.name}: {self.server.sessions()}")

    def run(self, index: int) -> Any:
        """Run one cell; returns it once the kernel has taken it."""
        self.await_kernel()
        cell = self.cell(index)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for _ in range(5):
            cell.locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            for _ in range(30):
                if prompt.inner_text() not in (before, "[ ]:"):
                    return cell
                self.page.wait_for_timeout(100)
        raise AssertionError(f"cell {index} never ran")

    def runs(self) -> Any:
        """The side panel, opened if it is not."""
        panel = self.page.get_by_role("region", name="Runs of %%sllmbo")
        if not panel.is_visible():
            self.page.locator(".jp-SideBar [data-id='sllmbo-runs']").click()
        return panel

    def row(self, name: str) -> Any:
        """One run in the side panel."""
        button = self.page.get_by_role("button", name=name, exact=True)
        return self.runs().get_by_role("listitem").filter(has=button)

    def command(self, label: str) -> None:
        """Carry out a command of the palette, which may close before (see :meth:`open_palette`)."""
        from playwright.sync_api import TimeoutError as NotInTime

        palette = self.page.locator(".jp-ModalCommandPalette")
        item = palette.locator(".lm-CommandPalette-item").filter(has_text=label).first
        for _ in range(10):
            self.open_palette(label)
            with contextlib.suppress(NotInTime):
                item.click(timeout=3000)
                return
        raise AssertionError(f"the command palette does not offer {label!r}")

    def open_palette(self, text: str) -> None:
        """Type into the palette. Lab closes it when something else takes the focus, as a page does that still
        arranges itself; a person opens it again then, and so does this.
        """
        from playwright.sync_api import TimeoutError as NotInTime

        field = self.page.locator(".jp-ModalCommandPalette .lm-CommandPalette-input")
        for _ in range(10):
            if not field.is_visible():
                self.page.keyboard.press("Control+Shift+C")
            with contextlib.suppress(NotInTime):
                field.fill(text, timeout=3000)
                return
        raise AssertionError("the command palette does not stay open")

    def view(self, index: int) -> Any:
        """The view of a run in a cell's output."""
        return self.cell(index).locator(".sllmbo-run .view")

    def save(self) -> Any:
        """Save the notebook and read it from disk."""
        with self.page.expect_response(lambda r: "/api/contents/" in r.url and r.request.method == "PUT"):
            self.cell(0).locator(".jp-InputPrompt").click()
            self.page.keyboard.press("Control+s")
        return nbformat.read(self.server.root / self.name, as_version=4)


def at_least(n: int) -> re.Pattern[str]:
    """The counter of a run of 200 trials of which ``n`` (below 10) or more are done."""
    return re.compile(rf"(^|\D)([{n}-9]|\d{{2,}}) of 200$")


def still_running(lab: Lab, index: int = 1) -> bool:
    return "[*]" in lab.cell(index).locator(".jp-InputPrompt").inner_text()


def final(lab: Lab, index: int = 1) -> Any:
    """The saved look of the run, as the MIME renderer shows it in the cell."""
    view = lab.cell(index).locator(".sllmbo-output .view")
    view.wait_for()
    return view
