"""Apache Kafka's tool draws ids that Kafka refuses; the folder of a cluster that runs already is never thrown away."""

from pathlib import Path

import pytest

from radloop.kit.errors import Misconfigured
from radloop.workbench.drill.kafkas import Apache

# Refuses its first start, and keeps count of its starts beside the folder; with `formatted`, it fails after it had formatted.
TOOL = """#!/bin/sh
echo start >> "$2.starts"
mkdir -p "$2"
{formatted}
[ $(wc -l < "$2.starts") -gt 1 ] || {{ echo "-t takes an id" >&2; exit 1; }}
echo '{{"bootstrap_servers": "127.0.0.1:1", "nodes": {{}}}}'
"""


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, formatted: str) -> Path:
    """Put a tool in place of Kafka's, and a java on the PATH; return the folder for a cluster."""
    file = folder / "tools" / "kafka" / "kafka"
    file.parent.mkdir(parents=True)
    file.write_text(TOOL.format(formatted=formatted))
    file.chmod(0o755)
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.touch(0o755)
    monkeypatch.setenv("RADLOOP_TOOLS", str(folder / "tools"))
    monkeypatch.setenv("PATH", f"{java.parent}:/usr/bin:/bin")
    return folder / "cluster"


def test_a_cluster_that_could_not_be_formatted_is_made_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One id in 64 begins with a dash, which is no fault of what is tried."""
    folder = tool(tmp_path, monkeypatch, "")
    assert Apache.start(folder, 1).bootstrap == "127.0.0.1:1"
    assert (tmp_path / "cluster.starts").read_text().count("start") == 2


def test_a_cluster_that_was_formatted_and_did_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder may hold a log that somebody wants to read."""
    folder = tool(tmp_path, monkeypatch, 'touch "$2/kafka.json"')
    with pytest.raises(Misconfigured, match="-t takes an id"):
        Apache.start(folder, 1)
    assert (folder / "kafka.json").exists()
