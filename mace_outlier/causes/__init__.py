"""What is wrong with a label, by what a model that was trained robustly predicts. Numpy and scipy; no torch.

    frames      a configuration with its labels and predictions
    expected    errors of right labels, by the configurations that are trusted
    likelihood  how likely residuals are: of right labels, of wrong ones of any size
    forces      hypotheses on the forces of one configuration: sign, unit, order of the atoms, some atoms only ...
    energies    hypotheses on the energies of all suspects: unit, constant offset, energy of another frame ...
    stress      hypotheses on the stress of one configuration
    shares      how many suspects have which cause, and what follows for each of them
    tell        all of it together: `tell_causes`
    repair      labels with what was wrong taken back
    settings    all numbers

A cause is said only where it clearly wins over all others; else it is "unknown".
"""
