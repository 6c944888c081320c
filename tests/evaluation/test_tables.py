import math
from dataclasses import replace
from pathlib import Path

import pytest

from restorekit.evaluation import tables
from restorekit.evaluation.published import Published
from restorekit.evaluation.run import Evaluation, PairResult
from restorekit.evaluation.tables import (
    all_tables,
    as_table,
    group_table,
    narrowed,
    overview,
    published_line,
    published_table,
)
from restorekit.events import FileFailed
from restorekit.metrics.protocols import get_protocol
from tests.evaluation.conftest import pair


def cells(table, *headings):
    places = [table.headings.index(heading) for heading in headings]
    return [tuple(row[place] for place in places) for row in table.rows]


@pytest.fixture
def paper(monkeypatch):
    """What is published on Rain100L: two numbers of one method, one of another protocol."""
    common = {"dataset": "Rain100L", "part": "", "paper": "Ren 2019", "note": "", "checked": True}
    rain = {**common, "protocol": "rain-y-matlab", "trained_on": "Rain13K", "source": "s"}
    numbers = (
        Published(method="PReNet", metric="psnr", value=26.0, **rain),
        Published(method="PReNet", metric="ssim", value=0.7, **rain),
        Published(method="SFNet", metric="psnr", value=38.21, **rain),
        Published(method="Half", metric="psnr", value=1.0, **{**rain, "part": "half"}),
        Published(method="Old", metric="psnr", value=37.0, **{**rain, "protocol": "prenet-y"}),
        Published(method="Dim", metric="psnr", value=9.0, **{**rain, "checked": False}),
    )

    def published(dataset, metric=None, protocol=None):
        return tuple(
            n
            for n in numbers
            if dataset == n.dataset
            and metric in (None, n.metric)
            and protocol in (None, n.protocol)
        )

    monkeypatch.setattr(tables, "published", published)


def test_the_table_has_the_degraded_pictures_and_each_model(evaluations):
    table = as_table(evaluations)
    assert cells(table, "model", "protocol", "pairs", "PSNR [dB]", "SSIM") == [
        ("degraded", "rain-y-matlab", "2", "22.50", "0.5000"),
        ("a", "rain-y-matlab", "2", "27.00", "0.7500"),
        ("b", "rain-y-matlab", "2", "27.00", "0.7500"),
    ]
    cost = cells(table, "made worse", "largest loss", "s / megapixel", "peak MiB")
    assert cost == [("-",) * 4, ("1", "1.00", "0.50", "n/a"), ("0", "-", "0.50", "200")]
    assert table.rows[1][4] == "[24.00, 30.00]"
    assert "published" not in table.headings


def test_the_input_is_the_row_of_the_degraded_pictures(evaluations):
    same = replace(evaluations[0], model="degraded")
    assert [row[0] for row in as_table([evaluations[1], same]).rows] == ["degraded", "b"]


def test_the_caption_says_how_the_numbers_were_made(evaluations):
    caption = as_table(evaluations).caption
    assert "Rain100L, 2 pairs; protocol rain-y-matlab: 8-bit pictures" in caption
    assert "SSIM is gaussian-valid" in caption
    assert "percentile bootstrap of the mean, 10000 resamples, seed 0" in caption


def test_half_a_set_is_never_reported_as_the_whole(evaluations):
    part = [replace(each, whole=100) for each in evaluations]
    for table in all_tables(part):
        assert "2 of 100 pairs" in table.title + table.caption
    assert {row[2] for row in as_table(part).rows} == {"2 of 100"}
    failed = replace(evaluations[0], failed=(FileFailed(Path("3.png"), "cut off"),))
    assert as_table([failed]).title == "Rain100L, 2 of 3 pairs"


def test_a_set_of_which_nothing_was_measured_is_in_the_table(evaluations):
    nothing = Evaluation("c", "Rain100L", evaluations[0].protocol, (), whole=100)
    row = as_table([evaluations[0], nothing]).rows[-1]
    assert row[:4] == ("c", "rain-y-matlab", "0 of 100", "n/a")
    assert row[-2:] == ("n/a", "n/a")


