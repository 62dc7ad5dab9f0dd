"""The rules of the house: which layer may import which, and what a module may not do.

The tree is parsed, not imported, so that a rule holds for imports inside functions and under
TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import wsresilient

PACKAGE = "wsresilient"
SOURCES = Path(__file__).parents[2] / PACKAGE

# Imports go up this list only; what stands on one line may import each other. Private modules of
# the top folder (_version) come first. The package itself ("") gathers the public names: it may
# import what it needs, and only the last line may import it.
ORDER: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("config",),
    ("core",),
    ("venues",),
    ("runtime",),
    ("observe",),
    ("sinks",),
    ("testing",),
    ("",),
    ("compat", "cli", "__main__"),
)
RANKS = {layer: rank for rank, layers in enumerate(ORDER, 1) for layer in layers}

WEBSOCKET_CLIENT = "wsresilient.runtime.transport"
THREADS = "wsresilient.runtime.threads"
WALL_CLOCK = "wsresilient.runtime.clock"

# What a pure layer has no business with. socket and ssl are left out: their exceptions are
# classified there.
PURE_LAYERS = frozenset({"errors", "config", "core", "venues"})
IMPURE = frozenset(
    {
        "_thread",
        "asyncio",
        "concurrent",
        "http",
        "multiprocessing",
        "queue",
        "requests",
        "sched",
        "select",
        "selectors",
        "subprocess",
        "threading",
        "time",
        "urllib3",
        "websocket",
    }
)
# What an installation without extras has.
REQUIRED = frozenset({"websocket", "tenacity", "requests", "urllib3"})

MAKES_THREADS = frozenset(
    {
        "threading.Thread",
        "threading.Timer",
        "_thread.start_new_thread",
        "concurrent.futures.ThreadPoolExecutor",
        "concurrent.futures.thread.ThreadPoolExecutor",
        "multiprocessing.pool.ThreadPool",
        "socketserver.ThreadingMixIn",
        "socketserver.ThreadingTCPServer",
        "http.server.ThreadingHTTPServer",
    }
)
TELLS_WALL_TIME = frozenset(
    {
        "time.time",
        "time.time_ns",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "datetime.date.today",
    }
)


@dataclass
class Module:
    """One parsed file."""

    name: str
    tree: ast.Module
    is_package: bool = False
    # local name -> what it stands for, with its full dotted name
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """Say which folder or file of the top folder it belongs to; "" is the package itself."""
        return layer_of(self.name)

    def at(self, node: ast.AST) -> str:
        """Say where something stands."""
        return f"{self.name}:{getattr(node, 'lineno', 0)}"


@dataclass(frozen=True)
class Import:
    """One name that one module imports: a module, or something inside of one."""

    importer: Module
    target: str
    node: ast.stmt


def layer_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def rank_of(layer: str) -> int | None:
    if layer in RANKS:
        return RANKS[layer]
    return 0 if layer.startswith("_") else None


def load(root: Path) -> dict[str, Module]:
    """Parse every module under a folder that is the package."""
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        module = Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)), is_package)
        module.aliases = aliases_of(module)
        modules[name] = module
    return modules


def aliases_of(module: Module) -> dict[str, str]:
    """Give every imported local name with the full dotted name of what it stands for."""
    found = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = base_of(module, node)
            found.update(
                {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
            )
    return found


def base_of(module: Module, node: ast.ImportFrom) -> str:
    """Give the full name of what stands between "from" and "import"."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def imports(module: Module, nodes: Iterable[ast.AST] | None = None) -> Iterator[Import]:
    for node in ast.walk(module.tree) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node)
        elif isinstance(node, ast.ImportFrom):
            base = base_of(module, node)
            for alias in node.names:
                yield Import(module, f"{base}.{alias.name}", node)


def inside(modules: dict[str, Module], target: str) -> str | None:
    """Give the module of ours that an import loads, or None when it is not ours."""
    if target != PACKAGE and not target.startswith(PACKAGE + "."):
        return None
    while target not in modules and "." in target:
        target = target.rpartition(".")[0]
    return target


def outside(target: str) -> str | None:
    """Give the foreign top-level package that an import loads, or None when it is ours."""
    top = target.partition(".")[0]
    return None if top == PACKAGE else top


