"""The terminal that the workbench runs in: what it sends, what it is sent, how fast, and how it is left.

`input`    takes apart the bytes that the terminal sends: keys, pastes, and replies, which never become keys
`tty`      the terminal before Textual starts and after it ended: modes, the question for the background colour
`cells`    what stands on the screen, so that only cells that differ are sent
`pace`     how much may be sent before the terminal has answered
`driver`   Textual's driver, made of these
`app`      the base of the app: frames, suspension, pasted text, failures
`crash`    the report of an error that nobody caught
"""

from skillos_tui.terminal.tty import is_dark

__all__ = ["is_dark"]
