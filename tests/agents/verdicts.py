"""What a judge's model answers in these tests."""

import json

GRADES = {"abstraction": "yes", "reusability": "partly", "actionability": "no", "faithfulness": "yes"}


def content(**grades):
    """An answer of a judge of content; 0.625 where no grade is given."""
    return json.dumps({"explanation": "It names the safe.", "issues": ["no check"], **GRADES, **grades})


def success(verdict="success"):
    """An answer of a judge of success."""
    return json.dumps({"explanation": "Turn 2 shows it.", "missing": [], "verdict": verdict})
