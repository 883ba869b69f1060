"""The planning language PDDL: parsed, compiled into conditions and joins over facts, and its actions."""
