"""What the rooms tell each other, as frozen dataclasses; `wire` pairs each with its message on Kafka."""
