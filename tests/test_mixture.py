"""Two populations of configurations: found where they are, not found where they aren't, and weighed as Bayes has it."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from mace_outlier import head_populations
from mace_outlier.mixture import MixtureDistribution
from mace_outlier.populations import BACKGROUND, ERROR_RANGE, RIGHT, Fit, agreement, lower_density
from mace_outlier.populations.cells import EXACT, binned
from mace_outlier.populations.guard import Guard
from mace_outlier.posterior import weigh_by_fit
from mace_outlier.weighting import Remembered

HEADS = torch.zeros(1, dtype=torch.long)
SPREAD = 0.004  # eV/atom


def remembered(share=0.15, size=400, gap=2.3, shift=0.06, seed=0, codes=None, energies=True):
    """Right labels with a tail above, a share of wrong ones with larger losses and higher energies; and which."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(size) < 0.5, -np.abs(rng.normal(0, 0.40, size)), np.abs(rng.standard_t(5, size)) * 0.44)
    bad = np.zeros(size, dtype=bool)
    bad[rng.permutation(size)[: round(share * size)]] = True
    x[bad] = gap + rng.normal(0, 0.3, bad.sum())
    errors = rng.normal(0, SPREAD, size) - shift * bad
    return seen(np.exp(x - 1.5), errors if energies else None, codes=codes), torch.tensor(bad)


def seen(losses, errors=None, heads=None, times=None, codes=None):
    size = len(losses)
    return Remembered(
        losses=torch.tensor(np.asarray(losses)),
        errors=torch.full((size,), torch.nan) if errors is None else torch.tensor(np.asarray(errors)),
        heads=torch.zeros(size, dtype=torch.long) if heads is None else heads,
        usable=torch.ones(size, dtype=torch.bool),
        times=torch.zeros(size) if times is None else torch.tensor(times),
        kinds=np.ones((size, 2), dtype=np.int64) if codes is None else np.column_stack((codes, codes)),
    )


def fitted(what, **options):
    distribution = MixtureDistribution(**options)
    distribution.refit(what)
    judged = distribution.refit(what)
    return distribution, torch.ones(len(what.losses)) if judged is None else judged.weight


# --- found or not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.3, 0.43])
@pytest.mark.parametrize("energies", [True, False])
def test_the_share_is_found_and_the_weights_tell_right_from_wrong(share, seed, energies):
    what, bad = remembered(share, seed=seed, energies=energies)
    distribution, weight = fitted(what)
    assert distribution.fits[0].share == pytest.approx(share, abs=0.02)
    suspects = weight < 0.5
    assert suspects[bad].double().mean() >= 0.95
    assert suspects[~bad].double().mean() <= (0.005 if energies else 0.03)  # those of the right tail
    assert weight[~bad].mean() > 0.98


def off_to_both_sides(share, centre, size=400, seed=0):
    """Energies of half of the wrong labels too high, of the others too low; the model is `centre` (eV/atom) off."""
    rng = np.random.default_rng(seed)
    side = np.zeros(size)
    side[rng.permutation(size)[: round(share * size)]] = 1
    side[np.flatnonzero(side)[::2]] = -1
    errors = 0.06 * side + centre + rng.normal(0, SPREAD, size)
    losses = 10 * errors**2 + 0.003 * np.exp(rng.normal(0, 0.3, size)) * (1 + 3 * np.abs(side))
    return seen(losses, errors), torch.tensor(side != 0)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("share", [0.3, 0.43, 0.5])
@pytest.mark.parametrize("centre", [0.0, -0.02, 0.02])
def test_wrong_labels_of_either_sign_are_found_on_both_sides(share, centre, seed):
    """Also where the model has followed one of them a little, so that the others stand out alone."""
    what, bad = off_to_both_sides(share, centre, seed=seed)
    distribution, weight = fitted(what)
    assert distribution.fits[0].share == pytest.approx(share, abs=0.02)
    assert ((weight < 0.5) == bad).double().mean() > 0.97


