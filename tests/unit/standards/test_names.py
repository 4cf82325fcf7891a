"""Names as they are compared."""

from radloop.standards.names import composed


def test_a_name_is_one_in_both_of_unicodes_forms_and_no_other_is_taken_for_it() -> None:
    """What looks alike only (a ligature, a circled digit) is another name: two patients must not be one."""
    assert composed("Jose\u0301 ") == composed("Jos\u00e9") == "Jos\u00e9"
    assert composed("p\u2460") != composed("p1")
    assert composed("\ufb01ne") != composed("fine")
