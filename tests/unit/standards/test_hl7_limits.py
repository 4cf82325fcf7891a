"""What a message may hold: more than anything real, and never more than the parser bears."""

import base64

import pytest

from radloop.standards.hl7 import er7
from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.model import Origin, ReportMessage
from radloop.standards.hl7.read import read

ORIGIN = Origin("site-1", issuer="HOSP")
HEADER = "MSH|^~\\&|RIS|GEN|RADLOOP|GEN|20260102||ORU^R01|M1|P|2.5.1\rPID|||4711^^^HOSP||A^B\rOBR|1|P1|F1|X^Y|||||||||||||||||||||F\r"


class Parser:
    """Stands before the real one and counts what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.segments = self.values = 0
        real = er7.parse_segment

        def counting(text: str, *rest: object) -> object:
            self.segments += 1
            self.values += 1 + sum(text.count(mark) for mark in "|^~&")
            return real(text, *rest)

        monkeypatch.setattr(er7, "parse_segment", counting)


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Parser:
    """Count what the parser is given."""
    return Parser(monkeypatch)


def result(text: str = "", *, more: str = "") -> str:
    """One OBX with this value, and more fields behind it."""
    return f"OBX|1|TX|T^Report||{text}||||||F{more}\r"


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (result() * er7.MOST_SEGMENTS, "100", "MSH"),
        ("ZZZ|1\r" * er7.MOST_SEGMENTS, "100", "MSH"),
        (result("a~" * er7.MOST_REPETITIONS), "102", "OBX-5"),
        (result("a^" * er7.MOST_COMPONENTS), "102", "OBX-5"),
        (result("a&" * er7.MOST_COMPONENTS), "102", "OBX-5"),
        (result("a^b&" * (er7.MOST_COMPONENTS // 2)), "102", "OBX-5"),
        (result(more="|x" * er7.MOST_FIELDS), "102", "OBX"),
        (result("a" + "^b" * 99 + "~a" * 99) * (er7.MOST_VALUES // 200), "102", "OBX"),
        (result() * (er7.MOST_VALUES // 11), "102", "OBX"),
    ],
    ids=["segments", "unread", "repetitions", "components", "subcomponents", "both", "fields", "values", "results"],
)
def test_a_message_beyond_the_limits_is_refused_before_it_is_parsed(parser: Parser, body: str, code: str, place: str) -> None:
    """By condition and place; the parser sees nothing of it."""
    with pytest.raises(Hl7Error) as caught:
        read((HEADER + body).encode(), ORIGIN)
    assert (caught.value.code, str(caught.value.at)) == (code, place)
    assert not caught.value.rejected
    assert parser.segments == 0


def test_what_the_parser_is_given_is_bounded(parser: Parser) -> None:
    """However a message is made up, the parser never gets more than the limit on values."""
    read((HEADER + result("a" + "^b" * 9 + "~a" * 9) * 600).encode(), ORIGIN)
    assert parser.segments == 602
    assert parser.values <= er7.MOST_VALUES + parser.segments


@pytest.mark.parametrize(
    "body",
    [
        result("Opacity in the right lower lobe.") * 1000,
        result("~".join(["Opacity in the right lower lobe."] * 300)),
        result("<p>&nbsp;Opacity</p>" * 500),
        result("^application^pdf^Base64^" + base64.b64encode(bytes(2_000_000)).decode()),
        "NTE|1||a remark\r" * 5000 + result(),
    ],
    ids=["a line each", "repeated lines", "unescaped HTML", "a PDF", "remarks"],
)
def test_what_is_real_is_far_within_the_limits(body: str) -> None:
    """A report of a thousand lines, one that repeats its lines, HTML that nobody escaped, a PDF of megabytes."""
    message = read((HEADER + body).encode(), ORIGIN)
    assert isinstance(message, ReportMessage)
    assert message.reports[0].final


def test_a_value_of_many_lines_is_put_together_once() -> None:
    """A million lines that continue a segment are one value; joined one by one they took a time that grew by the square."""
    assert er7.lines_of("OBX|1|TX|||a" + "\rx" * 1_000_000) == ("OBX|1|TX|||a" + "\nx" * 1_000_000,)
