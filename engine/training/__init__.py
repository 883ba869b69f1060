"""GRPO steps: samples, the trainer, checkpoints."""
