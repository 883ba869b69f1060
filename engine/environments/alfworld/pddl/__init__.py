"""The planning language PDDL: a parser, and a compiler of conditions and actions into joins over facts."""
