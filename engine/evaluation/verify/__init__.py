"""Check a run's log against itself: recompute what follows from it, and list where the log differs.

    report = verify(run.stream(), config, run.kind, means=open_means)
    report.differences, report.checked["tokens"], report.unchecked

Recomputed are rewards, advantages, summaries and held-out results; the drawn tasks and the plays (each logged action is
taken again in the environment); the skills found; each completion (parsed and applied again to the repository before it);
the tokens of repositories, completions and the curator's prompts; and the judge's scores. A check that needs what the log or
this machine does not have is counted as not checked, with the reason.

Not derivable, and so never checked: thoughts, seconds, memory, and what the optimiser reports (loss, gradient, entropy, KL,
learning rate).
"""

from engine.evaluation.verify.ledger import verify
from engine.evaluation.verify.means import Means, open_means
from engine.evaluation.verify.report import Difference, Report
from engine.evaluation.verify.tokens import Tokens

__all__ = ["Difference", "Means", "Report", "Tokens", "open_means", "verify"]
