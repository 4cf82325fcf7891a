"""The page's event stream: what it holds for pages that read slowly, or are too many, is bounded."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from conftest import wait_until
from tests.adapters.fake_page import FakePage

from radloop.worklist.adapters import http
from radloop.worklist.adapters.http import NAMED, PageServer


class Staying:
    """A request of a page that stays."""

    async def is_disconnected(self) -> bool:
        return False


@pytest.fixture
def page() -> FakePage:
    """A page without cases."""
    return FakePage()


@pytest.fixture
def server(page: FakePage) -> Iterator[PageServer]:
    """The door, open on a free port."""
    server = PageServer(page, "127.0.0.1:0")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("changes", "told"), [(3, 3), (NAMED + 1, 0)])
def test_of_more_changes_than_are_worth_naming_none_is_named(page: FakePage, changes: int, told: int) -> None:
    """A page that reads slowly is told that anything may have changed; what is kept for it does not grow with the list."""
    server = PageServer(page, "127.0.0.1:0")

    async def hear() -> str:
        stream = server._changes(Staying())  # type: ignore[arg-type]  # all that is asked of a request here
        await anext(stream)
        for number in range(changes):
            page.listeners[0]([f"case-{number}"])
        said = await anext(stream)
        await stream.aclose()
        return said

    said = asyncio.run(hear())
    assert len(json.loads(said.partition("data: ")[2])["case_ids"]) == told
    assert page.listeners == []
    server.stop()


def test_one_stream_too_many_is_told_to_come_again(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many pages hear of changes at once; when one of them goes there is room again, and everything else is served all the while."""
    monkeypatch.setattr(http, "STREAMS", 1)
    address = f"http://127.0.0.1:{server.port}/api"

    def listens() -> bool:
        try:
            urllib.request.urlopen(f"{address}/events", timeout=5).close()
        except urllib.error.HTTPError as refused:
            if refused.code != 503:
                raise
            return False
        return True

    with urllib.request.urlopen(f"{address}/events", timeout=5) as stream:
        assert stream.readline() == b"retry: 1000\n"
        assert not listens()
        assert json.load(urllib.request.urlopen(f"{address}/rows", timeout=5))["rows"] == []
    wait_until(listens, 10)
