"""Apache Kafka through kafka-python: topics as proto/topics describes them, one producer, one consumer, errors translated."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.net.compat import KafkaNetClient
from kafka.errors import AuthorizationError, KafkaError, TopicAlreadyExistsError

from radloop.kit.errors import Misconfigured, Transient
from radloop.kit.knock import Key, context, knock
from radloop.kit.retention import read_retention

log = logging.getLogger(__name__)

MILLISECONDS_A_DAY = 86_400_000
MOST = 500
"""Records of one poll, all partitions together."""
FETCH_BYTES, PARTITION_BYTES = 8 * 1024 * 1024, 1024 * 1024
"""What one answer of a broker holds, of all partitions and of one; the embedded one sends all that waits, whatever it is told."""
SECURITY = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


@dataclass(frozen=True)
class Topic:
    """One topic, as `proto/topics/<topic>.yaml` describes it."""

    name: str
    message: str
    key: str
    partitions: int
    phi: bool
    bulk: bool
    """Whether its events may come by the thousand while nobody waits for any of them: hearers take them after all others."""
    said_by: tuple[str, ...]
    heard_by: tuple[str, ...]
    description: str
    examples: tuple[str, ...]


def group(room: str, *, bulk: bool) -> str:
    """Return the consumer group as which a room hears its bulk topics, or all its others."""
    return f"{room}-bulk" if bulk else room


@cache
def topics() -> Mapping[str, Topic]:
    """Return every topic by name: from the wheel, or from the checkout's proto/topics."""
    packaged = Path(str(files("radloop"))) / "topics"
    folder = packaged if packaged.is_dir() else Path(str(files("radloop"))).parents[1] / "proto" / "topics"
    found: dict[str, Topic] = {}
    for file in sorted(folder.glob("*.yaml")):
        said: dict[str, Any] = yaml.safe_load(file.read_text())
        found[file.stem] = Topic(
            name=file.stem, message=said["message"], key=said["key"], partitions=said["partitions"], phi=said["phi"], bulk=said["bulk"],
            said_by=tuple(said["said_by"]), heard_by=tuple(said["heard_by"]), description=said["description"],
            examples=tuple(said["examples"]),
        )
    if not found:
        raise Misconfigured(f"no topic descriptions found in {folder.name}; reinstall radloop")
    return found


def addresses(bootstrap: str) -> tuple[tuple[str, int], ...]:
    """Return host and port of each bootstrap server; raise Misconfigured where one is neither."""
    found = []
    for one in bootstrap.split(","):
        host, _, port = one.strip().rpartition(":")
        if not host or not port.isdigit():
            raise Misconfigured(f"RADLOOP_KAFKA: {one.strip()!r} is not host:port; name your brokers as host:port,host:port")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)


def translated(away: Exception) -> Transient:
    """Return what a client's error means: the broker is away, or does not allow what we ask for."""
    if isinstance(away, AuthorizationError):
        return Transient(f"kafka does not allow it ({type(away).__name__}): RADLOOP_KAFKA_USER needs the ACLs in docs/platform.md")
    return Transient(f"kafka is away: {type(away).__name__}")


def _never_creating(**config: Any) -> KafkaNetClient:
    """Return a client that asks for topics without having them made: a broker would make them with other partitions.

    kafka-python has an option for that (`allow_auto_create_topics`), and does not hand it on.
    """
    client = KafkaNetClient(**config)
    client.cluster.config["allow_auto_create_topics"] = False
    return client


