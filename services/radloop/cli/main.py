"""`radloop`: one command over all rooms. What it cannot do it says in one sentence, with what to do about it."""

import argparse
import getpass
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Sequence

from radloop.cli import backfill, models, quarantine, replay, status, trace, undo
from radloop.cli.addresses import addresses
from radloop.cli.grpc import Rooms
from radloop.kit.errors import Misconfigured, RadloopError, Transient

_COMMANDS = (status, trace, quarantine, replay, models, backfill, undo)
_EPILOG = """\
examples:
  radloop status                      how every room stands
  radloop trace ACC1001               what happened to one study, from the order to the label
  radloop quarantine list             what could not be taken as it was, and why
  radloop replay --since 2h           send again what was said in the last two hours
  radloop models list                 the versions, their stages and the evidence

Rooms are found through the stack that runs in .radloop (RADLOOP_HOME), or through RADLOOP_ADDRESS_<ROOM>=host:port.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line: the cli's own commands, and the workbench's where it is installed."""
    top = argparse.ArgumentParser(
        prog="radloop", description="Physician-in-the-loop AI for radiology: look into a running radloop, and steer it.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"radloop {importlib.metadata.version('radloop')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    for add in _workbench():
        add(commands)
    return top


def _workbench() -> list[Callable[[object], object]]:
    """Return `add_parser` of each workbench module that has one; none where the workbench is not installed."""
    try:
        bench = importlib.import_module("radloop.workbench")
    except ModuleNotFoundError:
        return []
    found = []
    for module in pkgutil.iter_modules(bench.__path__, "radloop.workbench."):
        spec = importlib.util.find_spec(module.name)
        # Only what offers a command is imported: the rest may need peers that are slow to load.
        if spec and spec.origin and "def add_parser(" in (spec.loader.get_source(module.name) or ""):  # type: ignore[union-attr]
            try:
                found.append(importlib.import_module(module.name).add_parser)
            except ModuleNotFoundError:  # an extra is missing: without [workbench] its commands are not offered
                continue
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 refused or found wanting, 2 wrong usage, 75 try again later, 78 not configured."""
    args = parser().parse_args(arguments)
    try:
        if hasattr(args, "ask"):
            with Rooms(addresses(), actor=f"cli:{getpass.getuser()}") as rooms:
                return int(args.ask(rooms, args))
        return int(args.run(args))
    except Misconfigured as wrong:
        return _sorry(wrong.reason, 78)
    except Transient as away:
        return _sorry(f"{away.reason}; `radloop status` shows what is up, then try again", 75)
    except RadloopError as failed:
        return _sorry(failed.reason, 1)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (OSError, UnicodeError) as wrong:
        where = f" ({wrong.filename})" if isinstance(wrong, OSError) and wrong.filename else ""
        return _sorry(f"{getattr(wrong, 'strerror', None) or 'an argument, or a file that it names, is no text'}{where}", 1)
    except KeyboardInterrupt:
        return 130


def _sorry(sentence: str, status: int) -> int:
    print(f"radloop: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
