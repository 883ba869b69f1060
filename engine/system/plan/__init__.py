"""Will a run fit, how long will it take, and what does it write: by arithmetic, before it starts.

    made = plan(config, machine_of("spark"), JOBS.load("train"))
    disk_needed(config, 60, JOBS.load("train"))   # {"checkpoints": 1.2e10, "log and repositories": 8.1e9}
    made.fits, made.used / 1e9, made.pace.step_seconds
    print("\\n".join(lines(made)))                # what `skillos-engine plan` prints

`figures` has machines and published shapes, `shapes` reads a model's files, `serving` says where each model is, `parts` has
the formulas of memory and disk, `pace` those of time. Nothing imports torch. What cannot be known has a reason in its place.
"""

from engine.system.plan.machines import machine_names as machine_names
from engine.system.plan.machines import machine_of as machine_of
from engine.system.plan.planning import Plan as Plan
from engine.system.plan.planning import disk_needed as disk_needed
from engine.system.plan.planning import plan as plan
from engine.system.plan.text import lines as lines
from engine.system.plan.text import one_line as one_line
