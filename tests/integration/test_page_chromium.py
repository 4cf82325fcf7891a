"""The page in a real browser: Debian's Chromium, headless, over the page's real door and a page port held in memory."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from radloop.worklist.adapters.http import PageServer
from radloop.worklist.domain.case import Case
from tests.adapters.fake_page import START, FakePage, a_case, a_morning
from tests.browser import Reader, chromium, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """A browser for all tests here: each begins with a fresh page."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page() -> FakePage:
    """A morning's cases, on real radiographs where RADLOOP_DATA has them."""
    images = Path(os.environ.get("RADLOOP_DATA", "/nowhere")) / "covid_cxr_open_1024" / "images"
    page = FakePage(radiographs=images if images.is_dir() else None)
    for case in a_morning():
        page.put(case)
    return page


@pytest.fixture
def reader(driver: webdriver.Chrome, page: FakePage) -> Iterator[Reader]:
    """A reader in front of the page; what the browser complains about fails the test."""
    server = PageServer(page, "127.0.0.1:0")
    server.start()
    somebody = Reader(driver, f"http://127.0.0.1:{server.port}")
    yield somebody
    complaints = somebody.complaints()
    driver.get("about:blank")
    server.stop()
    assert complaints == []


def test_the_list_stands_in_triages_order_and_says_why(reader: Reader) -> None:
    """STAT first, then read_by, then arrival; class, probability, reason, marks and what the RIS said are on the rows."""
    reader.visit()
    assert reader.rows() == [f"case-{number}" for number in (1, 4, 3, 6, 2, 5, 7, 8, 9, 10, 11, 12)]
    assert "STAT" in reader.row("case-1")
    assert "97 %" in reader.row("case-2") and "lifted" in reader.row("case-2")
    assert "RIS refused" in reader.row("case-3")
    assert "late" in reader.row("case-4")
    assert "kept its place" in reader.row("case-5") and "unsure" in reader.row("case-5")
    assert "unmatched" in reader.row("case-7")
    assert "no AI: view LL is not one it reads" in reader.row("case-8")
    assert "%" not in reader.row("case-9"), "an audit hides the model's answer"
    assert "No login yet" in reader.driver.find_element(By.CLASS_NAME, "notice").text
    assert "chest v2" in reader.text("serving")


def test_a_model_in_shadow_is_said_to_be_in_shadow(reader: Reader, page: FakePage) -> None:
    """While no version speaks, the page says that the list is first in, first out."""
    page.mode = replace(page.mode, mode="shadow", version=None, shadow=1)
    reader.visit()
    reader.until(lambda: "Model in shadow: first in, first out" in reader.text("serving"))


def test_the_page_shows_the_moment_at_which_a_version_begins_to_speak(reader: Reader, page: FakePage) -> None:
    """In shadow first; when a version is released an open page says so, and since when."""
    serving = page.mode
    page.mode = replace(serving, mode="shadow", version=None, shadow=1)
    reader.visit()
    reader.until(lambda: "Model in shadow" in reader.text("serving"))
    page.mode = replace(serving, since=page.time)
    page.put(page.cases["case-1"])
    reader.until(lambda: "chest v2 serves from now on" in reader.text("toasts"))
    assert re.search(r"serving chest v2 since \d\d:\d\d", reader.text("serving"))


def test_the_image_is_drawn_with_who_it_is_beside_it_and_the_map_over_it(reader: Reader) -> None:
    """A case shows its pixels and, always, its patient; O draws the evidence map, dragging changes the window."""
    reader.visit()
    reader.open("case-2")
    facts = reader.text("facts")
    for fact in ("Okafor, Daniel", "PT-4002", "2023-03-12", "3 y", "male", "ACC-0002", "2026-03-02", "AP", "cough and fever"):
        assert fact in facts
    greys, mean, warmth = reader.pixels()
    assert greys > 50
    assert abs(warmth) < 0.5
    reader.press("o")
    reader.settle()
    assert reader.pixels()[2] > 2
    reader.screenshot("page-evidence")
    reader.press("o")
    canvas = reader.driver.find_element(By.ID, "canvas")
    ActionChains(reader.driver).move_to_element(canvas).click_and_hold().move_by_offset(60, 120).release().perform()
    reader.settle()
    assert abs(reader.pixels()[1] - mean) > 5


def test_a_records_a_verdict_and_the_row_changes_without_reload(reader: Reader, page: FakePage) -> None:
    """A is an absolute answer to what was shown, by whom, in how many seconds; the row says so at once; Z takes it back."""
    reader.visit()
    reader.open("case-2")
    reader.driver.execute_script("window.sameDocument = true")
    reader.press("a")
    reader.until(lambda: "✓ accept" in reader.row("case-2"))
    assert reader.driver.execute_script("return window.sameDocument")
    (verdict,) = page.verdicts
    assert (verdict.kind, verdict.reader.id, verdict.answers[0].value) == ("accept", "dr-lovelace", "present")
    assert (verdict.shown.revision, verdict.shown.prediction_id, verdict.shown.ai_shown) == (1, "prediction-2-1", True)
    assert verdict.seconds_spent > 0
    reader.screenshot("page")
    reader.press("z")
    reader.until(lambda: "✓" not in reader.row("case-2"))


