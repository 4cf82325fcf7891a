"""The stage of a drill: a stack with a version that serves, the hospital's EHR and RIS behind proxies, doors for everybody."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

import httpx
import numpy as np

from radloop.kit.clock import SystemClock
from radloop.workbench.drill.far_end import FarEnd
from radloop.workbench.drill.kafkas import Apache
from radloop.workbench.drill.settings import LABELS, SIZES, settings
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.report import Listener, nobody
from radloop.workbench.embedded.stack import Stack
from radloop.workbench.grpc import Rooms
from radloop.workbench.hospital.backfill import Archive
from radloop.workbench.hospital.books import Books, enrol
from radloop.workbench.hospital.cohort import Cohort, draw
from radloop.workbench.hospital.ehr import Chart, Server
from radloop.workbench.hospital.messages import Envelope
from radloop.workbench.hospital.readers import CONSENSUS, Radiologist
from radloop.workbench.hospital.reading_room import Desk, ReadingRoom
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sources import Pixels, Source, open_source
from radloop.workbench.play.loop import Doors, Loop, prepared
from radloop.workbench.telling import Teller
from radloop.workbench.workshop import MODEL, first_package, package_tar

Kind = Literal["embedded", "apache", "three"]
_DISK_MB = 512
_ROOMS = ("ingestion", "inference", "triage", "retraining", "worklist", "publishing")


@dataclass(frozen=True)
class Stage:
    """All that a drill acts upon and looks at."""

    stack: Stack
    kafka: Apache | None
    ehr: Server
    chart: Chart
    ehr_line: FarEnd
    ris: Ris
    ris_line: FarEnd
    rooms: Rooms
    doors: Doors
    loop: Loop
    images: tuple[Pixels, ...]

    @property
    def dsn(self) -> str:
        """Return where the rooms keep what they know."""
        return self.stack.address("postgres")


def set_up(
    home: Path, kafka: Kind, seed: int, teller: Teller, closing: ExitStack, listener: Listener = nobody, *, disk: bool = False,
) -> Stage:
    """Start everything and return once a version serves; `closing` stops it again. `disk` gives the images a small one of their own."""
    source = open_source(None, seed)
    cohort = draw(source, seed, SIZES)
    books = enrol(seed, cohort, SystemClock().now())
    with ThreadPoolExecutor(1) as pool:
        package = pool.submit(_package, source, cohort, seed, home / "workshop")
        ris = closing.enter_context(Ris(seed=seed, refuses=0.0))
        server = Server.start(home / "ehr")
        closing.callback(server.stop)
        ehr_line = closing.enter_context(FarEnd(("127.0.0.1", _port(server.base_url))))
        ris_line = closing.enter_context(FarEnd(("127.0.0.1", ris.port)))
        apache = _apache(home, kafka, closing)
        if disk:
            _own_disk(home / "blobs", closing)
        told = settings(home, f"http://127.0.0.1:{ehr_line.port}/fhir", f"127.0.0.1:{ris_line.port}")
        stack = Stack(home, Options(usual_ports=False, settings=told, kafka=apache.bootstrap if apache else ""))
        closing.callback(stack.stop)
        stack.start(listener)
        teller.part("the first model is made")
        made = package.result()
    rooms = closing.enter_context(Rooms({room: stack.address(room) for room in _ROOMS}))
    doors = Doors.at(stack.address)
    loop = _loop(doors, rooms, books, source, seed, teller, closing)
    _release(loop, rooms, package_tar(made), seed, teller)
    chart = Chart(server.base_url)
    closing.callback(chart.close)
    images = tuple(source.pixels(one.image) for one in cohort.morning)
    return Stage(stack, apache, server, chart, ehr_line, ris, ris_line, rooms, doors, loop, images)


def _package(source: Source, cohort: Cohort, seed: int, folder: Path) -> Path:
    images = prepared(source, cohort.seeds)
    labels = np.array([one.positive for one in cohort.seeds])
    people = [f"seed-{place}" for place in range(len(labels))]
    return first_package(images, labels, people, seed, folder, trained_at=SystemClock().now().isoformat())


def _own_disk(folder: Path, closing: ExitStack) -> None:
    """Mount memory over a folder, so that it can be full; where that takes rights we have not, it stays as it is."""
    folder.mkdir()
    if os.geteuid() == 0:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "radloop-drill", str(folder)], capture_output=True, check=False,
        )
        if mounted.returncode == 0:
            closing.callback(subprocess.run, ["umount", "--lazy", str(folder)], capture_output=True, check=False)


def _apache(home: Path, kafka: Kind, closing: ExitStack) -> Apache | None:
    if kafka == "embedded":
        return None
    apache = Apache.start(home / "apache-kafka", 1 if kafka == "apache" else 3)
    closing.callback(apache.stop)
    return apache


def _loop(
    doors: Doors, rooms: Rooms, books: Books, source: Source, seed: int, teller: Teller, closing: ExitStack,
) -> Loop:
    reader = Radiologist("reader-1", seed, books.truth, CONSENSUS)
    page = closing.enter_context(ReadingRoom(doors.page))
    host, _, port = doors.mllp.rpartition(":")
    archive = Archive(source, reader, (host, int(port)), Envelope(), SystemClock())
    return Loop(rooms, doors, books, source, [Desk(reader, page)], archive, SystemClock(), teller, seed)


def _release(loop: Loop, rooms: Rooms, package: bytes, seed: int, teller: Teller) -> None:
    """Bring a version through the gate of the drill's plan: the archive is read, readers answer, a cycle learns."""
    first = rooms.add_model(MODEL, package, str(uuid5(NAMESPACE_OID, f"drill|{seed}|first model")))
    with teller.stage("the archive is handed over and read"):
        loop.until(lambda: any(one[0] == first and one[2] for one in rooms.loaded()), 120, "the first model loads")
        loop.backfill()
    with teller.stage("readers answer"):
        loop.labelling_round(LABELS)
    with teller.stage("a cycle learns, and its version passes the gate"):
        loop.cycle("first")
        loop.until(lambda: loop.serving() > first, 120, "a version serves")


def _port(url: str) -> int:
    return httpx.URL(url).port or 80


