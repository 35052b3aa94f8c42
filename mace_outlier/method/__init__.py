"""How labels are judged: what no function of the geometry can explain counts against a label. Knows no host, no files.

settings.py      everything that decides, each with its reason
seen.py          what is known of each configuration after an epoch
processes.py     those of a distributed run, each of which does its share
share.py         columns of which each process holds its share of the rows
sample.py        the configurations by which all others are judged
densest.py       where values are densest
covariates.py    what the geometry says: features, composition, size, predicted forces, conditions, time
readout.py       the best readout of these, each configuration predicted without its own label
difficulty.py    how large an unexplained error is expected to be
unexplained.py   errors that geometry doesn't explain, in units of what is expected
shown.py         those of an epoch: each process explains what it has seen
right_wrong.py   densities of right and of wrong labels: what all properties share
signed.py        these densities for energies, whose errors have a sign
logarithmic.py   these densities for forces, stresses and virials, of whose errors only the size is known
tails.py         tails of the densities of right labels
populations.py   right and wrong labels of all properties; the posterior
fit.py           their fit: one likelihood, expectation maximisation
decide.py        are there wrong labels at all?
molecules.py     what the energies of a molecule have in common
evidence.py      what is remembered from epoch to epoch
verdict.py       what is thought of configurations
judge.py         one head: wrong labels, once two epochs agree
"""