@dataclass(frozen=True)
class Broker:
    """Where the brokers are and how to speak to them: TLS and SASL as the platform team set them."""

    bootstrap: str
    security: str = "PLAINTEXT"
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    bells: str = ""
    """A folder for `kit.bell`, where this broker does not hold empty fetches (the embedded one); empty where it does."""
    topic_days: int = field(default_factory=lambda: read_retention().topic)

    def check(self) -> None:
        """Raise Misconfigured where the settings cannot be right, whatever the brokers and this machine say."""
        addresses(self.bootstrap)
        if self.security not in SECURITY:
            raise Misconfigured(f"RADLOOP_KAFKA_SECURITY is {self.security!r}: set it to one of {', '.join(SECURITY)}")
        sasl = self.security.startswith("SASL")
        if sasl and self.mechanism not in MECHANISMS:
            raise Misconfigured(f"RADLOOP_KAFKA_MECHANISM is {self.mechanism!r}: set it to one of {', '.join(MECHANISMS)}")
        if sasl and not (self.user and self.password):
            raise Misconfigured(f"RADLOOP_KAFKA_SECURITY is {self.security}: set RADLOOP_KAFKA_USER and RADLOOP_KAFKA_PASSWORD")
        if self.mechanism and not sasl:
            raise Misconfigured(f"RADLOOP_KAFKA_MECHANISM is set and RADLOOP_KAFKA_SECURITY is {self.security}: nobody would sign in")

    def key(self) -> Key:
        """Return what opens the brokers' doors; raise Misconfigured where the settings or the authorities' file cannot be right."""
        self.check()
        tls = context(self.ca_file) if self.security.endswith("SSL") else None
        return Key(self.security, self.mechanism, self.user, self.password, tls, self.ca_file)

    def options(self) -> dict[str, Any]:
        """Return kafka-python's options."""
        options: dict[str, Any] = {
            "bootstrap_servers": [one.strip() for one in self.bootstrap.split(",")], "security_protocol": self.security,
            "bootstrap_timeout_ms": 10_000,
        }
        if self.mechanism:
            options |= {
                "sasl_mechanism": self.mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password,
            }
        if self.ca_file:
            options["ssl_cafile"] = self.ca_file
        return options

    def knock(self) -> None:
        """Raise Transient where no broker lets us in, with the sentence of each; one that does is enough."""
        key = self.key()
        refusals: list[str] = []
        for host, port in addresses(self.bootstrap):
            refusal = knock(host, port, key)
            if not refusal:
                return
            refusals.append(refusal)
        raise Transient("; ".join(dict.fromkeys(refusals)))

    def producer(self) -> KafkaProducer:
        """Open an idempotent producer that waits for all replicas; raise Transient where no broker answers.

        It lingers until it is flushed, which its user does after each wave: so a wave is one batch a partition, not one an event.
        """
        self.knock()
        try:
            return KafkaProducer(
                **self.options(), acks="all", enable_idempotence=True, linger_ms=100, compression_type=None,
                max_request_size=4_000_000, kafka_client=_never_creating,
                request_timeout_ms=10_000, delivery_timeout_ms=20_000, max_block_ms=5_000,
            )
        except (KafkaError, ValueError) as away:
            raise translated(away) from away

    def consumer(
        self, group: str, instance: str, names: tuple[str, ...], listener: ConsumerRebalanceListener | None = None,
    ) -> KafkaConsumer:
        """Open a static member of a group; raise Transient where no broker answers."""
        self.knock()
        try:
            consumer = KafkaConsumer(
                **self.options(), group_id=group, group_instance_id=f"{group}-{instance}", client_id=f"{group}-{instance}",
                enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=MOST, session_timeout_ms=10_000,
                heartbeat_interval_ms=2_000, fetch_max_wait_ms=200, fetch_max_bytes=FETCH_BYTES, max_partition_fetch_bytes=PARTITION_BYTES,
                kafka_client=_never_creating,
            )
            consumer.subscribe(list(names), listener=listener)
        except (KafkaError, ValueError) as away:
            raise translated(away) from away
        return consumer

    def take_back(self, group: str, instance: str) -> None:
        """Remove what a group remembers of a member, which has left it without a word as its join was not answered.

        A static member that dies as it joins is expected back for as long as its session lasts. The embedded broker waits for it for ever,
        and lets nobody in meanwhile; or it keeps it as a stable member, and answers no join of that name any more. A broker that
        does not do it is none the worse for it: the member joins all the same (KIP-345).
        """
        try:
            admin = KafkaAdminClient(**self.options(), request_timeout_ms=10_000)
            try:
                told = admin.describe_groups([group]).get(group) or {}
                ours = [
                    MemberToRemove(member_id=one["member_id"], group_instance_id=one["group_instance_id"])
                    for one in told.get("members") or () if one["group_instance_id"] == f"{group}-{instance}"
                ]
                if ours:
                    admin.remove_group_members(group, ours)
                    log.info("took a membership back", extra={"group": group, "state": told["group_state"], "count": len(ours)})
            finally:
                admin.close()
        except (KafkaError, ValueError) as refused:
            log.info("a membership could not be taken back", extra={"group": group, "reason": type(refused).__name__})

    def ensure_topics(self) -> None:
        """Create what is missing and verify the partitions of the rest; raise Misconfigured where they differ."""
        self.knock()
        try:
            admin = KafkaAdminClient(**self.options(), request_timeout_ms=10_000)
            try:
                there = set(admin.list_topics())
                missing = {name: topic for name, topic in topics().items() if name not in there}
                if missing:
                    try:
                        admin.create_topics({
                            name: {
                                "num_partitions": topic.partitions, "replication_factor": -1,
                                "configs": {"retention.ms": str(self.topic_days * MILLISECONDS_A_DAY)},
                            }
                            for name, topic in missing.items()
                        })
                    except TopicAlreadyExistsError:
                        log.info("another room created topics at the same time")
                    # A broker says yes before its own metadata know of it: verified too early, a topic has no partitions yet.
                    admin.wait_for_topics(list(missing))
                self._verify(admin)
            finally:
                admin.close()
        except (KafkaError, ValueError) as away:
            raise translated(away) from away

    def _verify(self, admin: KafkaAdminClient) -> None:
        found = {told["name"]: len(told["partitions"]) for told in admin.describe_topics(list(topics()))}
        wrong = {name: count for name, count in found.items() if name in topics() and count != topics()[name].partitions}
        # A broker that makes a topic for whoever asks for it makes it too narrow; as long as nothing is in it, no order is broken.
        narrow = {name: topics()[name].partitions for name, count in wrong.items() if 0 < count < topics()[name].partitions}
        empty = self._empty(narrow)
        if empty:
            admin.create_partitions({name: narrow[name] for name in empty})
            log.warning("widened topics that somebody had made too narrow", extra={"topics": sorted(empty)})
        for name, count in wrong.items():
            if name not in empty:
                raise Misconfigured(
                    f"topic {name} has {count} partitions, not {topics()[name].partitions}: order per case would break; the"
                    " number is for good, so this is another cluster's topic, or one that somebody changed",
                )

    def _empty(self, names: Iterable[str]) -> set[str]:
        """Return which of these topics hold nothing, and never did."""
        if not names:
            return set()
        looking = KafkaConsumer(**self.options())
        try:
            parts = {name: [TopicPartition(name, one) for one in looking.partitions_for_topic(name) or ()] for name in names}
            ends = looking.end_offsets([one for ones in parts.values() for one in ones])
            return {name for name, ones in parts.items() if ones and not any(ends[one] for one in ones)}
        finally:
            looking.close()
