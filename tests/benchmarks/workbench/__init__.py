"""How fast and how quiet the workbench is: from a key to the *expected text* on a terminal's screen.

    python -m tests.benchmarks.workbench [--events 1000000] [--samples 20] [--json FILE] [--only NAME]

Each program runs behind a pseudo-terminal that draws what it sends (`tests.workbench.ptys`), answers its questions, and
on the slow line takes 16 kB a second. A key's time ends when the text that it asks for stands on that screen: the first
byte that comes back is backlog. A bare Textual app is measured in the same run, since all of it depends on the machine.
Prints one line a measure with the target of the specification and whether it was kept; nothing here is a test.
"""
