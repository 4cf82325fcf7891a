"""The settings of feedback, RADLOOP_FEEDBACK_*; its rule is a versioned file."""

from radloop.kit.settings import RoomSettings


class Settings(RoomSettings):
    """`rule` names another rule file than the packaged one."""

    rule: str = ""
