"""What may not stand in a tracked file, and what must be up to date; one line per fault, exit code 1 if any.

* No path of the machine it was written on, and no address of a package mirror that this machine is set up
  with: both would send other people to places that they do not have.
* Documents that are made from code are as the code makes them now.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parents[1]
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:root|work|home/\w+|Users/\w+)/")
MADE = {"docs/options.md": "-m sllmbo_magic.magic.help", "docs/priors.md": "docs/_priors.py"}
"""Documents made from code, each with what Python runs to print it."""

PUBLIC = {"pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "deb.debian.org"}


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=HERE, check=True, capture_output=True, text=True)
    return [HERE / name for name in listing.stdout.split("\0") if name and (HERE / name).is_file()]


def mirrors() -> set[str]:
    """Hosts from which this machine installs packages, where they are not the public ones."""
    texts = []
    for command in (["pip", "config", "list"], ["npm", "config", "get", "registry"]):
        program = [sys.executable, "-m", *command] if command[0] == "pip" else command
        try:
            texts.append(subprocess.run(program, capture_output=True, text=True, check=False).stdout)
        except FileNotFoundError:
            continue  # no npm here
    addresses = re.findall(r"https?://[^\s'\"]+", "\n".join(texts))
    hosts = {urlsplit(address).hostname or "" for address in addresses}
    return {host for host in hosts if "." in host} - PUBLIC


def faults() -> list[str]:
    hosts = mirrors()
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            place = f"{path.relative_to(HERE)}:{number}"
            if MACHINE_PATH.search(line):
                found.append(f"{place}: a path of one machine: {line.strip()[:80]}")
            found += [f"{place}: the address of a package mirror" for host in hosts if host in line]
    return found


def outdated() -> list[str]:
    found = []
    for name, program in MADE.items():
        command = [sys.executable, *program.split()]
        made = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True)
        if made.stdout != (HERE / name).read_text(encoding="utf-8"):
            found.append(f"{name}: not as the code makes it; run: python {program} > {name}")
    return found


def main() -> int:
    found = faults() + outdated()
    print("\n".join(found) if found else "The tree is clean.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
