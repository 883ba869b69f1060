"""`python -m skillos_tui` is the command `skillos-tui`."""

from skillos_tui import main

main()
