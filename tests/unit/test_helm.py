"""The chart renders what a cluster takes, refuses what it could not run, and keeps no secret."""

import importlib
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy/helm/radloop"
ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")
SCENARIOS = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def scenario(name: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / f"ci/{name}.yaml").read_text())


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="rad", namespace="radiology")
    return [document for path, text in files.items() if path.endswith(".yaml") for document in yaml.safe_load_all(text) if document]


def of(kind: str, documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"].removeprefix("rad-"): document for document in documents if document["kind"] == kind}


def with_(values: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return values


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_chart_lints(name: str) -> None:
    """Helm's own linter has nothing to say, strictly."""
    result = helm_python.lint(str(CHART), scenario(name), strict=True)
    warning = 2
    loud = [message for message in result["messages"] if message["severity"] >= warning]
    assert not loud, result


@pytest.mark.parametrize("kubernetes", ["1.29", "1.32"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_object_is_one_that_kubernetes_takes(name: str, kubernetes: str) -> None:
    """Every rendered object validates strictly, an unknown field included."""
    documents = render(scenario(name))
    assert len(documents) >= 4 * len(ROOMS)
    for document in documents:
        kubernetes_validate.validate(document, kubernetes, strict=True)


def test_the_validator_bites() -> None:
    """A misspelt field would have been refused."""
    document = of("StatefulSet", render(scenario("minimal-values")))["triage"]
    document["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.32", strict=True)


def test_all_seven_rooms_come_from_one_template() -> None:
    """Each room has its process, its address, its settings and its account; a room can be left out."""
    documents = render(scenario("minimal-values"))
    for kind in ("StatefulSet", "Service", "ConfigMap", "ServiceAccount"):
        assert sorted(of(kind, documents)) == sorted(ROOMS)
    assert [path.name for path in (CHART / "templates").glob("*.yaml")] == ["component.yaml"]
    fewer = render(with_(scenario("minimal-values"), "components.worklist.enabled", False))
    assert "worklist" not in of("StatefulSet", fewer)


@pytest.mark.parametrize("missing", [
    "image.repository", "kafka.bootstrap", "postgres.existingSecret", "triton.address",
    "triton.modelRepository.existingClaim", "blobs.existingClaim", "changeRecords.existingSecret", "ehr.url", "ris.address",
])
def test_what_is_missing_is_named(missing: str) -> None:
    """A value that a cluster must bring is asked for by name, with where to read on."""
    with pytest.raises(helm_python.HelmError, match=missing) as refused:
        render(with_(scenario("minimal-values"), missing, ""))
    assert "docs/platform.md" in str(refused.value)


def test_sasl_without_a_secret_is_refused() -> None:
    """A password never comes from values, so SASL names a secret."""
    with pytest.raises(helm_python.HelmError, match=r"kafka\.existingSecret"):
        render(with_(scenario("minimal-values"), "kafka.security", "SASL_SSL"))


@pytest.mark.parametrize(("path", "value"), [
    ("kafka.password", "x"), ("default.replica", 2), ("components.radiology", {}), ("kafka.security", "TLS"),
    ("components.triage.env", {"HOME": "x"}), ("components.triage.replicas", "two"),
])
def test_a_value_nobody_reads_is_refused(path: str, value: object) -> None:
    """The schema knows every key, so a typo or a password in values fails before anything is rendered."""
    with pytest.raises(helm_python.HelmError):
        render(with_(scenario("minimal-values"), path, value))


@pytest.mark.parametrize("name", SCENARIOS)
def test_secrets_are_only_ever_referred_to(name: str) -> None:
    """The chart makes no Secret, and every dsn and password comes from an existing one."""
    documents = render(scenario(name))
    assert "Secret" not in {document["kind"] for document in documents}
    for room, document in of("StatefulSet", documents).items():
        env = {one["name"]: one for one in document["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert "secretKeyRef" in env[f"RADLOOP_{room.upper()}_POSTGRES"]["valueFrom"]
        assert all("value" not in one for one in env.values())
    for document in of("ConfigMap", documents).values():
        assert not [key for key in document["data"] if key.endswith(("PASSWORD", "POSTGRES", "SECRET", "USER"))]


def test_probes_ask_what_a_room_answers() -> None:
    """Liveness asks /live, readiness /ready, at the port that is told to the room."""
    documents = render(scenario("minimal-values"))
    for room, document in of("StatefulSet", documents).items():
        container = document["spec"]["template"]["spec"]["containers"][0]
        assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "health"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "health"}
        port = next(one["containerPort"] for one in container["ports"] if one["name"] == "health")
        assert of("ConfigMap", documents)[room]["data"]["RADLOOP_HEALTH"] == f"0.0.0.0:{port}"


def test_a_changed_setting_restarts_its_room_and_no_other() -> None:
    """The checksum of a room's settings stands in its pods' annotations."""
    def checksums(values: dict[str, Any]) -> dict[str, str]:
        return {room: document["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
                for room, document in of("StatefulSet", render(values)).items()}

    before = checksums(scenario("minimal-values"))
    after = checksums(with_(scenario("minimal-values"), "components.triage.env", {"RADLOOP_TRIAGE_SITE": "other"}))
    assert {room for room in ROOMS if before[room] != after[room]} == {"triage"}


def test_no_container_runs_as_root_or_writes_its_own_files() -> None:
    """Pods drop every capability and write only where a volume is."""
    for document in of("StatefulSet", render(scenario("full-values"))).values():
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_page_without_a_login_stays_inside_its_pod() -> None:
    """Until there is a login the reading list listens on loopback and no Service names its port."""
    documents = render(scenario("full-values"))
    assert of("ConfigMap", documents)["worklist"]["data"]["RADLOOP_WORKLIST_HTTP"] == "127.0.0.1:8080"
    assert "page" not in {port["name"] for port in of("Service", documents)["worklist"]["spec"]["ports"]}


def test_a_pod_keeps_its_name_as_the_consumers_instance() -> None:
    """group.instance.id is the pod's stable name, so that a restart does not rebalance the group."""
    document = of("StatefulSet", render(scenario("minimal-values")))["triage"]
    env = {one["name"]: one for one in document["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["RADLOOP_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_setting_the_chart_gives_is_one_the_room_reads(name: str, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is set that nothing reads, and the room's settings load from what its pod is given."""
    documents = render(scenario(name))
    given = dict(of("ConfigMap", documents)[room]["data"])
    container = of("StatefulSet", documents)[room]["spec"]["template"]["spec"]["containers"][0]
    given |= {one["name"]: "postgresql://db/radloop" if one["name"].endswith("POSTGRES") else "secret" for one in container["env"]}
    settings = importlib.import_module(f"radloop.{room}.config").Settings
    for variable in given:
        field = variable.removeprefix(f"RADLOOP_{room.upper()}_").removeprefix("RADLOOP_").lower()
        assert field in settings.model_fields or variable.startswith("RADLOOP_ADDRESS_"), variable
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings.load(room)
