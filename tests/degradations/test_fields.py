import numpy as np
import pytest

from restorekit.degradations.fields import clouds, plasma, wander


@pytest.mark.parametrize("correlation", [1.0, 6.0, 25.0])
def test_a_field_has_unit_variance_and_its_correlation(correlation):
    fields = [wander((300, 300), correlation, np.random.default_rng(s)) for s in range(12)]
    assert np.mean(np.square(fields)) == pytest.approx(1, rel=0.15)
    apart = round(correlation)
    beside = np.mean([field[:, apart:] * field[:, :-apart] for field in fields])
    assert beside == pytest.approx(np.exp(-1 / 4), abs=0.1)


def test_clouds_fill_their_range_smoothly():
    drawn = [clouds((150, 200), np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
    assert np.std(drawn) > 0.15
    assert all(field.min() >= 0 and field.max() <= 1 for field in drawn)
    steps = [np.abs(np.diff(field, axis=axis)).mean() for field in drawn for axis in (0, 1)]
    assert max(steps) < 0.05


def test_plasma_spans_0_to_1_and_has_the_size_asked_for():
    whole = plasma((256, 256), 2.0, np.random.default_rng(0))
    assert (whole.min(), whole.max()) == (0, 1)
    assert plasma((33, 20), 2.0, np.random.default_rng(0)).shape == (33, 20)
    assert plasma((1, 1), 2.0, np.random.default_rng(0)) == 0


def test_plasma_is_smoother_the_faster_it_decays_and_meets_itself():
    rough = []
    for decay in (1.2, 1.5, 2.0, 2.5):
        fractal = plasma((128, 128), decay, np.random.default_rng(1))
        steps = np.abs(np.diff(fractal, axis=0))
        rough.append(steps.mean() / fractal.std())
        assert np.abs(fractal[0] - fractal[-1]).mean() < 2 * steps.mean()
    assert rough == sorted(rough, reverse=True)


def test_plasma_halves_its_steps_as_its_decay_says():
    """At a decay of 2 the random part of the last refinement is a quarter of the one before."""
    fractals = [plasma((256, 256), 2.0, np.random.default_rng(s)) for s in range(8)]
    last, before = (
        np.mean(
            [np.std(f[n :: 2 * n, n :: 2 * n] - _corners(f[:: 2 * n, :: 2 * n])) for f in fractals]
        )
        for n in (1, 2)
    )
    assert last / before == pytest.approx(0.25, rel=0.1)


def _corners(grid):
    below = np.roll(grid, -1, axis=0)
    return (grid + below + np.roll(grid, -1, axis=1) + np.roll(below, -1, axis=1)) / 4
