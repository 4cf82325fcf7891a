"""The reader's desk: everything the page may ask for, put together from rows, pictures and the other rooms."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

from radloop.events.common import Actor, Code
from radloop.kit.clock import Clock
from radloop.kit.runner import Runner
from radloop.worklist.adapters.pictures import Pictures
from radloop.worklist.adapters.postgres import Changes, Lists
from radloop.worklist.domain.screen import Row, Screen, Serving, View, refusal, row_of, screen_of, serving_of, shown, waiting
from radloop.worklist.handlers import OpenCase
from radloop.worklist.ports import Answers, Done, Evidence, Image, Places, Shown, VerdictGiven


class Desk:
    """Implements the page's port."""

    def __init__(
        self, runner: Runner, lists: Lists, pictures: Pictures, changes: Changes, answers: Answers, places: Places, *,
        clock: Clock, site: str, findings: tuple[Code, ...],
    ) -> None:
        self._runner, self._lists, self._pictures, self._changes = runner, lists, pictures, changes
        self._answers, self._places = answers, places
        self._clock, self._site, self._findings = clock, site, findings

    def serving(self) -> Serving:
        """Return which model version speaks on the list."""
        return serving_of(self._lists.models())

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock.now()

    def rows(self, view: View) -> Sequence[Row]:
        """Return a list in its order; the reviews by request id, so that their order says nothing of their value."""
        now = self._clock.now()
        if view != "reviews":
            return [row_of(case, now) for case in self._lists.cases(view)]
        asked = [(one.request_id, case) for case in self._lists.asked(now) for one in waiting(case, now)[:1] if case.imaged]
        return [row_of(case, now, request_id) for request_id, case in sorted(asked, key=lambda pair: pair[0])]

    def find(self, accession: str) -> Sequence[str]:
        """Return the cases that an accession number names."""
        return [case.case_id for case in self._lists.named(accession)]

    def screen(self, case_id: str, request_id: str) -> Screen | None:
        """Return one case as it may be shown, None where there is none with images."""
        case = self._lists.case(case_id)
        if case is None or case.imaged is None:
            return None
        return screen_of(case, self._clock.now(), self._findings, request_id)

    def image(self, case_id: str, sop_instance_uid: str, frame: int, longest: int) -> Image | None:
        """Return one frame of a case, reduced; None where the case has no such acquired image."""
        case = self._lists.case(case_id)
        instances = case.imaged.study.instances if case and case.imaged else ()
        found = next((one for one in instances if one.acquired and one.sop_instance_uid == sop_instance_uid), None)
        if found is None or not 1 <= frame <= found.frames:
            return None
        return self._pictures.image(found.blob.sha256, frame, longest)

    def evidence(self, case_id: str, request_id: str, finding: Code) -> Evidence | None:
        """Return where the model saw a finding, None where it is hidden or it said nothing."""
        case = self._lists.case(case_id)
        read = shown(case, request_id, self._clock.now())[0] if case else None
        if read is None:
            return None
        codes = [(one.code.system, one.code.value) for one in read.prediction.findings]
        if (finding.system, finding.value) not in codes:
            return None
        return self._pictures.evidence(read.prediction.evidence.sha256, codes.index((finding.system, finding.value)))

    def open_case(self, command_id: str, reader: Actor, shown: Shown) -> Done:
        """Note that a reader has this on the screen."""
        outcome = self._runner.submit(OpenCase(
            id=command_id, subject=shown.case_id, site=self._site, at=self._clock.now(), actor=reader, revision=shown.revision,
            prediction_id=shown.prediction_id, ai_shown=shown.ai_shown,
        ))
        return Done(done=outcome.kind == "recorded", reason=outcome.answer.reason if outcome.answer else outcome.reason)

    def record_verdict(self, verdict: VerdictGiven) -> Done:
        """Hand a verdict on to feedback, unless what it was about has been replaced.

        What feedback has already recorded is handed on again, for its answer; and so is what names no case of ours: feedback
        refuses it and keeps it.
        """
        case, seen = self._lists.case(verdict.shown.case_id), verdict.shown
        known = case is not None and any(one.verdict_id == verdict.verdict_id for one in case.verdicts)
        if case is not None and not known:
            replaced = refusal(case, seen.request_id, seen.revision, seen.prediction_id, self._clock.now())
            if replaced:
                return Done(done=False, reason=replaced)
        return self._answers.record(verdict)

    def take_back(self, command_id: str, reader: Actor, case_id: str, verdict_id: str) -> Done:
        """Take a verdict back."""
        return self._answers.take_back(command_id, reader, case_id, verdict_id)

    def undo_reordering(self, command_id: str, actor: Actor, case_id: str) -> Done:
        """Give a case its own place back."""
        return self._places.undo(command_id, actor, case_id)

    def quarantine(self, body: bytes, reason: str) -> None:
        """Keep what came as a verdict and is none."""
        named = {"ce_id": hashlib.sha256(body).hexdigest(), "ce_type": "VerdictGiven", "ce_site": self._site}
        self._runner.quarantine_unread("door:page", named, body, reason)

    def listen(self, tell: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Have `tell` called with the cases of each committed change."""
        return self._changes.listen(tell)
