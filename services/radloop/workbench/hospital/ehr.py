"""The hospital's EHR: a FHIR server that we did not write, started, filled and counted from outside.

`sekmet-fhir` answers orders by itself within two seconds unless its simulator is off, so its settings switch that off.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml

from radloop.kit.errors import Misconfigured
from radloop.standards.codes import AI_RESULTS, CHEST_RADIOGRAPH, DICOM_DCM, PRIORITY_OF_HL7
from radloop.standards.fhir.results import concept, identifier, instant
from radloop.standards.fhir.values import Identifier, resource_id, study_identifier, system_of
from radloop.workbench.hospital.orders import Order

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
PAGE: Final = 100
_GENDERS: Final = {"F": "female", "M": "male", "O": "other"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """One report of ours as the EHR has it: how many versions it went through, and the resource itself."""

    id: str
    status: str
    versions: int
    resource: Json


class Server:
    """A running sekmet: its process, and the address of its FHIR base."""

    def __init__(self, folder: Path, port: int, host: str = "127.0.0.1") -> None:
        """Nothing runs yet; others find it under this host and port."""
        self.base_url = f"http://{host}:{port}/fhir"
        self._folder, self._port, self._host = folder, port, host
        self._pid_file = folder / "pid"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path, port: int = 0, host: str = "127.0.0.1") -> Self:
        """Start with its state in a folder and wait until it answers; raise Misconfigured where it does not."""
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder, port or _free_port(), host)
        try:
            server.start_again()
        except OSError as wrong:  # TimeoutError is one of these
            raise Misconfigured(f"the hospital's own EHR does not start: {wrong}") from wrong
        return server

    @property
    def pid(self) -> int:
        """Return the process id, 0 where nothing runs."""
        return self._process.pid if self._process else 0

    def start_again(self) -> None:
        """Start on the same port, with the state that is there, and wait until it answers. Raises TimeoutError, OSError."""
        folder = self._folder
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump({
            "base_url": self.base_url, "host": self._host, "port": self._port, "data_dir": str(folder / "data"),
            "own_private_key_path": str(folder / "private.pem"), "log_inbound": False,
            "simulator": {"enabled": False, "auto": []},
        }))
        command = [str(Path(sys.executable).with_name("sekmet")), "serve", "--config", str(settings),
                   "--host", self._host, "--port", str(self._port)]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "SEKMET_CONFIG": str(settings)},
            )
        self._pid_file.write_text(str(self._process.pid))
        self._await(self._process)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise OSError(f"the EHR ended with status {process.returncode}; see its log")
            try:
                if httpx.get(f"{self.base_url}/metadata", timeout=2).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        self.stop()
        raise TimeoutError(f"the EHR did not answer within {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """End it; killed where it does not end by itself."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._pid_file.unlink(missing_ok=True)


