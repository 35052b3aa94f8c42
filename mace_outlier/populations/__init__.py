"""One or two populations of configurations, told apart by their losses and energy errors. No torch.

groups.py   what a configuration is compared with: its molecule
densest.py  where the values of a group are densest
epoch.py    what the course of an epoch does
trend.py    what the size of the forces does
cells.py    configurations as a fit sees them
starts.py   where a fit starts
fit.py      the populations: densities, likelihood, fit
guard.py    one population or two?
sides.py    wrong labels off to both sides
majorities.py   molecules most of whose labels are wrong
"""

from .cells import Cells, cells_of
from .epoch import agreement, bunched, drift
from .fit import BACKGROUND, ERROR_RANGE, LEFT, RIGHT, ROOT_TWO_PI, SIMILAR, Fit, fit_one, fit_two, lower_density, shift
from .groups import Groups, measure
from .guard import Guard, choose
from .majorities import correct_majorities
from .sides import both_sides
from .starts import start_from
from .trend import Trend, log_predicted_forces, measure_trend

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
    "Trend",
    "agreement",
    "both_sides",
    "bunched",
    "cells_of",
    "choose",
    "correct_majorities",
    "drift",
    "fit_one",
    "fit_two",
    "log_predicted_forces",
    "lower_density",
    "measure",
    "measure_trend",
    "shift",
    "start_from",
]
