"""The doctor: what of this machine keeps a profile from working, or makes it slow, and what to do about it.

    checks = examine(Subject(config, job, this_host(), runs_home()))
    [check for check in checks if check.state == "problem"]

Each module of checks is about one thing; `CHECKS` has them all. A check has a time limit, and one that fails is unmeasured
with its error: the doctor ends, and it says what it could not find out. `bundle` writes all of it, without secrets, for a
report of a bug.
"""

from engine.system.doctor.base import Check as Check
from engine.system.doctor.base import Host as Host
from engine.system.doctor.base import Subject as Subject
from engine.system.doctor.base import this_host as this_host
from engine.system.doctor.examining import examine as examine
