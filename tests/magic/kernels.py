"""A real kernel for tests: run a cell, see its outputs as a notebook would keep them, interrupt it."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

LIMIT = 120.0
"""Seconds after which a cell that has not ended fails the test."""


@dataclass
class Cell:
    """What came of one cell."""

    msg_id: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""
    status: str = ""
    reply: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    answers: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def data(self) -> list[dict[str, Any]]:
        """The MIME bundles that the saved notebook would hold."""
        return [output["data"] for output in self.outputs if "data" in output]


class Kernel:
    """One kernel and the client that talks to it."""

    def __init__(self, client: Any, manager: Any) -> None:
        self.client = client
        self.manager = manager

    def start(self, code: str, *, front_end: bool = False, answers: Sequence[str] = ()) -> Cell:
        """Send a cell and return at once; with ``front_end`` as JupyterLab sends it.

        ``answers`` are what a person types when the cell asks; without them nobody can type.
        """
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": bool(answers),
            "stop_on_error": True,
        }
        metadata = {"cellId": "cell-1"} if front_end else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return Cell(message["header"]["msg_id"], answers=[*answers])

    def follow(
        self, cell: Cell, until: Callable[[Cell], bool] | None = None, *, also: Cell | None = None
    ) -> Cell:
        """Collect what the cell puts out, until it ends or ``until`` holds, and meanwhile ``also``."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if until is not None and until(cell):
                return cell
            self._answer(cell.answers)
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            if also is not None and message["parent_header"].get("msg_id") == also.msg_id:
                self._collect(also, message)
            if message["parent_header"].get("msg_id") == cell.msg_id and self._collect(cell, message):
                return self._replied(cell)
        raise AssertionError(f"the cell did not end: {cell}")

    def run(self, code: str, *, front_end: bool = False) -> Cell:
        """Run a cell to its end."""
        return self.follow(self.start(code, front_end=front_end))

    def value(self, expression: str) -> str:
        """The repr of an expression in the kernel."""
        cell = self.run(expression)
        while cell.status == "aborted":  # ipykernel 6 drops what comes just after an error
            cell = self.run(expression)
        assert cell.status == "ok", cell
        return str(cell.outputs[-1]["data"]["text/plain"])

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def ask_comm(self, cell: Cell, comm: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send a widget of a running cell a custom message; the content of its acknowledgement."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                heard = self.client.get_iopub_msg(timeout=0.5)
            except queue.Empty:
                continue
            if heard["parent_header"].get("msg_id") == cell.msg_id:
                self._collect(cell, heard)
            if heard["msg_type"] == "comm_msg" and heard["content"]["comm_id"] == comm:
                answer = heard["content"]["data"].get("content", {})
                if answer.get("ack") == content["id"]:
                    return dict(answer)
        raise AssertionError(f"no answer to {content}")

    def _answer(self, answers: list[str]) -> None:
        try:
            self.client.get_stdin_msg(timeout=0)
        except queue.Empty:
            return
        self.client.input(answers.pop(0) if answers else "")

    def _collect(self, cell: Cell, message: dict[str, Any]) -> bool:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            cell.text += content["text"]
        elif kind in ("display_data", "execute_result"):
            cell.outputs.append(
                {"data": content["data"], "id": content.get("transient", {}).get("display_id")}
            )
        elif kind == "update_display_data":
            cell.updates.append(content["data"])
            for output in cell.outputs:
                if output.get("id") == content["transient"]["display_id"]:
                    output["data"] = content["data"]
        elif kind == "error":
            cell.error = "\n".join([f"{content['ename']}: {content['evalue']}", *content["traceback"]])
        return bool(kind == "status" and content["execution_state"] == "idle")

    def _replied(self, cell: Cell) -> Cell:
        while True:
            reply = self.client.get_shell_msg(timeout=LIMIT)
            if reply["parent_header"].get("msg_id") == cell.msg_id:
                cell.reply = reply["content"]
                cell.status = reply["content"]["status"]
                return cell


@contextmanager
def kernel(folder: Path, env: dict[str, str]) -> Iterator[Kernel]:
    """A kernel of this environment's Python that works in the folder."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env=env)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(client, manager)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
