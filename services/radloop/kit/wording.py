"""What does not fit in a file, a setting or a message, in plain words: where it stands and what is expected there.

The value itself is never repeated: it may be a secret, or PHI.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Context = Mapping[str, Any]
_TOLD = 20
"""So many places are named: nobody reads more, and a file can be wrong in a hundred thousand."""


def misfits(wrong: ValidationError, forms: Mapping[str, str] | None = None, *, below: int = 0) -> str:
    """Say each place and what is expected there; `forms` are words for patterns, `below` leaves out what a place begins with."""
    errors = wrong.errors(include_url=False, include_input=False)
    places = [error for error in errors if not _follows(error, errors)]
    told = "; ".join(
        f"{'.'.join(str(part) for part in error['loc'][below:]) or 'the whole'}: {expected(error, forms or {})}" for error in places[:_TOLD]
    )
    return told + (f"; and {len(places) - _TOLD} more" if len(places) > _TOLD else "")


def _follows(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Say whether a list is too short only because what is in it does not fit, which is said already."""
    here = error["loc"]
    return error["type"] == "too_short" and any(one["loc"][:len(here)] == here and one is not error for one in errors)


def expected(error: ErrorDetails, forms: Mapping[str, str] = MappingProxyType({})) -> str:
    """Say what is expected where one thing does not fit."""
    context: Context = error.get("ctx", {})
    known = forms.get(str(context.get("pattern", "")))
    tell = _WORDS.get(error["type"])
    return known or (tell(context) if tell is not None else error["type"].replace("_", " "))


def _plain(words: str) -> Callable[[Context], str]:
    return lambda _: words


def _number(bound: object) -> str:
    """Return a bound with whole numbers whole, as one would write it into the file."""
    return str(bound).removesuffix(".0")


_TEXT = "a text is expected (in quotation marks where it looks like something else)"
_NUMBER, _WHOLE = "a number is expected (without quotation marks)", "a whole number is expected (without quotation marks)"
_LIST, _KEYS, _TRUTH = "a list is expected", "keys with their values are expected", "true or false is expected"
_WORDS: Mapping[str, Callable[[Context], str]] = {
    "missing": _plain("is missing"),
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), _plain("no such key is known here")),
    **dict.fromkeys(("string_type", "string_unicode"), _plain(_TEXT)),
    **dict.fromkeys(("float_type", "float_parsing"), _plain(_NUMBER)),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _plain(_WHOLE)),
    **dict.fromkeys(("bool_type", "bool_parsing"), _plain(_TRUTH)),
    **dict.fromkeys(("list_type", "tuple_type"), _plain(_LIST)),
    **dict.fromkeys(("dict_type", "dataclass_type", "model_type"), _plain(_KEYS)),
    "finite_number": _plain("a finite number is expected"),
    "greater_than": lambda context: f"a number above {_number(context['gt'])} is expected",
    "greater_than_equal": lambda context: f"a number of at least {_number(context['ge'])} is expected",
    "less_than": lambda context: f"a number below {_number(context['lt'])} is expected",
    "less_than_equal": lambda context: f"a number of at most {_number(context['le'])} is expected",
    "literal_error": lambda context: f"{context['expected']} is expected",
    "too_short": lambda context: f"at least {context['min_length']} in the list are expected",
    "string_too_long": lambda context: f"at most {context['max_length']} signs are expected",
    # Our validators say what is expected, and nothing of what is there.
    **dict.fromkeys(("value_error", "assertion_error"), lambda context: str(context["error"]) or "another value is expected"),
    "string_pattern_mismatch": lambda context: f"a text of the form {context['pattern']} is expected",
}
