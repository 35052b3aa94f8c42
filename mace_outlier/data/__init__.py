"""Where a configuration comes from, what it is, and what its labels say before a model does. Knows no host."""
