"""Any program as a provider: the prompt on its standard input, JSON from its standard output.

So the command-line tools of other vendors (``llm``, ``claude -p``, ``codex exec``, ``ollama run``) and
private gateways can be used with their own keys and settings, which are never read here. No shell is
involved. The program runs in a session of its own, so that ending it ends whatever it has started.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from functools import partial
from typing import IO

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import PermanentProviderError
from sllmbo_magic.errors import ProviderError
from sllmbo_magic.errors import ReplyError
from sllmbo_magic.errors import TransientProviderError
from sllmbo_magic.llm.base import BaseProvider
from sllmbo_magic.llm.base import Completion
from sllmbo_magic.llm.base import Request
from sllmbo_magic.llm.layout import as_text
from sllmbo_magic.llm.network_guard import check_commands_allowed
from sllmbo_magic.llm.redact import one_line
from sllmbo_magic.llm.redact import redact

MAX_OUTPUT = 1_000_000
"""Bytes of standard output after which a program is ended."""
_ERROR_TAIL = 4_000
_QUIET = 2.0
"""Seconds without further output after which the answer of a program that has ended is taken as whole."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*(?:\x07|\x1b\\)|\r(?=\n)")
_SHELL = ("|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>", "2>&1")
_EXAMPLE = 'Example: --llm "command:llm -m MODEL"'


