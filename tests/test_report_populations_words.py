"""What a report says of two populations, of one, and of thresholds."""

import numpy as np
import pytest
from made_up_fits import BOTH, ENERGIES, OLD, ONE, SCATTER, THREE, TWO
from made_up_results import about_populations, made_up_heads, made_up_populations, summarised, with_validation
from test_report_populations import SIMILAR, read, said

from mace_outlier.report import chance, words


def test_two_populations_in_words():
    table = made_up_populations(400, TWO)
    found = summarised(table, about_populations(TWO))
    odds, text = found.heads[0].odds, said(table, about_populations(TWO))
    for shown in (
        "The labels show two populations, told apart by losses (right labels around 0.22, wrong ones around 2.5). By",
        "By the fit about 124 of 400 labels (31.0 %) are wrong (with a certainty of 97.0 % for each, on average)",
        f"there are {found.suspects} suspects",
        f"of {found.suspects} suspects about {odds.false_alarms:.1f} should be right (false alarms)",
        f"of {400 - found.suspects} other configurations {chance.about(odds.missed)} should be wrong (missed)",
        f"{odds.ambiguous} of these 400 configurations", "hard configurations",
    ):  # fmt: skip
        assert shown in text
    for absent in ("If all labels were right", "soft", "overlap", "threshold", "formula"):
        assert absent not in text
    assert not chance.similar_populations(found)
    assert "if labels" not in words.headline(found)


@pytest.mark.parametrize(
    ("fit", "difference"),
    [
        (BOTH, "losses (right labels around 0.22, wrong ones around 2.5) and energies (wrong labels are 61.0 meV/atom "
         "too high, right ones scatter by 3.0)."),
        (ENERGIES, "told apart by energies (wrong labels are 61.0 meV/atom too high, right ones scatter by 3.0)."),
        (ENERGIES | {"high_error": 0.02}, "told apart by energies (wrong labels are 20.0 meV/atom too low, right ones"),
        (SCATTER, "by energies (wrong labels are 9.0 meV/atom off, to both sides, right ones scatter by 3.0)."),
        (OLD, "told apart by losses (right labels around 0.22, wrong ones around 2.5). By"),
    ],
)  # fmt: skip
def test_what_tells_them_apart_in_words(fit, difference):
    text = said(made_up_populations(400, TWO | fit), about_populations(fit))
    assert difference in text
    assert ("certainty" in text) == ("certainty" in fit)


def test_three_populations_in_words():
    found = summarised(made_up_populations(400, THREE, share=0.448), about_populations(THREE))
    text = " ".join(words.how_sure(found))
    for shown in (
        "The labels show three populations, told apart by losses (others around 0.22, wrong ones around 2.5) and",
        "to both sides, others scatter by 3.0); and the others once more, by losses (right labels around 0.2, wrong",
        "By the fit about 179 of 400 labels (44.8 %) are wrong (with a certainty of 94.8 % for each, on average)",
    ):
        assert shown in text
    columns = {title: show(found.heads[0]) for title, show in chance.head_columns(found.heads)}
    assert columns["fit"] == "three populations"
    assert (columns["losses, right"], columns["losses, wrong"]) == ("0.202", "2.46; 0.607")
    assert (columns["wrong by the fit"], columns["energies, wrong\nmeV/atom"]) == ("44.8 %", "±9.0; +20.0")


def test_molecules_that_are_compared_are_told():
    several = BOTH | {"molecules": 12}
    assert "scatter by 3.0). Labels are compared with those of the same molecule (12 molecules). By" in said(
        made_up_populations(400, several), about_populations(several)
    )
    alone = ONE | {"molecules": 12}
    assert "Labels are compared with" in said(made_up_populations(400, alone), about_populations(alone))


def test_one_population_in_words():
    table = made_up_populations(400, ONE)
    text = said(table, about_populations(ONE))
    cut = f"{read(ONE).crossing(0.5):.2g}"
    assert "Losses and energies show one population, with losses around 0.22: there is no sign of a second kind" in text
    assert f"only gross outliers are suspects (by the loss alone, beyond {cut})" in text
    assert "Wrong labels with losses and energy errors no larger than those of right ones don't show." in text
    assert "probabilities" not in text
    forces = said(table.assign(energy_error_per_atom=np.nan), about_populations(ONE))
    assert "The losses show one population, around 0.22: there is no sign of a second kind of labels" in forces
    assert f"only gross outliers are suspects (losses beyond {cut})" in forces
    assert "Wrong labels with losses no larger" in forces
    assert "The losses show one population" in said(table, about_populations(OLD | {"share": 0.0}))
    assert f"alone, beyond {read(ONE).crossing(0.8):.2g}" in said(table, about_populations(ONE), below=0.8)
    table["weight"] = 1.0
    table.loc[0, ["loss", "weight"]] = 50.0, 0.001
    assert "of 1 suspect fewer than 0.1 should be right (false alarms)." in said(table, about_populations(ONE))


