"""The page that a play leaves: complete by itself, every axis with a unit, every figure with its count, and true to the data."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from radloop.workbench.hospital.irregular import KINDS, Became
from radloop.workbench.hospital.scores import Interval
from radloop.workbench.hospital.waits import MISSED, NEGATIVE, POINTED_OUT, UNREAD, Waited
from radloop.workbench.play.ending import summary
from radloop.workbench.play.report.page import page
from radloop.workbench.play.report.plots import bins, calibration, learning, timeline, waits
from radloop.workbench.play.story import Following, Labels, Learning, Point, ReaderDid, Story, Study

GROUPS = (POINTED_OUT, MISSED, UNREAD, NEGATIVE, NEGATIVE, NEGATIVE)
STUDIES = tuple(
    Study(
        f"A{place}", 600.0 * place, 600.0 * place + 900, 600.0 * place + 1200, group != NEGATIVE, group, place == 0,
        "stat" if place == 4 else "routine", 0 if group == UNREAD else 2, None if group == UNREAD else 0.15 * place + 0.1,
        "adult" if group == UNREAD else "", "reader-1",
    )
    for place, group in enumerate(GROUPS)
)
FIGURES: dict[str, float | None] = {
    "studies": 60, "studies_irregular": 11, "read_by_model": 55, "reports_in_ehr": 55, "reports_lost": 0, "reports_twice": 0,
    "unexplained": 0, "priority_changes": 6, "priority_refused": 1, "labels_asked": 100, "labels_audit": 15,
    "stored_to_triaged_p50_ms": 824.1, "stored_to_triaged_p95_ms": 963.3, "wait_positive_over_fifo": 0.743,
    "wait_missed_over_fifo": 1.216, "wait_max_over_fifo": 1.054, "before_opened_share": 0.98, "lifts_per_100": 10.0, "lift_ppv": 1.0,
    "positives": 14, "missed": 1, "studies_before_release": 2,
    "irregularities": 13, "irregularities_as_expected": 13, "auc_before": 0.7, "auc_after": 0.9,
}
STORY = Story(
    source="phantoms", seed=7, speed=60, ordinary=60, ai=True, anchoring=0.2, prevalence=0.2, figures=FIGURES, problems=(),
    before_opened=(44, 45), served_before=0,
    lasted=11_000, waited=tuple(
        Waited(one.accession, one.group, 20 + 3 * place, 25 + 3 * place) for place, one in enumerate(STUDIES)
    ),
    studies=STUDIES, speaks=((2, 700.0), (3, 9000.0)), away=(2000.0, 3800.0),
    became=tuple(Became(kind.kind, as_expected=True, words="well", accession="A1") for kind in KINDS),
    learning=Learning(
        (Point("the first model", 20, Interval(0.7, 0.65, 0.75)), Point("version 2", 95, Interval(0.93, 0.9, 0.95)),
         Point("random labels", 95, Interval(0.9, 0.86, 0.93), random=True)),
        Interval(0.23, 0.18, 0.27), Interval(0.03, -0.01, 0.06), 216, 312,
    ),
    labels=Labels(175, 1027, {"seed": 20, "chosen": 85, "audit": 15, "live": 67, "acceptance": 200, "gate": 640}),
    readers=(ReaderDid("reader-1", 36, 160, 49, 21, (23, 29), (52, 54), 1),),
    following=Following((8, 35), (0, 5), 0.3, "no proof that readers follow the model"),
    versions=("version 2: production", "    AUC <passed>"),
)
NO_AI = replace(
    STORY, ai=False, learning=None, labels=None, following=None, speaks=(), versions=(), figures={**FIGURES, "auc_before": None},
    studies=tuple(replace(one, version=0, probability=None, lifted=False) for one in STUDIES),
)


def test_the_study_to_trace_is_one_that_a_serving_version_read() -> None:
    """Lifted and signed where there is one; what came before a version served tells less, and without a model any is named."""
    first, *others = STUDIES
    before = replace(first, accession="A-before", version=0, probability=None, lifted=False)
    assert replace(STORY, studies=(before, *others, first)).worth_tracing == first.accession
    open_yet = replace(first, signed=None)
    assert replace(STORY, studies=(before, open_yet, *others)).worth_tracing == others[0].accession
    assert NO_AI.worth_tracing == "A0"
    assert replace(STORY, studies=()).worth_tracing == ""


def test_irregularities_and_irregular_studies_are_told_apart() -> None:
    """There are eleven studies and two systems that go wrong; what was not played is counted with neither."""
    counts = "13 of 13 ended as documented: 11 irregular studies and 2 of the RIS and the EHR"
    assert f"irregularities     {counts}" in summary(STORY)
    assert "irregularities ended as documented: 11 irregular studies and 2 of the RIS and the EHR" in page(STORY)
    fewer = replace(STORY, became=(*STORY.became[:-1], replace(STORY.became[-1], played=False)))
    assert fewer.irregularities == "11 irregular studies and 1 of the RIS and the EHR"


class Tags(HTMLParser):
    """Keeps every element, and whether what was opened was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("story", [STORY, NO_AI, replace(STORY, speaks=(), away=None)], ids=["ai", "no-ai", "never-released"])
