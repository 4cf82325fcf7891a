"""Writes the page: the story's figures, tables and pictures, in one HTML file without scripts and without anything to fetch."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from radloop.workbench.hospital.irregular import named
from radloop.workbench.hospital.tempo import o_clock
from radloop.workbench.hospital.waits import table
from radloop.workbench.play.report import plots
from radloop.workbench.play.story import SOURCES, Story

_TEMPLATE = "report.html.j2"


def write(story: Story, file: Path) -> None:
    """Write the page to a file."""
    file.write_text(page(story), encoding="utf-8")


def page(story: Story) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("radloop.workbench.play.report") / _TEMPLATE).read_text(encoding="utf-8"))
    pictures = {"waits": plots.waits(story), "timeline": plots.timeline(story), "calibration": plots.calibration(story)}
    if story.learning:
        pictures["learning"] = plots.learning(story.learning)
    return template.render(
        story=story, figures=story.figures, waits=table(story.waited), pictures=pictures, named=named, o_clock=o_clock, whose=SOURCES,
        later=[(version, at) for version, at in story.speaks if version != story.served_before],
        read=sum(one.probability is not None for one in story.studies), lifted=sum(one.lifted for one in story.studies),
    )
