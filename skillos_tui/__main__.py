"""`python -m skillos_tui`: the same as the command `skillos-tui`."""

from skillos_tui.command import main

main()
