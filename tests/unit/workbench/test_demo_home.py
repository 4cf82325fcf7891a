"""Where a demo lives: it starts from nothing, and never at the cost of somebody's state."""

from pathlib import Path

from radloop.workbench.demonstration import _clean


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    """A demo's own state is gone before the next one begins."""
    home = _clean(tmp_path / "home")
    (home / "postgres").mkdir()
    (home / "bundle.json").write_text("{}")
    assert sorted(one.name for one in _clean(home).iterdir()) == ["demo.json"]


def test_the_state_of_a_stack_is_put_aside(tmp_path: Path) -> None:
    """What `radloop up` left is kept, also by the demo after next."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "data").write_text("precious")
    for _ in range(2):
        _clean(tmp_path)
    assert (tmp_path / "before-demo-1" / "postgres" / "data").read_text() == "precious"
