"""The screens, each a folder with its style.

`registry`  names the full screens; a package adds one by an entry point
`kind`      what the registry knows of a screen without loading it
`base`      the base of full screens
`dialog`    the base of dialogs
`place`     keeps where a person is, and restores it at the next start
"""