class Chart:
    """The EHR as its own hospital uses it: to file patients, orders and studies, and to look up results."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=self.base_url, timeout=30, headers={"Accept": "application/fhir+json"})

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def file_order(self, order: Order) -> None:
        """File the patient (once) and the order."""
        patient = self._once("Patient", patient_of(order))
        self._once("ServiceRequest", request_of(order, patient))

    def file_study(self, order: Order) -> None:
        """File the study of an order that is on file."""
        patient = self._once("Patient", patient_of(order))
        request = self._once("ServiceRequest", request_of(order, patient))
        self._once("ImagingStudy", study_of(order, patient, request))

    def fill(self, orders: Iterable[Order]) -> None:
        """File orders with their patients and studies."""
        for order in orders:
            self.file_study(order)

    def reports(self) -> tuple[Published, ...]:
        """Return every report that carries the code of AI results."""
        found = self._all("DiagnosticReport", {"code": f"{AI_RESULTS.system}|{AI_RESULTS.value}"})
        return tuple(self._published(report) for report in found)

    def report(self, case: str) -> Published | None:
        """Return the report of one case, None where there is none."""
        answer = self._http.get(f"/DiagnosticReport/{resource_id(case, 'report')}")
        return self._published(answer.json()) if answer.is_success else None

    def has_report(self, case: str) -> bool:
        """Say whether the report of one case is there, in the one request that this takes."""
        return self._http.get(f"/DiagnosticReport/{resource_id(case, 'report')}").is_success

    def of_case(self, case: str) -> tuple[Published, ...]:
        """Return every report of ours that a case has, however it came there: more than one is published twice."""
        query = {"identifier": f"urn:radloop:resource|{resource_id(case, 'report')}"}
        return tuple(self._published(report) for report in self._all("DiagnosticReport", query))

    def collection(self) -> Json:
        """Gather our reports and all that they refer to, level by level, as one Bundle for a validator."""
        have: dict[str, Json] = {}
        waiting = [f"DiagnosticReport/{report.id}" for report in self.reports()]
        for name in list(waiting):
            waiting += [f"Provenance/{one['id']}" for one in self._all("Provenance", {"target": name})]
        while waiting:
            name = waiting.pop()
            if name in have:
                continue
            answer = self._http.get(f"/{name}")
            if answer.is_success:
                have[name] = answer.json()
                waiting += _referred(have[name])
        entries = [{"fullUrl": f"{self.base_url}/{name}", "resource": have[name]} for name in sorted(have)]
        # An empty array is no FHIR (R4, 2.6.2): what has no values is left out.
        return {"resourceType": "Bundle", "type": "collection", **({"entry": entries} if entries else {})}

    def _published(self, report: Json) -> Published:
        history = self._http.get(f"/DiagnosticReport/{report['id']}/_history", params={"_count": 1}).raise_for_status()
        return Published(report["id"], report["status"], int(history.json()["total"]), report)

    def _all(self, kind: str, query: dict[str, str]) -> list[Json]:
        found: list[Json] = []
        url, params = f"/{kind}", {**query, "_count": str(PAGE)}
        while url:
            bundle = self._http.get(url, params=params or None).raise_for_status().json()
            found += [entry["resource"] for entry in bundle.get("entry", []) if entry["resource"]["resourceType"] == kind]
            url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), "")
            params = {}
        return found

    def _once(self, kind: str, resource: Json) -> str:
        """Create unless its first identifier is known; return its id."""
        first = resource["identifier"][0]
        answer = self._http.post(
            f"/{kind}", json=resource,
            headers={"If-None-Exist": str(httpx.QueryParams({"identifier": f"{first['system']}|{first['value']}"}))},
        ).raise_for_status()
        return str(answer.json()["id"])


def patient_of(order: Order) -> Json:
    """Write the patient as the EHR files them."""
    child = order.patient
    return {
        "resourceType": "Patient",
        "identifier": [identifier(Identifier(system_of(child.issuer, {}), child.mrn, "MR"))],
        "active": True,
        "name": [{"family": child.family, "given": [child.given]}],
        "gender": _GENDERS.get(child.sex, "unknown"),
        "birthDate": child.birth_date.isoformat(),
    }


def request_of(order: Order, patient: str) -> Json:
    """Write the order as the EHR files it."""
    system = system_of(order.patient.issuer, {})
    numbers = ((order.accession, "ACSN"), (order.placer, "PLAC"), (order.filler, "FILL"))
    return {
        "resourceType": "ServiceRequest",
        "identifier": [identifier(Identifier(system, value, kind)) for value, kind in numbers],
        "status": "active",
        "intent": "order",
        "priority": PRIORITY_OF_HL7[order.priority],
        "code": concept(CHEST_RADIOGRAPH),
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": instant(order.placed),
        "reasonCode": [{"text": order.indication}],
    }


def study_of(order: Order, patient: str, request: str) -> Json:
    """Write the study as the EHR files it."""
    accession = Identifier(system_of(order.patient.issuer, {}), order.accession, "ACSN")
    return {
        "resourceType": "ImagingStudy",
        "identifier": [identifier(study_identifier(order.study_uid)), identifier(accession)],
        "status": "available",
        "modality": [{"system": DICOM_DCM, "code": "DX"}],
        "subject": {"reference": f"Patient/{patient}"},
        "basedOn": [{"reference": f"ServiceRequest/{request}"}],
        "started": instant(order.placed),
    }


def _referred(resource: Any) -> list[str]:
    if isinstance(resource, dict):
        own = resource.get("reference")
        here = ["/".join(own.split("/")[-2:])] if isinstance(own, str) else []
        return here + [name for value in resource.values() for name in _referred(value)]
    return [name for value in resource for name in _referred(value)] if isinstance(resource, list) else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
