"""Full-text search in what was played in a run.

    with SearchIndex.open(run) as index:
        while index.add(run): ...                      # index what was written since, a piece at a time
        found = index.find(run, '"the safe is" mug', 50)
        found.places[0].spot.text, found.places[0].line
    while index.add(run, "prompts"): ...       # the prompts are indexed apart from what was played
    index.find(run, "in:prompt shut-places", 50)

`in:prompt` searches what the models were asked, as far as the run keeps it (`executor.keep_calls`, `curator.keep_calls`);
without it, what was played is searched, so that a turn is found once.

The index is a file of its own in the user's cache, so a run that can only be read is searched too, and a copy of a run
carries none. It is made from the log, by any number of processes at a time, and may be removed at any time.
"""
