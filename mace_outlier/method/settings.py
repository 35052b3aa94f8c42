"""All settings of the judgement, each with its reason; the first group decides whether labels are called wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the judgement depends on; `benchmarks/real` shows what a factor of 1.5 in each of the first group does."""

    # --- whether labels are believed to be wrong -------------------------------------------------------------------
    gain: float = 6.0  # of the BIC over one population: "strong" (Kass and Raftery, 1995), in two epochs
    gain_known: float = 0.0  # of the BIC once wrong labels are known: less is needed, so that nothing flickers
    coarsened: int = 1000  # configurations that count at most: no form is exact (Miller and Dunson, 2019)
    together: float = 10.0  # more gain, where labels look wrong in all properties at once, as hard configurations do
    memory: float = 3.0  # epochs over which evidence is averaged
    energy_apart: float = 3.0  # least typical error of wrong energies, in widths of right ones
    error_apart: float = 0.5  # least ratio of the typical errors (log) of wrong and right forces, stresses, virials
    gross: float = 1e-5  # prior share of errors of any size, which need no population of their own
    few: int = 50  # configurations of a head, below which only gross errors can be told from hard geometries
    most: float = 0.5  # of a head, beyond which nobody can say which are the wrong ones

    # --- how expectations are made ---------------------------------------------------------------------------------
    components: int = 4  # principal components of the features in the expected size of an error
    neighbours: int = 16  # configurations of similar features whose errors say how hard such a geometry is
    smallest_molecule: int = 5  # configurations of a molecule that have a zero of their own
    least_force: float = 5e-3  # eV/A: forces below that vanish by symmetry, and say nothing
    least: int = 8  # configurations of a head that can be compared at all
