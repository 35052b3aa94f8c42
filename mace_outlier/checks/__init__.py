"""What can be said of labels before any training, without a model. Numpy, scipy and ASE: no torch, no MACE.

Read in this order: `settings` (every number, with its reason), `inputs` (which files, keys and options), `reading`
(files in chunks), `frame` (labels of a frame and what is wrong with them), `shape` (distances, fingerprint), `marks`
(by which labels of one geometry are compared), `work` (energy against work for near frames), `probes` (validation
frames against all training frames), `examine` (what is kept of a frame), `sample` (whole frames that are held),
`survey` (what is known of all), `survey_files` (one pass over all files), `loaded` (frames in memory, in little time),
`agreement` (near frames that outvote others), `evidence` (what several checks need), `finding`, `naming` (files and
numbers), then a module for each check, by the names in `catalogue`:

    labels, units, series ("work"), stress (strain), net_force, sizes, duplicates,
    energies (expected, by_elements, groups, offsets, spins), geometry (outside), options ("settings", with trajectory)
"""
