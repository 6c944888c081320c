import json
import math
from dataclasses import replace

import pytest

from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.evaluation.compare import as_dict, as_table, compare_reports
from restorekit.evaluation.report import write_report
from restorekit.metrics.protocols import get_protocol, with_metrics
from tests.evaluation.conftest import pair


@pytest.fixture
def reports(evaluations, tmp_path):
    """a.json and b.json of one model each: b is better by 1, 2, 3 ... on ten pictures."""
    for name, gain in (("a", 0), ("b", 1)):
        pairs = tuple(pair(str(k), 20, 30 + gain * k) for k in range(1, 11))
        write_report(tmp_path / f"{name}.json", [replace(evaluations[0], model=name, pairs=pairs)])
    return str(tmp_path / "a.json"), str(tmp_path / "b.json")


def test_models_are_tested_on_the_same_pictures(reports):
    (comparison,) = compare_reports(*reports)
    test = comparison.tests["psnr"]
    assert (test.pictures, test.mean_a, test.mean_b) == (10, 30, 35.5)
    assert (test.difference, test.higher, test.p_value) == (5.5, 10, 2 / 2**10)
    assert comparison.tests["ssim"].p_value == 1


def test_the_table_has_a_row_for_each_metric(reports):
    table = as_table(compare_reports(*reports)[0])
    assert table.headings[3:6] == ("a: a", "b: b", "b - a")
    assert [row[0] for row in table.rows] == ["PSNR [dB]", "SSIM"]
    assert table.rows[0][1:6] == ("rain-y-matlab", "10", "30.00", "35.50", "+5.50")
    assert table.rows[0][7:] == ("0.0020", "+1.82", "10 of 10")
    assert table.rows[1][8] == "-"
    assert "paired permutation test" in table.caption
    assert "Only" not in table.caption


def test_it_is_said_when_only_some_pictures_are_in_both(reports, evaluations, tmp_path):
    pairs = tuple(pair(str(k), 20, 30) for k in (2, 3, 99))
    write_report(tmp_path / "c.json", [replace(evaluations[0], model="c", pairs=pairs)])
    (comparison,) = compare_reports(reports[1], str(tmp_path / "c.json"))
    assert comparison.pictures == 2
    said = as_table(comparison).caption
    assert "Only 2 pictures are in both" in said
    assert "b.json: 10, " in said


def test_a_report_of_several_models_needs_a_name(evaluations, tmp_path):
    both = str(tmp_path / "both.json")
    write_report(tmp_path / "both.json", evaluations)
    with pytest.raises(UsageError, match=r"measures a, b; choose one: .*both\.json:a"):
        compare_reports(both, f"{both}:b")
    with pytest.raises(UnknownNameError, match=r"unknown model of .*both\.json 'c'"):
        compare_reports(f"{both}:c", f"{both}:b")
    (comparison,) = compare_reports(f"{both}:a", f"{both}:b")
    assert (comparison.a.model, comparison.b.model) == ("a", "b")
    (before,) = compare_reports(f"{both}:degraded", f"{both}:a")
    assert before.tests["psnr"].mean_a == 22.5


def test_other_protocols_are_never_compared(reports, evaluations, tmp_path):
    other = replace(evaluations[0], protocol=get_protocol("prenet-y"))
    write_report(tmp_path / "y.json", [other])
    with pytest.raises(DataError, match=r"in protocol rain-y-matlab in .* and in prenet-y in"):
        compare_reports(reports[0], str(tmp_path / "y.json"))
    fewer = replace(evaluations[0], protocol=with_metrics(evaluations[0].protocol, ["psnr"]))
    write_report(tmp_path / "f.json", [fewer])
    with pytest.raises(DataError, match=r"\(different: metrics\)"):
        compare_reports(reports[0], str(tmp_path / "f.json"))


def test_other_sets_and_other_pictures_are_never_compared(reports, evaluations, tmp_path):
    write_report(tmp_path / "o.json", [replace(evaluations[0], dataset="other")])
    with pytest.raises(DataError, match="no set in common: Rain100L and other"):
        compare_reports(reports[0], str(tmp_path / "o.json"))
    write_report(tmp_path / "p.json", [replace(evaluations[0], pairs=(pair("x", 1, 2),))])
    with pytest.raises(DataError, match="no picture of Rain100L in common"):
        compare_reports(reports[0], str(tmp_path / "p.json"))


def test_metrics_without_values_are_left_out(evaluations, tmp_path):
    pairs = (pair("1", 20, math.nan), pair("2", 20, math.inf))
    report = tmp_path / "n.json"
    write_report(report, [replace(evaluations[0], pairs=pairs)])
    (comparison,) = compare_reports(str(report), str(report))
    assert list(comparison.tests) == ["ssim"]
    said = as_table(comparison).caption
    assert said.endswith("No picture has finite values of PSNR [dB] on both sides.")


@pytest.mark.parametrize("content", ["[]", "no json", '{"sets": [{"dataset": "x"}]}'])
def test_other_files_are_refused(reports, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UsageError, match=r"x\.json: not a report of eval --report"):
        compare_reports(str(tmp_path / "x.json"), reports[0])
    with pytest.raises(UsageError, match=r"none\.json: no such file"):
        compare_reports(str(tmp_path / "none.json"), reports[0])


def test_a_comparison_is_plain_data(reports):
    content = json.loads(json.dumps(as_dict(compare_reports(*reports)[0]), allow_nan=False))
    assert content["protocol"] == "rain-y-matlab"
    assert content["tests"]["psnr"]["difference"] == 5.5
    assert content["tests"]["ssim"]["effect"] is None


def test_the_degraded_pictures_are_those_of_the_model_that_failed_least(evaluations, tmp_path):
    report = tmp_path / "both.json"
    write_report(report, [replace(evaluations[0], pairs=()), evaluations[1]])
    (comparison,) = compare_reports(f"{report}:degraded", f"{report}:b")
    assert (comparison.pictures, comparison.tests["psnr"].mean_a) == (2, 22.5)
