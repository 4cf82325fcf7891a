"""The report's pictures, as SVG to stand in a page. Every axis has its unit, everything counted says of how many."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from radloop.workbench.hospital.planning import HOUR, MINUTE, READERS_COME_AFTER
from radloop.workbench.hospital.tempo import o_clock
from radloop.workbench.hospital.waits import GROUPS, MISSED, NEGATIVE, POINTED_OUT, UNREAD
from radloop.workbench.play.story import Learning, Story

COLOURS = {POINTED_OUT: "#0b7a75", MISSED: "#c1432e", UNREAD: "#b07d12", NEGATIVE: "#8a93a0"}
_INK, _PALE = "#1c2733", "#c9d1d9"
_BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_Z = 1.96


@dataclass(frozen=True)
class Bin:
    """Cases of a range of predicted probabilities: mean predicted, share that shows the finding with its 95 % interval, and how many."""

    predicted: float
    share: float
    low: float
    high: float
    count: int


def waits(story: Story) -> str:
    """Draw every wait as a dot: as it was, and first in, first out, a bar at the mean."""
    groups = [group for group in GROUPS if any(one.group == group for one in story.waited)]
    figure, axes = _figure(8.4, 0.9 + 0.95 * max(1, len(groups)))
    dice = np.random.default_rng(0)
    marks, names = [], []
    for row, group in enumerate(reversed(groups)):
        ours = [one.minutes for one in story.waited if one.group == group]
        fifo = [one.fifo for one in story.waited if one.group == group]
        sides = ((fifo, -0.2, _PALE, "first in, first out"), (ours, 0.2, COLOURS[group], f"{group}, n = {len(ours)}"))
        for values, shift, colour, name in sides:
            heights = row + shift + dice.uniform(-0.1, 0.1, len(values))
            axes.scatter(values, heights, s=14, color=colour, alpha=0.85, linewidths=0)
            axes.plot([np.mean(values)] * 2, [row + shift - 0.17, row + shift + 0.17], color=_INK, linewidth=1.8)
            marks.append(row + shift)
            names.append(f"{name}, mean {np.mean(values):.0f} min")
    axes.set_yticks(marks, names)
    axes.set_xlabel("simulated minutes from study complete to signed report (bar: mean)")
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#eef1f4")
    return _svg(figure)


def learning(learned: Learning) -> str:
    """Draw the area under the ROC curve against the number of labels, with intervals."""
    figure, axes = _figure(8.4, 3.4)
    own = [point for point in learned.points if not point.random]
    axes.plot([point.labels for point in own], [point.auc.estimate for point in own], color=COLOURS[POINTED_OUT], linewidth=1.4)
    for point in learned.points:
        colour = "#8a93a0" if point.random else COLOURS[POINTED_OUT]
        low, high = point.auc.estimate - point.auc.low, point.auc.high - point.auc.estimate
        at = point.labels + (1.5 if point.random else 0)
        axes.errorbar([at], [point.auc.estimate], yerr=[[low], [high]], fmt="s" if point.random else "o", color=colour, capsize=3)
        axes.annotate(
            f"{point.name}: {point.auc.estimate:.3f}", (at, point.auc.estimate), xytext=(7, -12 if point.random else 6),
            textcoords="offset points", fontsize=8, color=colour,
        )
    axes.set_xlabel("labels a version was trained on (number)")
    axes.set_ylabel(f"AUC on the test split\n({learned.images} images, 95 % interval)")
    axes.margins(x=0.16, y=0.12)
    axes.grid(color="#eef1f4")
    return _svg(figure)


def bins(probabilities: Sequence[float], positive: Sequence[bool]) -> tuple[Bin, ...]:
    """Group cases by predicted probability; intervals of the shares are Wilson's (1927)."""
    predicted, truth = np.asarray(probabilities), np.asarray(positive, dtype=bool)
    found = []
    for low, high in pairwise(_BINS):
        inside = (predicted >= low) & ((predicted < high) | ((high == _BINS[-1]) & (predicted <= high)))
        count = int(inside.sum())
        if count:
            share = float(truth[inside].mean())
            middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
            half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
            found.append(Bin(float(predicted[inside].mean()), share, float(middle - half), float(middle + half), count))
    return tuple(found)


