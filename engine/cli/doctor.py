"""stub"""

from engine.cli.common import Commands


def add_commands(commands: Commands) -> None: ...
