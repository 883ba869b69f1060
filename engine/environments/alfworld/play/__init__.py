"""One game in play: its grammar, its sentences, its compiled program, and the environment."""