class CommandProvider(BaseProvider):
    """A program on this machine that answers a prompt.

    Args:
        command: Program and arguments, as a shell would split them; quotes keep blanks together.
        timeout: Seconds for one attempt; then the program is ended.

    Raises:
        InputError: There is no such program, the text is no command, needs a shell, or holds a key.
    """

    def __init__(self, command: str, *, timeout: float = 300.0) -> None:
        self.id = f"command:{command}"
        self._arguments = split_command(command)
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def __repr__(self) -> str:
        return f"CommandProvider({self.id!r})"

    def complete(self, request: Request) -> Completion:
        """Run the program once.

        Raises:
            TransientProviderError: It ended with an error (its last words are quoted), or took too long.
            PermanentProviderError: It cannot be started.
            ReplyError: It wrote nothing, or more than 1 MB.
        """
        check_commands_allowed()
        self._cancelled = False
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise PermanentProviderError(
                f"{self.id} cannot be started: {error.strerror}.",
                "Try it in a terminal; the first line of a script must name a program that is there.",
                category="command",
            ) from None
        self._process = process
        at_exit = partial(_end, process)
        atexit.register(at_exit)  # the thread that waits for it is a daemon
        try:
            output, errors, too_long = self._talk(process, as_text(request))
        finally:
            if process.poll() is None:
                _end(process)
            atexit.unregister(at_exit)
            self._process = None
        return self._read(process.returncode, output, errors, too_long)

    def cancel(self) -> None:
        """End the program, and what it has started, at once."""
        self._cancelled = True
        process = self._process
        if process is not None:
            _end(process)

    def _talk(self, process: subprocess.Popen[bytes], prompt: str) -> tuple[str, str, bool]:
        """Standard output, the end of standard error, and whether the time was up."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = _Reader(process.stdout, MAX_OUTPUT + 1), _Reader(process.stderr, None)
        writer = threading.Thread(target=_write, args=(process.stdin, prompt.encode()), daemon=True)
        end = time.monotonic() + self._timeout
        for thread in (writer, output, errors):
            thread.start()
        # Not process.wait(): a program may close its output long before it ends, and the reverse.
        # What it has started may hold the pipe open for good: a whole answer does not wait for that.
        length, last_growth = 0, time.monotonic()
        while output.is_alive() and not output.full:
            output.join(min(0.1, max(0.0, end - time.monotonic())))
            if output.length > length or process.poll() != 0:
                length, last_growth = output.length, time.monotonic()
            elif length and time.monotonic() - last_growth > _QUIET:
                break
            if time.monotonic() >= end:
                return "", "", True
        if not output.full:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))
        _end(process)
        for thread in (errors, output):
            thread.join(1.0)
        return output.text(), errors.text()[-_ERROR_TAIL:], False

    def _read(self, code: int | None, output: str, errors: str, too_long: bool) -> Completion:
        if self._cancelled:
            raise TransientProviderError(f"{self.id} was ended.", category="cancelled")
        if too_long:
            raise TransientProviderError(
                f"{self.id} did not answer within {self._timeout:g} s.",
                "Allow more time with --llm-timeout.",
                category="timeout",
            )
        if len(output) > MAX_OUTPUT:
            raise ReplyError(f"{self.id} wrote more than {MAX_OUTPUT // 1_000_000} MB.", category="too-large")
        text = _ESCAPES.sub("", output).strip()
        if code:
            raise self._failed(code, errors or output)
        if not text:
            words = _last_line(errors)
            last_words = f' It says: "{words}".' if words else ""
            raise ReplyError(f"{self.id} wrote nothing to its standard output.{last_words}", category="empty")
        return Completion(text, model=self._arguments[0])

    def _failed(self, code: int, words: str) -> ProviderError:
        last_line = _last_line(words)
        how = f"ended with exit status {code}" if code > 0 else f"was ended by signal {-code}"
        return TransientProviderError(
            f"{self.id} {how}." + (f' It says: "{last_line}".' if last_line else ""),
            "Try it in a terminal with a prompt on its standard input.",
            category="command",
        )


def split_command(command: str) -> list[str]:
    """Program and arguments of a command line.

    Raises:
        InputError: As :class:`CommandProvider`.
    """
    if redact(command) != command:
        raise InputError(
            "--llm command:... holds a key; keys typed into a cell are saved with the notebook.",
            "Delete it there, consider it public, and let the program read its key from the environment.",
        )
    try:
        arguments = shlex.split(command, posix=os.name != "nt")
    except ValueError:
        raise InputError(f"--llm command:{command}: a quote is not closed.", _EXAMPLE) from None
    if not arguments:
        raise InputError("--llm command: needs a program.", _EXAMPLE)
    operator = next((a for a in arguments if a in _SHELL), None)
    if operator is not None:
        raise InputError(
            f"--llm command:{command}: {operator!r} needs a shell, and none is used.",
            "Put the line into a script and name that.",
        )
    if shutil.which(arguments[0]) is None:
        raise InputError(
            f"--llm command:{command}: there is no program {arguments[0]!r} (or it cannot be run).",
            "Give its name as found in PATH, or its whole path; ~ and $ are not expanded.",
        )
    return arguments


class _Reader(threading.Thread):
    """Reads a pipe to its end, so that the program never waits for a full one.

    Args:
        pipe: The pipe.
        most: Bytes after which nothing more is read; None keeps the last bytes only and reads on.
    """

    def __init__(self, pipe: IO[bytes], most: int | None) -> None:
        super().__init__(daemon=True, name="sllmbo-command")
        self._pipe = pipe
        self._most = most
        self._data = b""
        self.full = False

    def run(self) -> None:
        with suppress(OSError, ValueError), self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65_536):
                self._data += chunk
                if self._most is None:
                    self._data = self._data[-_ERROR_TAIL:]
                elif len(self._data) >= self._most:
                    self.full = True
                    return

    @property
    def length(self) -> int:
        """How many bytes were read and kept."""
        return len(self._data)

    def text(self) -> str:
        """What was read."""
        return self._data.decode("utf-8", "replace")


def _write(pipe: IO[bytes], data: bytes) -> None:
    with suppress(OSError, ValueError):  # a program need not read all of it
        pipe.write(data)
    with suppress(OSError, ValueError):
        pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that belongs to its session; nothing happens if it has ended."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5.0)


def _last_line(text: str) -> str:
    lines = [line for line in _ESCAPES.sub("", text).splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else ""
