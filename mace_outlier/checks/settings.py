"""All numbers of the checks, each with its reason. None is fitted to a data set; see benchmarks/checks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the checks depend on. Energies in eV or eV/atom, lengths in Angstrom, forces in eV/A."""

    # --- the pass over the files -----------------------------------------------------------------------------------
    chunk: int = 250  # frames that a worker gets at once: some 0.1 to 1 s of work
    back: int = 5  # earlier frames that a frame is compared with: runs of up to four wrong steps are bridged
    sample: int = 300  # frames that are held to compare all with all: 45,000 pairs, a second
    sample_formulas: int = 24  # of as many formulas, so that each has a dozen frames at least
    sample_atoms: float = 3e7  # most of frames^2 x atoms of one formula in the sample: a second as well
    most_groups: int = 300  # files times config_types; beyond, groups are files: a name for each frame is no group

    # --- the look before the first step of a training ----------------------------------------------------------------
    look_share: float = 0.01  # of the first epoch
    look_step: float = 0.05  # s, that a training step takes at least: 0.059 on an H200 (benchmarks/overhead)
    look_least: float = 1.0  # s, where a hundredth of an epoch is less: MACE needs several to set itself up
    look_most: float = 10.0  # s
    look_reading: float = 0.8  # of the time, to examine frames; the rest to judge them
    look_groups: int = 10  # files times config_types: to judge one takes 50 ms where there are 13,000 frames

    # --- energy against work ---------------------------------------------------------------------------------------
    step: float = 0.5  # largest displacement of an atom: a third of a bond; beyond, no expansion holds
    morse: float = 2.0  # 1/A, width of a Morse bond in the bound of the error (`work`): 1.9 in H2, 2.7 in N2, 1.4 in W
    bound: float = 1.2  # times that bound: between its two limits it is 15 % short
    bound_clear: float = 2.0  # the same, for "certain": bonds of a = 3 and more
    converged: float = 0.005  # eV/atom. Calculations are converged to 0.001: five times that is another calculation
    converged_clear: float = 0.020  # eV/atom, for "certain": more than what k-points or a cut-off leave
    informative: float = 4.0  # an agreement counts where the tolerance is at most so many times `converged`
    set_size: int = 3  # frames that agree, before they can outvote another one
    outvoted: float = 2.0  # times as many frames have to agree as those that they outvote
    slope_pairs: int = 20  # pairs from which sign and unit of the forces of a file are taken
    slope_most: int = 100_000  # pairs, of more as many: medians of a quarter of them are known to a percent
    slope_frames: int = 8  # frames in them
    slope_width: float = 2.0  # both regressions (energy on work, work on energy) agree within this factor: it is known
    slope_one: float = 1.5  # a slope within this factor of 1 is right; the unit that comes next is eV/bohr, 1.89
    slope_right: float = 0.2  # share of the pairs that say 1: as many as right frames make if half of all are wrong
    slope_sharp: float = 0.3  # a pair says something where the error of its work is below this share of it
    slope_near: float = 1.12  # factor within which a slope is that of a unit; kcal/mol and hartree are 1.18 apart
    group_pairs: int = 5  # pairs of near frames in two groups from which an offset is taken

    # --- energy against the work of the stress ------------------------------------------------------------------------
    strain_least: float = 0.002  # largest component: smaller ones change the energy less than calculations converge to
    strain_most: float = 0.06  # the error of third order is a few per cent of the work there
    strain_step: float = 0.1  # A, that atoms may move beyond the strain
    strain_left: float = (
        0.6  # share of the energy differences that the stress may leave: one that says nothing leaves all
    )
    strain_better: float = 3.0  # times as much has to be left by the order in which components are read

    # --- forces ----------------------------------------------------------------------------------------------------
    drift: float = 0.05  # eV/A: |sum of forces| / sqrt(atoms), the error of each force; coarse grids leave 0.03
    drift_share: float = 0.10  # of the root mean square force, at least
    drift_typical: float = 10.0  # times the median of its group: what all frames have is the method, not the frame
    drift_clear: float = 0.5  # of the root mean square force: half of what the forces say is error
    force: float = 30.0  # eV/A, root mean square: twice what the strongest bond pulls with where it is steepest
    force_clear: float = 100.0  # the same, for "certain"
    virial: float = 30.0  # eV an atom, stress times volume: three times what the strongest bonds are worth
    virial_clear: float = 100.0  # the same, for "certain": diamond at 1500 GPa, whose atoms are nearly too near, has 26
    many: float = 0.5  # share of a group from which a fault is called that of the group

    # --- geometry --------------------------------------------------------------------------------------------------
    cutoff: float = 4.0  # A, of the pairs in the fingerprint: second neighbours in nearly everything
    cutoff_bonds: float = 3.0  # A: bonds in anything but caesium
    most_pairs: int = 2000  # atoms; beyond, the cutoff is that of bonds
    same_place: float = 0.1  # A
    closer: float = 0.5  # of the sum of covalent radii; the shortest bonds have 0.75, cold compression to 100 GPa 0.7
    overlapping: float = 0.3  # of it: inside of the core of any pseudopotential
    thin: float = 1.0  # A^3 an atom: diamond has 5.7
    felt: float = 0.1  # eV/A: more than a converged calculation leaves on an atom that feels nothing
    alone_most: float = 12.0  # A: no cutoff of a model is larger
    rare: int = 2  # frames: an element in so few can't be learnt
    outside: float = 2.0  # ranges of nine tenths of a composition: the sparsest right data (50 frames) reach 1.4
    outside_tail: float = 0.05  # on either side of the nine tenths
    outside_least: float = 0.02  # of the logarithm: the range of a set that hardly moves
    outside_most: int = 20_000  # of a composition, that all are compared with; then the others, for what is left
    outside_frames: int = 20  # of a composition, that can be said to cover something
    asymmetry: float = 1e-3  # forces vanish by symmetry where the sum of directions to the neighbours is below this

    # --- validation frames from the trajectory of the training ------------------------------------------------------
    probes: int = 24  # validation frames of a head that all training frames are compared with: 0.1 ms a frame
    probe_fewest: int = 10  # that have frames to be compared with
    probe_frames: int = 50  # training frames of the same atoms
    probe_nearest: int = 6  # distances from which a dimension is taken
    probe_atoms: int = 4  # 6 internal coordinates; of fewer, independent frames have a small dimension too
    path_dimension: float = 4.0  # a smooth path has 1.7, a random walk 3.3; acetylacetone at 300 K has 5.4
    path_ratio: float = 0.35  # nearest distance over all; independent frames of five atoms have 0.45

    # --- duplicates ------------------------------------------------------------------------------------------------
    same: float = 2e-6  # relative difference of fingerprints: positions with six decimals
    same_energy: float = 0.001  # eV/atom: what calculations are converged to
    same_force: float = 0.02  # eV/A, of the root mean square force; twice the usual threshold of a relaxation
    same_stress: float = 0.002  # eV/A^3, 3 kbar: what another cut-off leaves
    same_share: float = 0.05  # of the larger force or stress, beside that
    same_blur: float = 2.0  # four projections differ by more than twice what the forces do in one case of 300
    leak: float = 0.01  # share of the validation frames that are in the training set, for "certain"

    # --- energies --------------------------------------------------------------------------------------------------
    sigmas: float = 10.0  # robust standard deviations of the group: far outside of thermal tails
    sigmas_unit: float = 5.0  # the same, for an energy that is another one times a unit: that says much by itself
    least_spread: float = 1.0  # eV/atom: groups of few equal frames have no spread that says something
    all_electron: float = 0.03  # of the ratio: the formula for free atoms is right to 1 %, bonds are less than 1 %
    below: float = 3.0  # eV/atom below what the like has: bonds of a composition differ by less
    short: float = 0.8  # of the sum of covalent radii: a frame with such distances may have any high energy
    gross: float = 10.0  # eV/atom: more than the strongest binding energy there is
    reference: float = 2.0  # eV/atom between groups of different formulas, after a fit of E0s: another reference
    own_fits: int = 10  # groups, of which each is compared by a fit of E0s to the others: one may take seconds
    small: float = 0.4  # of the frames of an element: such a part moves a robust fit by one standard deviation at most
    free_atom: float = 0.1  # eV between E0s and an isolated atom of the data
    scale: float = 30.0  # of the model, over the root mean square of most forces
    cohesion: tuple[float, float] = (-15.0, 5.0)  # eV/atom, energy without E0s: median of any sensible data set
    fewest: int = 8  # frames of a group that can be compared with others
