"""How SmolLM2 learns to write tool calls, so that a GRPO step has something to reward.

    python -m engine.recipes.smol.train BASE FOLDER           # `skillos-engine models add smol` runs it as a process

The weights are not shipped: the command makes them from the base on this machine.
"""
