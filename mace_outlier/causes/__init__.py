"""What is wrong with a label, by what a model that was trained robustly predicts. Numpy and scipy; no torch.

    tell        all of it together: `tell_causes`
    frames      a configuration with its labels and predictions
    explained   predictions as geometry corrects them, and the errors that it expects
    expected    errors of right labels, by the configurations that are trusted
    likelihood  how likely errors are: those of right labels, and scattered ones
    hypotheses  what can be wrong with a label
    energies    hypotheses on the energies of all suspects (suspected_energies), offsets among them (offsets)
    forces, stress    hypotheses on those of one suspect (corrected), and a factor in common (common_factor)
    shares      how many suspects have which cause, and what follows for each of them
    cause       what is said of a suspect; what to do (advice), and labels with it taken back (repair)
    settings    all numbers

A cause is said only where it clearly wins over all others; else it is "unknown".
"""
