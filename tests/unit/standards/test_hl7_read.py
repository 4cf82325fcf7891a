"""Reading HL7 v2: what the hospital sends is understood, or refused with a code and a place."""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.model import (
    Identity,
    Message,
    Order,
    OrderMessage,
    Origin,
    PatientMessage,
    ReportMessage,
)
from radloop.standards.hl7.read import read, read_header

ORIGIN = Origin("site-1", issuer="HOSP")

ORDER = (
    "MSH|^~\\&|RIS|GEN|RADLOOP|GEN|20260102030405+0100||ORM^O01^ORM_O01|M1|P|2.5.1||||||UNICODE UTF-8"
    "\r"
    "PID|1||4711^^^HOSP^MR~99^^^GOV^SS||Müller&von^Äda||20200315|F\r"
    "ORC|NW|P1^RIS|F1^RIS||SC||1^^^^^R||20260102030000\r"
    "TQ1|1||||||||S^STAT^HL70485\r"
    "OBR|1|P1^RIS|F1^RIS|36643-5^XR Chest^LN|||||||||old\\T\\new|||||ACC1||||||DX|||1^^^^^R||||^cough \\F\\ fever"
    "\r"
    "ZDS|1.2.3^^Application^DICOM\r"
)
REPORT = (
    "MSH|^~\\&|RIS|GEN|RADLOOP|GEN|20260102030405||ORU^R01|M2|P|2.3.1"
    "\r"
    "PID|||4711^^^HOSP||Muller^Ada\r"
    "OBR|1|P1|F1|36643-5^XR Chest^LN||||||||||||||ACC1||||20260102040000+0000|||F|||||||R7&Doe\r"
    "OBX|1|CWE|233604007^Pneumonia^SCT||52101004^Present^SCT||||||F\r"
    "OBX|2|CE|60046008^Effusion^SCT||N^No^HL70136||||||F\r"
    "OBX|3|TX|18748-4^Report^LN||Opacity in the right lower lobe.||||||F\r"
)
MERGE = "MSH|^~\\&|ADT|GEN|||20260102||ADT^A40|M3|P|2.4\rPID|||NEW^^^HOSP||A^B\rMRG|OLD^^^HOSP\r"


def taken(text: str) -> Message:
    """Read text as a sender's UTF-8 bytes."""
    return read(text.encode(), ORIGIN)


def refused(raw: str | bytes) -> Hl7Error:
    """Read what must be refused; return the error."""
    with pytest.raises(Hl7Error) as caught:
        read(raw if isinstance(raw, bytes) else raw.encode(), ORIGIN)
    return caught.value


def test_an_order_says_who_what_and_how_soon() -> None:
    """Every field that later work needs is read from an ORM^O01."""
    message = taken(ORDER)
    assert isinstance(message, OrderMessage)
    (order,) = message.orders
    assert message.patient.id == Identity("site-1", "HOSP", "4711")
    assert message.patient.identities == (message.patient.id,)
    assert (message.patient.family, message.patient.given) == ("Müller", "Äda")
    assert (message.patient.birth_date, message.patient.sex) == ("2020-03-15", "F")
    assert (order.control, order.priority, order.modality, order.study_uid) == ("new", "stat", "DX", "1.2.3")
    assert (order.placer, order.filler) == (Identity("site-1", "RIS", "P1"), Identity("site-1", "RIS", "F1"))
    assert order.accession == Identity("site-1", "", "ACC1")
    assert (order.procedure.system, order.procedure.value) == ("http://loinc.org", "36643-5")
    assert order.indication == "cough | fever"
    assert order.placed_at == datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    assert message.header.at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\n"])
def test_any_line_end_is_understood(end: str) -> None:
    """CR, LF, both, or blank lines between segments give the same message."""
    assert taken(ORDER.replace("\r", end)) == taken(ORDER)


def test_odd_delimiters_are_honoured() -> None:
    """MSH-1 and MSH-2 say what separates; nothing is taken for granted."""
    odd = ORDER.translate(str.maketrans({"|": "#", "^": "@", "~": "*", "&": "%", "\\": "!"}))
    message = taken(odd.replace("MSH#@*!%", "MSH#@*!%", 1))
    assert isinstance(message, OrderMessage)
    assert message.patient.family == "Müller"
    assert message.orders[0].indication == "cough # fever"


