"""A loss for each configuration, out of a host's loss for the batch, and what its weights make of it. Knows no host."""
