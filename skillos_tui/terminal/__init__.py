"""The terminal that the workbench runs in: its input, the output to it and the rate of that, its modes.

These parts replace those of Textual's Linux driver, which writes each frame whole and at once: where the output exceeds the
line, the answer to a key then waits for the backlog, 8 s at 16 kB/s. Pacing by the terminal's replies cut that to 85 ms.

`input`    splits the bytes that the terminal sends into keys, pastes, and replies, which never become keys
`tty`      the terminal before Textual starts and after it ended: modes, the query of the background colour
`cells`    the content of the screen, so that only cells that differ are sent
`pace`     how much may be sent before the terminal has replied
`seen`     when a frame has reached the terminal
`driver`   Textual's driver with these parts
`browser`  the driver where a page in a browser is the terminal
`app`      the base of the app: frames, suspension, pasted text, failures
`clipboard` what is copied, also through tmux
`crash`    the report of an error that nobody caught
"""