@pytest.mark.parametrize(
    ("declared", "codec"), [("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("8859/15", "iso8859_15")]
)
def test_the_declared_character_set_is_honoured(declared: str, codec: str) -> None:
    """A name with umlauts arrives as it was written, whatever the declared set."""
    message = read(ORDER.replace("UNICODE UTF-8", declared).encode(codec), ORIGIN)
    assert isinstance(message, OrderMessage)
    assert message.patient.given == "Äda"


def test_bytes_that_contradict_their_set_are_refused() -> None:
    """Declared UTF-8 that is not UTF-8 is an error at MSH-18, never a garbled name."""
    error = refused(ORDER.encode("latin-1"))
    assert (error.code, str(error.at)) == ("102", "MSH-18")


@pytest.mark.parametrize(
    ("code", "control"), [("NW", "new"), ("XO", "changed"), ("CA", "cancelled"), ("DC", "cancelled")]
)
def test_order_control_is_what_it_does(code: str, control: str) -> None:
    """New, changed and cancelled are told apart by ORC-1."""
    message = taken(ORDER.replace("ORC|NW", f"ORC|{code}"))
    assert isinstance(message, OrderMessage)
    assert message.orders[0].control == control
    assert (message.orders[0].status == "cancelled") == (control == "cancelled")


@pytest.mark.parametrize(
    ("without", "priority"),
    [("", "stat"), ("TQ1", "asap"), ("TQ1 ORC", "routine")],
)
def test_priority_is_where_the_version_puts_it(without: str, priority: str) -> None:
    """TQ1-9 speaks first, then ORC-7.6, then OBR-27.6."""
    text = ORDER.replace("SC||1^^^^^R", "SC||1^^^^^A")
    if "TQ1" in without:
        text = "\r".join(line for line in text.split("\r") if not line.startswith("TQ1"))
    if "ORC" in without:
        text = text.replace("SC||1^^^^^A", "SC||")
    message = taken(text)
    assert isinstance(message, OrderMessage)
    assert message.orders[0].priority == priority


@pytest.mark.parametrize(
    ("code", "priority"),
    [
        ("S", "stat"), ("EMERGENCY", "stat"), ("A", "asap"), ("UR", "asap"), ("T", "asap"), ("TM30", "asap"), ("TH2", "asap"),
        ("TD3", "routine"), ("TL6", "routine"), ("R", "routine"), ("P", "routine"), ("C", "routine"), ("PRN", "routine"),
        ("r", "routine"), ("2^Urgent^LOCAL", "asap"), ("2^zwei^LOCAL^S^STAT^HL70485", "stat"), ("R~S", "stat"),
    ],
)
def test_a_defined_priority_is_one_of_three_classes(code: str, priority: str) -> None:
    """HL7 table 0485, in any of a coded field's places; of several the most urgent."""
    order = first_order(ORDER.replace("S^STAT^HL70485", code))
    assert (order.priority, order.undefined) == (priority, None)


@pytest.mark.parametrize(
    ("coded", "orc", "priority"),
    [("9", "R", "asap"), ("9", "A", "asap"), ("9", "S", "stat"), ("9^nine^LOCAL", "", "asap"), ("R~9", "R", "asap")],
)
def test_an_undefined_priority_is_never_taken_as_less_than_it_may_be_meant(coded: str, orc: str, priority: str) -> None:
    """ASAP, or what another place says where that is more urgent; never STAT of our own making, and its place is told."""
    order = first_order(ORDER.replace("S^STAT^HL70485", coded).replace("SC||1^^^^^R", f"SC||1^^^^^{orc}"))
    assert (order.priority, str(order.undefined)) == (priority, "TQ1-9")


def test_no_priority_at_all_is_none() -> None:
    """Unsaid is not undefined."""
    order = first_order(ORDER.replace("S^STAT^HL70485", '""').replace("1^^^^^R", ""))
    assert (order.priority, order.undefined) == ("", None)


def test_a_sites_own_priorities_come_first() -> None:
    """Given as data, also where the standard has another meaning for the code."""
    origin = replace(ORIGIN, priorities=(("9", "routine"), ("S", "asap")))
    for code, priority in (("9", "routine"), ("S", "asap"), ("A", "asap")):
        message = read(ORDER.replace("S^STAT^HL70485", code).encode(), origin)
        assert isinstance(message, OrderMessage)
        assert (message.orders[0].priority, message.orders[0].undefined) == (priority, None)


def first_order(text: str) -> Order:
    """Read the only order of a message."""
    message = taken(text)
    assert isinstance(message, OrderMessage)
    return message.orders[0]


def test_an_imaging_order_names_its_study_in_ipc() -> None:
    """OMI^O23 carries accession number, study UID and modality in IPC."""
    text = ORDER.replace("ORM^O01^ORM_O01", "OMI^O23^OMI_O23").replace("|||||ACC1||||||DX", "|||||||||||")
    text = text.replace("ZDS|1.2.3^^Application^DICOM", "IPC|ACC9^PACS|RP1|1.2.9|SPS1|CT")
    message = taken(text)
    assert isinstance(message, OrderMessage)
    (order,) = message.orders
    assert order.accession == Identity("site-1", "PACS", "ACC9")
    assert (order.study_uid, order.modality) == ("1.2.9", "CT")


def test_a_final_report_states_its_findings_in_code() -> None:
    """Present and absent are read from coded OBX; prose is text, never a finding."""
    message = taken(REPORT)
    assert isinstance(message, ReportMessage)
    (report,) = message.reports
    assert report.final
    assert report.signer == "R7"
    assert report.signed_at == datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
    assert [(o.code.value, o.value) for o in report.observations] == [("233604007", "present"), ("60046008", "absent")]
    assert report.observations[0].code.system == "http://snomed.info/sct"
    assert report.text == "Opacity in the right lower lobe."
    preliminary = taken(REPORT.replace("|||F|||||||R7", "|||P|||||||R7"))
    assert isinstance(preliminary, ReportMessage)
    assert not preliminary.reports[0].final


def test_a_merge_names_who_is_retired() -> None:
    """ADT^A40 pairs each surviving patient with the identities it retires."""
    message = taken(MERGE)
    assert isinstance(message, PatientMessage)
    (update,) = message.updates
    assert update.patient.id.value == "NEW"
    assert [identity.value for identity in update.retired] == ["OLD"]


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        ("", "100", "MSH"),
        ("hello", "100", "MSH"),
        ("MSH|^~\\&", "101", "MSH-9"),
        (ORDER.replace("|M1|", "||"), "101", "MSH-10"),
        (ORDER.replace("|P|2.5.1", "||2.5.1"), "101", "MSH-11"),
        (ORDER.replace("|2.5.1|", "|3.0|"), "203", "MSH-12"),
        (ORDER.replace("ORM^O01", "ZZZ^Z99"), "200", "MSH-9"),
        (ORDER.replace("ORM^O01", "ORM^O99"), "201", "MSH-9"),
        (ORDER.replace("UNICODE UTF-8", "KLINGON"), "103", "MSH-18"),
        (ORDER.partition("PID")[0], "100", "PID"),
        (ORDER.partition("ORC")[0], "100", "ORC"),
        (ORDER.partition("OBR")[0], "100", "OBR"),
        (ORDER.partition("|||||ACC1")[0], "101", "OBR-18"),
        (ORDER.replace("ORC|NW", "ORC|QQ"), "103", "ORC-1"),
        (ORDER.replace("ORC|NW", "ORC|"), "101", "ORC-1"),
        (ORDER.replace("4711^^^HOSP^MR", ""), "101", "PID-3"),
        (REPORT.replace("|||F|||||||R7", "||||||||||R7"), "101", "OBR-25"),
        (MERGE.partition("MRG")[0], "101", "MRG-1"),
        ("MSH|^^^^|||||", "102", "MSH-2"),
    ],
)
def test_a_bad_message_is_refused_with_code_and_place(raw: str, code: str, place: str) -> None:
    """The error carries the code of table 0357 and the place that an ERR segment needs, and no value of the message."""
    error = refused(raw)
    assert (error.code, str(error.at)) == (code, place)
    assert error.rejected == (code in {"200", "201", "202", "203"})
    assert "4711" not in str(error)


