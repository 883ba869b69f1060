"""The engine: everything that does work, and no screen.

Rooms, from the ground up: `outcomes` and `config`; `skills`; `runs`, `models` and `environments`; `agents` and `system`;
`training`; `evaluation`; `worker` (the process that does a run's work) and `cli` (`skillos-engine`).
"""
