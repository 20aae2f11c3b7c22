"""IPython in a terminal: plain lines, and Ctrl-C keeps what was found."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

SCRIPT = """
    from IPython.terminal.interactiveshell import TerminalInteractiveShell
    from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    config.TerminalInteractiveShell.simple_prompt = True
    shell = TerminalInteractiveShell.instance(config=config)
    shell.run_cell("%load_ext sllmbo_magic")
    result = shell.run_cell('''%%sllmbo cut --direction maximize --trials 500 --seed 1
    import time
    def objective(params):
        time.sleep(0.05)
        return -(params["x"] - 1) ** 2
    search_space = {"x": (-5.0, 5.0)}''')
    print("ended by", type(result.error_in_exec).__name__)
    print("kept", shell.user_ns["cut"].status, 2 < len(shell.user_ns["cut"].trials) < 500)
"""


def test_ctrl_c_ends_the_run_and_keeps_what_was_found(child: Callable[[str], subprocess.Popen[str]]) -> None:
    process = child(SCRIPT)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("cut: ") and "/500 trials" in line and "gain" not in line and len(lines) > 4:
            process.send_signal(signal.SIGINT)
            break
    lines += process.stdout.read().splitlines()
    assert "\r" not in "".join(lines), "plain lines"
    assert any("stopping after the fold in flight" in line for line in lines), lines
    assert "ended by KeyboardInterrupt" in lines
    assert "kept interrupted True" in lines