def executed_on_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk the imports that run with a module's own: not in functions, TYPE_CHECKING, guards."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from executed_on_import(node.orelse)
        elif isinstance(node, (ast.If, ast.With, ast.ClassDef)):
            yield from executed_on_import([*node.body, *getattr(node, "orelse", [])])
        elif isinstance(node, ast.Try):
            # an import that may fail is guarded by its except
            yield from executed_on_import([*node.orelse, *node.finalbody])


def spelled(module: Module, node: ast.expr) -> str | None:
    """Give the full dotted name of a name or attribute, through the module's imports."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in module.aliases:
        return None
    return ".".join([module.aliases[node.id], *reversed(parts)])


def uses(module: Module, forbidden: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and spelled(module, node) in forbidden:
            yield f"{module.at(node)}: {spelled(module, node)}"


# The rules. Each gives the places that break it.


def upward_imports(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        if module.name == PACKAGE:
            continue
        mine = rank_of(module.layer)
        if mine is None:
            yield f"{module.name}: {module.layer!r} is no layer of the house"
            continue
        for one in imports(module):
            target = inside(modules, one.target)
            if target is None or layer_of(target) == module.layer:
                continue
            theirs = rank_of(layer_of(target))
            if theirs is None or theirs > mine:
                yield f"{module.at(one.node)}: {module.name} imports {target}"


def circles(modules: dict[str, Module]) -> Iterator[str]:
    graph = {
        name: sorted(
            {
                target
                for one in imports(module)
                if (target := inside(modules, one.target)) is not None and target != name
            }
        )
        for name, module in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> Iterator[str]:
        if name in path:
            yield " -> ".join([*path[path.index(name) :], name])
        elif name not in done:
            for target in graph.get(name, ()):
                yield from visit(target, [*path, name])
            done.add(name)

    for name in graph:
        yield from visit(name, [])


def foreign_websocket_imports(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        for one in imports(module):
            if outside(one.target) == "websocket" and module.name != WEBSOCKET_CLIENT:
                yield f"{module.at(one.node)}: {one.target}"


def impure_imports(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        if module.layer in PURE_LAYERS:
            for one in imports(module):
                if outside(one.target) in IMPURE:
                    yield f"{module.at(one.node)}: {one.target}"
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and spelled(module, node.func) == "socket.socket":
                    yield f"{module.at(node)}: socket.socket()"


def extras_needed(modules: dict[str, Module]) -> Iterator[str]:
    """Follow ``import wsresilient`` and ``import wsresilient.cli``: what do they load?"""
    seen: set[str] = set()
    todo = [name for name in (PACKAGE, f"{PACKAGE}.cli", f"{PACKAGE}.compat") if name in modules]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        module = modules[name]
        for one in imports(module, executed_on_import(module.tree.body)):
            target = inside(modules, one.target)
            if target is not None:
                # a module brings its packages with it
                parts = target.split(".")
                todo += [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
            elif outside(one.target) not in REQUIRED | sys.stdlib_module_names:
                yield f"{module.at(one.node)}: {one.target}"


def threads_made_elsewhere(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        if module.name == THREADS:
            continue
        for node in ast.walk(module.tree):
            makers = [node.func] if isinstance(node, ast.Call) else []
            makers += node.bases if isinstance(node, ast.ClassDef) else []
            for maker in makers:
                if spelled(module, maker) in MAKES_THREADS:
                    yield f"{module.at(maker)}: {spelled(module, maker)}"


def swallowed_exceptions(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and all(
                isinstance(statement, ast.Pass)
                or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
                for statement in node.body
            ):
                yield module.at(node)


def missing_docstrings(modules: dict[str, Module]) -> Iterator[str]:
    return (name for name, module in modules.items() if not ast.get_docstring(module.tree))


def wall_clock_reads(modules: dict[str, Module]) -> Iterator[str]:
    for module in modules.values():
        if module.name != WALL_CLOCK:
            yield from uses(module, TELLS_WALL_TIME)


RULES: tuple[Callable[[dict[str, Module]], Iterator[str]], ...] = (
    upward_imports,
    circles,
    foreign_websocket_imports,
    impure_imports,
    extras_needed,
    threads_made_elsewhere,
    swallowed_exceptions,
    missing_docstrings,
    wall_clock_reads,
)


@pytest.fixture(scope="module")
def tree() -> dict[str, Module]:
    return load(SOURCES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(
    rule: Callable[[dict[str, Module]], Iterator[str]], tree: dict[str, Module]
) -> None:
    assert sorted(set(rule(tree))) == []


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (upward_imports, "core/bad.py", "from ..runtime import threads"),
        (
            upward_imports,
            "core/bad.py",
            "def f():\n    from wsresilient.runtime.threads import spawn",
        ),
        (upward_imports, "core/bad.py", "if TYPE_CHECKING:\n    from .. import runtime"),
        (upward_imports, "errors.py", "from . import config"),
        (upward_imports, "runtime/bad.py", "from .. import connect"),
        (upward_imports, "testing/bad.py", "import wsresilient.cli"),
        (upward_imports, "_version.py", "from .errors import describe"),
        (upward_imports, "helpers/bad.py", "x = 1"),
        (circles, "core/state.py", "from . import events"),
        (circles, "core/events.py", "from . import Gap"),
        (circles, "__init__.py", "from .compat import WebSocketApp"),
        (foreign_websocket_imports, "compat.py", "from websocket import WebSocketApp"),
        (foreign_websocket_imports, "runtime/bad.py", "def f():\n    import websocket._abnf as a"),
        (impure_imports, "core/bad.py", "import threading"),
        (impure_imports, "venues/bad.py", "from time import monotonic"),
        (impure_imports, "core/bad.py", "import socket\nsocket.socket()"),
        (extras_needed, "runtime/threads.py", "import rich"),
        (extras_needed, "runtime/__init__.py", "from rich.live import Live"),
        (threads_made_elsewhere, "runtime/bad.py", "import threading as t\nt.Thread(target=f)"),
        (threads_made_elsewhere, "runtime/bad.py", "from threading import Timer\nTimer(1, f)"),
        (threads_made_elsewhere, "cli/bad.py", "import threading\nclass A(threading.Thread): ..."),
        (swallowed_exceptions, "core/bad.py", "try:\n    f()\nexcept OSError:\n    pass"),
        (swallowed_exceptions, "core/bad.py", "try:\n    f()\nexcept OSError:\n    ..."),
        (missing_docstrings, "core/bad.py", "x = 1"),
        (wall_clock_reads, "runtime/bad.py", "import time\nnow = time.time"),
        (wall_clock_reads, "runtime/bad.py", "from time import time as now\nnow()"),
        (wall_clock_reads, "cli/bad.py", "from datetime import datetime\ndatetime.now()"),
    ],
)
def test_each_rule_sees_what_breaks_it(
    rule: Callable[[dict[str, Module]], Iterator[str]], file: str, text: str, tmp_path: Path
) -> None:
    sound = {
        "__init__.py": '"""."""\nfrom .runtime.threads import spawn',
        "errors.py": '"""."""',
        "config.py": '"""."""\nfrom .errors import describe',
        "compat.py": '"""."""\nimport wsresilient',
        "core/__init__.py": '"""."""\nfrom .events import Gap',
        "core/state.py": '"""."""\nimport ssl\nfrom .. import errors',
        "core/events.py": '"""."""\nfrom ..core import state',
        "runtime/__init__.py": '"""."""',
        "runtime/threads.py": '"""."""\nimport threading\nthreading.Thread()\n'
        "def f():\n    import rich\ntry:\n    import rich\nexcept ImportError:\n    rich = None",
        "runtime/transport.py": '"""."""\nimport websocket\nfrom ..core.state import x',
        "runtime/clock.py": '"""."""\nimport time\ntime.time()',
    }
    for name, content in sound.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for each in RULES:
        assert list(each(load(tmp_path))) == []

    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n" + text + "\n")

    assert list(rule(load(tmp_path))) != []


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="what is installed is known under tox")
def test_the_installed_package_is_tested_and_complete() -> None:
    installed = Path(wsresilient.__file__).parent

    assert installed.parent.name == "site-packages"
    # not only modules: whatever lies in a folder of the package is there to be shipped
    assert files(installed) == files(SOURCES)
    assert "py.typed" in files(installed)


def files(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
