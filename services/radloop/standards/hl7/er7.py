"""ER7, the pipe-and-caret encoding: bytes to segments to fields, tolerant of what senders really send.

Segments are read one by one with hl7apy, so that a segment that nobody knows, or a version that hl7apy lacks, never
spoils the others. Positions never change their meaning between versions of HL7 v2, so one version of the grammar
(2.5.1, which still has what later ones withdrew) reads them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segment

from radloop.standards.hl7.errors import Hl7Error, Location

GRAMMAR: Final = "2.5.1"
HIDDEN_ESCAPE: Final = "\ue000"
"""Stands for the escape character inside hl7apy, which would escape line breaks and hexadecimal sequences again."""

MOST_SEGMENTS: Final = 10_000
"""Of a message, of any kind; a long report has hundreds."""
MOST_FIELDS: Final = 500
"""Of a segment; the longest of the standard has fewer than a hundred."""
MOST_REPETITIONS: Final = 1_000
"""Of a field; a report that says each of its lines as one has dozens."""
MOST_COMPONENTS: Final = 2_000
"""Of a repetition, subcomponents too; the widest type has 25, but HTML that nobody escaped has an ampersand at every space."""
MOST_VALUES: Final = 20_000
"""Of the segments that are read, empty ones too: some 200 orders, or a report of more than a thousand lines."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
HEADER_LENGTH: Final = len("MSH|^~\\&|")

CHARSETS: Final = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "ISO IR6": "ascii",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    **{f"8859/{part}": f"iso8859_{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
}
"""HL7 table 0211 to Python's codecs."""

SEGMENT_START: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The five characters that MSH-1 and MSH-2 declare."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def as_hl7apy(self) -> dict[str, str]:
        """The same, as hl7apy wants them."""
        return {
            "SEGMENT": "\r",
            "FIELD": self.field,
            "COMPONENT": self.component,
            "SUBCOMPONENT": self.subcomponent,
            "REPETITION": self.repetition,
            "ESCAPE": self.escape,
        }


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name, which of that name it is (from 1), and its fields' raw repetitions by position."""

    name: str
    occurrence: int
    delimiters: Delimiters
    fields: dict[int, tuple[str, ...]]

    def repetitions(self, position: int) -> tuple[str, ...]:
        """The raw repetitions of a field; empty where it is absent."""
        return self.fields.get(position, ())

    def value(self, position: int, component: int = 1, subcomponent: int = 1) -> str:
        """A value of the field's first repetition, unescaped; empty where absent or an explicit null."""
        raw = self.repetitions(position)
        return self.part(raw[0], component, subcomponent) if raw else ""

    def part(self, repetition: str, component: int, subcomponent: int = 1) -> str:
        """A value inside one raw repetition, unescaped."""
        components = repetition.split(self.delimiters.component)
        if component > len(components):
            return ""
        parts = components[component - 1].split(self.delimiters.subcomponent)
        text = parts[subcomponent - 1].strip() if subcomponent <= len(parts) else ""
        return "" if text == '""' else unescape(text, self.delimiters)

    def at(self, field: int = 0) -> Location:
        """This segment, or a field of it, as a place for an error."""
        return Location(self.name, self.occurrence, field)


def delimiters_of(line: str) -> Delimiters:
    """The delimiters that an MSH line declares; what it leaves out is as usual. Raises Hl7Error where it cannot be."""
    if not line.startswith("MSH") or len(line) < HEADER_LENGTH - 1:
        raise Hl7Error("100", "the message does not begin with an MSH segment")
    separator, declared = line[3], line[4:].split(line[3], 1)[0]
    given = tuple(declared[:4])
    usual = ("^", "~", "\\", "&")
    characters = (separator, *given, *usual[len(given) :])
    if len(set(characters)) < len(characters) or any(c.isalnum() or c.isspace() for c in characters):
        raise Hl7Error("102", "the delimiters are not five different characters", Location("MSH", 1, 2))
    return Delimiters(*characters)


def decode(raw: bytes) -> str:
    """The message as text, by the character set that MSH-18 declares (HL7 table 0211).

    Undeclared means UTF-8 where it is valid and Windows' western set otherwise, which is what senders that declare
    nothing send. Raises Hl7Error for a declared set that we do not know or that the bytes contradict.
    """
    raw = raw.removeprefix(BYTE_ORDER_MARK).lstrip()
    first = re.split(rb"[\r\n]", raw, maxsplit=1)[0]
    fields = first.split(first[3:4]) if len(first) > HEADER_LENGTH else []
    declared = fields[17].decode("ascii", "replace") if len(fields) > 17 else ""
    names = [name.strip().upper() for name in re.split(r"[~\s]{2,}|~", declared) if name.strip(' "')]
    if not names:
        return _undeclared(raw)
    codecs = [CHARSETS.get(name) for name in names]
    if None in codecs:
        raise Hl7Error("103", "the character set is not one we know", Location("MSH", 1, 18))
    codec = next((c for c in reversed(codecs) if c), "utf-8")
    if codec == "ascii":
        return _undeclared(raw)
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        reason = "the bytes are not in the character set that is declared"
        raise Hl7Error("102", reason, Location("MSH", 1, 18)) from error


