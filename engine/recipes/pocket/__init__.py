"""The recipe of the pocket model: synthetic play and curation of mixed quality, and the training run over them.

    python -m engine.recipes.pocket.train --out DIR      # about an hour of CPU time; see that module

`play` is a scripted executor, `files` writes skills about facts of a house, `curation` is a scripted curator of mixed
quality, `corpus` lets both live in generated houses and turns what they do into training sequences, `tokenizer` and
`train` make the model. None of it is used when a run is played: then only the model's own words count.
"""
