import json

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.media.image import write_image
from restorekit.types import Image

STUDY = """
name = "small"
recipe = "denoise-s-first"
trials = 1
seeds = 1
[scientific]
"net.config.blocks" = [1, 2]
[nuisance]
"optim.lr" = {{ low = 1e-4, high = 1e-2, log = true }}
[fixed]
steps = 1
precision = "float32"
"net.config.widths" = [4, 4, 4, 4]
"optim.warmup" = 0
"data.photos" = {photos}
"data.patch" = 16
"data.batch" = 1
"data.hold_out" = 1
"data.workers" = 0
"""


def run(*arguments):
    return CliRunner().invoke(app, ["study", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def study(tmp_path):
    for number in range(2):
        samples = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", Image(samples))
    path = tmp_path / "small.toml"
    path.write_text(STUDY.format(photos=json.dumps(str(tmp_path / "photos"))))
    return path


def test_a_study_is_run_and_reported(study, tmp_path):
    pytest.importorskip("optuna")
    result = run(study, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "arm-01-best-seed-1" in result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [arm["scientific"]["net.config.blocks"] for arm in report["arms"]] in ([1, 2], [2, 1])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "net.config.blocks" in text
    assert "one seed does not tell" in text
    events = run(study, "-o", tmp_path / "out", "--json").output.splitlines()
    assert [json.loads(line)["event"] for line in events] == ["Started", "Finished"]


def test_a_wrong_study_is_an_error_and_writes_nothing(study, tmp_path):
    study.write_text(study.read_text().replace("optim.lr", "optim.lrr"))
    result = run(study, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "did you mean" in result.output
    assert not (tmp_path / "out").exists()
    assert run(tmp_path / "none.toml").exit_code == 2
