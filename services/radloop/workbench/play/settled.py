"""Whether the rooms have heard what was said: how far each consumer group is behind, asked of the broker."""

from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from radloop.kit.errors import Transient
from radloop.kit.kafka import Broker, group, topics


def behind(bootstrap: str, room: str) -> int:
    """Return how many records of the topics a room hears it has not settled yet; raise Transient where nobody answers."""
    wanted: dict[str, list[TopicPartition]] = {}
    for name, topic in topics().items():
        if room in topic.heard_by:
            wanted.setdefault(group(room, bulk=topic.bulk), []).extend(TopicPartition(name, one) for one in range(topic.partitions))
    if not wanted:
        return 0
    try:
        admin: Any = KafkaAdminClient(**Broker(bootstrap).options(), request_timeout_ms=10_000)
        try:
            ends = admin.list_partition_offsets({one: OffsetSpec.LATEST for ones in wanted.values() for one in ones})
            kept = {one: at for offsets in admin.list_group_offsets(wanted).values() for one, at in offsets.items()}
        finally:
            admin.close()
    except KafkaError as away:
        raise Transient("the broker does not say how far the rooms are") from away
    return sum(max(0, ends[one].offset - max(0, kept[one].offset if one in kept else 0)) for one in ends)
