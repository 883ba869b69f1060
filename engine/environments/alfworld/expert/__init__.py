"""A scripted player that wins from nearly any state: oracle and demonstrator."""
