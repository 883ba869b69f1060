"""What can be known of a run before it is made, without its models.

    config = absolute(load_profile("pocket", settings))
    check(config, "train")                          # raises ConfigError with one sentence; milliseconds
    by_arithmetic(config, job, folder)              # `Check`s of settings, memory, disk and clock

`static` refuses a configuration that no run could use. `arithmetic` compares what a run needs with this machine. The checks
that ask the models are in `engine.jobs.preflight`. Nothing here imports torch.
"""

from engine.system.preflight.arithmetic import by_arithmetic as by_arithmetic
from engine.system.preflight.names import NAMES as NAMES
from engine.system.preflight.names import blocking as blocking
from engine.system.preflight.static import absolute as absolute
from engine.system.preflight.static import check as check
from engine.system.preflight.static import check_settings as check_settings
from engine.system.preflight.static import check_training_sampling as check_training_sampling
from engine.system.preflight.text import lines as lines
from engine.system.preflight.text import verdict as verdict
