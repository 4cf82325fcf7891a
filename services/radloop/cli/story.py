"""What a stored fact says, in a sentence: on which weights, who saw it, what they did, what it taught. Without PHI."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from radloop.cli.grpc import Fact
from radloop.cli.table import local

Said = Mapping[str, Any]
Weights = Mapping[tuple[str, int], str]
"""SHA-256 of the weights, by model and version."""


def weights_in(facts: tuple[Fact, ...]) -> Weights:
    """Read from a model's own trace which weights each version has."""
    said = [json.loads(fact.facts) for fact in facts if fact.what == "model-released" and fact.facts]
    return {(one["model"], one["version"]): one["weights_sha256"] for one in said if one.get("weights_sha256")}


class Because:
    """Why something was not done, told once: whoever heard of it says the same, and refers to it until another reason is told.

    Reasons are the same where the whole of them is: one that only holds another would say what nobody said.
    """

    def __init__(self, facts: tuple[Fact, ...] = ()) -> None:
        """Take the reasons that several may tell: why no model read the case, or a receiver did not do something."""
        said = [json.loads(fact.facts) for fact in facts if fact.what in {"prediction-failed", "result-published"} and fact.facts]
        self._shared = {str(one.get("reason", "")) for one in said} - {""}
        self._last = ""

    def __call__(self, reason: str) -> str:
        """Return how a sentence ends that has a reason, or none."""
        if not reason:
            return ""
        known, self._last = self._last, reason
        return ", for the same reason" if reason == known and reason in self._shared else f": {reason}"


def sentence(fact: Fact, weights: Weights, because: Because | None = None) -> str:
    """Tell one fact; where there is nothing more to tell, its own words."""
    because = because or Because()
    if fact.kind == "said":
        if not fact.facts:
            return _PHI.get(fact.what, f"said {fact.what}")
        if explain := _EXPLAINED.get(fact.what):
            return explain(json.loads(fact.facts), because)
        tell = _TOLD.get(fact.what)
        return tell(json.loads(fact.facts), weights) if tell else f"said {fact.what}"
    if fact.kind == "heard":
        outcome, _, reason = fact.detail.partition(": ")
        return f"heard {_plain(fact.what)}: {outcome}{because(reason)}"
    if fact.kind == "delivered":
        return f"delivery to {fact.what}: {_delivered(fact.detail, because)}"
    return f"{fact.kind} {_plain(fact.what)}{because(fact.detail)}"


def _delivered(detail: str, because: Because) -> str:
    """Tell a delivery's state, its outcome where that is another word, and the reason; what waits has no outcome yet."""
    state, _, rest = detail.partition(": ")
    outcome, _, reason = ("", "", rest) if state == "waiting" else rest.partition(": ")
    return state + (f": {outcome}" if outcome not in {"", state} else "") + because(reason)


def is_news(fact: Fact) -> bool:
    """Say whether a reader of the story wants this line: hearing and doing as usual is left out."""
    return fact.kind != "heard" or not fact.detail.startswith(("recorded", "skipped"))


def _plain(name: str) -> str:
    return name.removeprefix("radloop.v1.")


_PHI = {
    "order-recorded": "the order was recorded (placed, changed or cancelled)",
    "case-joined": "order and study were joined, or a join undone",
    "study-completed": "the study's images are all here",
    "study-backfilled": "an earlier study was taken in",
}


def _code(code: Said) -> str:
    return str(code.get("display") or code.get("value") or "finding").lower()


def _by(said: Said, weights: Weights) -> str:
    version = int(said.get("version", 0))
    weight = weights.get((said.get("model", ""), version))
    return f"{said.get('model')} version {version}" + (f" (weights {weight[:12]}…)" if weight else "")


