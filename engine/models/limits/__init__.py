"""What is between a role's call and a model server: concurrency, rates, retries, and a circuit breaker.

    gateway = Gateway("http://127.0.0.1:8000", settings, holds, probe)
    completion = await gateway.call(attempt)       # attempt() makes one HTTP request

`engine.models.limits.gateway` describes it, and `engine.models.limits.errors` what an attempt raises.
"""

from __future__ import annotations

from engine.models.limits.errors import Busy as Busy
from engine.models.limits.errors import Retryable as Retryable
from engine.models.limits.gateway import Gateway as Gateway