def test_a_metric_without_weights_is_not_available_and_the_caption_says_why(
    evaluations, monkeypatch
):
    monkeypatch.setattr(tables, "unavailable", lambda protocol: {"ssim": "no file x.pth"})
    pairs = (PairResult("1", 9, {}, {"psnr": 30.0, "ssim": math.nan}, 1),)
    table = as_table([replace(evaluations[0], pairs=pairs)])
    assert cells(table, "model", "PSNR [dB]", "SSIM") == [("a", "30.00", "n/a")]
    assert table.caption.endswith("SSIM is n/a: no file x.pth.")


def test_columns_that_may_be_left_out(evaluations):
    table = narrowed(as_table(evaluations))
    assert table.headings == (
        *("model", "protocol", "pairs", "PSNR [dB]", "SSIM", "made worse", "s / megapixel"),
    )
    assert table.rows[1] == ("a", "rain-y-matlab", "2", "27.00", "0.7500", "1", "0.50")


# several sets


def test_several_sets_have_an_overview(evaluations):
    other = [
        replace(each, dataset="GoPro", whole=1111, protocol=get_protocol("gopro-rgb"))
        for each in evaluations
    ]
    table = overview([*evaluations, *other])
    assert table is not None
    assert table.headings == ("model", "Rain100L, PSNR [dB]", "GoPro, PSNR [dB]")
    assert table.rows[0] == ("degraded", "22.50", "22.50")
    assert [row[0] for row in table.rows] == ["degraded", "a", "b"]
    assert "Rain100L: 2 pairs, protocol rain-y-matlab" in table.caption
    assert "GoPro: 2 of 1111 pairs, protocol gopro-rgb" in table.caption
    assert overview(evaluations) is None


# groups


def failed_on(evaluation, *names):
    """The same evaluation without some of its pictures."""
    left = tuple(pair for pair in evaluation.pairs if pair.name not in names)
    failed = tuple(FileFailed(Path(f"{name}.png"), "cut off") for name in names)
    return replace(evaluation, pairs=left, failed=failed)


def test_a_model_that_failed_does_not_hide_the_degraded_pictures(evaluations):
    broken = [failed_on(evaluations[0], "1", "2"), evaluations[1]]
    assert cells(as_table(broken), "model", "pairs", "PSNR [dB]") == [
        ("degraded", "2", "22.50"),
        ("a", "0 of 2", "n/a"),
        ("b", "2", "27.00"),
    ]
    assert as_table(broken).caption.startswith("Rain100L, 2 pairs")


def test_the_overview_says_what_is_a_mean_of_fewer_pictures(evaluations):
    part = [failed_on(evaluations[0], "2"), evaluations[1]]
    other = [replace(each, dataset="other") for each in evaluations]
    assert overview([*part, *other]).rows == (
        ("degraded", "22.50", "22.50"),
        ("a", "30.00 (1 of 2)", "27.00"),
        ("b", "27.00", "27.00"),
    )


def without_ssim(evaluation):
    first, second = evaluation.pairs
    lacking = replace(
        second,
        degraded=second.degraded | {"ssim": math.nan},
        restored=second.restored | {"ssim": math.nan},
        undefined=("SSIM needs at least 11 pixels",),
    )
    return replace(evaluation, pairs=(replace(first, groups=("rain 1",)), lacking))


def test_a_mean_of_fewer_pictures_says_of_how_many(evaluations):
    some = [without_ssim(each) for each in evaluations]
    table = as_table(some)
    assert cells(table, "model", "PSNR [dB]", "SSIM") == [
        ("degraded", "22.50", "0.5000 (1 of 2)"),
        ("a", "27.00", "0.7500 (1 of 2)"),
        ("b", "27.00", "0.7500 (1 of 2)"),
    ]
    assert table.caption.endswith(
        "Metrics that are not defined for a picture are means of the others: 1 of 2 pictures lack "
        "one, first 2 (SSIM needs at least 11 pixels)."
    )
    assert "not defined" not in as_table(evaluations).caption
    assert group_table(some).rows[1][-2:] == ("30.00", "0.7500")


