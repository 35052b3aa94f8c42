"""The files that a run leaves: written, and read again. No torch."""
