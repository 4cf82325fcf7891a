"""The house rules: what no public linter knows about this code, each with the harm it prevents.

`python tests/house/rules.py` reads the whole tree and prints `path:line: rule: message`; it ends with status 1 where
something was found. A line may carry `# house: <rule> - <reason>`; a suppression that gives no reason or suppresses
nothing is itself a finding.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")
HOUSE = "services/radloop/"
GENERATED = HOUSE + "v1/"


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def place(self) -> tuple[str, ...]:
        """Return the parts below services/radloop, empty for files that live elsewhere."""
        return PurePosixPath(self.path.removeprefix(HOUSE)).parts if self.path.startswith(HOUSE) else ()

    @property
    def dotted(self) -> str:
        """Return the import name of the module."""
        parts = PurePosixPath(self.path.removeprefix("services/")).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True, order=True)
class Finding:
    """Where a rule was broken, and in which words to say so."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


Spot = tuple[int, str]
Rule = Callable[[Module], Iterator[Spot]]


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every module this tree imports, dotted, with its line; `from a import b` yields `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _called(node: ast.AST) -> str:
    """Return the dotted name of what is called, empty where it is no plain name."""
    if isinstance(node, ast.Attribute):
        return f"{_called(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, _called(node.func)


def clock(module: Module) -> Iterator[Spot]:
    """Time comes from kit.clock or as data: a handler that reads the clock cannot be replayed, nor its day tested."""
    if not module.place or module.place[0] == "workbench" or module.place == ("kit", "clock.py"):
        return
    bare = {"time.time", "time.time_ns"}
    for node, name in _calls(module.tree):
        tail = ".".join(name.split(".")[-2:])
        if name in bare or tail in {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}:
            yield node.lineno, f"{name}() outside kit.clock: take a Clock, or the instant as data"
    for line, name in _names(module.tree):
        if name in bare:
            yield line, f"{name} outside kit.clock"


def sleep(module: Module) -> Iterator[Spot]:
    """Nothing sleeps towards a deadline: a sleeping thread answers no shutdown and wakes too late. Use Event.wait."""
    if not module.place or module.place[0] in {"workbench", "cli"}:
        return
    for node, name in _calls(module.tree):
        if name == "time.sleep":
            yield node.lineno, "time.sleep(): wait on an Event or a Condition with a time limit"


def blind_except(module: Module) -> Iterator[Spot]:
    """Only the runner catches everything, because it counts and stores it; anywhere else a bug would pass for weather."""
    if not module.place or module.place == ("kit", "runner.py"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(one is None or _called(one) in {"Exception", "BaseException"} for one in caught):
                yield node.lineno, "catch the vendor's own errors and translate them to kit.errors"


_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def log_literal(module: Module) -> Iterator[Spot]:
    """A log call's message is a constant: text put together there is where names and numbers of patients leak."""
    if not module.place:
        return
    for node, name in _calls(module.tree):
        owner, _, level = name.rpartition(".")
        if level not in _LEVELS or owner.split(".")[-1].strip("_").lower() not in {"log", "logger", "logging"}:
            continue
        message = node.args[1 if level == "log" else 0] if len(node.args) > (level == "log") else None
        made = isinstance(message, ast.JoinedStr | ast.BinOp) or (
            isinstance(message, ast.Call) and _called(message.func).endswith("format"))
        if made or (isinstance(message, ast.Constant) and re.search(r"%[sdrf]", str(message.value))):
            yield node.lineno, "the message is a constant; put ids and counts into extra={...}"


def metric_names(module: Module) -> Iterator[Spot]:
    """Metrics are made in kit.telemetry only, from its one Literal: a name nobody listed is a graph nobody finds."""
    if not module.place or module.place == ("kit", "telemetry.py"):
        return
    for line, name in _names(module.tree):
        if name.startswith("prometheus_client."):
            what = name.split(".")[1]
            if what in {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}:
                yield line, f"{what}: use count, gauge or observe of kit.telemetry"
    for node, name in _calls(module.tree):
        if name.startswith("prometheus_client.") and name.split(".")[-1][0].isupper():
            yield node.lineno, f"{name}: use count, gauge or observe of kit.telemetry"


_PURE = {
    "__future__", "abc", "array", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "io", "itertools", "json", "math", "numbers",
    "operator", "re", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata", "uuid", "zlib", "numpy",
}
_KIT = ("radloop.kit.flow", "radloop.kit.errors", "radloop.events", "radloop.standards")
_IMPURE = ("uuid.uuid1", "uuid.uuid4", "numpy.random.seed", "radloop.events.wire")
_FLOORS = ("handlers", "ports", "domain", "config")


def purity(module: Module) -> Iterator[Spot]:
    """Handlers and domain decide, they never act: what they may import is listed, since a list of what they may not is never whole."""
    if len(module.place) < 2 or module.place[0] not in ROOMS:
        return
    room, floor = module.place[0], module.place[1].removesuffix(".py")
    if floor not in {"handlers", "domain"}:
        return
    own = tuple(f"radloop.{room}.{lower}" for lower in _FLOORS[_FLOORS.index(floor):])
    for line, name in _names(module.tree):
        top = name.split(".")[0]
        allowed = top in _PURE or name == f"radloop.{room}" or name in {"radloop", "radloop.kit"} or any(
            name == good or name.startswith(f"{good}.") for good in (*_KIT, *own))
        if name.startswith("."):
            allowed = floor == "domain" and not name.startswith("..") and len(module.place) > 2
        if not allowed or any(name == bad or name.startswith(f"{bad}.") for bad in _IMPURE):
            yield line, f"{floor} may not import {name}"
    for node, name in _calls(module.tree):
        if name in _IMPURE:
            yield node.lineno, f"{floor} may not call {name}: ids arrive as data, or are named by their cause"


def printing(module: Module) -> Iterator[Spot]:
    """Only a command prints: what a service prints is neither structured nor free of PHI."""
    if not module.place or module.place[0] in {"cli", "workbench"}:
        return
    for node, name in _calls(module.tree):
        if name == "print":
            yield node.lineno, "print(): log it, with a constant message"


def asyncio_island(module: Module) -> Iterator[Spot]:
    """Only the MLLP and page adapters use asyncio: two models of concurrency in one stack are one too many to reason about."""
    if not module.place or module.place in {
        ("ingestion", "adapters", "mllp.py"), ("worklist", "adapters", "http.py"),
    }:
        return
    for line, name in _names(module.tree):
        if name in {"asyncio", "anyio"}:
            yield line, f"{name}: the kit is synchronous and threaded"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node.lineno, "async def: the kit is synchronous and threaded"


def telling_names(module: Module) -> Iterator[Spot]:
    """A module is named for what it is: utils.py is where things go whose place nobody looked for."""
    stem = PurePosixPath(module.path).stem
    if module.place and stem in {"utils", "util", "helpers", "helper", "misc", "tools"}:
        yield 1, f"{stem}.py says nothing about what is in it"
    if module.place:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?)$", node.name):
                yield node.lineno, f"{node.name}: name it for the noun it is"


LONGEST = 400


def short(module: Module) -> Iterator[Spot]:
    """A module is read in one sitting: past four hundred lines a newcomer no longer knows which room this is."""
    lines = module.text.count("\n")
    if module.place and lines > LONGEST:
        yield LONGEST, f"{lines} lines; make it a folder of nouns"


def promises(module: Module) -> Iterator[Spot]:
    """Every test says in one sentence what it promises, so that the suite reads as a specification."""
    if not module.path.startswith("tests/"):
        return
    for node in ast.walk(module.tree):
        if (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
                and not ast.get_docstring(node)):
            yield node.lineno, f"{node.name} has no docstring"


def goals(module: Module) -> Iterator[Spot]:
    """A benchmark's goals reach its exit status: where what `finish` says of them is dropped on the way, missing them fails nothing."""
    if not module.path.startswith("tests/bench/"):
        return
    within: dict[ast.AST, str] = {}
    for function in ast.walk(module.tree):  # an inner function comes after the one around it
        if isinstance(function, ast.FunctionDef):
            within |= dict.fromkeys(ast.walk(function), function.name)
    handed_on = {node.value for node in ast.walk(module.tree) if isinstance(node, ast.Return)}
    ends = {argument for node, name in _calls(module.tree) if name in {"SystemExit", "sys.exit"} for argument in node.args}
    calls = list(_calls(module.tree))
    ahead = [node for node, name in calls if name == "finish" and (len(node.args) > 4 or any(one.arg == "goals" for one in node.keywords))]
    seen: set[str] = set()
    while ahead:
        call = ahead.pop()
        if call in handed_on and call in within:
            if within[call] not in seen:
                seen.add(within[call])
                ahead += [node for node, name in calls if name == within[call]]
        elif call not in ends:
            yield call.lineno, "return it, or end with it (SystemExit): a goal that was missed is the exit status"


RULES: dict[str, Rule] = {
    "clock": clock, "sleep": sleep, "blind-except": blind_except, "log-literal": log_literal, "metric-names": metric_names,
    "purity": purity, "print": printing, "asyncio": asyncio_island, "telling-names": telling_names, "short": short,
    "promises": promises, "goals": goals,
}

# Put together from halves, so that this file passes its own rule.
FORBIDDEN = {
    "an absolute path of one machine": r"(?<![\w./-])/(" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers")) + r")/\w",
    "a package registry's host": "|".join((
        r"pypi" + r"\.org", r"pythonhosted" + r"\.org", r"registry" + r"\.npmjs", r"deb\.debian" + r"\.org",
        r"proxy\.golang" + r"\.org", r"index" + r"\.docker\.io",
    )),
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE" + " KEY",
}
_SUPPRESSION = re.compile(r"#\s*house:\s*([a-z-]+)(?:\s+-\s+(\S.*))?")


def check_module(path: str, text: str) -> list[Finding]:
    """Run every rule over one Python file and settle its suppressions."""
    try:
        module = Module(path, text, ast.parse(text, path))
    except SyntaxError as broken:
        return [Finding(path, broken.lineno or 1, "syntax", broken.msg)]
    found = [Finding(path, line, name, message) for name, rule in RULES.items() for line, message in rule(module)]
    kept, used = [], set()
    lines = text.splitlines()
    for finding in sorted(found):
        said = _SUPPRESSION.search(lines[finding.line - 1]) if finding.line <= len(lines) else None
        if said and said[1] == finding.rule and said[2]:
            used.add(finding.line)
        else:
            kept.append(finding)
    if module.path.startswith(HOUSE):
        kept += [
            Finding(path, at, "suppression", "suppresses nothing, or gives no reason: `# house: rule - reason`")
            for at, line in enumerate(lines, 1) if _SUPPRESSION.search(line) and at not in used
        ]
    return kept


def check_text(path: str, text: str) -> list[Finding]:
    """Look for what no file of any kind may hold: it would tie the project to one machine, or give something away."""
    return [
        Finding(path, at, "forbidden", what)
        for at, line in enumerate(text.splitlines(), 1) for what, pattern in FORBIDDEN.items() if re.search(pattern, line)
    ]


def check_tree(root: Path) -> list[Finding]:
    """Check every file that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout
    found: list[Finding] = []
    for path in sorted(set(filter(None, listing.split("\0")))):
        try:
            text = (root / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # an image, or removed but not yet committed
        found += check_text(path, text)
        if path.endswith(".py") and not path.startswith(GENERATED):
            found += check_module(path, text)
    return found


def main() -> int:
    """Print the findings; the status says whether there were any."""
    found = check_tree(Path(__file__).resolve().parents[2])
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"house rules: {len(found)} findings\n" if found else "house rules: kept\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
