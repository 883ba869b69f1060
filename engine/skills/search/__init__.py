"""Which skills fit a task.

    from engine.skills.search import SkillIndex

`index` is the whole of it for most: BM25 that follows a repository edit by edit. `words` says what a word is, `okapi` and
`inverted` score one field (few skills, many skills), `saved` keeps a large index beside its repository, and `reliability`
re-ranks by how tasks went.
"""

from engine.skills.search.index import SkillIndex
from engine.skills.search.reliability import SkillUsage, find, wilson_lower_bound

__all__ = ["SkillIndex", "SkillUsage", "find", "wilson_lower_bound"]
