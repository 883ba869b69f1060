"""The only part of the workbench that reads and changes runs.

`messages`  what it sends to the app
`client`    the calls that screens make; each is answered by a message
`tail`      reads the log, the engine's state and the repository of the open run
`records`   single reads of a run: the newest episodes, a trajectory, news
`start`     makes a run of any kind and profile with any settings
`decide`    decisions on edits
"""
