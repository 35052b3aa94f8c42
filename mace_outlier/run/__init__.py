"""One training: its course, options, log, checkpoints and the choice of a model. Knows no host."""
