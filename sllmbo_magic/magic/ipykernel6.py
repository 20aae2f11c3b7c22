"""Widgets' messages on ipykernel 6, which keeps them until the running cell has ended, awaited or not.

ipykernel 7 hands them out while an awaited cell runs. Here they are taken out of the kernel's queue as often
as the run is looked at, and all others are left in it in their order. It needs no nested event loop, so it
also works where the magic blocks.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any


def answer_widgets(shell: Any) -> None:
    """Handle the widgets' messages that wait; nothing outside ipykernel 6 and its main thread."""
    kernel = getattr(shell, "kernel", None)
    version = getattr(sys.modules.get("ipykernel"), "version_info", (0,))
    if kernel is None or version[0] != 6 or threading.current_thread() is not threading.main_thread():
        return
    import zmq

    kernel.shell_stream.flush(zmq.POLLIN)  # into the queue, where the event loop is blocked
    waiting = [kernel.msg_queue.get_nowait() for _ in range(kernel.msg_queue.qsize())]
    for item in waiting:
        message = _widget_message(kernel, item[2])
        if message is None:
            kernel.msg_queue.put_nowait(item)
        else:
            _handle(kernel, *message)


def _widget_message(kernel: Any, arguments: tuple[Any, ...]) -> tuple[list[bytes], list[Any]] | None:
    """Identities and frames of a comm's message; None for anything else, which is not taken apart."""
    if not arguments or not isinstance(arguments[0], list):
        return None
    idents, frames = kernel.session.feed_identities(arguments[0], copy=False)
    header = json.loads(bytes(frames[1].buffer))  # after the signature
    return (idents, frames) if header["msg_type"] in ("comm_msg", "comm_close") else None


def _handle(kernel: Any, idents: list[bytes], frames: list[Any]) -> None:
    """As the kernel's own dispatch does, but the parent stays the running cell, and so does its interrupt."""
    message = kernel.session.deserialize(frames, content=True, copy=False)
    kernel._publish_status("busy", "shell", parent=message)
    kernel.shell_handlers[message["header"]["msg_type"]](kernel.shell_stream, idents, message)
    kernel._publish_status("idle", "shell", parent=message)
