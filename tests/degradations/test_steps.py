from collections import Counter
from itertools import permutations

import pytest

from restorekit.degradations.recipe import load_recipe


def bits(number):
    return {"op": "quantise", "bits": number}


def drawn(step, seeds):
    recipe = load_recipe({"steps": [step]})
    return [tuple(d.bits for _, d in recipe.draw(seed)) for seed in range(seeds)]


def test_one_of_takes_each_as_often_as_its_weight_says():
    step = {"one_of": [bits(1) | {"weight": 3}, bits(2), bits(3) | {"weight": 4.0}]}
    counts = Counter(drawn(step, 4000))
    assert set(counts) == {(1,), (2,), (3,)}
    for number, share in ((1, 3 / 8), (2, 1 / 8), (3, 4 / 8)):
        assert counts[(number,)] / 4000 == pytest.approx(share, abs=0.03)


def test_shuffled_takes_all_in_every_order():
    counts = Counter(drawn({"shuffled": [bits(1), bits(2), bits(3)]}, 3000))
    assert set(counts) == set(permutations((1, 2, 3)))
    assert min(counts.values()) > 400


def test_the_ordered_ones_keep_their_order():
    ordered = [bits(1) | {"ordered": True}, bits(2), bits(3) | {"ordered": True}]
    counts = Counter(drawn({"shuffled": ordered}, 3000))
    assert set(counts) == {(1, 2, 3), (1, 3, 2), (2, 1, 3)}
    assert min(counts.values()) > 850


def test_a_row_is_left_out_as_a_whole():
    counts = Counter(drawn({"steps": [bits(1), bits(2)], "probability": 0.3}, 2000))
    assert set(counts) == {(1, 2), ()}
    assert counts[(1, 2)] / 2000 == pytest.approx(0.3, abs=0.04)


def test_groups_nest_and_every_step_has_a_place_of_its_own():
    step = {"shuffled": [{"one_of": [{"steps": [bits(1), bits(2)]}]}, bits(3)]}
    chain = load_recipe({"steps": [bits(4), step]}).draw(0)
    assert {place for place, _ in chain} == {0, "1.0.0.0", "1.0.0.1", "1.1"}


def test_what_a_step_draws_does_not_depend_on_the_steps_beside_it():
    sigmas = set()
    for other in (bits(1), {"op": "jpeg"}):
        chain = load_recipe({"steps": [{"shuffled": [{"op": "gaussian-noise"}, other]}]}).draw(5)
        sigmas |= {d.sigma for _, d in chain if d.name == "gaussian-noise"}
    assert len(sigmas) == 1
