"""What a report says of wrong labels, of none, of doubts, and of thresholds."""

import pytest
from made_up_fits import BOTH, ENERGIES, FORCES, GROSS, MANY, NONE, TOO_MANY, UNDECIDED, WRONG_ENERGIES
from made_up_results import about_populations, made_up_heads, made_up_populations, said, summarised, with_validation

from mace_outlier.report import judgements, words
from mace_outlier.report.text import about


def test_wrong_labels_in_words():
    table = made_up_populations(400, BOTH)
    found = summarised(table, about_populations(BOTH))
    expected, text = found.heads[0].expected, said(table, about_populations(BOTH))
    for shown in (
        "Of 400 labels, wrong ones stand out: energies of an estimated 14.9 % are off by some 60 meV/atom more than "
        "geometry explains, too high and too low alike (right ones scatter by 3.0); forces of an estimated 3.0 % are "
        "off by some 2.4 x what is expected (right ones vary by a factor of 1.3). "
        f"{found.suspects} of 400 labels (15.0 %) lost weight. The evidence for them is 245, and 6 is strong",
        f"of {found.suspects} suspects {about(expected.false_alarms)} are expected to be right (false alarms; the",
        f"of {400 - found.suspects} other configurations {about(expected.missed)} to be wrong (missed)",
        f"{expected.ambiguous} of these 400 configurations", "Look at some suspects before you believe them.",
    ):  # fmt: skip
        assert shown in text
    for absent in ("If all labels were right", "soft", "overlap", "threshold", "stand out.", "two populations"):
        assert absent not in text
    assert not judgements.doubts(found)
    assert "if it" not in words.headline(found)


@pytest.mark.parametrize(
    ("fit", "shown"),
    [
        (ENERGIES, "No wrong forces stand out. 60 of 400 labels (15.0 %) lost weight. The evidence"),
        (FORCES, "stand out: forces of an estimated 3.0 % are off by some 2.4 x what is expected (right ones vary by a "
         "factor of 1.3). No wrong energies stand out."),
        (BOTH | {"properties": {"energy": WRONG_ENERGIES | {"too_low": 0.95}}},
         "60 meV/atom more than geometry explains, too low (right"),
        (BOTH | {"gain": 4.2}, "The evidence for them is weak by now (4; they were believed in at 6)."),
    ],
)  # fmt: skip
def test_what_tells_them_apart_in_words(fit, shown):
    assert shown in said(made_up_populations(400, fit), about_populations(fit))


def test_no_wrong_labels_in_words():
    table = made_up_populations(400, NONE)
    text = said(table, about_populations(NONE))
    assert "No wrong labels stand out among 400 labels (evidence 3 of the 6 that are needed)" in text
    assert "don't show (energies: 3.0 meV/atom, forces: by a factor of 1.3)." in text
    assert "probability" not in text
    assert "gross" not in text
    close = NONE | {"gain": 113.0}  # enough to believe in them, were they further off
    why = "among 400 labels (errors of two sizes, too close to tell wrong labels from hard geometries). Labels that"
    assert why in said(made_up_populations(400, close), about_populations(close))
    table["weight"] = 1.0
    table.loc[[0, 1, 2], "weight"] = 0.001
    text = said(table, about_populations(GROSS))
    assert (
        "3 of 400 labels (0.8 %) lost weight, by gross errors as no right label has them. Of the others, none stands"
        in text
    )
    assert "of 3 suspects fewer than 0.1 are expected to be right (false alarms; the sum of their weights)." in text


# --- doubts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "shown"),
    [
        (UNDECIDED, "12.0 % of the labels look wrong, but in one epoch only: two have to agree"),
        (TOO_MANY, "55.0 % of the labels look wrong, more than 50.0 %, so that nobody can say which are the"),
        (MANY, "40.0 % of the labels are taken for wrong. With so many, it could be the others that are: look"),
        (BOTH | {"refused": "not\x1b finite"}, r"The last fit was refused (not\x1b finite): the weights are those of"),
    ],
)
def test_doubts_are_a_warning(fit, shown):
    [warning] = judgements.doubts(summarised(made_up_populations(400, fit), about_populations(fit)))
    assert warning.startswith(shown)


def test_what_is_undecided_is_not_called_right():
    table = made_up_populations(400, BOTH).assign(weight=1.0)
    found = summarised(table, about_populations(UNDECIDED))
    assert words.headline(found) == (
        "Undecided: some of 400 configurations look wrong, but every weight is 0.5 or more."
    )
    assert "None of 400 labels was taken for wrong, because it is undecided which are" in " ".join(
        words.how_sure(found)
    )
    assert words.headline(summarised(table, about_populations(NONE))).startswith(
        "None of 400 configurations looks wrong"
    )


def test_a_headline_of_many():
    found = summarised(made_up_populations(400, MANY), about_populations(MANY))
    assert words.headline(found).endswith("look wrong, if it isn't the others that are wrong: weight below 0.5.")


# --- heads, thresholds -----------------------------------------------------------------------------


def test_heads_of_several_kinds():
    table, about = made_up_heads()
    text = said(table, about)
    for shown in (
        "Head pbe: of 400 labels, wrong ones stand out", "Head r2scan: no wrong labels stand out",
        "Heads pbe, r2scan: a weight is the probability", "Head few: labels were not judged yet", "5 sigma holds",
        "Head few: if all labels were right, fewer than 0.1 of 30", "normally distributed logarithms",
        "Head published: if all labels were right, about 4.6 of 200",
    ):  # fmt: skip
        assert shown in text
    z = words.meaning_of_z(summarised(table, about))
    for shown in (
        "z: how far the worst label of a configuration lies from right ones, in their widths (energies: the error that",
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


def test_an_infinite_threshold_weighs_nothing_but_what_was_found_is_told():
    table = made_up_populations(400, BOTH).assign(weight=1.0)
    about = about_populations(BOTH)
    about["options"]["threshold"] = "inf"
    text = said(table, about)
    assert "Of 400 labels, wrong ones stand out" in text
    assert "The threshold is infinite" in text
    assert "probability" not in text


def test_a_run_that_was_killed_before_its_first_description():
    for recorded in ([], [{"head": "Default", "location": -1.5, "scale": 0.4, "threshold": 8.0}]):  # without a kind
        about = about_populations(BOTH) | {"distribution": recorded, "history": []}
        text = said(made_up_populations(400, BOTH), about)
        assert "How the labels were judged was not recorded" in text
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
    assert "Of 400 training labels, wrong ones stand out" in text  # nothing is learnt from the others
    assert f"of {sum(low)} suspects" in text
    assert "seen once" not in text
    assert found.verdicts["suspect"] == low[1]
    assert found.verdicts["persistent"] == low[0]


def test_thresholds_are_compared_with_the_training_set():
    table, about = made_up_heads()
    more = with_validation(table, made_up_populations(50, BOTH).assign(head="published", weight=0.1, mean_weight=0.4))
    text = said(more, about)
    assert "Head published: if all labels were right, about 4.6 of 200 training configurations would" in text
    assert "soft" not in text