def _prediction(said: Said, weights: Weights) -> str:
    one = said["prediction"]
    findings = ", ".join(
        f"{_code(finding['code'])} {finding['probability']:.2f}"
        f" ({len(finding.get('members', ()))} members {min(finding.get('members', [0])):.2f} to {max(finding.get('members', [0])):.2f};"
        f" cannot rule out {' or '.join(finding.get('conformal', ())) or 'anything'})"
        for finding in one.get("findings", ())
    )
    odd = ", unlike anything it was trained on" if one.get("out_of_distribution") else ""
    return f"{_by(one, weights)}, in {one.get('stage')}, read revision {one.get('revision')}: {findings}{odd}"


def _shadowed(said: Said, weights: Weights) -> str:
    return _prediction(said, weights) + " (seen by nobody)"


def _pooled(said: Said, weights: Weights) -> str:
    return _prediction(said, weights) + f" (for the {said.get('purpose')}, never published)"


def _failed(said: Said, because: Because) -> str:
    return f"not read{because(str(said.get('reason', '')))}"


def _triaged(said: Said, because: Because) -> str:
    place = f"{said.get('urgency')}, to be read by {local(datetime.fromisoformat(said['read_by']))[:16]}"
    reasons = [one.partition(": ") for one in said.get("reasons", ())]
    why = "; ".join(what + because(reason) for what, _, reason in reasons)
    # The reasons name those already that kept it where it is.
    guards = [guard for guard in said.get("guards", ()) if ("kept its place", ": ", guard) not in reasons]
    held = f"; kept its place: {', '.join(guards)}" if guards else ""
    undone = "; the lift was undone" if said.get("undone") else ""
    return f"placed: {place} ({why or 'in order of arrival'}{held}{undone}), policy {said.get('policy')}"


def _asked(said: Said, _: Weights) -> str:
    hidden = ", AI hidden" if said.get("ai_hidden") else ""
    return (f"an answer was asked for ({said.get('drawn')}, with probability {said.get('drawn_probability', 0):.3f},"
            f" by {said.get('strategy')}{hidden})")


def _opened(said: Said, _: Weights) -> str:
    shown = "with the AI's reading shown" if said.get("ai_shown") else "without the AI's reading"
    return f"opened by {said['reader'].get('id')}, {shown}"


def _verdict(said: Said, _: Weights) -> str:
    answers = ", ".join(f"{_code(one['code'])} {one['value']}" for one in said.get("answers", ()))
    return (f"{said['reader'].get('id')} answered: {said.get('kind')}" + (f" ({answers})" if answers else "")
            + f", after {said.get('seconds_spent', 0):.0f} s, the AI {'shown' if said.get('ai_shown') else 'hidden'}")


def _label(said: Said, _: Weights) -> str:
    if said.get("withdrawn"):
        return "what it taught was withdrawn"
    return (f"taught: {_code(said['code'])} {said.get('value')} (from a {said.get('source')}, weight {said.get('weight', 0):g},"
            f" {said.get('drawn') or said.get('purpose') or 'volunteered'})")


def _signed(said: Said, _: Weights) -> str:
    answers = ", ".join(f"{_code(one['code'])} {one['value']}" for one in said.get("findings", ()))
    return f"the radiologist signed the report{f' ({answers})' if answers else ''}"


def _published(said: Said, because: Because) -> str:
    named = f" as {', '.join(said['identifiers'])}" if said.get("identifiers") else ""
    outcome = f"{said.get('kind')} to the {str(said.get('receiver')).upper()}: {said.get('outcome')}{named}"
    return outcome + because(str(said.get("reason", "")))


_TOLD: Mapping[str, Callable[[Said, Weights], str]] = {
    "prediction-made": _prediction, "prediction-shadowed": _shadowed, "prediction-pooled": _pooled, "review-requested": _asked,
    "case-opened": _opened, "verdict-recorded": _verdict, "label-settled": _label, "report-signed": _signed,
}
_EXPLAINED: Mapping[str, Callable[[Said, Because], str]] = {
    "prediction-failed": _failed, "case-triaged": _triaged, "result-published": _published,
}
