"""The programs that `tests.benchmarks.grpo_step` measures. Each runs as a file, so that it can use another engine's code."""
