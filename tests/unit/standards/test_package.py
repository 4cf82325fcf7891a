"""The model package: what is written is what is read, and a wrong field is named."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from radloop.standards import package
from radloop.standards.codes import PNEUMONIA
from radloop.standards.package import IMAGENET, Ages, Applicability, BadPackage, Calibration, Conformal, Finding, Package

CHEST = Package(
    model="chest", version=3, intended_use="Pneumonia in radiographs of children", members=5,
    applicability=Applicability(("DX", "CR"), ("CHEST",), ("AP", "PA"), Ages(0, 18)), preparation=IMAGENET,
    findings=(Finding(PNEUMONIA, 0.31, Calibration(1.2, -0.4, "site-1", 0.2, 200), Conformal(0.2, 0.4, 0.9, 200)),),
    ood=package.OutOfDistribution(1900.0, "a" * 64), weights_sha256="b" * 64, snapshot_sha256="c" * 64,
)


def test_a_package_survives_its_file(tmp_path: Path) -> None:
    """What a version says of itself is what its readers hear."""
    package.write(tmp_path, CHEST)
    assert package.read(tmp_path) == CHEST


@pytest.mark.parametrize(("wrong", "said"), [
    (("slope:", "slop:"), r"findings\.0\.calibration\.slope: is missing"),
    (("slope:", "slop:"), r"findings\.0\.calibration\.slop: no such key is known here"),
    (("rows: 224", "rows: many"), r"preparation\.rows: a whole number is expected"),
    (("rows: 224", "rows: 0"), r"preparation\.rows: a number of at least 1 is expected"),
    (("weights_sha256: bbb", "weights_sha256: xbb"), r"radloop\.yaml: weights_sha256: a SHA-256 is expected: 64 signs"),
    (("model: chest", "model: 'a chest'"), "model: a name of letters, digits, - and _ is expected$"),
    (("low: 0", "low: 18"), r"applicability\.ages"),
    (("voi: stored", "voi: other"), r"preparation\.voi: 'stored' or 'full-range' is expected"),
    (("modalities:", "modalities: ["), r"radloop\.yaml: no YAML: line \d+, column \d+: [^\n]*$"),
    (("model: chest", "model: \0"), "no YAML: a sign that it does not allow, at position 7$"),
])
def test_a_wrong_field_is_named(wrong: tuple[str, str], said: str) -> None:
    """Whoever wrote the file learns which field to mend."""
    with pytest.raises(BadPackage, match=said):
        package.parse(package.render(CHEST).replace(*wrong))


def test_a_package_out_of_range_is_not_written() -> None:
    """A slope that is not a number never reaches a file."""
    finding = replace(CHEST.findings[0], calibration=replace(CHEST.findings[0].calibration, slope=float("nan")))
    with pytest.raises(BadPackage, match="slope"):
        package.render(replace(CHEST, findings=(finding,)))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """A folder without radloop.yaml is no version of a model."""
    with pytest.raises(BadPackage, match=r"radloop\.yaml"):
        package.read(tmp_path)


def test_a_file_too_large_is_refused_before_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML of a megabyte takes a quarter of a minute, and every reading waits behind it; the sentence names file, size and limit."""
    def parsed(_text: str) -> None:
        raise AssertionError("it was looked at")

    monkeypatch.setattr(package, "yaml_of", parsed)
    told = r"^radloop\.yaml has 262,145 bytes, and at most 262,144 are read$"
    with pytest.raises(BadPackage, match=told):
        package.parse("#" + "\n" * package.LARGEST)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "radloop.yaml").write_bytes(b"#" + b"\n" * package.LARGEST)
    with pytest.raises(BadPackage, match=told):
        package.read(tmp_path / "3")


def test_a_file_as_large_as_is_read_is_read() -> None:
    """It is bytes that count: a letter of two counts twice."""
    text = package.render(CHEST)
    filled = text + "#" * (package.LARGEST - len(text.encode()))
    assert package.parse(filled) == CHEST
    with pytest.raises(BadPackage, match="at most"):
        package.parse(filled[:-1] + "é")


@pytest.mark.parametrize("text", [
    "a: 1:" + "59:" * 200 + "1.5", "a: !!int ''", "a: !!bool x", "a: !!timestamp x", "a: !!float ''", "a: 2001-13-01", "[" * 5000,
])
def test_what_trips_the_parser_is_a_wrong_file_like_any_other(text: str) -> None:
    """One such file must not end whoever reads all of them."""
    with pytest.raises(BadPackage, match=r"^radloop\.yaml: no YAML: "):
        package.parse(text)


def test_a_small_file_cannot_say_a_million_things() -> None:
    """An alias is a whole finding in four bytes, each of whose fields is looked at wherever it stands."""
    text = package.render(CHEST).replace("findings:\n", "findings:\n- &f {}\n" + "- *f\n" * 40_000)
    assert len(text) < package.LARGEST
    with pytest.raises(BadPackage, match=r"^radloop\.yaml: no YAML: line \d+, column 3: anchors and aliases \(& and \*\) are not read"):
        package.parse(text)


def test_a_file_that_is_wrong_everywhere_is_refused_in_a_sentence() -> None:
    """The reason stands in readiness and in answers: it names the first fields, and how many there are beside them."""
    with pytest.raises(BadPackage) as refused:
        package.parse("findings: [" + "{}, " * 10_000 + "]")
    assert "findings.0.code" in refused.value.reason
    assert refused.value.reason.endswith(" more")
    assert len(refused.value.reason) < 2_000


@pytest.mark.parametrize(("rows", "columns", "channels"), [(4096, 4096, 1), (2048, 2730, 3)])
def test_an_image_as_large_as_is_asked_about_is_described(rows: int, columns: int, channels: Literal[1, 3]) -> None:
    """Whole radiographs are: at least four of any kind travel in one request."""
    some = (0.5,) * channels
    kept = replace(CHEST, preparation=replace(IMAGENET, rows=rows, columns=columns, channels=channels, mean=some, std=some))
    assert package.parse(package.render(kept)) == kept
    assert 4 * kept.preparation.image_bytes <= package.LARGEST_REQUEST


@pytest.mark.parametrize(("rows", "columns"), [(10**9, 224), (2048, 2731)])
def test_an_image_of_which_few_would_fill_the_memory_is_refused(rows: int, columns: int) -> None:
    """Nobody could be asked about a batch of them, and already the blank one of the warm-up takes its size."""
    with pytest.raises(BadPackage, match="preparation: an image of these rows, columns and channels is more than 64 MiB"):
        package.render(replace(CHEST, preparation=replace(IMAGENET, rows=rows, columns=columns)))
