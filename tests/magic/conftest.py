"""Shells and kernels with the extension loaded."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.magic.kernels import Kernel
from tests.magic.kernels import kernel


class Shell:
    """A shell in this process; what a cell prints is kept."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self.user_ns: dict[str, Any] = shell.user_ns
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, cell: str) -> ExecutionResult:
        """Run a cell as if typed; its output is in ``out`` and ``err`` afterwards."""
        self._capsys.readouterr()
        result = self.shell.run_cell(cell, store_history=True)
        self.out, self.err = self._capsys.readouterr()
        return result

    def ok(self, cell: str) -> str:
        """Run a cell that must succeed; what it printed."""
        result = self.run(cell)
        assert result.success, self.err or self.out
        return self.out


@pytest.fixture(params=["autoawait", "no autoawait"])
def any_shell(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell that awaits cells, as IPython and kernels do; and one that does not, as ``%autoawait off``."""
    yield from _shell(capsys, autoawait=request.param == "autoawait")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell that awaits cells."""
    yield from _shell(capsys, autoawait=True)


def _shell(capsys: pytest.CaptureFixture[str], *, autoawait: bool) -> Iterator[Shell]:
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.autoawait = autoawait
    config.InteractiveShell.colors = "nocolor"
    config.Completer.use_jedi = False
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("%load_ext sllmbo_magic")
    yield Shell(shell, capsys)
    shell.run_cell("%unload_ext sllmbo_magic")
    InteractiveShell.clear_instance()
    # At exit every shell would collect garbage once for itself: a minute after the last of all tests.
    atexit.unregister(shell.atexit_operations)
    shell.history_manager.end_session()
    history = shell.history_manager
    getattr(history, "close", history.db.close)()  # IPython 8 closes its connection alone


@pytest.fixture(scope="module")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's kernel works."""
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="module")
def module_kernel(kernel_folder: Path) -> Iterator[Kernel]:
    """One kernel for a module's tests, with the extension loaded."""
    with kernel(kernel_folder, environment(kernel_folder)) as running:
        assert running.run("%load_ext sllmbo_magic\n%colors nocolor").status == "ok"
        yield running


def environment(folder: Path) -> dict[str, str]:
    """The environment of a child process: this checkout, one thread per library, no key, a fresh profile."""
    env = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    here = str(Path(__file__).parents[2])
    return env | {
        "PYTHONPATH": os.pathsep.join([here, env.get("PYTHONPATH", "")]),
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
