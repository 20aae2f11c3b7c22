"""Optuna storages from the text of ``--storage``: journal files, databases, gRPC servers."""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna.exceptions import StorageInternalError

from sllmbo_magic.errors import InputError
from sllmbo_magic.errors import MissingExtraError
from sllmbo_magic.errors import StorageError
from sllmbo_magic.storage.shared_journal import SharedJournal
from sllmbo_magic.storage.shared_journal import use_shared_journal

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy.engine import URL

    from sllmbo_magic.storage.run_directory import RunFolder

__all__ = ["open_storage"]

_LOCK_SECONDS = 10
"""For which SQLite waits while another program writes; its own default is 5."""
_RETRY_SECONDS = (0.1, 0.5, 1.0)
"""Between attempts to make the tables of a database that another program makes at the same time."""
_MISSING_FOLDER = "Create it, or name a file in a folder that is there."


def open_storage(spec: str | BaseStorage | None, folder: RunFolder | None = None) -> BaseStorage:
    """An Optuna storage from what ``optuna.create_study`` takes, and a little more.

    Args:
        spec: None: the journal in the run's folder, or memory without a folder. ``"memory"``;
            ``"journal:PATH"``; ``"grpc://HOST:PORT"`` (of ``optuna.storages.run_grpc_proxy_server``); a
            database URL such as ``"sqlite:///runs.db"``; an Optuna storage, which is returned itself.
        folder: The run's folder.

    Raises:
        InputError: The text is none of these.
        MissingExtraError: A package that it needs is not installed.
        StorageError: It cannot be reached or opened.
    """
    from optuna.storages import BaseStorage
    from optuna.storages import InMemoryStorage
    from optuna.storages.journal import BaseJournalBackend

    from sllmbo_magic.storage.run_storage import RunStorage

    if spec is None:
        return InMemoryStorage() if folder is None else folder.storage()
    if isinstance(spec, os.PathLike):
        raise InputError(
            f"storage is a path, {os.fspath(spec)}, which does not say of what kind.",
            f'Write storage="sqlite:///{os.fspath(spec)}" or storage="journal:{os.fspath(spec)}".',
        )
    if isinstance(spec, BaseJournalBackend):
        raise InputError(
            f"storage is a {type(spec).__name__}, which Optuna takes inside a storage.",
            "Write optuna.storages.JournalStorage(...) around it.",
        )
    if not isinstance(spec, str):
        if not isinstance(spec, BaseStorage):
            raise InputError(f"storage is a {type(spec).__name__}.", "Allowed: text, or a storage of Optuna.")
        use_shared_journal(spec)
        return spec
    kind, colon, rest = spec.partition(":")
    if spec == "memory":
        return InMemoryStorage()
    if kind == "journal" and rest:
        path = os.path.expanduser(rest)
        try:
            return RunStorage(SharedJournal(path))
        except (OSError, ValueError, LookupError, TypeError, AssertionError, StorageInternalError) as error:
            raise StorageError(
                f"the journal {rest} cannot be opened ({type(error.__cause__ or error).__name__}).",
                "Name an Optuna journal, or a new file in an existing folder.",
            ) from error
    if kind == "grpc":
        return _grpc(spec)
    if colon and rest.startswith("//"):
        return _database(spec)
    raise _unknown(spec)


def check_spec(spec: Any) -> None:
    """Raise those errors of :func:`open_storage` about a text that need no storage to be opened."""
    if not isinstance(spec, str) or spec == "memory":
        return
    kind, colon, rest = spec.partition(":")
    if kind == "journal" and rest:
        folder = Path(os.path.expanduser(rest)).absolute().parent
        if not folder.is_dir():
            raise StorageError(f"the folder of {spec} does not exist: {folder}.", _MISSING_FOLDER)
    elif kind == "grpc":
        _host_and_port(spec)
    elif colon and rest.startswith("//"):
        _parsed(spec)
    else:
        raise _unknown(spec)


