"""The hospital's own HL7 v2.5.1: what its RIS sends and answers.

Written here by hand and not with the product's own writers: the far end of a wire must not share the code it checks.
Segments end in a carriage return; times carry an offset of UTC.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from radloop.workbench.hospital.orders import PROCEDURE, Order
from radloop.workbench.hospital.patients import Child

PNEUMONIA = ("233604007", "Pneumonia", "SCT")
PRESENT = ("52101004", "Present", "SCT")
ABSENT = ("2667000", "Absent", "SCT")
_SPECIAL = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


@dataclass(frozen=True)
class Envelope:
    """What every message of one sender carries: applications, facilities, processing id (MSH-3 to 6, 11)."""

    application: str = "SIMRIS"
    facility: str = "SIMHOSP"
    to_application: str = "RADLOOP"
    to_facility: str = "SIMHOSP"
    processing: str = "P"

    def header(self, kind: str, control: str, at: datetime) -> str:
        """Return the MSH segment of a message of this type, e.g. ``ORM^O01^ORM_O01``."""
        return "|".join(
            (
                "MSH",
                "^~\\&",
                self.application,
                self.facility,
                self.to_application,
                self.to_facility,
                stamp(at),
                "",
                kind,
                control,
                self.processing,
                "2.5.1",
                "",
                "",
                "",
                "",
                "",
                "UNICODE UTF-8",
            ),
        )


def stamp(at: datetime) -> str:
    """Return an instant as HL7 writes it (TS), with its offset."""
    return at.strftime("%Y%m%d%H%M%S%z")


def escape(text: str) -> str:
    """Escape the delimiters (HL7 v2.5.1, 2.7)."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def order_message(order: Order, control: str, at: datetime, envelope: Envelope, code: str = "NW") -> bytes:
    """Return ORM^O01 for a new order (NW), a change (XO) or a cancel (CA); accession in OBR-18, Study UID in ZDS-1."""
    status = "CA" if code == "CA" else "SC"
    placed = stamp(order.placed)
    obr = _fields(
        "OBR",
        {
            1: "1",
            2: order.placer,
            3: order.filler,
            4: f"{PROCEDURE[0]}^{PROCEDURE[1]}^SIMHOSP",
            5: order.priority,
            6: placed,
            18: order.accession,
            24: "DX",
            27: f"^^^{placed}^^{order.priority}",
            31: f"^{escape(order.indication)}",
        },
    )
    orc = _fields(
        "ORC", {1: code, 2: order.placer, 3: order.filler, 5: status, 7: f"^^^{placed}^^{order.priority}", 9: placed}
    )
    tq1 = _fields("TQ1", {1: "1", 7: placed, 9: order.priority})
    zds = f"ZDS|{order.study_uid}^RADLOOP^Application^DICOM"
    return _message(envelope.header("ORM^O01^ORM_O01", control, at), *_patient(order.patient), orc, tq1, obr, zds)


def report_message(
    order: Order, present: bool | None, signer: str, control: str, at: datetime, envelope: Envelope
) -> bytes:
    """Return ORU^R01 of a final report (OBR-25 F) with its finding as a coded OBX; None says that the report states none."""
    obr = _fields(
        "OBR",
        {
            1: "1",
            2: order.placer,
            3: order.filler,
            4: f"{PROCEDURE[0]}^{PROCEDURE[1]}^SIMHOSP",
            7: stamp(order.placed),
            18: order.accession,
            22: stamp(at),
            24: "DX",
            25: "F",
            32: f"{signer}&Reader&{signer}",
        },
    )
    orc = _fields("ORC", {1: "RE", 2: order.placer, 3: order.filler, 5: "CM"})
    segments = [orc, obr]
    if present is not None:
        answer = PRESENT if present else ABSENT
        segments.append(
            _fields(
                "OBX",
                {
                    1: "1",
                    2: "CWE",
                    3: "^".join(PNEUMONIA),
                    5: "^".join(answer),
                    8: "A" if present else "N",
                    11: "F",
                    14: stamp(at),
                    16: signer,
                },
            )
        )
    segments.append(f"ZDS|{order.study_uid}^RADLOOP^Application^DICOM")
    return _message(envelope.header("ORU^R01^ORU_R01", control, at), *_patient(order.patient), *segments)


def update_message(child: Child, control: str, at: datetime, envelope: Envelope) -> bytes:
    """Return ADT^A08: the patient's particulars as they are now."""
    return _message(envelope.header("ADT^A08^ADT_A01", control, at), f"EVN|A08|{stamp(at)}", *_patient(child))


def answer_message(heard: Mapping[str, str], accepted: bool, control: str, at: datetime, envelope: Envelope) -> bytes:
    """Return ORR^O02 to a priority change: ORC-1 is XR (changed) or UX (unable to change); MSA-2 names what it answers."""
    msa = f"MSA|AA|{heard['MSH-10']}"
    orc = _fields("ORC", {1: "XR" if accepted else "UX", 2: heard.get("ORC-2", ""), 3: heard.get("ORC-3", "")})
    return _message(envelope.header("ORR^O02^ORR_O02", control, at), msa, orc)


def refusal_message(
    heard: Mapping[str, str], code: str, reason: str, control: str, at: datetime, envelope: Envelope
) -> bytes:
    """Return a bare ACK with AE or AR and the reason."""
    return _message(envelope.header("ACK", control, at), f"MSA|{code}|{heard.get('MSH-10', '')}|{escape(reason)}")


def read(message: bytes) -> dict[str, str]:
    """Return the fields of a message as ``{"ORC-1": …}``, the first of each segment; MSH counts its separator as field 1."""
    found: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", message.decode("utf-8", "replace")):
        fields = line.split("|")
        offset = 1 if fields[0] == "MSH" else 0
        for number, value in enumerate(fields[1:], start=1 + offset):
            found.setdefault(f"{fields[0]}-{number}", value)
    return found


def _patient(child: Child) -> tuple[str, str]:
    pid = _fields(
        "PID",
        {
            1: "1",
            3: f"{child.mrn}^^^{child.issuer}^MR",
            5: f"{escape(child.family)}^{escape(child.given)}",
            7: child.birth_date.strftime("%Y%m%d"),
            8: child.sex,
        },
    )
    return pid, "PV1|1|O"


def _fields(name: str, values: Mapping[int, str]) -> str:
    return "|".join([name, *(values.get(i, "") for i in range(1, max(values) + 1))])


def _message(*segments: str) -> bytes:
    return "".join(f"{segment}\r" for segment in _present(segments)).encode()


def _present(segments: Sequence[str]) -> Sequence[str]:
    return [segment for segment in segments if segment]
