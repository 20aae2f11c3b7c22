"""A real browser for the views, and the widget on a bare page with the real Python side behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sllmbo_magic.control import Control
from sllmbo_magic.dashboard.live import LiveRun
from sllmbo_magic.events import Event
from sllmbo_magic.report.html import static_file
from tests.browser.jupyter import Lab
from tests.browser.jupyter import Server
from tests.browser.jupyter import serve

ROOT = Path(__file__).parent.parent.parent
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPEN_PANE = {"include": [{"fromShadowDom": [".sllmbo-run", ".pane"]}]}  # a part of a page, for axe
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")  # not longer: its event loop would be in the way of tests that run their own
def browser(chromium: str) -> Iterator[Any]:
    """One Chromium for all tests here; each test opens a context of its own."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A page with what went wrong on it, and every request that it made."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Open a page: ``new_page(color_scheme="dark", viewport=...)``."""
    contexts = []

    def open_page(**options: Any) -> Watched:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        return Watched(context.new_page())

    yield open_page
    for context in contexts:
        context.close()


class Widget:
    """The built widget on a bare page, with a real :class:`LiveRun` behind it (:meth:`pump`)."""

    def __init__(self, watched: Watched, name: str = "w") -> None:
        self.page = watched.page
        self.watched = watched
        self.name = name
        self.control = Control()
        self.live = LiveRun(self.control)
        self._out: list[dict[str, Any]] = []
        self.live.follow(self._out.append)

    def show(self) -> Widget:
        """Put the widget on the page (as on a first display, or a reload)."""
        self.page.evaluate(
            """async ([source, name, snapshot]) => {
                const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
                const { default: widget } = await import(url);
                const heard = new Map();
                const el = document.createElement('div');
                el.id = name;
                document.body.append(el);
                const model = {
                    sent: [],
                    get: () => snapshot,
                    send: message => model.sent.push(message),
                    on: (event, slot) => heard.set(event, slot),
                    off: event => heard.delete(event),
                    emit: (event, ...args) => heard.get(event)?.(...args)
                };
                window.models = { ...window.models, [name]: model };
                window.dispose = widget.render({ model, el });
            }""",
            [static_file("widget.js"), self.name, json.loads(json.dumps(self.live.snapshot()))],
        )
        self.pump()
        return self

    @property
    def root(self) -> Any:
        return self.page.locator(f"#{self.name}")

    def sink(self, *events: Event) -> None:
        """Let the run go on; the page hears of it."""
        for event in events:
            self.live.sink(event)
        self.pump()

    def pump(self) -> None:
        """Carry what the page said to Python, and what Python said to the page, until both are silent."""
        while True:
            said = self.page.evaluate("name => window.models[name].sent.splice(0)", self.name)
            for message in said:
                self.live.receive(message, self._out.append)
            out = json.loads(json.dumps(self._out))
            self._out.clear()
            if not said and not out:
                break
            self.page.evaluate(
                """([name, messages]) => new Promise(done => {
                    messages.forEach(message => window.models[name].emit('msg:custom', message));
                    requestAnimationFrame(() => requestAnimationFrame(done));
                })""",
                [self.name, out],
            )


@pytest.fixture
def new_widget(new_page: Callable[..., Watched]) -> Callable[..., Widget]:
    """A live dashboard on a page of its own: ``new_widget(color_scheme="dark")``."""

    def make(**options: Any) -> Widget:
        watched = new_page(**options)
        background = "#111" if options.get("color_scheme") == "dark" else "#fff"
        watched.page.set_content(
            f"<!doctype html><html lang=en><title>t</title><body style='margin:8px;background:{background}'>"
        )
        return Widget(watched)

    return make


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Jupyter with our extension."""
    pytest.importorskip("jupyterlab")
    with serve(tmp_path_factory.mktemp("with") / "server") as running:
        yield running


@pytest.fixture(scope="package")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Jupyter of a colleague: without our extension, and trusting nothing."""
    pytest.importorskip("jupyterlab")
    with serve(tmp_path_factory.mktemp("without") / "server", extension=False) as running:
        yield running


@pytest.fixture
def open_lab(new_page: Any, server: Server) -> Iterator[Callable[..., Lab]]:
    """Write a notebook in a folder of its own and open it: ``open_lab("name", cell, cell, classic=True)``."""

    def make(name: str, *cells: str, **options: Any) -> Lab:
        name = f"{name}/{name}.ipynb"
        server.write(name, *cells)
        watched = new_page(viewport={"width": 1500, "height": 1600})
        return Lab(watched, server, name, **options).open()

    yield make
    server.shut_down_kernels()


@pytest.fixture
def serious(browser: Any) -> Callable[[Any], list[str]]:
    """What axe-core finds in a part of a page that is serious or critical, one line each."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in labextension")
    source = AXE.read_text(encoding="utf-8")

    def run(page: Any, part: Any = "body") -> list[str]:
        page.evaluate(source)
        found = page.evaluate("part => axe.run(part, { resultTypes: ['violations'] })", part)
        return [
            f"{v['id']}: {v['help']}: {n['html'][:160]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
            for n in v["nodes"]
        ]

    return run
