"""The four rules of docs/architecture.md, read off the source, and what the package shows to the outside."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
PACKAGE = HERE / "sllmbo_magic"

# A module imports only from its own folder and from rows above its own.
LAYERS = [
    "errors attrs",
    "options _utils",
    "events control",
    "space",
    "task",
    "priors",
    "history llm",
    "evaluation proposers",
    "samplers",
    "storage testing",
    "report",
    "tuning",
    "sklearn_api comparison",
    "dashboard",
    "magic",
    "__init__",
]
NOTEBOOK = {"IPython", "ipywidgets", "anywidget"}
PROVIDERS = {"openai", "anthropic"}
SLOW = {"sklearn", "lightgbm", "matplotlib", "pandas", *NOTEBOOK, *PROVIDERS}
AT_TOP = {  # imported by others only when they need it
    "evaluation": {"sklearn"},
    "report.figures": {"matplotlib"},
    "sklearn_api": {"sklearn"},
    "magic": {"IPython"},
    "dashboard": NOTEBOOK,
}
NEVER_BY_LOAD_EXT = SLOW - {"IPython"} | {"optuna"}
NAMED_BY_THE_USER = {"xgboost"}  # an estimator of theirs
BROUGHT_BY_OTHERS = {
    "joblib": "scikit-learn",
    "scipy": "scikit-learn",
    "sqlalchemy": "optuna",
    "traitlets": "ipython",
    "httpx2": "openai",
    "nbclient": "nbconvert",
    "nbformat": "nbconvert",
    "comm": "ipywidgets",
    "pyzmq": "ipykernel",
    "pillow": "matplotlib",
}


@dataclass(frozen=True)
class Import:
    """``module`` (dotted, without the package's name) imports ``target`` (dotted, whole)."""

    module: str
    target: str
    line: int
    at_top: bool
    for_types: bool = False

    @property
    def root(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module} line {self.line} imports {self.target}"


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


@cache
def imports() -> tuple[Import, ...]:
    found = []
    for name, tree in modules().items():
        at_top = set(map(id, _run_on_import(tree)))
        for_types = set(map(id, _under_type_checking(tree)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} line {node.lineno}: write the whole name of the module"
                # "from package import module" names a module, "from module import thing" does not
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found += [
                Import(name, target, node.lineno, id(node) in at_top, id(node) in for_types)
                for target in targets
            ]
    return tuple(found)


def _run_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: not those in functions, not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _run_on_import(node)


def _under_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that only type checkers read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from ast.walk(node)


def row(module: str) -> int:
    """The row of the longest name in LAYERS that the module is, or is in."""
    rows = {name: number for number, names in enumerate(LAYERS) for name in names.split()}
    while module:
        if module in rows:
            return rows[module]
        module = module.rpartition(".")[0]
    return -1


def own_target(item: Import) -> str | None:
    """The module of this package that an import names, without the package's name."""
    if item.root != PACKAGE.name:
        return None
    return item.target.partition(".")[2] or "__init__"


def test_every_module_has_its_layer_and_no_layer_is_empty() -> None:
    homeless = [name for name in modules() if row(name) < 0]
    assert homeless == [], "say in LAYERS (and docs/architecture.md) where they belong"
    for name in " ".join(LAYERS).split():
        assert name in modules(), f"{name} is in LAYERS, but there is no such module"


def test_rule_1_modules_import_only_from_layers_above() -> None:
    wrong = []
    for item in imports():
        target = own_target(item)
        if target is None or target == "__version__":
            continue
        above = row(target)
        assert above >= 0, f"{item}: no such module"
        same_folder = target.partition(".")[0] == item.module.partition(".")[0]
        if not same_folder and above >= row(item.module):
            wrong.append(str(item))
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    arrows: dict[str, set[str]] = {name: set() for name in modules()}
    for item in imports():
        target = own_target(item) or ""
        if target not in arrows:
            target = target.rpartition(".")[0]
        if target in arrows and not item.for_types:
            arrows[item.module].add(target)
    while True:  # what imports nothing, and what only imports such modules, is in no circle
        free = {name for name, targets in arrows.items() if not targets & set(arrows)}
        if not free:
            break
        arrows = {name: targets for name, targets in arrows.items() if name not in free}
    assert sorted(arrows) == []


def test_rule_2_only_dashboard_and_magic_know_the_notebook_and_only_llm_knows_providers() -> None:
    wrong = []
    for item in imports():
        package = item.module.partition(".")[0]
        if item.root in NOTEBOOK and package not in ("dashboard", "magic"):
            wrong.append(str(item))
        if item.root in PROVIDERS and package != "llm":
            wrong.append(str(item))
    assert wrong == []


def test_rule_3_the_tuner_knows_no_view_and_the_samplers_know_no_tuner() -> None:
    def names(module: str) -> set[str]:
        return {
            part
            for item in imports()
            if f"{item.module}.".startswith(f"{module}.")
            for part in _parents(own_target(item) or "")
        }

    assert "events" in names("tuning.loop"), "is this still the module that emits?"
    assert names("tuning.loop") & {"report", "dashboard", "magic", "tuning.result"} == set()
    assert "proposers" in names("samplers"), "are these still the samplers?"
    assert names("samplers") & {"tuning", "storage", "evaluation"} == set()


def _parents(module: str) -> list[str]:
    """``a.b.c`` -> ``a``, ``a.b``, ``a.b.c``."""
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


RULE_4 = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "sllmbo_magic")
assert shell.find_cell_magic("sllmbo") and shell.find_line_magic("sllmbo")
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_rule_4_load_ext_imports_no_heavy_library() -> None:
    new = set(_run(RULE_4).split())
    assert "sllmbo_magic" in new
    assert new & NEVER_BY_LOAD_EXT == set()


def test_importing_the_package_imports_no_heavy_library_and_not_ipython() -> None:
    new = set(_run('import sys, sllmbo_magic; print(*{n.partition(".")[0] for n in sys.modules})').split())
    assert new & (NEVER_BY_LOAD_EXT | {"IPython"}) == set()


def test_slow_libraries_are_imported_where_they_are_used() -> None:
    wrong = []
    for item in imports():
        allowed = {
            lib for place, libs in AT_TOP.items() if f"{item.module}.".startswith(f"{place}.") for lib in libs
        }
        if item.at_top and item.root in SLOW - allowed:
            wrong.append(str(item))
    assert wrong == []


def test_every_import_is_of_a_declared_dependency() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    declared = set()
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        declared |= {normal(re.split(r"[\[<>=;~! ]", requirement)[0]) for requirement in requirements}
    distributions = packages_distributions()
    undeclared = set()
    for item in imports():
        if item.root in sys.stdlib_module_names | NAMED_BY_THE_USER | {PACKAGE.name}:
            continue
        names = {normal(name) for name in distributions.get(item.root, [item.root])}
        if not {BROUGHT_BY_OTHERS.get(name, name) for name in names} & declared:
            undeclared.add(str(item))
    assert undeclared == set()


def normal(name: str) -> str:
    """A distribution's name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


PUBLIC = {
    "LLMSampler",
    "LLMTPESampler",
    "SLLMBOSearchCV",
    "SearchSpace",
    "Task",
    "TuneResult",
    "compare",
    "tune",
}


def test_the_public_surface_is_exactly_what_is_promised() -> None:
    import sllmbo_magic

    assert set(sllmbo_magic.__all__) == PUBLIC
    assert set(dir(sllmbo_magic)) >= PUBLIC
    for name in PUBLIC:
        assert getattr(sllmbo_magic, name).__doc__, name
    with pytest.raises(AttributeError, match="no_such_name"):
        sllmbo_magic.no_such_name  # noqa: B018


def test_docs_show_the_layers_as_built() -> None:
    text = (HERE / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in " ".join(LAYERS).split()
        if not re.search(rf"\b{re.escape(name.replace('.', '/'))}(?:\.py|/|\b)", text)
    ]
    assert missing == []


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout
