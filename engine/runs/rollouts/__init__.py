"""What was played in a run, level by level: step, group, rollout, position, turn. Only what is asked for is read.

    found = spans(run)                                   # where each step and measurement is in the log
    step = read_step(run, found.find(Spot(3)))           # its groups, rollouts and positions; no turn is read
    record = read_position(run, span, at)                # one position with everything the log has of it
    described(run, found, spot_of("3/g0/r2/p4/t5"))      # any level as text, for the command line and for the workbench

The command line and the workbench use these same functions.
"""
