"""Injected faults: errors of system calls, kills, a full disk, races. Each module with `measure` is a kind of fault."""