def wrong_in_three_ways(size=400, seed=0, mild=0.02):
    """Shares of labels that are wrong by more and less, each kind nearly alike; 0 in kind: right labels."""
    what, _ = remembered(0.0, size=size, seed=seed)
    rng = np.random.default_rng([1, seed])
    kind = np.zeros(size, dtype=int)
    order, x, errors = rng.permutation(size), what.losses.log().numpy(), what.errors.numpy()
    for number, (share, gap, off) in enumerate(((0.14, 4.0, 0.6), (0.14, 2.5, 0.25), (0.12, 0.5, mild)), start=1):
        some, order = np.split(order, [round(share * size)])
        kind[some], x[some] = number, gap - 1.5 + rng.normal(0, 0.3, len(some))
        errors[some] -= off * rng.normal(1, 0.05, len(some))
    return seen(np.exp(x), errors), kind


def judged_thrice(what, **options):
    """Those that stand out look wrong, are wrong, and leave the others."""
    distribution = MixtureDistribution(**options)
    for _ in range(3):
        judged = distribution.refit(what)
    return distribution, judged


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("in_epoch", [True, False])
def test_labels_wrong_by_much_do_not_hide_those_that_are_wrong_by_less(seed, in_epoch, monkeypatch):
    what, kind = wrong_in_three_ways(seed=seed)
    if in_epoch:  # in whose course nothing changes
        what = what._replace(times=torch.rand(400, generator=torch.Generator().manual_seed(seed)).double())
    distribution, (weight, zscore) = judged_thrice(what)
    assert distribution.some_are_wrong
    suspects = (weight < 0.5).numpy()
    assert [suspects[kind == number].mean() for number in range(3)] == pytest.approx([0, 1, 1], abs=0.005)
    assert suspects[kind == 3].mean() > 0.9
    assert distribution.wrong.numpy()[suspects & (kind == 3)].tolist() == [2] * (suspects & (kind == 3)).sum()
    assert zscore[kind == 1].min() > zscore[kind == 2].median() > zscore[kind == 3].max(), "in the same scales"
    (described,) = distribution.describe()
    assert described["share"] == pytest.approx(0.28, abs=0.01)
    assert described["within"]["share"] == pytest.approx(0.12 / 0.72, abs=0.025)
    assert described["within"]["high_error"] == pytest.approx(-0.02, abs=0.002)
    assert described["within"]["error_scale"] < 0.7 * described["error_scale"]
    monkeypatch.setattr(head_populations, "DEEPEST", 1)
    assert (judged_thrice(what)[1].weight[kind == 3] > 0.5).all()


def test_those_that_are_wrong_by_less_are_found_in_a_validation_set_and_after_a_restart():
    distribution, _ = judged_thrice(wrong_in_three_ways()[0])
    other = MixtureDistribution()
    other.load_state_dict(distribution.state_dict())
    assert other.describe() == distribution.describe()
    validation, kind = wrong_in_three_ways(size=60, seed=7)
    validation = validation._replace(losses=0.5 * validation.losses, errors=validation.errors - 0.02)
    weight, zscore = other.judge(validation)
    assert ((weight < 0.5).numpy() == (kind > 0)).mean() > 0.96
    assert zscore[kind == 1].min() > zscore[kind == 3].max()
    again = wrong_in_three_ways()[0]
    assert torch.equal(other.refit(again).weight, distribution.refit(again).weight)


def test_what_one_fit_has_found_is_wrong_at_once_where_another_finds_it():
    what, kind = wrong_in_three_ways()
    what = what._replace(times=torch.rand(400, generator=torch.Generator().manual_seed(0)).double())
    for before in ((kind > 0), np.where(kind == 3, 1, 2 * (kind > 0))):
        distribution = MixtureDistribution()
        distribution.refit(what)
        distribution.wrong = torch.tensor(before.astype(np.uint8))
        weight = distribution.refit(what).weight
        assert (weight[kind == 3] < 0.5).double().mean() > 0.9
    distribution.wrong = torch.tensor(((kind == 1) | (kind == 2)).astype(np.uint8))
    assert (distribution.refit(what).weight[kind == 3] > 0.5).all(), "for the first time"


def test_where_two_populations_are_all_there_is_a_look_at_the_rest_changes_nothing(monkeypatch):
    for what in (remembered(0.3)[0], remembered(0.15, energies=False)[0], off_to_both_sides(0.3, 0.0)[0]):
        distribution, judged = judged_thrice(what)
        assert [fit.are_two for fit in distribution.heads[0].fits] == [True, False]
        assert "within" in distribution.describe()[0]
        with monkeypatch.context() as patched:
            patched.setattr(head_populations, "DEEPEST", 1)
            alone = judged_thrice(what)[1]
        assert torch.equal(judged.weight, alone.weight)
        assert torch.equal(judged.zscore, alone.zscore)


