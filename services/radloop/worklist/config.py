"""The settings of the worklist, RADLOOP_WORKLIST_*."""

from radloop.kit.settings import RoomSettings


class Settings(RoomSettings):
    """`http` is where the page listens; `hosts` are further names, with commas, by which browsers may ask for it."""

    http: str = "127.0.0.1:0"
    hosts: str = ""

    @property
    def host_names(self) -> tuple[str, ...]:
        """The further names."""
        return tuple(name.strip() for name in self.hosts.split(",") if name.strip())
