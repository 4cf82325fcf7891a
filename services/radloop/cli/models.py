"""`radloop models`: the versions, their stages and evidence; a cycle, a package from elsewhere, a step forward or back."""

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from radloop.cli import drift, packages, teaching
from radloop.cli.cycles import followed, told
from radloop.cli.grpc import ModelVersion, Rooms
from radloop.cli.table import local, table

# In the evidence of a version that retraining took in from outside.
_NO_GATE = "no gate was held"


def add_parser(commands: Any) -> None:
    """Add `models` and its verbs."""
    parser = commands.add_parser(
        "models", help="versions, stages, evidence; start a cycle, promote, roll back",
        description="A version reaches patients only through the gates of change-control.yaml; each stage change leaves a record.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="the versions and their stages")
    listing.add_argument("--evidence", action="store_true", help="what each gate said, sentence by sentence")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(ask=list_)
    cycle = verbs.add_parser("cycle", help="train on the answers so far, gate, release (or show how that stands: --show)")
    cycle.add_argument("--show", action="store_true", help="start nothing; show the latest cycle")
    cycle.add_argument("--wait", action="store_true", help="until it has ended; exit status 0 where a version was released, or"
                       " nothing new was learned (unchanged), else 1")
    cycle.set_defaults(ask=run_cycle)
    adding = verbs.add_parser("add", help="register a package made elsewhere; it begins in shadow")
    adding.add_argument("folder", type=Path, help="a version folder (model.onnx, radloop.yaml, …) or a .tar of one")
    adding.set_defaults(ask=add)
    packages.add_verbs(verbs)
    teaching.add_verbs(verbs)
    drift.add_verb(verbs)
    forward = verbs.add_parser("promote", help="move a version to a stage; refused without a passed gate")
    forward.add_argument("version", type=int)
    forward.add_argument("stage", choices=("shadow", "canary", "production", "retired"))
    forward.set_defaults(ask=promote)
    back = verbs.add_parser("rollback", help="go back to the version before, at once")
    back.set_defaults(ask=rollback)
    adding.add_argument("--model", default="", help="which model (the one that the package names)")
    for verb in (cycle, forward, back):
        verb.add_argument("--model", default="chest", help="which model (%(default)s)")


def list_(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print the versions."""
    found = rooms.models()
    if args.json:
        for one in found:
            print(json.dumps({"model": one.model, "version": one.version, "stage": one.stage, "since": one.since.isoformat(),
                              "labels": one.labels, "gate_passed": one.gate_passed, "evidence": one.evidence,
                              "change_record": one.change_record}))
    elif found:
        print(table(("model", "version", "stage", "since", "labels", "gate", "change record"), [
            (one.model, str(one.version), one.stage, local(one.since)[:19], str(one.labels),
             _gate(one), one.change_record) for one in found
        ]))
        for one in found if args.evidence else ():
            print("\n".join([f"\n{one.model} version {one.version}", *(f"  {sentence}" for sentence in one.evidence)]))
    else:
        print("no model yet; `radloop models add FOLDER` registers one")
    return 0


def _gate(version: ModelVersion) -> str:
    """Say how the gate went: a version that came from elsewhere has been held to none."""
    if version.gate_passed:
        return "passed"
    return "none held yet" if any(_NO_GATE in sentence for sentence in version.evidence) else "not passed"


def run_cycle(rooms: Rooms, args: argparse.Namespace) -> int:
    """Start a cycle, or show how the latest stands."""
    if args.show:
        told(rooms.cycle(model=args.model), args.model)
        return 0
    cycle_id, reason = rooms.start_cycle(args.model, str(uuid.uuid4()))
    if reason:
        print(f"radloop: not started: {reason}", file=sys.stderr)
        return 1
    print(f"cycle {cycle_id} started")
    if not args.wait:
        return 0
    now = followed(rooms, cycle_id, args.model)
    told(now, args.model)
    return 0 if now.state in {"released", "unchanged"} else 1


def add(rooms: Rooms, args: argparse.Namespace) -> int:
    """Register a package."""
    package = packages.packed(args.folder)
    model = args.model or packages.named(package, args.folder)
    before = {(one.model, one.version): one.stage for one in rooms.models()}
    version, reason = rooms.add_model(model, package, str(uuid.uuid4()))
    if reason:
        print(f"radloop: not taken: {reason}", file=sys.stderr)
        return 1
    # The same weights are the same version, however often they are handed over.
    if known := before.get((model, version)):
        print(f"{model} version {version} is there already, in stage {known}; nothing was added")
    else:
        print(f"{model} version {version}, in shadow as soon as it lies in the model repository")
    return 0


def promote(rooms: Rooms, args: argparse.Namespace) -> int:
    """Move a version to a stage."""
    if refused := rooms.promote(args.model, args.version, args.stage, str(uuid.uuid4())):
        print(f"radloop: refused: {refused}", file=sys.stderr)
        return 1
    print(f"{args.model} version {args.version}: {args.stage}")
    return 0


def rollback(rooms: Rooms, args: argparse.Namespace) -> int:
    """Go back to the version before."""
    version, reason = rooms.rollback(args.model, str(uuid.uuid4()))
    if reason:
        print(f"radloop: refused: {reason}", file=sys.stderr)
        return 1
    print(f"{args.model}: version {version} serves again")
    return 0