def test_a_look_at_the_rest_needs_enough_of_it():
    what, _ = wrong_in_three_ways(size=round(head_populations.FEWEST / 0.72) - 2)
    assert len(judged_thrice(what)[0].heads[0].fits) == 1


def test_what_can_be_wrong_all_together_is_asked_of_all_of_it():
    what, _ = wrong_in_three_ways()
    distribution, asked = MixtureDistribution(), []
    for _ in range(3):
        distribution.refit(what, lambda mask: asked.append(int(mask.sum())) or mask.sum() < 120)
    assert asked[-1] == pytest.approx(160, abs=6)
    assert distribution.heads[0].fits[0].are_two
    assert not distribution.heads[0].fits[1].are_two


@pytest.mark.parametrize("energies", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_one_population_keeps_its_weights(seed, energies):
    what, _ = remembered(0.0, seed=seed, energies=energies)
    distribution, weight = fitted(what)
    assert distribution.fits[0].share == 0
    assert weight.mean() > 0.99


def test_nothing_is_done_where_wrong_labels_agree_and_are_half_of_all():
    what, _ = remembered(0.48)
    distribution, weight = fitted(what)
    assert distribution.fits[0].share == 0
    assert distribution.fits[0].undecided == pytest.approx(0.48, abs=0.01)
    assert distribution.describe()[0]["undecided"] == distribution.fits[0].undecided
    assert weight.min() > 0.9
    distribution.refit(what, believable=lambda outliers: False)
    assert distribution.fits[0].undecided == 0  # no two populations at all


def test_wrong_energies_are_found_where_the_losses_are_ordinary():
    what, bad = remembered(0.15, shift=0.03, gap=2.3)
    losses = remembered(0.0)[0].losses
    _, weight = fitted(what._replace(losses=losses))
    assert (weight < 0.5).equal(bad)


def test_energies_sharpen_what_losses_leave_open():
    what, bad = remembered(0.15, gap=1.4, shift=0.012)
    with_energies, without = fitted(what)[1], fitted(what._replace(errors=torch.full((400,), torch.nan)))[1]
    right = lambda weight: ((weight < 0.5) == bad).double().mean()  # noqa: E731
    assert right(with_energies) > right(without) + 0.01


def test_configurations_are_compared_with_those_of_their_formula():
    what, bad = remembered(0.2, size=900, gap=1.5, shift=0.02)
    codes = np.arange(900, dtype=np.int64) % 3
    offsets, levels = torch.tensor([0.0, 0.3, -0.2])[codes], torch.tensor([1.0, 20.0, 400.0])[codes]
    what = what._replace(errors=what.errors + offsets, losses=what.losses * levels)
    assert ((fitted(what._replace(kinds=np.column_stack((codes, codes))))[1] < 0.5) == bad).double().mean() > 0.97
    assert ((fitted(what)[1] < 0.5) == bad).double().mean() < 0.9


def test_what_changes_in_the_course_of_an_epoch_is_no_second_population():
    rng = np.random.default_rng(0)
    times = rng.random(400)
    what, _ = remembered(0.0)
    early = torch.tensor(np.where(times < 0.4, 3.0 - 5 * times, 1.0))
    falling = what._replace(losses=what.losses * early.exp(), errors=what.errors + 0.02 * early)
    assert fitted(falling._replace(times=torch.tensor(times)))[1].mean() > 0.99
    assert fitted(falling)[1].mean() < 0.95  # what it would be taken for


def test_wrong_labels_do_not_come_at_a_time():
    what, bad = remembered(0.1)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    assert fitted(what._replace(times=order / 400))[0].fits[0].share > 0
    together = torch.argsort(bad.int(), stable=True).argsort() / 400  # the wrong ones last
    for times in (together, (together + 0.5) % 1):
        assert fitted(what._replace(times=times))[0].fits[0].share == 0


def test_wrong_labels_are_those_that_looked_wrong_before():
    what, bad = remembered(0.2)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0)) / 400
    what = what._replace(times=order)
    turned = what._replace(losses=what.losses.roll(150), errors=what.errors.roll(150))  # others look wrong
    distribution = MixtureDistribution()
    for step, shares in ((what, 0), (what, 0.2), (turned, 0), (turned, 0.2)):
        distribution.refit(step)
        assert distribution.fits[0].share == pytest.approx(shares, abs=0.02)
    later = MixtureDistribution()
    later.follow(distribution)
    assert later.refit(turned).weight[bad.roll(150)].mean() < 0.1
    once = MixtureDistribution()
    once.refit(what)
    again = MixtureDistribution()
    again.load_state_dict(once.state_dict())
    assert again.refit(what).weight[bad].mean() < 0.1