def test_the_page_stands_by_itself(story: Story) -> None:
    """Well formed, no script, nothing to fetch from anywhere."""
    tags = Tags()
    tags.feed(page(story))
    assert tags.open == []
    assert not [tag for tag, _ in tags.seen if tag in {"script", "link", "img", "iframe"}]
    named = [value or "" for _, attributes in tags.seen for name, value in attributes.items() if name in {"src", "href", "xlink:href"}]
    assert all(value.startswith("#") for value in named)


def labels_of(svg: str) -> list[str]:
    """Return every text of a picture."""
    return [re.sub(r"\s+", " ", text).strip() for text in re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL)]


@pytest.mark.parametrize(("picture", "axes"), [
    (waits(STORY), ["simulated minutes from"]),
    (timeline(STORY), ["simulated time of day (hours", "order they came (n = 6)"]),
    (learning(STORY.learning), ["labels a version was trained on (number)", "312 images, 95 % interval"]),  # type: ignore[arg-type]  # it has one
    (calibration(STORY), ["probability of pneumonia (0 to 1", "share that shows it (0 to 1"]),
])
def test_every_axis_says_what_it_measures_in_what(picture: str, axes: list[str]) -> None:
    """A quantity with its unit, or what is counted and how many."""
    texts = " | ".join(labels_of(picture))
    for words in axes:
        assert words in texts


def test_every_group_says_of_how_many() -> None:
    """In the picture and in the table."""
    texts = " ".join(labels_of(waits(STORY)))
    for group, count in ((POINTED_OUT, 1), (MISSED, 1), (UNREAD, 1), (NEGATIVE, 3)):
        assert f"{group}, n = {count}," in texts
    assert "n = 1" in " ".join(labels_of(calibration(STORY)))


def test_the_moment_of_the_first_release_is_on_the_page_and_in_the_summary() -> None:
    """Until then the list was first in, first out."""
    assert re.search(r"until version 2 had passed its gate at <b>07:41</b>", page(STORY))
    assert any(line.startswith("shadow until       07:41: version 2 passed its gate after 2 studies had come") for line in summary(STORY))
    assert "version 2 speaks" in " ".join(labels_of(timeline(STORY)))


def test_page_and_summary_tell_the_same_figures() -> None:
    """Both come from the story."""
    text, lines = page(STORY), "\n".join(summary(STORY))
    for number in ("44 of", "175", "1027", "+0.230", "no proof that readers follow the model"):
        assert number in text
        assert number in lines
    assert "13 of 13" in text
    assert "13 of 13" in lines


def test_a_model_that_got_worse_is_said_to_have_got_worse() -> None:
    """In the summary and on the page, where the interval leaves no doubt; a loss that may be chance is a figure only."""
    assert STORY.learning is not None
    lost = replace(STORY, learning=replace(STORY.learning, gain=Interval(-0.058, -0.099, -0.023)))
    assert "AUC lost" in page(lost)
    assert "worse than the first model" in page(lost)
    assert any("worse than the first model" in line for line in summary(lost))
    perhaps = replace(STORY, learning=replace(STORY.learning, gain=Interval(-0.01, -0.05, 0.02)))
    for told in (page(perhaps), page(STORY), *summary(perhaps), *summary(STORY)):
        assert "worse than" not in told


def test_a_version_that_was_there_before_is_not_said_to_have_been_in_shadow() -> None:
    """And the page warns of what it may have seen."""
    there = replace(STORY, served_before=2)
    assert "Version 2 served when the morning began" in page(there)
    assert "other names" in page(there)
    assert any("version 2 served when the morning began" in line for line in summary(there))
    assert not any("shadow until" in line for line in summary(there))


def test_where_nothing_could_be_read_nothing_is_claimed() -> None:
    """No share of none."""
    none = replace(NO_AI, before_opened=(0, 0))
    assert "before anybody opened" not in page(none)
    assert not any(line.startswith("before opened") for line in summary(none))


def test_what_does_not_hold_stands_on_top() -> None:
    """And what was said in words is words, not markup."""
    text = page(replace(STORY, problems=("a report <was> lost",)))
    assert "Does not hold: a report &lt;was&gt; lost" in text
    assert "AUC &lt;passed&gt;" in text


def test_the_same_story_makes_the_same_page() -> None:
    """Nothing in it depends on when it was written."""
    assert page(STORY) == page(STORY)


def test_bins_have_counts_and_wilsons_interval() -> None:
    """Ten cases of which three show it: .108 to .603 (Wilson 1927)."""
    (one,) = bins([0.2] * 10, [True] * 3 + [False] * 7)
    assert (one.count, one.share, one.predicted) == (10, pytest.approx(0.3), pytest.approx(0.2))
    assert (one.low, one.high) == (pytest.approx(0.108, abs=1e-3), pytest.approx(0.603, abs=1e-3))
    assert sum(one.count for one in bins(list(np.linspace(0, 1, 41)), [True] * 41)) == 41
