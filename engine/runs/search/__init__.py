"""Full-text search in what was played in a run.

    with SearchIndex.open(run) as index:
        while index.add(run): ...                      # index what was written since, a piece at a time
        found = index.find(run, '"the safe is" mug', 50)
        found.places[0].spot.text, found.places[0].line

The index is a file of its own in the user's cache, so a run that can only be read is searched too, and a copy of a run
carries none. It is made from the log, by any number of processes at a time, and may be removed at any time.
"""
