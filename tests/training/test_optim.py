import pytest

from restorekit.training.config import OptimRecipe
from restorekit.training.optim import learning_rate

RECIPE = OptimRecipe(lr=1e-3, final_lr=1e-6, warmup=10)


def test_the_rate_rises_then_falls_to_the_final_rate():
    rates = [learning_rate(step, 100, RECIPE) for step in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == max(rates) == pytest.approx(1e-3)
    assert rates[54] == pytest.approx((1e-3 + 1e-6) / 2)
    assert rates[-1] == pytest.approx(1e-6)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_without_warm_up_the_first_step_has_the_full_rate():
    recipe = RECIPE.model_copy(update={"warmup": 0})
    assert learning_rate(1, 1000, recipe) == pytest.approx(1e-3, rel=1e-3)
