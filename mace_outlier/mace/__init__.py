"""The only package that knows MACE: it wraps MACE's own functions so that `--loss=ema_robust` works."""