def test_each_key_records_what_it_says(reader: Reader, page: FakePage) -> None:
    """R is the opposite of what the model says, C says nothing can be said, E says what the reader chose, U undoes a lift."""
    reader.visit()
    reader.open("case-3")
    reader.press("r")
    reader.until(lambda: len(page.verdicts) == 1)
    reader.press("c")
    reader.until(lambda: len(page.verdicts) == 2)
    reader.press("e")
    reader.until(lambda: reader.driver.find_element(By.ID, "edit").is_displayed())
    reader.screenshot("page-edit")
    reader.press("n")
    reader.press("\ue007")
    reader.until(lambda: len(page.verdicts) == 3)
    assert [(one.kind, one.answers[0].value) for one in page.verdicts] == [
        ("reject", "absent"), ("cannot-say", "cannot-say"), ("refine", "absent"),
    ]
    reader.press("u")
    reader.until(lambda: "reordering undone" in reader.row("case-3"))
    assert page.undone == ["case-3"]


def test_a_list_that_moves_never_moves_a_keypress_to_another_patient(reader: Reader, page: FakePage) -> None:
    """While the list re-sorts under the reader, every answer goes to the case on the screen, which stays what it was."""
    reader.visit()
    reader.open("case-5")
    for turn in range(12):
        _pass_above(page, 100 + turn)
        reader.until(lambda turn=turn: f"case-{100 + turn}" in reader.rows())
        reader.press("c")
        reader.until(lambda turn=turn: len(page.verdicts) == turn + 1)
        assert "Nakamura, Yui" in reader.text("facts")
    assert {one.shown.case_id for one in page.verdicts} == {"case-5"}


def test_an_answer_to_what_was_replaced_meanwhile_is_refused_and_said_so(reader: Reader, page: FakePage) -> None:
    """New images under an open case change nothing on the screen, but an answer is refused until they have been looked at."""
    reader.visit()
    reader.open("case-2")
    reader.until(lambda: page.opened)
    page.put(_with_new_images(page.cases["case-2"]))
    reader.until(lambda: "New images arrived" in reader.text("replaced"))
    reader.press("a")
    reader.until(lambda: "new images arrived while this case was open" in reader.text("toasts"))
    reader.screenshot("page-replaced")
    assert page.verdicts == []
    reader.press("l")
    reader.until(lambda: not reader.driver.find_element(By.ID, "replaced").is_displayed())
    reader.drawn("case-2")
    reader.press("c")
    reader.until(lambda: len(page.verdicts) == 1)
    assert page.verdicts[0].shown.revision == 2


def test_an_audit_is_answered_with_the_ai_hidden(reader: Reader, page: FakePage) -> None:
    """The review list hides the model's answer of an audit until the reader has given one, and names the request it answers."""
    reader.visit()
    reader.press("2")
    reader.until(lambda: reader.rows() == ["case-9", "case-10"])
    reader.open("case-9")
    assert "hidden" in reader.text("finding").lower()
    reader.screenshot("page-review")
    reader.press("a")
    reader.until(lambda: "hidden" in reader.text("toasts"))
    reader.press("e")
    reader.press("p")
    reader.press("\ue007")
    reader.until(lambda: len(page.verdicts) == 1)
    shown = page.verdicts[0].shown
    assert (shown.request_id, shown.ai_shown, shown.prediction_id) == ("r-audit", False, "")
    reader.until(lambda: reader.rows() == ["case-10"])


def test_a_pacs_opens_a_case_by_its_accession_number(reader: Reader) -> None:
    """An address with an accession number opens that case, and the number does not stay in the address."""
    reader.visit("/?accession=ACC-0007")
    reader.drawn("case-7")
    assert "Silva" in reader.text("facts") and "Unmatched" in reader.text("facts")
    assert "ACC-0007" not in reader.driver.current_url


def test_nobody_answers_without_a_name(reader: Reader, page: FakePage) -> None:
    """Without a reader's name an answer is not sent, and the page asks for the name."""
    reader.visit(name="")
    reader.press("j")
    reader.drawn("case-1")
    reader.press("a")
    reader.until(lambda: "Say who you are first" in reader.text("toasts"))
    assert page.verdicts == []


def _pass_above(page: FakePage, number: int) -> None:
    """Have a case arrive that stands above all others, and the first routine one fall behind."""
    page.put(a_case(number, "Newly", f"Arrived {number}", urgency="stat", minutes=60 + number, allowance=1))
    moved = page.cases["case-4"]
    assert moved.place
    page.put(replace(moved, place=replace(moved.place, read_by=START + timedelta(minutes=number))))


def _with_new_images(case: Case) -> Case:
    assert case.imaged
    return replace(case, imaged=replace(case.imaged, revision=2))
