"""Generate synthetic games in ALFWorld's format: new houses, and tasks of the six families, with winning walkthroughs.

    games = generate(count=60, seed=7)         # generation.games
    write(games, "~/synthetic")                # generation.files
    load_games("~/synthetic", split="synthetic")

The modules from a seed to a file: `tables` has the parts of houses, `families` the tasks, `house` draws a house and a goal
(with `names`), `walkthrough` finds the shortest plan, `problem` writes the PDDL, `rules` gives the domain and the grammar,
`games` combines them and plays each game, `files` writes the games.
"""
