"""`python -m skillos_tui` is the command `skillos-tui`."""

from skillos_tui.command import main

main()