def test_agreement_is_beyond_chance():
    one, other = np.random.default_rng(0).random((2, 10_000)) < 0.4
    assert agreement(one, one) == 1
    assert agreement(one, other) == pytest.approx(0, abs=0.03)
    assert agreement(one & other, one) == 1
    assert agreement(one, np.zeros_like(one)) == 0


def test_a_gross_error_alone_is_caught_and_does_not_hide_the_others():
    what, _ = remembered(0.0)
    what.losses[3], what.errors[5] = 1e14, -50.0
    distribution, weight = fitted(what)
    assert distribution.fits[0].share == 0
    assert weight[[3, 5]].max() < 1e-3
    assert weight.sum() > 0.99 * 398
    what, bad = remembered(0.15)
    what.losses[-1] = 1e14
    _, weight = fitted(what)
    assert weight[-1] < 0.05
    assert weight[bad].mean() < 0.1


def test_large_sets_are_binned_and_give_the_same():
    what, _ = remembered(0.15, size=EXACT)
    larger, also_bad = remembered(0.15, size=EXACT + 1000)
    exact, coarse = fitted(what)[0].fits[0], fitted(larger)[0].fits[0]
    assert coarse.share == pytest.approx(exact.share, abs=0.01)
    assert coarse.high_mean - coarse.mode == pytest.approx(exact.high_mean - exact.mode, abs=0.1)
    assert ((fitted(larger)[1] < 0.5) == also_bad).double().mean() > 0.99


def test_bins_keep_every_configuration():
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=3000), np.where(rng.random(3000) < 0.1, np.nan, 10 * rng.standard_t(1, 3000))
    cells = binned(x, e)
    assert cells.counts.sum() == 3000
    assert cells.counts[np.isnan(cells.e)].sum() == np.isnan(e).sum()
    assert np.average(cells.x, weights=cells.counts) == pytest.approx(x.mean(), abs=0.03)
    near = np.abs(cells.e) < 1
    assert cells.counts[near].sum() == pytest.approx((np.abs(e) < 1).sum(), rel=0.25)


def test_fits_are_deterministic_and_do_not_care_for_the_order():
    what, _ = remembered(0.3)
    first = fitted(what)[0].fits[0]
    assert first == fitted(what)[0].fits[0]
    turned = what._replace(losses=what.losses.flip(0), errors=what.errors.flip(0))
    np.testing.assert_allclose(first, fitted(turned)[0].fits[0], rtol=1e-3, atol=1e-3)


def test_nothing_usable_is_no_fault():
    distribution, weight = fitted(seen(np.zeros(100)))
    assert distribution.fits == [None]
    assert weight.eq(1).all()
    assert fitted(seen(np.full(100, 2.0)))[1].min() > 0.99
    assert fitted(seen(np.full(100, 2.0), np.zeros(100)))[1].min() > 0.99


def test_heads_are_fitted_apart_and_small_ones_stay_as_they_were():
    what, bad = remembered(0.3)
    other = remembered(0.0, seed=3)[0]
    both = seen(
        torch.cat((what.losses, 1000 * other.losses, torch.ones(20))),
        torch.cat((what.errors, other.errors, torch.zeros(20))),
        torch.tensor([0] * 400 + [1] * 400 + [2] * 20),
    )
    distribution = MixtureDistribution(num_heads=3)
    distribution.update(both.losses, both.heads, both.usable)
    weight = distribution.refit(both).weight
    assert [fit and fit.share for fit in distribution.fits] == [pytest.approx(0.3, abs=0.02), 0, None]
    assert [own["kind"] for own in distribution.describe()] == ["mixture", "mixture", "lognormal"]
    assert weight[:400][bad].mean() < 0.05
    assert weight[400:].mean() > 0.99


# --- weights ---------------------------------------------------------------------------------------------------------


FIT = Fit(0.0, -1.0, 0.4, 0.5, 0.2, 0.9, 0.3, 1.2, 0.4, -2.5, 0.3)


