"""Who asks goes with every act: a name is one that a list can show and a trace can print."""

import pytest

from radloop.events.common import Actor, actor_named
from radloop.kit.errors import Permanent


def test_a_name_is_taken_without_the_blanks_around_it() -> None:
    """Names are people's own, in any script, up to 64 characters."""
    assert actor_named("reader", " Dr. Åsa Núñez-李 ") == Actor(kind="reader", id="Dr. Åsa Núñez-李")
    assert actor_named("reader", "x" * 64).id == "x" * 64


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "x" * 50_000, "two\nlines", "bell\a", "\u202ereversed", "nul\0"])
def test_what_is_no_name_is_refused_in_words(name: str) -> None:
    """Empty, endless or unprintable: the reason says what a name is."""
    with pytest.raises(Permanent, match="at most 64 characters" if name.strip() else "say who you are"):
        actor_named("reader", name)


def test_the_kind_is_held_to_the_same() -> None:
    """It comes over the same wire."""
    with pytest.raises(Permanent):
        actor_named("k" * 65, "somebody")
