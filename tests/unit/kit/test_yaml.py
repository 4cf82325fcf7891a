"""YAML is read where it stands, in time that its size bounds, and what is wrong with it repeats nothing of it."""

import pytest

from radloop.kit.yaml import NotYaml, yaml_of


def test_plain_values_are_read_as_ever() -> None:
    """Bytes or text, in whatever style."""
    assert yaml_of(b"a: 1\nb: [x, 2.5, {c: true}]\nd: |\n  two\n  lines\n") == {"a": 1, "b": ["x", 2.5, {"c": True}], "d": "two\nlines\n"}
    assert yaml_of("") is None


@pytest.mark.parametrize("text", [
    "a: !!int Doe^Jane", "a: !!float Doe", "a: !!bool Doe", "a: !!timestamp Doe", "a: !!python/object:Doe {}", "a: !!binary Doe",
    "a: !Doe 1", "a: !<Doe's> 1", 'a: !<Doe"s> 1', "a: !Doe!x 1",
    "%TAG !Doe! x\n%TAG !Doe! y\n---\na: 1", "a: &Doe 1", "a: *Doe", "Doe: [", "'Doe", "{Doe", "Doe: \0",
])
def test_what_is_wrong_repeats_nothing_of_what_stands_there(text: str) -> None:
    """A name may stand there, where somebody took the wrong file."""
    with pytest.raises(NotYaml, match=r"^no YAML: (line \d+, column \d+: |a sign that it does not allow)[^\n]*$") as wrong:
        yaml_of(text)
    assert "Doe" not in wrong.value.reason
    assert "Doe" not in str(wrong.value)


@pytest.mark.parametrize(("text", "said"), [
    ("a: [1", "line 1, column 6: expected ',' or ']', but got '<stream end>'"),
    ("a: !!int x", "line 1, column 4: a value is not what it looks like, or is marked as"),
    ("a:\n  b: 2001-13-01", "line 2, column 6: a value is not what it looks like, or is marked as"),
    ("a: &x 1", "line 1, column 4: anchors and aliases (& and *) are not read here"),
    ("a: *x", "line 1, column 4: anchors and aliases (& and *) are not read here"),
    ("- <<: {a: 1}", "line 1, column 3: merge keys (<<) are not read here"),
    ("a: 1\nb: 2\na: 3", "line 3, column 1: a key stands there twice"), ("a: {b: 1, b: 1}", "line 1, column 11: a key stands there twice"),
    ("a: " + "9" * 201, "line 1, column 4: a number longer than any that is read here"),
    ("[" * 3000, "it is nested too deeply"), ('"\\UFFFFFFFF"', "OverflowError"),
])
def test_what_is_wrong_is_told_with_its_place(text: str, said: str) -> None:
    """Signs that are missing are named: they are no content."""
    with pytest.raises(NotYaml) as wrong:
        yaml_of(text)
    assert wrong.value.reason == f"no YAML: {said}"
