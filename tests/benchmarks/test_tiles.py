import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiles

FOLDER = Path(__file__).parents[2] / "benchmarks"


def row_of(name):
    return next(row for row in tiles.ROWS if row.name == name)


def test_a_net_is_measured_and_kept(tmp_path):
    kept = tmp_path / "tiles.json"
    kept.write_text(json.dumps([{"net": "practice CNN"}, {"net": "other"}]))
    sides = ("--size", "64", "--tile", "48")
    net = ("--net", "practice CNN")
    command = [sys.executable, FOLDER / "tiles.py", *net, *sides, "--save", kept]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    other, ours = json.loads(kept.read_text())
    assert (other, ours["net"]) == ({"net": "other"}, "practice CNN")
    assert (ours["size"], ours["tile"], ours["overlap"]) == (64, 48, 32)
    assert ours["change"] > 1
    assert ours["largest"] < 1e-3  # it looks 5 pixels far


def test_tiles_are_seen_where_a_net_looks_farther_than_they_share():
    far = tiles.compare(row_of("IRCNN"), 64, 32)
    assert far["largest"] > far["rms"] > 1e-3
    assert far["share"] == pytest.approx(far["rms"] / far["change"])


def test_a_net_that_enlarges_is_compared_with_bicubic_interpolation():
    result = tiles.compare(row_of("SRVGGNet"), 48, 32)
    assert 0 < result["change"] < 255


def test_a_grey_picture_has_one_channel_and_is_a_crop():
    grey, colour = (tiles.picture(32, channels) for channels in (1, 3))
    assert (grey.shape, colour.shape) == ((1, 1, 32, 32), (1, 3, 32, 32))
    luma = (colour * colour.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    assert (grey - luma).abs().max() < 1 / 255


def test_no_scaling_of_a_net_is_silent():
    net = tiles.model_of(row_of("NAFNet-32, local")).net
    assert all(block.beta.abs().min() > 0 for block in net.middle_blks)
    assert net.statistics is not None


def test_an_unknown_net_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tiles.py", "--net", "nothing"])
    with pytest.raises(SystemExit, match="no net nothing; there are"):
        tiles.main()
