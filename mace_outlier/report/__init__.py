"""What `mace_outlier report` shows of the files of a run: numbers, words, figures, a page. No torch."""
