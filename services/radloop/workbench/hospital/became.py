"""What became of each irregularity, held against what is documented of it. Pure: what the far ends know is handed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten

from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.figures import CURRENT, Played
from radloop.workbench.hospital.irregular import Became
from radloop.workbench.hospital.morning import NEW_NAME, Told
from radloop.workbench.hospital.planning import CLEARED_AFTER, MINUTE
from radloop.workbench.hospital.shift import STAT, Turn
from radloop.workbench.hospital.tempo import o_clock
from radloop.workbench.hospital.watch import Seen

_LONGEST = 120
# From the clinician's message to the list that every reader looks at, in simulated seconds.
_GRACE = 2 * MINUTE


@dataclass(frozen=True)
class Known:
    """Everything the outside knows of one irregular study.

    `played` are its cases, `seen` what the list showed of the first, `turn` when it was read; `raised` when its order was made a STAT
    (simulated seconds), `before` how many others that are none were opened between that and its own opening; `answers` what the HL7
    door said to its order and to the repeat; `ai` whether there was a model that could have read it.
    """

    entry: Entry
    played: tuple[Played, ...]
    seen: Seen
    turn: Turn | None
    raised: float | None = None
    before: int = 0
    answers: tuple[Mapping[str, str], ...] = ()
    ai: bool = True

    @property
    def reports(self) -> tuple[str, ...]:
        """Return the statuses of its reports in the EHR."""
        return tuple(status for one in self.played for status in one.reports)

    @property
    def one_report(self) -> bool:
        """Say whether it is one case with the report that is owed: one, or none where none was."""
        owed = any(one.owed for one in self.played)
        return len(self.played) == 1 and len(self.reports) == int(owed)


def known_of(entry: Entry, played: tuple[Played, ...], seen: Seen, told: Told, turns: Sequence[Turn], *, ai: bool = True) -> Known:
    """Gather what is known of a study."""
    accession = entry.order.accession
    turn = next((one for one in turns if one.accession == accession), None)
    raised = told.raised.get(accession)
    between = (0.0, 0.0)
    if raised is not None and turn is not None:  # a STAT too is opened only once the technologist has let it go
        between = (max(raised + _GRACE, told.complete.get(accession, 0.0) + CLEARED_AFTER + _GRACE), turn.opened)
    before = sum(one.urgency != STAT and between[0] < one.opened < between[1] for one in turns)
    return Known(entry, played, seen, turn, raised, before, tuple(told.answers.get(accession, ())), ai)


def became(known: Known) -> Became:
    """Say what became of a study."""
    good, words = _HOW[known.entry.irregular](known) if known.played else (False, "no case of it is known")
    return Became(known.entry.irregular, good, words, known.entry.order.accession)


def of_the_ris(refused: Sequence[str], seen: Mapping[str, Seen], lifts: int) -> Became:
    """Say what became of the priority changes that the RIS refused; `refused` are their cases."""
    if not refused:
        words = "the RIS refused none of the lifts" if lifts else "nothing was lifted, so there was nothing to refuse"
        return Became("ris-refuses", lifts == 0, words, played=lifts > 0)
    told = [case for case in refused if case in seen and seen[case].ris == "refused"]
    placed = [case for case in refused if case in seen and seen[case].lifted]
    good = len(told) == len(placed) == len(refused)
    return Became("ris-refuses", good, f"{len(refused)} refused; {len(told)} said so on the list, {len(placed)} kept their place")


def of_the_ehr(away: tuple[float, float] | None, due: int, lost: int, twice: int, behind: int) -> Became:
    """Say what became of what was due at the EHR while it was away: `due` studies were read or taken back meanwhile.

    `behind` are the messages that still wait at the end.
    """
    if away is None:
        return Became("ehr-away", as_expected=True, words="not played: this EHR is not the simulated hospital's own", played=False)
    span = f"away from {o_clock(away[0])} to {o_clock(away[1])} on the simulated clock"
    if not due:
        return Became("ehr-away", as_expected=True, words=f"{span}; nothing was due meanwhile", played=False)
    words = f"{span}; {due} studies were read meanwhile; afterwards {lost} lost, {twice} twice, {behind} still waiting"
    return Became("ehr-away", not (lost or twice or behind), words)


def _joined(known: Known) -> tuple[bool, str]:
    good = known.seen.was_unmatched and not known.seen.unmatched and known.one_report
    return good, f"{_flag(known.seen.was_unmatched)} shown as unmatched, {_flag(not known.seen.unmatched)} joined, {_reports(known)}"


def _cancelled(known: Known) -> tuple[bool, str]:
    current = [status for status in known.reports if status == CURRENT]
    good = known.seen.standing == "cancelled" and not current and known.turn is None
    said = f"; its report says {known.reports[0]}" if known.reports else "; no report had gone out"
    return good, f"{known.seen.standing or 'not on the list'}{said}"


def _raised(known: Known) -> tuple[bool, str]:
    if known.raised is None or known.turn is None:
        return False, "never raised, or never read"
    good = known.seen.urgency == STAT and not known.before and known.one_report
    after = (known.turn.opened - known.raised) / MINUTE
    return good, f"{known.seen.urgency} on the list, opened {after:.0f} min later, {known.before} others before it"


def _second(known: Known) -> tuple[bool, str]:
    seen = known.seen
    again = not seen.version or seen.read_revision == seen.revision
    return seen.revision == 2 and again and known.one_report, f"revision {seen.revision}, {_flag(again)} read again, {_reports(known)}"


def _unread(known: Known) -> tuple[bool, str]:
    signed = known.turn is not None and known.turn.signed is not None
    said = bool(known.seen.unread) or not known.ai
    good = said and not known.seen.version and not known.reports and signed
    why = shorten(known.seen.unread, _LONGEST) or ("the list gives no reason" if known.ai else "there is no model")
    return good, f"{why}; {'signed by a radiologist' if signed else 'not signed'}"


def _apart(known: Known) -> tuple[bool, str]:
    good = known.seen.unmatched and not known.reports
    return good, f"{_flag(known.seen.unmatched)} shown as unmatched, {_reports(known)}"


def _renamed(known: Known) -> tuple[bool, str]:
    new = known.seen.name.startswith(NEW_NAME)
    return new and known.one_report, f"{_flag(new)} under the new name, {_reports(known)}"


def _resent(known: Known) -> tuple[bool, str]:
    answers = [{name: value for name, value in one.items() if name.startswith(("MSA", "ERR"))}
               for one in known.answers]
    same = len(answers) > 1 and all(one == answers[0] for one in answers)
    return same and known.one_report, f"sent {len(answers)} times, {'one answer' if same else 'answers differ'}, {_reports(known)}"


def _stored_twice(known: Known) -> tuple[bool, str]:
    return known.seen.revision == 1 and known.one_report, f"revision {known.seen.revision}, {_reports(known)}"


def _flag(true: bool) -> str:
    return "was" if true else "was NOT"


def _reports(known: Known) -> str:
    cases = f"{len(known.played)} case{'s' * (len(known.played) != 1)}"
    return f"{cases}, {len(known.reports)} report{'s' * (len(known.reports) != 1)}"


_HOW = {
    "image-before-order": _joined, "cancel-after-images": _cancelled, "raised-to-stat": _raised, "late-second-image": _second,
    "lateral-view": _unread, "adult": _unread, "unreadable-image": _unread, "wrong-patient": _apart, "update-between": _renamed,
    "resent-message": _resent, "object-twice": _stored_twice,
}