def test_a_group_says_of_how_many_pictures_its_mean_is(evaluations):
    some = [
        replace(e, pairs=tuple(replace(p, groups=("rain",)) for p in e.pairs))
        for e in map(without_ssim, evaluations)
    ]
    assert [row[-1] for row in group_table(some).rows] == [
        "0.5000 (1 of 2)",
        "0.7500 (1 of 2)",
        "0.7500 (1 of 2)",
    ]


def test_without_comparable_degraded_pictures_there_is_no_row_of_them(evaluations):
    bare = tuple(replace(p, degraded={}, groups=("downsampling",)) for p in evaluations[0].pairs)
    first = replace(evaluations[0], pairs=bare)
    assert [row[0] for row in overview([first, replace(first, dataset="x")]).rows] == ["a"]
    assert cells(group_table([first]), "model") == [("a",)]


def test_groups_have_means_of_their_own(evaluations):
    pairs = (
        pair("1", 20, 30, groups=("jpeg", "jpeg, severity 1")),
        pair("2", 25, 24, groups=("jpeg", "jpeg, severity 5")),
        pair("3", 10, 11),
    )
    table = group_table([replace(evaluations[0], pairs=pairs)])
    assert table is not None
    assert cells(table, "group", "model", "pairs", "PSNR [dB]") == [
        ("jpeg", "degraded", "2", "22.50"),
        ("jpeg", "a", "2", "27.00"),
        ("jpeg, severity 1", "degraded", "1", "20.00"),
        ("jpeg, severity 1", "a", "1", "30.00"),
        ("jpeg, severity 5", "degraded", "1", "25.00"),
        ("jpeg, severity 5", "a", "1", "24.00"),
    ]
    assert group_table(evaluations) is None


# published numbers


def test_the_same_method_is_beside_the_measured_number(evaluations, paper):
    prenet = replace(evaluations[0], backend="prenet")
    table = as_table([prenet, evaluations[1]])
    assert cells(table, "published", "difference") == [
        ("", ""),
        ("26.00 (Rain13K)", "+1.00"),
        ("", ""),
    ]


def test_a_part_of_a_set_has_no_difference(evaluations, paper):
    part = replace(evaluations[0], backend="prenet", whole=100)
    assert cells(as_table([part]), "published", "difference")[1] == ("26.00 (Rain13K)", "-")
    table = published_table([part])
    assert table is not None
    assert {row[-1] for row in table.rows} == {"-"}
    assert table.caption.startswith("No differences, because only 2 of 100 pairs")


def test_published_numbers_are_subtracted_where_the_protocol_is_the_same(evaluations, paper):
    table = published_table(evaluations)
    assert table is not None
    asked = ("published", "protocol", "PSNR [dB]", "SSIM", "a, difference")
    assert cells(table, *asked) == [
        ("PReNet", "rain-y-matlab", "26.00", "0.7000", "+1.00"),
        ("SFNet", "rain-y-matlab", "38.21", "-", "-11.21"),
        ("Dim (from memory)", "rain-y-matlab", "9.00", "-", "+18.00"),
        ("Old", "prenet-y", "37.00", "-", "-"),
    ]
    assert cells(table, "trained on", "paper")[0] == ("Rain13K", "Ren 2019")


def test_the_best_published_numbers_are_one_line(evaluations, paper):
    line = published_line(evaluations)
    assert line is not None
    assert "PSNR [dB]: SFNet 38.21, PReNet 26.00, Dim 9.00;" in line


def test_nothing_is_published_on_a_folder_of_anybody(evaluations):
    mine = [replace(each, dataset="mine") for each in evaluations]
    assert published_table(mine) is None
    assert published_line(mine) is None