def slow_weight(x, e, fit=FIT):
    inside = min(max(x, fit.mode), max(fit.mode, fit.high_mean))
    lower = (1 - fit.share) * lower_density(np.array([inside]), fit.mode, fit.left, fit.right)[0]
    upper = fit.share * norm.pdf(inside, fit.high_mean, fit.high_scale)
    other = BACKGROUND
    if np.isfinite(e):
        lower *= (1 + 0.2 * ((e - fit.error) / fit.error_scale) ** 2) ** -3 / (2 * RIGHT * fit.error_scale)
        upper *= norm.pdf(np.arcsinh(e), fit.high_error, fit.high_error_scale) / np.sqrt(1 + e * e)
        other /= ERROR_RANGE * fit.error_scale
    return lower / (lower + upper + other) * norm.cdf(8 - (x - fit.mode) / fit.right)


@pytest.mark.parametrize("e", [np.nan, 0.0, -3.0, -8.0, 40.0])
def test_the_weight_is_the_posterior_and_never_rises_with_the_loss(e):
    x = torch.linspace(-1.0, 6.0, 200, dtype=torch.float64)
    weight, zscore = weigh_by_fit(FIT, x, torch.full_like(x, e), 8.0)
    assert (weight.diff() <= 1e-12).all()
    for i in range(0, 200, 20):
        assert weight[i].item() == pytest.approx(slow_weight(x[i].item(), e), rel=1e-9, abs=1e-300)
    deviation = 0.0 if np.isnan(e) else abs(e - 0.2) / 0.9
    np.testing.assert_allclose(zscore, np.maximum((x + 1.0) / 0.5, deviation))
    assert weigh_by_fit(FIT, torch.tensor([100.0]), torch.tensor([e]), 8.0).weight < 1e-12  # no say for gross errors


def test_densities_of_energy_errors_are_densities():
    def right(e):
        return (1 + 0.2 * ((e - FIT.error) / FIT.error_scale) ** 2) ** -3 / (2 * RIGHT * FIT.error_scale)

    def wrong(e):
        return norm.pdf(np.arcsinh(e), FIT.high_error, FIT.high_error_scale) / np.sqrt(1 + e * e)

    assert quad(right, -np.inf, np.inf)[0] == pytest.approx(1, abs=1e-6)
    assert quad(wrong, -200, 200, points=[-6, 0])[0] == pytest.approx(1, abs=1e-6)


def test_until_the_first_fit_only_gross_errors_are_caught():
    what, _ = remembered(0.15)
    distribution = MixtureDistribution(warmup=0)
    assert not distribution.settled
    for _ in range(50):
        distribution.update(what.losses, what.heads, what.usable)
    assert distribution.weigh(what.losses, what.heads).weight.min() > 0.9
    assert distribution.weigh(torch.tensor([1e14]), HEADS).weight < 1e-6
    assert distribution.weigh(torch.zeros(1), HEADS).weight == 1
    distribution.refit(what)
    assert distribution.settled


def test_an_infinite_threshold_never_weighs():
    assert fitted(remembered(0.3)[0], threshold=float("inf"))[1].eq(1).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.0, 0.15, 0.43, 0.6])
def test_a_validation_set_is_judged_at_its_own_level(share, seed):
    """A model in another state (averaged parameters) has other losses and another offset of the energies."""
    training, _ = remembered(0.43)
    validation, bad = remembered(share, size=40, seed=seed)
    validation = validation._replace(losses=0.3 * validation.losses, errors=validation.errors - 0.02)
    weight = fitted(training)[0].judge(validation).weight
    assert (weight[bad] < 0.1).all()
    assert weight[~bad].mean() > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_drift_and_nearly_half_wrong_labels_at_once(seed):
    """Windows of time in which by chance most labels are wrong must not turn right and wrong around."""
    what, bad = remembered(0.43, seed=seed)
    times = torch.rand(400, generator=torch.Generator().manual_seed(seed)).double()
    path = 0.02 * torch.sin(6 * times)
    what = what._replace(times=times, errors=what.errors + path, losses=what.losses * (30 * path).exp())
    assert ((fitted(what)[1] < 0.5) == bad).double().mean() > 0.98


