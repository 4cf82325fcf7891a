"""The settings of retraining, RADLOOP_RETRAINING_*; margins are a versioned file, never environment."""

from pathlib import Path

from radloop.kit.settings import RoomSettings


class Settings(RoomSettings):
    """What this room needs beside what all rooms need.

    `model_repository` is Triton's, written by this room alone; `plan` names another change-control plan than the packaged
    one; `signing_key_file` holds the key of the change records, made at the first start where it does not exist.
    """

    model_repository: str
    plan: str = ""
    signing_key_file: str = ""

    @property
    def key_file(self) -> Path:
        """Return where the signing key lies: beside the blobs where nothing else is said."""
        return Path(self.signing_key_file) if self.signing_key_file else Path(self.blobs).absolute().parent / "change-records.key"