def calibration(story: Story) -> str:
    """Draw what share of the morning's cases shows the finding, against the probability that was displayed."""
    read = [(one.probability, one.positive) for one in story.studies if one.probability is not None]
    figure, axes = _figure(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=_PALE, linewidth=1.2, linestyle="--")
    for one in bins([probability for probability, _ in read], [positive for _, positive in read]):
        below, above = max(0.0, one.share - one.low), max(0.0, one.high - one.share)
        axes.errorbar([one.predicted], [one.share], yerr=[[below], [above]], fmt="o", color=COLOURS[POINTED_OUT], capsize=3)
        axes.annotate(f"n = {one.count}", (one.predicted, one.share), xytext=(6, 5), textcoords="offset points", fontsize=8, color=_INK)
    axes.set_xlabel("displayed probability of pneumonia (0 to 1, mean of the range)")
    axes.set_ylabel("share that shows it (0 to 1, 95 % interval)")
    axes.set_xlim(-0.03, 1.08)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(color="#eef1f4")
    return _svg(figure)


def timeline(story: Story) -> str:
    """Draw the morning: each study a line from complete to signed, in the order they came, with the versions that spoke."""
    studies = sorted((one for one in story.studies), key=lambda one: one.complete)
    figure, axes = _figure(8.4, 1.6 + 0.085 * len(studies))
    for row, one in enumerate(studies):
        end = one.signed if one.signed is not None else one.opened
        colour = COLOURS[one.group]
        axes.plot([one.complete / HOUR, (end or one.complete) / HOUR], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
        if one.lifted:
            axes.plot([one.complete / HOUR], [row], marker=">", color=colour, markersize=5)
        if one.urgency == "stat":
            axes.plot([one.complete / HOUR], [row], marker="D", color=_INK, markersize=4)
        if one.irregular:
            axes.plot([(end or one.complete) / HOUR], [row], marker="|", color=_INK, markersize=7)
    top = len(studies)
    if story.away:
        axes.axvspan(story.away[0] / HOUR, story.away[1] / HOUR, color="#f3e3df", zorder=0)
        axes.text(story.away[0] / HOUR, top + 0.9, " EHR away", fontsize=8, color=COLOURS[MISSED])
    for version, at in story.speaks:
        axes.axvline(at / HOUR, color=COLOURS[POINTED_OUT], linewidth=1.2, linestyle="--")
        axes.text(at / HOUR, -2.6, f" version {version} speaks", fontsize=8, color=COLOURS[POINTED_OUT])
    axes.axvline(READERS_COME_AFTER / HOUR, color=_PALE, linewidth=1.0)
    axes.text(READERS_COME_AFTER / HOUR, top + 0.9, "readers come ", fontsize=8, color="#66707c", ha="right")
    ends = [one.signed or one.complete for one in studies] or [HOUR]
    ticks = np.arange(0, max(ends) + 30 * MINUTE, 30 * MINUTE)
    axes.set_xticks(ticks / HOUR, [o_clock(float(tick)) for tick in ticks])
    axes.set_ylim(top + 1.5, -4.5)  # the first on top
    axes.set_xlabel("simulated time of day (hours and minutes)")
    axes.set_ylabel(f"studies in the order they came (n = {len(studies)})")
    handles = [mpl.lines.Line2D([], [], color=COLOURS[group], linewidth=2.2, label=group) for group in GROUPS]
    handles += [
        mpl.lines.Line2D([], [], color=_INK, marker=mark, linestyle="", markersize=5, label=label)
        for mark, label in ((">", "lifted by the model"), ("D", "STAT"), ("|", "irregular"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    return figure, axes


def _svg(figure: Figure) -> str:
    """Return the figure as an SVG element; text stays text, and nothing in it changes from run to run."""
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "radloop", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg"):]
