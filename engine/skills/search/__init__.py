"""Search for the skills that fit a task.

    from engine.skills.search import SkillIndex

`index` is the entry point: BM25 that is updated edit by edit. `words` is the tokenizer, `okapi` and `inverted` score one
field (of few skills and of many), `saved` stores a large index in the folder of its repository, and `reliability` re-ranks
by the success rates of the skills.
"""

from engine.skills.search.index import SkillIndex
from engine.skills.search.reliability import SkillUsage, find, wilson_lower_bound

__all__ = ["SkillIndex", "SkillUsage", "find", "wilson_lower_bound"]
