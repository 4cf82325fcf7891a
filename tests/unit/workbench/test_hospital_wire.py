"""The hospital's ends of the wire: its messages are what our own reader takes, its RIS answers and counts."""

from datetime import UTC, datetime, timedelta

from radloop.workbench.hospital.messages import Envelope, order_message, read, report_message, update_message
from radloop.workbench.hospital.orders import book
from radloop.workbench.hospital.patients import children
from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.hospital.sender import MllpLine

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDER = book(1, children(1, 1, NOON.date()), 1, NOON, timedelta(minutes=3))[0]
OURS = Envelope(application="RADLOOP", to_application="SIMRIS")


def test_an_order_carries_its_numbers_and_priority() -> None:
    """Placer, filler, accession, study UID, indication and priority are where IHE puts them."""
    fields = read(order_message(ORDER, "M1", NOON, Envelope()))
    assert (fields["MSH-10"], fields["ORC-1"], fields["ORC-2"], fields["OBR-18"]) == (
        "M1",
        "NW",
        ORDER.placer,
        ORDER.accession,
    )
    assert fields["ZDS-1"].startswith(ORDER.study_uid)
    assert fields["TQ1-9"] == ORDER.priority
    assert fields["OBR-31"].endswith(ORDER.indication)


def test_a_report_is_final_and_codes_its_finding() -> None:
    """OBR-25 is F and the OBX names finding and answer in SNOMED CT."""
    fields = read(report_message(ORDER, True, "r1", "M2", NOON, Envelope()))
    assert fields["OBR-25"] == "F"
    assert fields["OBX-3"].startswith("233604007^")
    assert fields["OBX-5"].startswith("52101004^")
    assert "OBX-3" not in read(report_message(ORDER, None, "r1", "M3", NOON, Envelope()))


def test_a_patient_update_names_the_patient() -> None:
    """ADT^A08 carries the record number with its issuer."""
    assert read(update_message(ORDER.patient, "M4", NOON, Envelope()))["PID-3"].startswith(
        f"{ORDER.patient.mrn}^^^SIMHOSP"
    )


def test_the_ris_answers_xr_and_the_same_message_counts_once() -> None:
    """A repeat under the same MSH-10 gets the same answer and no second line in the log."""
    change = order_message(ORDER, "C1", NOON, OURS, "XO")
    with Ris(refuses=0.0) as ris, MllpLine("127.0.0.1", ris.port) as line:
        first, again = line.send(change), line.send(change)
        assert first == again
        assert (first["MSH-9"][:7], first["MSA-2"], first["ORC-1"]) == ("ORR^O02", "C1", "XR")
        assert (ris.changed(), ris.refused(), ris.repeats(), ris.twice()) == (1, 0, 1, 0)


def test_the_ris_says_when_it_cannot_change_and_when_it_was_told_twice() -> None:
    """UX is a refusal; two changes to the same priority under different MSH-10 are counted as twice."""
    with Ris(refuses=1.0) as ris, MllpLine("127.0.0.1", ris.port) as line:
        assert line.send(order_message(ORDER, "C1", NOON, OURS, "XO"))["ORC-1"] == "UX"
        assert ris.refused() == 1
    with Ris(refuses=0.0) as ris, MllpLine("127.0.0.1", ris.port) as line:
        line.send(order_message(ORDER, "C1", NOON, OURS, "XO"))
        line.send(order_message(ORDER, "C2", NOON, OURS, "XO"))
        assert ris.twice() == 1


def test_the_ris_refuses_what_is_no_change() -> None:
    """Anything but ORM^O01 with XO is answered AR."""
    with Ris() as ris, MllpLine("127.0.0.1", ris.port) as line:
        assert line.send(order_message(ORDER, "C1", NOON, OURS, "NW"))["MSA-1"] == "AR"


def test_a_reader_errs_at_the_set_rate_and_says_the_same_twice() -> None:
    """Opinions are drawn per case, so that asking again changes nothing."""
    truth = {f"A{i}": i % 2 == 0 for i in range(4000)}
    reader = Radiologist("r1", 3, truth, Skill(sensitivity=0.9, specificity=0.8))
    present = {accession for accession in truth if reader.opinion(accession) == "present"}
    assert abs(sum(truth[one] for one in present) / 2000 - 0.9) < 0.03
    assert abs(sum(not truth[one] for one in present) / 2000 - 0.2) < 0.03
    assert present == {accession for accession in truth if reader.opinion(accession) == "present"}
