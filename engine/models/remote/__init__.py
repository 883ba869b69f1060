"""What all backends share whose models answer over HTTP in the form of OpenAI's API.

`model` is a role's model, `probing` finds out what a server takes, `completions` and `restoring` make a completion of what
it answers, `errors` says what its errors mean, `keys` reads keys and keeps them out of everything that is written.
"""
