"""The commands of `mace_outlier`, a module each."""
