"""`radloop trace ACCESSION`: what ran on this study, when, on which weights, who saw it, what they did, what it taught."""

import argparse
import json
import sys
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import groupby
from typing import Any

from radloop.cli.grpc import Fact, Rooms
from radloop.cli.story import Because, Weights, is_news, sentence, weights_in
from radloop.cli.table import local
from radloop.kit.errors import Permanent, RadloopError


def add_parser(commands: Any) -> None:
    """Add `trace`."""
    parser = commands.add_parser(
        "trace", help="what happened to one study, from the order to the label",
        description="Asks every room for its stored facts of the case, merges them by time and tells them as a story."
        " No names, no identifiers of patients are shown.",
    )
    parser.add_argument("accession", help="the accession number, or a case id")
    parser.add_argument("--all", action="store_true", help="what was heard and went its usual way too")
    parser.add_argument("--json", action="store_true", help="one JSON object a fact, a line each")
    parser.set_defaults(ask=ask)


def cases_of(rooms: Rooms, accession: str) -> tuple[str, ...]:
    """Return the cases an accession number names, or the case itself; raise Permanent where there is none."""
    try:
        return (str(uuid.UUID(accession)),)
    except ValueError:
        pass
    if not accession.strip():
        raise Permanent("name an accession number or a case id")
    found = rooms.resolve(accession)
    if not found:
        raise Permanent("no case has this accession number; `radloop quarantine list --room ingestion` shows what was not taken")
    return found


def ask(rooms: Rooms, args: argparse.Namespace) -> int:
    """Tell the story of each case; 1 where a room did not answer, so that something may be missing."""
    status = 0
    for case in cases_of(rooms, args.accession):
        facts, silent = gather(rooms, case)
        status |= bool(silent)
        for why in silent:
            print(f"radloop: {why}; its part of the story is missing", file=sys.stderr)
        if args.json:
            for fact in facts:
                print(json.dumps({**asdict(fact), "at": fact.at.isoformat(), "case": case,
                                  "facts": json.loads(fact.facts) if fact.facts else None}))
        else:
            print("\n".join(told(case, facts, _weights(rooms, facts), everything=args.all)))
    return status


def gather(rooms: Rooms, case: str) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """Return every room's facts of a case, oldest first, and a sentence for each room that did not answer."""
    def of(room: str) -> tuple[tuple[Fact, ...], str]:
        try:
            return rooms.trace(room, case), ""
        except RadloopError as away:
            return (), away.reason

    with ThreadPoolExecutor(len(rooms.names)) as pool:
        answers = list(pool.map(of, rooms.names))
    facts = sorted((fact for found, _ in answers for fact in found), key=lambda fact: fact.at)
    return tuple(facts), tuple(why for _, why in answers if why)


def told(case: str, facts: tuple[Fact, ...], weights: Weights, *, everything: bool = False) -> Iterable[str]:
    """Yield the story's lines: a head, then a line for each fact, days apart by a line of their own."""
    shown = [fact for fact in facts if everything or is_news(fact)]
    traces = {fact.trace_id for fact in facts if fact.trace_id}
    yield f"case {case}: {len(facts)} facts from {len({fact.room for fact in facts})} rooms, {len(traces)} traces" + (
        "" if everything else f" ({len(facts) - len(shown)} of them routine: --all)")
    because = Because(facts)
    wide = max((len(fact.room) for fact in shown), default=0)
    for day, of_day in groupby(shown, key=lambda fact: local(fact.at)[:10]):
        yield day
        for fact in of_day:
            yield f"  {local(fact.at)[11:]}  {fact.room.ljust(wide)}  {sentence(fact, weights, because)}"


def _weights(rooms: Rooms, facts: tuple[Fact, ...]) -> Weights:
    """Ask retraining which weights the versions had that the story names; nothing where it does not answer."""
    said = [json.loads(fact.facts) for fact in facts if fact.what.startswith("prediction-") and fact.facts]
    models = {one.get("prediction", one).get("model", "") for one in said} - {""}
    found: dict[tuple[str, int], str] = {}
    for model in sorted(models):
        try:
            found |= weights_in(rooms.trace("retraining", model))
        except RadloopError:
            continue
    return found
