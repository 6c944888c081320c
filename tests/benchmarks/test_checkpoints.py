import json
import sys
from pathlib import Path

import checkpoints
import cv2
import numpy as np
import pytest

from restorekit.backends.hub import embedded
from restorekit.backends.methods import method_names
from restorekit.data.catalog import DATASETS
from restorekit.degradations.recipe import load_recipe
from restorekit.metrics.protocols import get_protocol
from restorekit.types import Task

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def workplace(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    return checkpoints.Workplace(tmp_path / "sets", work, pictures=None, resume=False, slow=False)


def row_of(name):
    (row,) = [row for row in checkpoints.ROWS if row.name == name]
    return row


def result(model, *values):
    pictures = [
        {"name": str(name), "restored": {"psnr": after}, "degraded": {"psnr": before}}
        for name, (before, after) in enumerate(values)
    ]
    mean = {"psnr": sum(after for _, after in values) / len(values), "ssim": 0.9}
    return {"model": model, "pairs": len(values), "mean": mean, "pictures": pictures}


def content(*results, **changed):
    before = {"mean": {"psnr": 25.0, "ssim": 0.5}}
    one = {"dataset": "Rain100L", "whole_set": 100, "degraded": before, "published": []}
    return one | {"results": list(results)} | changed


def number(method, value, **changed):
    return {"metric": "psnr", "part": "", "method": method, "value": value, "checked": True} | (
        changed
    )


def test_every_task_has_a_row_whose_names_are_known():
    assert {row.task for row in checkpoints.ROWS} == {str(task) for task in Task}
    assert len({row.name for row in checkpoints.ROWS}) == len(checkpoints.ROWS)
    for row in checkpoints.ROWS:
        assert get_protocol(row.protocol)
        assert set(row.baselines) <= set(method_names())
        assert not row.known or Path(row.source).name in DATASETS[row.known].folders
        assert not row.recipe or checkpoints.is_toml(row.recipe) or load_recipe(row.recipe)


def test_the_checkpoints_of_a_row_have_its_task_and_scale():
    found = checkpoints.checkpoints(row_of("Rain100L"))
    assert "derain-s" in found
    assert "denoise-s" not in found
    card = checkpoints.read_card(embedded()[0])
    enlarging = card.model_copy(update={"task": Task.SR, "scale": 2})
    fits = [row.name for row in checkpoints.ROWS if checkpoints.suits(enlarging, row)]
    assert fits == ["Set5-x2", "Set14-x2"]


def test_a_set_is_named_and_a_made_one_is_degraded_first(workplace):
    shown = list(workplace.shown(row_of("CBSD68-sigma15")))
    assert len(shown) == 1
    assert "--dataset CBSD68 --data-root SETS/eval --model " in shown[0]
    assert "--model denoise-s " in shown[0]
    assert "bm3d" not in shown[0]
    degrade, measure = workplace.shown(row_of("classic5-q10"))
    assert degrade.endswith("-o WORK/classic5-q10 --recipe WORK/classic5-q10.toml --seed 0")
    assert "--dataset WORK/classic5-q10 --model dejpeg-s " in measure


def test_gains_are_over_the_degraded_picture_and_published_numbers_stand_below():
    published = [number("Big", 33.0), number("Small", 31.0, checked=False)]
    published += [number("Big", 32.0), number("Part", 40.0, part="one"), number("S", 1, metric="s")]
    measured = [result("derain-s", (20.0, 24.0), (30.0, 29.0)), result("median", (20.0, 22.0))]
    assert list(checkpoints.lines(content(*measured, published=published))) == [
        "as it came | 25.00 | 0.5000 | |",
        "median | 22.00 | 0.9000 | +2.00 | +2.00",
        "**derain-s** | 26.50 | 0.9000 | +1.50 | -1.00",
        "published: Small 31.00*; Big 33.00 | | | |",
    ]


def test_in_sr_gains_are_over_bicubic():
    measured = [
        result("lanczos-x2", (0, 24.0), (0, 29.0)),
        result("bicubic-x2", (0, 23.0), (0, 30)),
    ]
    for each in measured:
        for picture in each["pictures"]:
            picture["degraded"] = {}
    small = {"mean": {"psnr": None, "ssim": None}}
    assert list(checkpoints.lines(content(*measured, degraded=small))) == [
        "lanczos-x2 | 26.50 | 0.9000 | +0.00 | -1.00",
        "bicubic-x2 | 26.50 | 0.9000 | +0.00 | +0.00",
    ]


def test_a_part_of_a_set_is_said_to_be_one():
    measured = result("derain-s", (20.0, 24.0), (30.0, 29.0))
    assert checkpoints.coverage(content(measured)) == "2 of 100 pairs"
    assert checkpoints.coverage(content(measured, whole_set=None)) == "2 pairs"


def test_the_page_has_the_tasks_that_were_measured(workplace):
    row = row_of("GoPro_2")
    report = {"sets": [content(result("wiener", (20.0, 19.0)), dataset="GoPro_2", whole_set=None)]}
    workplace.report(row).write_text(json.dumps(report))
    page = checkpoints.page(workplace)
    assert "## deblur" in page
    assert "## derain" not in page
    assert "| GoPro_2, 1 pair | `gopro-matlab` | as it came | 25.00 |" in page
    assert "| | | wiener | 19.00 | 0.9000 | -1.00 | -1.00 |" in page
    assert "restorekit eval --dataset SETS/paired/GoPro_2" in page


def test_a_task_keeps_its_table_until_all_of_it_is_measured(workplace):
    before = f"{checkpoints.HEAD}\n## derain\n\nrain\n\n## deblur\n\nblur\n"
    assert checkpoints.page(workplace, before) == before
    for name in ("GoPro_2", "Kodak24-camera-shake-2"):
        assert "\nblur\n" in checkpoints.page(workplace, before)
        report = {"sets": [content(result("wiener", (20.0, 19.0)), dataset=name)]}
        workplace.report(row_of(name)).write_text(json.dumps(report))
    page = checkpoints.page(workplace, before)
    assert "\nblur\n" not in page
    assert "| GoPro_2, 1 of 100 pairs |" in page
    assert page.index("\n## derain\n\nrain\n\n## deblur\n\n| set |")


def test_the_page_says_how_a_part_of_a_set_was_made(workplace):
    row = row_of("PolyU-last-25")
    workplace.report(row).write_text(
        json.dumps({"sets": [content(result("gaussian", (20, 21.0)))]})
    )
    page = checkpoints.page(workplace)
    assert "# WORK/sets/PolyU-last-25: SETS/paired/PolyU without its first 25 pairs by name" in page
    assert "- PolyU-last-25: real noise" in page
    assert "--dataset WORK/sets/PolyU-last-25 " in page


def test_a_part_is_linked_by_name(tmp_path):
    for side in ("input", "target"):
        (tmp_path / "all" / side).mkdir(parents=True)
        for name in "abcd":
            (tmp_path / "all" / side / f"{name}.png").write_text(name)
    for count in (2, 1):
        part = tmp_path / f"part-{count}"
        checkpoints.link_part(tmp_path / "all", part, 1, count)
        checkpoints.link_part(tmp_path / "all", part, 1, count)
        assert (
            sorted(path.name for path in (part / "target").iterdir()) == ["b.png", "c.png"][:count]
        )
    assert (part / "input" / "b.png").read_text() == "b"


def test_it_measures_with_the_real_commands(monkeypatch, tmp_path):
    folder, work = tmp_path / "sets" / "paired" / "Rain100L", tmp_path / "work" / "first-1"
    picture = np.random.default_rng(0).integers(0, 256, (48, 56, 3), np.uint8)
    for side, shift in (("input", 9), ("target", 0)):
        (folder / side).mkdir(parents=True)
        for name in ("1", "2"):
            cv2.imwrite(str(folder / side / f"{name}.png"), np.roll(picture, shift))
    arguments = ["derain", "--work", str(tmp_path / "work"), "--pictures", "1"]
    for resume in ([], ["--resume"]):
        monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "sets"), *arguments, *resume])
        checkpoints.main()
    page = (work / "checkpoints.md").read_text()
    assert "| Rain100L, 1 of 100 pairs | `rain-y-matlab` | as it came |" in page
    assert "| **derain-s** |" in page
    assert "Restormer 38.99" in page
    models = [json.loads(line)["model"] for line in (work / "Rain100L.journal.jsonl").open()]
    assert sorted(models) == sorted([*checkpoints.trained() & set(models), "guided-filter"])