def _unknown(spec: str) -> InputError:
    return InputError(
        f"storage {spec!r} is not known.",
        "Allowed: memory, journal:PATH, grpc://HOST:PORT, or a database URL such as sqlite:///runs.db.",
    )


def _host_and_port(spec: str) -> tuple[str, int]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(spec)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InputError(f"storage {spec!r} has no host and port.", "Example: grpc://localhost:13000.")
    return host, port


def _grpc(spec: str) -> BaseStorage:
    host, port = _host_and_port(spec)
    try:
        importlib.import_module("grpc")
        importlib.import_module("google.protobuf")
    except ImportError as error:
        raise MissingExtraError(
            "grpcio is not installed.", "Install it with: pip install grpcio protobuf"
        ) from error
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import GrpcStorageProxy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the user asked for it by name
        proxy = GrpcStorageProxy(host=host, port=port)
    try:
        proxy.wait_server_ready(timeout=10)
    except ConnectionError as error:
        proxy.close()
        raise StorageError(
            f"no storage server answers at {host}:{port}.",
            "Start one with optuna.storages.run_grpc_proxy_server, or check host and port.",
        ) from error
    return proxy


def _parsed(url: str) -> URL:
    """The parts of a database's URL, whose folder exists if it is a file."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        parts = make_url(url)
    except SQLAlchemyError as error:
        raise StorageError(
            "the URL of --storage cannot be read.",
            "Example: sqlite:///runs.db, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
        ) from error
    if parts.get_backend_name() == "sqlite" and parts.database not in (None, "", ":memory:"):
        parent = Path(os.path.expanduser(str(parts.database))).absolute().parent
        if not parent.is_dir():
            shown = parts.render_as_string(hide_password=True)
            raise StorageError(f"the folder of {shown} does not exist: {parent}.", _MISSING_FOLDER)
    return parts


def _database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.exc import SQLAlchemyError

    parts = _parsed(url)
    # the driver's text may hold the whole URL, and the URL a password: only parts of both are shown
    url_without_password = parts.render_as_string(hide_password=True)
    # SQLite waits for a lock; a pool elsewhere replaces connections that the server has closed
    is_sqlite = parts.get_backend_name() == "sqlite"
    patience = {"connect_args": {"timeout": _LOCK_SECONDS}} if is_sqlite else {"pool_pre_ping": True}
    try:
        return _made_at_once(lambda: RDBStorage(url, engine_kwargs=patience))
    except NoSuchModuleError as error:
        raise InputError(
            f"a database of the kind {parts.drivername} is not known.",
            "Allowed: sqlite:///FILE, postgresql+psycopg://..., mysql+pymysql://..., or journal:PATH.",
        ) from error
    except ImportError as error:
        raise MissingExtraError(
            f"the driver for {parts.drivername} is not installed.",
            'Install the one that the URL names, e.g. pip install "psycopg[binary]" for postgresql+psycopg.',
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        cause = _cause(error, parts.password)
        hint = "Check address, user and password, and that the server runs."
        if "locked" in cause:
            hint = "Another process writes to it: wait for it or end it, or use journal:PATH."
        elif parts.get_backend_name() == "sqlite":
            hint = "Check that the file can be written and is an SQLite database."
        raise StorageError(f"{url_without_password} cannot be opened: {cause}.", hint) from error


def _made_at_once(make: Callable[[], BaseStorage]) -> BaseStorage:
    """A database storage. Another program may make the same tables just now: the one that comes second fails,
    and finds them when it tries again.
    """
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import ProgrammingError

    for seconds in _RETRY_SECONDS:
        try:
            return make()
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            if not isinstance(error, IntegrityError) and "already exists" not in str(error):
                raise
            time.sleep(seconds)
    return make()


def _cause(error: Exception, password: object) -> str:
    """The driver's own words in one line, without a password."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    if password:
        text = text.replace(str(password), "***")
    return text.removesuffix(".")[:300] or type(error).__name__
