"""How a play ends: whether everything holds, the summary in the terminal, and the page and the data that it leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from radloop.workbench.hospital.cohort import FULL_POOL
from radloop.workbench.hospital.figures import Required, failures
from radloop.workbench.hospital.irregular import KINDS, named
from radloop.workbench.hospital.scores import Interval
from radloop.workbench.hospital.tempo import DEFAULT_SPEED, o_clock
from radloop.workbench.hospital.waits import Waits, table
from radloop.workbench.play.report.page import write
from radloop.workbench.play.story import SOURCES, Learning, Story
from radloop.workbench.play.wanted import Wanted
from radloop.workbench.telling import Teller

PAGE, DATA = "demo-report.html", "demo-report.json"
FULL_STUDIES = 60
_USUAL_PREVALENCE, _USUAL_ANCHORING = 0.2, 0.2


def whole(wanted: Wanted, story: Story) -> bool:
    """Say whether a play is large and ordinary enough for what needs many cases to be judged, on a platform that was empty before."""
    large = wanted.ai and wanted.pool >= FULL_POOL and wanted.studies >= FULL_STUDIES and not story.served_before
    return large and wanted.prevalence >= _USUAL_PREVALENCE and wanted.anchoring <= _USUAL_ANCHORING and wanted.tempo.speed <= DEFAULT_SPEED


def required(wanted: Wanted, story: Story) -> Required:
    """Return what the figures must come to."""
    labels = sum(wanted.rounds)
    if whole(wanted, story):
        return Required(labels_asked=labels, irregularities=len(KINDS) - (story.away is None))
    return Required(
        labels_asked=labels, priority_changes=None, releases=None, auc_gain=None, before_opened_share=None, read_by_model=None,
        irregularities=None,
    )


def tell(story: Story, wanted: Wanted, home: Path, teller: Teller) -> int:
    """Say in words what came of it and whether it holds; leave the page and the data. Return the exit status."""
    wrong = failures(story.figures, required(wanted, story), story.problems)
    story = replace(story, problems=tuple(wrong))
    for line in summary(story):
        teller.line(line)
    story.write(home / DATA)
    write(story, home / PAGE)
    for sentence in wrong:
        teller.line(f"does not hold: {sentence}")
    if not wrong:
        judged = whole(wanted, story) or not story.ai
        teller.line("every check holds" + ("" if judged else " (releases, priorities and the AUC are judged in a whole, usual demo only)"))
    teller.line(f"the report:        {(home / PAGE).resolve()}   (open it in a browser)")
    return 1 if wrong else 0


def summary(story: Story) -> tuple[str, ...]:
    """Return what came of it, a line each."""
    figures = {name: 0.0 if value is None else value for name, value in story.figures.items()}
    lines = [
        "",
        (f"studies            {figures['studies']:g} ordinary and {figures['studies_irregular']:g} irregular came by"
         f" {o_clock(max((one.complete for one in story.studies), default=0.0))}; all were read by {o_clock(story.lasted)};"
         f" {figures['read_by_model']:g} read by a serving version and owed a report"),
        (f"reports in the EHR {figures['reports_in_ehr']:g}; lost {figures['reports_lost']:g}, twice {figures['reports_twice']:g},"
         f" unexplained {figures['unexplained']:g}"),
        *(_model(story, figures) if story.ai else ()),
        *_speaks(story), *_waits(story), *_learned(story.learning), *_labels(story), *_readers(story), *_irregular(story),
    ]
    return tuple(lines)


def _model(story: Story, figures: Mapping[str, float]) -> list[str]:
    """Say what only a model can do."""
    before, could = story.before_opened
    opened = f"before opened      {before} of {could} studies that could be read were triaged before anybody opened them"
    return [
        (f"stored to triaged  {figures['stored_to_triaged_p50_ms']:.0f} ms (median), {figures['stored_to_triaged_p95_ms']:.0f} ms"
         " (95th percentile), real time, the quiet period included"),
        (f"priority changes   {figures['priority_changes']:g} made by the RIS, {figures['priority_refused']:g} refused;"
         f" {figures['lifts_per_100']:g} lifts per 100 studies read, {figures['lift_ppv']:.0%} of them right"),
        *([opened] if could else ()),
    ]


def _speaks(story: Story) -> list[str]:
    if not story.ai:
        return ["model              none: the list was first in, first out"]
    later = [(version, at) for version, at in story.speaks if version != story.served_before]
    if story.served_before:
        lines = [f"model              version {story.served_before} served when the morning began"]
    elif not later:
        return ["model              no version passed its gate in time: it ran in shadow, the list was first in, first out"]
    else:
        (version, at), *later = later
        came = story.figures["studies_before_release"]
        lines = [f"shadow until       {o_clock(at)}: version {version} passed its gate after {came:g} studies had come; then lifts began"]
    return lines + [f"                   {o_clock(at)}: version {version} took over" for version, at in later]


def _waits(story: Story) -> list[str]:
    lines = [
        "minutes from study complete to signed: as it was, and the same morning first in, first out",
        f"    {'':<32} {'':>5}  {'mean':>13}  {'95th perc.':>13}  {'longest':>13}",
    ]
    for name, (ours, fifo) in table(story.waited).items():
        if ours.count:
            pairs = "  ".join(_pair(ours, fifo, what) for what in ("mean", "p95", "longest"))
            lines.append(f"    {name:<32} {ours.count:>5}  {pairs}")
    return lines


def _pair(ours: Waits, fifo: Waits, name: str) -> str:
    return f"{getattr(ours, name):5.1f} / {getattr(fifo, name):5.1f}"


def _learned(learning: Learning | None) -> list[str]:
    if learning is None:
        return []
    lines = [f"AUC on the test    {learning.images} images of {learning.patients} patients, 95 % interval over patients"]
    lines += [
        f"    {point.name:<18} {point.labels:>4} labels  {point.auc.estimate:.3f} ({point.auc.low:.3f} to {point.auc.high:.3f})"
        for point in learning.points
    ]
    return [
        *lines,
        f"    {f'gain over {learning.points[0].name}, paired':<36} {_interval(learning.gain)}",
        f"    {'gain over random labels, paired':<36} {_interval(learning.over_random)}",
        *([f"    {learning.worse}"] if learning.worse else []),
    ]


def _interval(gain: Interval) -> str:
    return f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def _labels(story: Story) -> list[str]:
    if story.labels is None:
        return []
    head = f"labels             {story.labels.training} trained the version that serves, of {story.labels.everything} in all:"
    return [head, *(f"    {count:>5} {SOURCES[name]}" for name, count in story.labels.sources.items())]


def _readers(story: Story) -> list[str]:
    lines = [
        (f"{one.name:<18} read {one.read} in {one.reading_minutes:.0f} min, answered {one.answered} questions in"
         f" {one.answering_minutes:.0f} min (simulated); sensitivity {_share(one.sensitivity)}, specificity {_share(one.specificity)}")
        for one in story.readers
    ]
    return [*lines, f"audit              {story.following.words}"] if story.following else lines


def _share(pair: tuple[int, int]) -> str:
    return f"{pair[0] / pair[1]:.0%} of {pair[1]}" if pair[1] else "of none"


def _irregular(story: Story) -> list[str]:
    figures: Sequence[float | None] = (story.figures["irregularities_as_expected"], story.figures["irregularities"])
    lines = [f"irregularities     {figures[0]:g} of {figures[1]:g} ended as documented: {story.irregularities}"]
    for one in story.became:
        mark = "as expected" if one.as_expected else "NOT as expected"
        name = f" ({one.accession})" if one.accession else ""
        lines.append(f"    {named(one.kind).happens}{name}: {one.words}" + (f"; {mark}" if one.played else ""))
    return lines
