"""Alarms: what in a training's numbers a person should look at, checked after each step.

Each alarm is one small function over the history of steps (`rules`, and `hacking` for the trends), and one line in the table
`registry.ALARMS`, with its advice. The thresholds are settings. `engine.jobs.train.watching` checks them in a run, emits
`AlarmsChecked`, and pauses the run for those that `alarms.pause` names.
"""
