"""A FHIR server of a page, the twin of the hospital's EHR: it keeps versions, and a test may make it odd."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from radloop.publishing.adapters.fhir import Ehr

BODY = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [
    {"resource": {"resourceType": "Device", "id": "d", "identifier": [{"value": "d"}], "status": "active"}},
    {"resource": {"resourceType": "DiagnosticReport", "id": "r", "identifier": [{"value": "r"}], "status": "partial"}},
    {"resource": {"resourceType": "Provenance", "id": "v", "target": [{"reference": "DiagnosticReport/r"}]}},
]}).encode()


def bundle(*resources: dict[str, Any]) -> httpx.Response:
    """A search's answer."""
    return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]})


class Server:
    """A FHIR server of a page: keeps resources, counts writes; may choose ids itself, lack transactions, or be odd."""

    def __init__(self, *, client_ids: bool = True, transactions: bool = False) -> None:
        self.able = {"client_ids": client_ids, "transactions": transactions}
        self.kept: dict[str, dict[str, Any]] = {}
        self.writes: list[httpx.Request] = []
        self.odd: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    def ehr(self) -> Ehr:
        """A client of this server."""
        return Ehr("http://ehr.test/fhir", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as R4 asks."""
        path = request.url.path.removeprefix("/fhir").strip("/")
        if path == "metadata":
            interaction = [{"code": "transaction"}] if self.able["transactions"] else []
            return httpx.Response(200, json={"resourceType": "CapabilityStatement", "rest": [{
                "mode": "server", "interaction": interaction,
                "resource": [{"type": "DiagnosticReport", "updateCreate": self.able["client_ids"]}],
            }]})
        if (odd := self.odd(request)) is not None:
            return odd
        if path.endswith("_search"):
            kind = path.partition("/")[0]
            wanted = httpx.QueryParams(request.content.decode())
            value = (wanted.get("identifier") or wanted.get("_tag")).partition("|")[2]
            found = [one for one in self.kept.values() if one["resourceType"] == kind and one["ours"] == value]
            return bundle(*({k: v for k, v in one.items() if k != "ours"} for one in found))
        if request.method == "GET":
            found_one = self.kept.get(path)
            if found_one is None:
                return httpx.Response(404)
            return httpx.Response(200, json={k: v for k, v in found_one.items() if k != "ours"},
                                  headers={"ETag": f'W/"{found_one["meta"]["versionId"]}"'})
        self.writes.append(request)
        body = json.loads(request.content)
        if request.method == "POST" and not path:
            for entry in body["entry"]:
                self.keep(entry["request"]["url"], entry["resource"])
        elif request.method == "POST":
            value = httpx.QueryParams(request.headers["If-None-Exist"]).multi_items()[0][1].partition("|")[2]
            if any(one["ours"] == value for one in self.kept.values()):
                return httpx.Response(200)
            name = f"{path}/server-{len(self.kept)}"
            self.keep(name, {**body, "id": name.partition("/")[2], "ours": value})
        else:
            known = self.kept.get(path)
            if known and request.headers.get("If-Match") != f'W/"{known["meta"]["versionId"]}"':
                return httpx.Response(412)
            self.keep(path, body)
        return httpx.Response(201)

    def keep(self, name: str, resource: dict[str, Any]) -> None:
        """Store the next version."""
        before = self.kept.get(name, {})
        version = int(before.get("meta", {}).get("versionId", 0)) + 1
        self.kept[name] = {"ours": before.get("ours", ""), **resource, "meta": {"versionId": str(version)}}

    def versions(self, kind: str) -> list[int]:
        """How many versions each resource of a type went through."""
        return [int(one["meta"]["versionId"]) for name, one in self.kept.items() if name.startswith(f"{kind}/")]
