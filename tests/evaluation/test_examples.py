import math
from dataclasses import replace

import numpy as np
import torch

from restorekit.evaluation.examples import SIDE, make_examples, ranked
from restorekit.evaluation.run import Evaluation, PairResult
from restorekit.evaluation.series import Series, as_they_are
from restorekit.evaluation.subject import choose_subject
from restorekit.media.image import write_image
from restorekit.metrics.protocols import get_protocol, with_metrics
from restorekit.types import Image
from tests.evaluation.conftest import finish, pair


def of(*values: float) -> Evaluation:
    pairs = tuple(pair(str(k), 1, value) for k, value in enumerate(values))
    return Evaluation("m", "d", get_protocol("rgb"), pairs)


def names(evaluation):
    return [(kind, result.name) for kind, result in ranked(evaluation)]


def test_the_worst_come_first_and_the_best_after_them():
    assert names(of(30, 10, 50, 20, 40)) == [
        ("worst", "1"),
        ("worst", "3"),
        ("best", "2"),
        ("best", "4"),
    ]


def test_no_picture_is_shown_twice():
    assert names(of(30, 10, 20)) == [("worst", "1"), ("best", "0")]
    assert names(of(30)) == [("worst", "0")]
    assert names(of(math.nan)) == []


def test_of_errors_the_largest_is_the_worst():
    protocol = with_metrics(get_protocol("rgb"), ["mae"])
    pairs = tuple(PairResult(str(k), 1, {}, {"mae": k / 10}, 0) for k in range(2))
    assert names(Evaluation("m", "d", protocol, pairs)) == [("worst", "1"), ("best", "0")]


def test_crops_are_cut_where_the_difference_is(tmp_path):
    reference = np.full((300, 400, 3), 100, np.uint8)
    degraded = reference.copy()
    degraded[250:270, 340:380] = 130
    write_image(tmp_path / "set" / "target" / "1.png", Image(reference))
    write_image(tmp_path / "set" / "input" / "1.png", Image(degraded))
    subject = choose_subject(str(tmp_path / "set"))
    _, (result,) = finish(Series([subject], [as_they_are("m")]).run())
    (example,) = make_examples(result, subject, lambda x: x)
    top, left = example.top, example.left
    assert top <= 250 < 270 <= top + SIDE
    assert left <= 340 < 380 <= left + SIDE
    assert np.array_equal(example.degraded, degraded[top : top + SIDE, left : left + SIDE])
    assert np.array_equal(example.reference, reference[top : top + SIDE, left : left + SIDE])
    assert example.difference.max() == 4 * 30
    assert example.restored.shape == (SIDE, SIDE, 3)


def test_small_pictures_are_shown_whole_and_reduced_ones_enlarged(tmp_path):
    write_image(tmp_path / "clean" / "1.png", Image(np.full((40, 60, 3), 90, np.uint8)))
    subject = choose_subject(str(tmp_path / "clean"), protocol=get_protocol("srgan-y-crop4"))
    result = replace(of(30), pairs=(pair("1", 1, 30),))
    (example,) = make_examples(result, subject, lambda x: torch.full((1, 3, 40, 60), 0.25))
    shapes = {crop.shape for crop in (example.degraded, example.restored, example.reference)}
    assert shapes == {(40, 60, 3)}
    assert np.all(example.degraded == 90)
