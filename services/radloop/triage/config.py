"""The settings of triage, RADLOOP_TRIAGE_*; its policy is a versioned file, never environment."""

from radloop.kit.settings import RoomSettings


class Settings(RoomSettings):
    """`policy` names another policy file than the packaged one."""

    policy: str = ""
