"""Weights of configurations, step by step and epoch by epoch: torch around the judgement of `method`. Knows no host."""