def _undeclared(raw: bytes) -> str:
    """Text whose set nobody declared, or that declares ASCII and may not keep to it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def lines_of(text: str) -> tuple[str, ...]:
    """The segments as lines, whether they end in CR, LF or both; a line that starts no segment continues the last."""
    found: list[list[str]] = []
    for line in re.split(r"\r\n|\r|\n", text):
        if SEGMENT_START.match(line) or not found:
            found.append([line])
        elif line:
            found[-1].append(line)
    joined = ("\n".join(parts) for parts in found)
    return tuple(line for line in joined if line.strip())


def segments(lines: tuple[str, ...], wanted: frozenset[str]) -> tuple[Segment, ...]:
    """The wanted segments in their order; others may be anything at all. Raises Hl7Error.

    hl7apy takes far more than twice the time for twice the values: what holds more than the limits above is refused
    before hl7apy sees any of it.
    """
    delimiters = delimiters_of(lines[0]) if lines else Delimiters()
    if len(lines) > MOST_SEGMENTS:
        raise Hl7Error("100", f"the message has more than {MOST_SEGMENTS} segments")
    seen: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    values = 0
    for line in lines[1:]:
        name = line[:3]
        seen[name] = seen.get(name, 0) + 1
        if name in wanted:
            found.append((line, seen[name]))
            values += _count(line, seen[name], delimiters)
            if values > MOST_VALUES:
                raise Hl7Error("102", f"the message has more than {MOST_VALUES} values", Location(name, seen[name]))
    return tuple(segment(line, occurrence, delimiters) for line, occurrence in found)


def _count(line: str, occurrence: int, delimiters: Delimiters) -> int:
    """How many values a segment has, told by its delimiters alone. Raises Hl7Error where it has too many of a kind."""
    name, *fields = line.split(delimiters.field)
    if len(fields) > MOST_FIELDS:
        raise Hl7Error("102", f"the segment has more than {MOST_FIELDS} fields", Location(name[:3], occurrence))
    values = 0
    for position, field in enumerate(fields, start=1):
        at = Location(name[:3], occurrence, position)
        if field.count(delimiters.repetition) >= MOST_REPETITIONS:
            raise Hl7Error("102", f"the field has more than {MOST_REPETITIONS} repetitions", at)
        for repetition in field.split(delimiters.repetition):
            components = 1 + repetition.count(delimiters.component) + repetition.count(delimiters.subcomponent)
            if components > MOST_COMPONENTS:
                raise Hl7Error("102", f"the field has more than {MOST_COMPONENTS} components", at)
            values += components
    return values


def segment(line: str, occurrence: int, delimiters: Delimiters) -> Segment:
    """Read one line (any segment but MSH) with hl7apy. Raises Hl7Error."""
    name = line[:3]
    if line[3:4] not in {"", delimiters.field}:
        raise Hl7Error("100", "the segment name is not followed by the field separator", Location(name, occurrence))
    encoding = delimiters.as_hl7apy()
    try:
        parsed = parse_segment(
            line.replace(delimiters.escape, HIDDEN_ESCAPE), GRAMMAR, encoding, VALIDATION_LEVEL.TOLERANT
        )
    except (HL7apyException, ValueError, IndexError, KeyError, AttributeError) as error:
        raise Hl7Error("102", "the segment cannot be parsed", Location(name, occurrence)) from error
    fields: dict[int, tuple[str, ...]] = {}
    for child in parsed.children:
        if child.name is None:  # beyond what the grammar knows
            continue
        position = int(child.name.rpartition("_")[2])
        raw = child.to_er7(encoding).replace(HIDDEN_ESCAPE, delimiters.escape)
        fields[position] = (*fields.get(position, ()), raw)
    return Segment(name, occurrence, delimiters, fields)


def header_segment(line: str) -> Segment:
    """MSH, whose first field is the separator itself, so that MSH-10 is at position 10. Raises Hl7Error."""
    delimiters = delimiters_of(line)
    rest = line[4:].split(delimiters.field)
    fields = {position: tuple(text.split(delimiters.repetition)) for position, text in enumerate(rest, start=2)}
    fields[1], fields[2] = (delimiters.field,), (rest[0],)
    return Segment("MSH", 1, delimiters, fields)


def unescape(text: str, delimiters: Delimiters) -> str:
    """Undo HL7 v2.5.1 section 2.7: delimiters, hexadecimal bytes, line breaks; other sequences are dropped."""
    mark = delimiters.escape
    if mark not in text:
        return text
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": mark,
        ".br": "\n",
        ".sp": "\n",
    }

    def meant(match: re.Match[str]) -> str:
        sequence = match.group(1)
        if sequence.startswith("X") and re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", sequence):
            return bytes.fromhex(sequence[1:]).decode("utf-8", "replace")
        return plain.get(sequence, "")

    quoted = re.escape(mark)
    return re.sub(f"{quoted}([^{quoted}]{{1,64}}){quoted}", meant, text)


def escape(text: str, delimiters: Delimiters | None = None) -> str:
    r"""Make text safe inside a field: delimiters escaped, line breaks as `\.br\`, other control characters gone."""
    chosen = delimiters or Delimiters()
    mark = chosen.escape
    table = {
        mark: f"{mark}E{mark}",
        chosen.field: f"{mark}F{mark}",
        chosen.component: f"{mark}S{mark}",
        chosen.subcomponent: f"{mark}T{mark}",
        chosen.repetition: f"{mark}R{mark}",
        "\n": f"{mark}.br{mark}",
    }
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(table.get(c, c if c.isprintable() else " ") for c in text)