def test_unknown_segments_do_not_matter() -> None:
    """A segment that nobody knows, and fields beyond the grammar, spoil nothing."""
    noisy = ORDER.replace("TQ1|1", "QQQ|^^~&|\rZXY|1\rTQ1|1").replace("|F\rORC", "|F" + "|" * 60 + "x^y\rORC")
    assert replace(taken(noisy)) == taken(ORDER)


def test_a_bad_message_still_has_a_header_to_answer() -> None:
    """What MSH could be read goes into the answer; bytes without one have none."""
    found = read_header(ORDER.encode("latin-1"), ORIGIN)
    assert found is not None
    assert found.control_id == "M1"
    assert read_header(b"\x00\xff garbage", ORIGIN) is None


@given(st.integers(min_value=0, max_value=len(ORDER)), st.binary(max_size=8), st.integers(min_value=0, max_value=12))
def test_no_damage_raises_anything_else(where: int, what: bytes, gap: int) -> None:
    """Whatever is cut out of a message or written into it, reading yields a message or the one typed error."""
    raw = ORDER.encode()
    damaged = raw[:where] + what + raw[where + gap :]
    read_header(damaged, ORIGIN)
    with suppress(Hl7Error):
        read(damaged, ORIGIN)


SAMPLES = sorted(Path(os.environ.get("RADLOOP_DATA", "/nonexistent"), "hl7v2").rglob("*.hl7"))


@pytest.mark.skipif(not SAMPLES, reason="RADLOOP_DATA has no hl7v2 samples")
def test_other_peoples_messages_raise_nothing_else() -> None:
    """Every sample of three other projects is read, or refused with the typed error; the radiology ones are read."""
    read_ones = set()
    for path in SAMPLES:
        raw = path.read_bytes()
        assert read_header(raw, ORIGIN) is not None
        with suppress(Hl7Error):
            read_ones.add((type(read(raw, ORIGIN)).__name__, path.name))
    assert ("OrderMessage", "OMI-O23-ImagingOrder.hl7") in read_ones
    assert ("ReportMessage", "ORU-R01-SR.hl7") in read_ones
    assert ("PatientMessage", "ADT-A40-PatientMerge.hl7") in read_ones
