"""`radloop models drift`: whether each version still reads what it was made on, and answers as it did."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from radloop.cli.grpc import Rooms
from radloop.cli.judgement import BeforeAndNow, VersionDrift
from radloop.cli.table import table

_HEAD = ("model", "version", "stage", "cases", "finding", "probability", "positive", "PSI", "out of distr.", "distance", "mean")


def add_verb(verbs: Any) -> None:
    """Add the verb."""
    drifting = verbs.add_parser(
        "drift", help="whether each version still reads what it was made on, and answers as it did",
        description="The first live cases of each version that reads against its latest, and its embeddings against its training"
        " snapshot. Lines with ! want somebody's eyes; nothing is changed.",
    )
    drifting.add_argument("--model", default="", help="one model only (all that there are)")
    drifting.add_argument("--json", action="store_true", help="one JSON object a version")
    drifting.set_defaults(ask=drift)


def drift(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print what became of each version."""
    # Whoever has just added a model of another name finds its version here, even if it has read nothing yet.
    models = (args.model,) if args.model else tuple(dict.fromkeys(one.model for one in rooms.models()))
    found = [one for model in models for one in rooms.drift(model)]
    if args.json:
        for one in found:
            print(json.dumps(asdict(one)))
    elif found:
        print(table(_HEAD, [row for one in found for row in _rows(one)]))
        for one in found:
            print(f"\n{one.model} version {one.version}")
            for verdict in one.verdicts:
                print(f"  {'!' if verdict.moved else ' '} {verdict.sentence}")
    else:
        print(f"no version{f' of {args.model}' if args.model else ''} reads studies; `radloop models list` shows those there are")
    return 0


def _rows(one: VersionDrift) -> Iterator[tuple[str, ...]]:
    """Yield a row for each finding, the version's own figures on the first."""
    own = (one.model, str(one.version), one.stage, str(one.cases))
    lies = one.embedding
    where = (f"{lies.median_ratio:.2f} times", f"{lies.mean_shift:.2f}") if lies is not None else ("-", "-")
    seen = (_moved(one.out_of_distribution, ".0%"), *where)
    if not one.findings:
        yield (*own, "-", "-", "-", "-", *seen)
    for place, finding in enumerate(one.findings):
        said = (finding.finding, _moved(finding.probability, ".2f"), _moved(finding.positive, ".0%"), f"{finding.psi:.2f}")
        yield (*own, *said, *seen) if not place else ("", "", "", "", *said, "", "", "")


def _moved(pair: BeforeAndNow | None, form: str) -> str:
    return f"{pair.before:{form}} → {pair.now:{form}}" if pair is not None else "-"
