"""Devices of trials: each trial in flight has one of its own.

The names mean nothing here. An ``objective(trial)`` reads its device from ``trial.user_attrs["device"]``; an
isolated trial also has no other GPU, because its process starts with ``CUDA_VISIBLE_DEVICES``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sllmbo_magic.errors import InputError

DEVICE = "device"
"""The user attribute of a trial that names its device."""


def devices_of(value: Any) -> tuple[str, ...]:
    """The names of devices, from a text with commas between them or from a list; () for None.

    Raises:
        InputError: One is no text or empty, or two are the same.
    """
    if value is None:
        return ()
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
        raise InputError(
            f"devices is {value!r:.60}, not names of devices.", 'Example: devices="cuda:0,cuda:1".'
        )
    names = tuple(name.strip() for name in listed)
    if not names or not all(names):
        raise InputError(f"devices {value!r:.60} holds an empty name.", 'Example: devices="cuda:0,cuda:1".')
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise InputError(
            f"devices: {duplicate} is there twice.", "One trial runs on a device at a time; name each once."
        )
    return names


def environment_of(device: str | None) -> dict[str, str]:
    """The variables that show a process one device only: ``cuda:1`` is GPU 1; any other name is given as it
    is.
    """
    return {} if device is None else {"CUDA_VISIBLE_DEVICES": device.removeprefix("cuda:")}


def free_device(devices: Iterable[str], used: Iterable[str | None]) -> str:
    """The first device that no trial in flight has."""
    in_use = set(used)
    return next(name for name in devices if name not in in_use)
