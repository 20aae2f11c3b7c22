"""A real HTTP server on this machine for tests and benchmarks, with faults on demand.

The real SDKs send their requests to it, so that their parsing, timeouts and errors are in the test. A library
such as pytest-httpserver answers with status and body only; here the connection itself has to fail (a reset,
half a body, one byte at a time), so the server is our own on the standard library's.
"""

from .faults import Fault
from .server import Answer
from .server import LoopbackServer
from .server import Received

__all__ = ["Answer", "Fault", "LoopbackServer", "Received"]