def test_state_goes_round():
    what, _ = remembered(0.3)
    distribution, weight = fitted(what)
    other = MixtureDistribution()
    other.load_state_dict(distribution.state_dict())
    assert torch.equal(other.judge(what).weight, distribution.judge(what).weight)
    torch.testing.assert_close(other.judge(what).weight, weight, atol=0.1, rtol=0)
    assert other.settled
    assert other.describe() == distribution.describe()
    with pytest.raises(ValueError, match="no mixture of 2 head"):
        MixtureDistribution(num_heads=2).load_state_dict(distribution.state_dict())
    with pytest.raises(ValueError, match="no mixture of 1 head"):
        other.load_state_dict({"mean": torch.zeros(1)})


def test_the_description_is_in_electronvolt():
    what, _ = remembered(0.3, shift=0.06)
    (own,) = fitted(what)[0].describe()
    assert own["high_error"] == pytest.approx(-0.06, rel=0.1)
    assert own["error_scale"] == pytest.approx(SPREAD, rel=0.3)
    assert own["high_mean"] == pytest.approx(2.3 - 1.5, abs=0.2)
    assert own["mode"] == pytest.approx(-1.5, abs=0.3)
    assert own["share"] == pytest.approx(0.3, abs=0.02)
    assert own["molecules"] == 1


def test_what_can_not_be_believed_is_not_acted_on():
    what, _ = remembered(0.3)
    asked = []
    distribution = MixtureDistribution()
    distribution.refit(what, lambda mask: asked.append(int(mask.sum())) or False)
    assert asked == [pytest.approx(120, abs=4)]
    assert distribution.fits[0].share == 0


def test_found_populations_are_kept_near_the_limit():
    what, _ = remembered(0.3, energies=False)
    certainty = MixtureDistribution(guard=Guard(certainty=0.0))
    certainty.refit(what)
    strict = Guard(certainty=certainty.fits[0].certainty + 0.001)
    distribution = MixtureDistribution(guard=strict)
    distribution.refit(what)
    assert distribution.fits[0].share == 0
    distribution.refit(remembered(0.3, gap=6.0, energies=False)[0])
    assert distribution.fits[0].share > 0
    distribution.refit(what)
    assert distribution.fits[0].share > 0
    distribution.refit(remembered(0.0)[0])
    assert distribution.fits[0].share == 0


# --- batches, heads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize(("size", "batch", "share"), [(2000, 32, 0.15), (4000, 40, 0.1)])
def test_wrong_labels_are_found_in_batches_wherever_they_are_in_the_file(size, batch, share, side_by_side):
    """A bad stretch of a trajectory: in each batch, the wrong ones have rows next to one another, and one time."""
    rng = np.random.default_rng(5)
    bad = np.zeros(size, dtype=bool)
    bad[
        np.arange(round(share * size)) + size // 3 if side_by_side else rng.permutation(size)[: round(share * size)]
    ] = True
    distribution = MixtureDistribution()
    for epoch in range(3):
        times = np.empty(size)
        times[rng.permutation(size)] = epoch + (np.arange(size) // batch) * batch / size  # one for each batch
        losses = np.exp(rng.normal(0, 0.5, size) - 0.5 * epoch) * np.where(bad, 12, 1)
        errors = np.where(bad, rng.normal(0.06, 0.01, size), rng.normal(0, SPREAD, size))
        judged = distribution.refit(seen(losses, errors, times=times))
    assert judged.weight[bad].mean() < 0.02
    assert judged.weight[~bad].mean() > 0.98


def test_a_head_that_is_too_small_for_a_fit_goes_on_learning():
    """Another head's fit must not leave it with the statistics of the first epoch."""
    size, small = 400, 40
    heads = torch.tensor([0] * size + [1] * small)
    what, _ = remembered(0.15, size=size)
    distribution = MixtureDistribution(num_heads=2)
    for epoch in range(6):
        few = torch.linspace(0.5, 1.5, small).double() * 10.0**-epoch
        both = seen(torch.cat((what.losses, few)).numpy(), torch.cat((what.errors, 0 * few)).numpy(), heads)
        if epoch == 0:
            distribution.update(both.losses, both.heads, both.usable)
        large = distribution.first.mean[0].clone()
        distribution.refit(both)
    assert distribution.fits[0].share == pytest.approx(0.15, abs=0.02)
    assert distribution.fits[1] is None
    remembered_by_now = -np.log(10) * sum(0.1 * 0.9 ** (5 - epoch) * epoch for epoch in range(1, 6))
    assert distribution.first.mean[1].item() == pytest.approx(remembered_by_now, abs=0.2)
    assert distribution.first.mean[0] == large  # has a fit
