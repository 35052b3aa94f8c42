"""Units in which labels come, in those of ASE: eV, eV/A, eV/A^3."""

from ase import units

HARTREE, RYDBERG, BOHR = units.Hartree, units.Rydberg, units.Bohr
KCAL, KJ = units.kcal / units.mol, units.kJ / units.mol
FORCES = {  # eV/A
    "hartree/bohr": HARTREE / BOHR,
    "hartree/A": HARTREE,
    "Ry/bohr": RYDBERG / BOHR,
    "eV/bohr": 1 / BOHR,
    "kcal/mol/A": KCAL,
    "kJ/mol/A": KJ,
    "kJ/mol/nm": KJ / 10,  # nearly meV/A
}
ENERGIES = {"hartree": HARTREE, "Ry": RYDBERG, "kcal/mol": KCAL, "kJ/mol": KJ, "meV": 1e-3}  # eV
STRESSES = {  # eV/A^3
    "GPa": units.GPa,
    "kbar": units.GPa / 10,
    "bar": units.GPa / 1e4,
    "hartree/bohr^3": HARTREE / BOHR**3,
    "Ry/bohr^3": RYDBERG / BOHR**3,
}
RARE = ("hartree/A", "Ry/bohr", "eV/bohr", "Ry", "meV", "hartree/bohr^3", "Ry/bohr^3")  # in data sets
