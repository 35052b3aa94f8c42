"""One or two populations of configurations, told apart by their losses and energy errors. No torch.

groups.py   what a configuration is compared with: its molecule
epoch.py    what the course of an epoch does
cells.py    configurations as a fit sees them
starts.py   where a fit starts
fit.py      the populations: densities, likelihood, fit
guard.py    one population or two?
"""

from .cells import Cells, cells_of
from .epoch import bunched, drift
from .fit import BACKGROUND, ERROR_RANGE, LEFT, RIGHT, ROOT_TWO_PI, SIMILAR, Fit, fit_one, fit_two, lower_density, shift
from .groups import Groups, measure
from .guard import Guard, choose
from .sides import both_sides
from .starts import start_from

__all__ = [
    "BACKGROUND",
    "ERROR_RANGE",
    "LEFT",
    "RIGHT",
    "ROOT_TWO_PI",
    "SIMILAR",
    "Cells",
    "Fit",
    "Groups",
    "Guard",
    "both_sides",
    "bunched",
    "cells_of",
    "choose",
    "drift",
    "fit_one",
    "fit_two",
    "lower_density",
    "measure",
    "shift",
    "start_from",
]