def test_populations_of_similar_size_are_a_warning():
    found = summarised(made_up_populations(400, SIMILAR), about_populations(SIMILAR))
    [warning] = chance.similar_populations(found)
    assert warning.startswith(
        "45.0 % of the labels are of the population that is taken for wrong, told apart by losses ("
    )
    assert "look wrong, if labels with the lower losses are right: weight below 0.5" in words.headline(found)
    limit = TWO | {"share": 0.35}
    assert not chance.similar_populations(summarised(made_up_populations(400, limit), about_populations(limit)))
    energies = ENERGIES | {"share": 0.45}
    found = summarised(made_up_populations(400, energies), about_populations(energies))
    assert "look wrong, if the larger population is right: weight below 0.5" in words.headline(found)


def test_heads_of_several_kinds():
    table, about = made_up_heads()
    text = said(table, about)
    for shown in (
        "Head pbe: the labels show two populations", "Head r2scan: losses and energies show one population",
        "Heads pbe, r2scan: weights are probabilities", "Head few: populations were not fitted", "5 sigma holds",
        "Head few: if all labels were right, fewer than 0.1 of 30", "normally distributed logarithms",
        "Head published: if all labels were right, about 4.6 of 200",
    ):  # fmt: skip
        assert shown in text
    z = words.meaning_of_z(summarised(table, about))
    for shown in (
        "z: how far the logarithm of the loss lies above that of the typical right label of the formula, or the energy",
        "; or standard deviations that the logarithm",
        "; or standard deviations that the loss",
    ):
        assert shown in z


def test_softness_is_of_heads_with_a_threshold():
    table, about = made_up_heads()
    table.loc[table["head"] == "pbe", "mean_weight"] = 0.4
    assert "soft" not in said(table, about)
    table.loc[table["head"] == "published", ["weight", "mean_weight"]] = 0.2, 0.4
    assert "100 % of the suspects of heads with a threshold" in said(table, about)


def test_an_infinite_threshold_judges_nothing_but_the_fit_is_told():
    table = made_up_populations(400, TWO).assign(weight=1.0)
    about = about_populations(TWO)
    about["options"]["threshold"] = "inf"
    text = said(table, about)
    assert "about 124 of 400 labels (31.0 %) are wrong (with a certainty" in text
    assert "there are 0 suspects" in text
    assert "The threshold is infinite" in text
    assert "probabilities" not in text


def test_a_run_that_was_killed_before_its_first_description():
    for recorded in ([], [{"head": "Default", "location": -1.5, "scale": 0.4, "threshold": 8.0}]):  # without a kind
        about = about_populations(TWO) | {"distribution": recorded, "history": []}
        text = said(made_up_populations(400, TWO), about)
        assert "The fitted populations were not recorded" in text
        assert "threshold" not in text


# --- validation ------------------------------------------------------------------------------------------------------


def test_numbers_of_training_and_validation_are_told_apart():
    training, validation = made_up_populations(400, BOTH), made_up_populations(80, BOTH, share=0.5, seed=1)
    found = summarised(with_validation(training, validation), about_populations(BOTH))
    low = [int((part["weight"] < 0.5).sum()) for part in (training, validation)]
    assert [tuple(count) for count in found.counts] == [("training", low[0], 400), ("validation", low[1], 80)]
    share = f"({100 * low[1] / 80:.1f} %)"
    headline = words.headline(found)
    assert headline.startswith(f"{low[0]} of 400 training configurations (")
    assert f" and {low[1]} of 80 validation configurations {share} look wrong: weight below 0.5." in headline
    text = " ".join(words.how_sure(found))
    assert "about 124 of 400 training labels (31.0 %) are wrong (with" in text  # the fit knows nothing else
    assert f"there are {low[0]} training suspects" in text
    assert f"of {sum(low)} suspects" in text
    assert "seen once" not in text
    assert found.verdicts["suspect"] == low[1]
    assert found.verdicts["persistent"] == low[0]


def test_thresholds_are_compared_with_the_training_set():
    table, about = made_up_heads()
    more = with_validation(table, made_up_populations(50, TWO).assign(head="published", weight=0.1, mean_weight=0.4))
    text = said(more, about)
    assert "Head published: if all labels were right, about 4.6 of 200 training configurations would" in text
    assert "soft" not in text


def test_a_second_population_that_may_be_right_as_well_is_a_warning():
    undecided = ONE | {"undecided": 0.48}
    found = summarised(made_up_populations(400, undecided), about_populations(undecided))
    [warning] = chance.similar_populations(found)
    assert warning.startswith("A second population holds 48.0 % of the labels, and either may be the wrong one")
    assert not chance.similar_populations(summarised(made_up_populations(400, ONE), about_populations(ONE)))
