import importlib
import json
import subprocess
import sys
from pathlib import Path

import nets
import nets_page

from restorekit.backends.table import BACKENDS
from restorekit.evaluation.published import all_published

FOLDER = Path(__file__).parents[2] / "benchmarks"


def result(net, side, **other):
    facts = {"size": "64x64", "pixels": 4096, "threads": 1, "cpu": 0.4096, "peak": 2**28}
    return {"net": net, "side": side, **facts, "bytes": 4096 * 1500, "difference": 2e-7, **other}


def test_every_net_has_a_row_that_makes_it():
    rows = nets.ROWS
    assert {row.backend for row in rows} == {backend.name for backend in BACKENDS}
    assert len({row.name for row in rows}) == len(rows)
    arguments = {backend.name: backend.arguments() for backend in BACKENDS}
    assert all(set(row.config) <= set(arguments[row.backend]) for row in rows)


def test_the_formulas_of_the_rows_are_there():
    for literal in {row.literal for row in nets.ROWS if row.literal}:
        module, function = literal.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_sets_of_the_page_have_published_numbers():
    places = {(number.dataset, number.protocol) for number in all_published()}
    assert set(nets_page.SHOWN) <= places


def test_the_page_puts_published_and_measured_numbers_together(monkeypatch):
    rows = [row for row in nets.ROWS if row.name in ("DnCNN", "NAFNet-64", "MIMO-UNet+")]
    monkeypatch.setattr(nets_page, "ROWS", rows)
    nets_page.profiles.cache_clear()
    measured = [
        result("DnCNN", "literal"),
        result("DnCNN", "net"),
        result("MIMO-UNet+", "literal"),
        result("MIMO-UNet+", "net"),
    ]
    tiles = {"size": 448, "tile": 256, "overlap": 64, "change": 36.7}
    text = nets_page.page(measured, [{"net": "DnCNN", **tiles, "share": 5.7e-6, "largest": 0.12}])
    nets_page.profiles.cache_clear()
    nets_page.parameters.cache_clear()
    (published,) = (
        number.value
        for number in all_published()
        if (number.method, number.dataset, number.protocol) == ("DnCNN", "CBSD68", "awgn-sigma25")
    )
    line = next(line for line in text.splitlines() if line.startswith("| denoise | DnCNN"))
    assert f"CBSD68 (awgn-sigma25) {published:.2f}" in line
    assert line.endswith("| 0.67 M | 667 | 100.0 |")
    assert "| deblur | NAFNet-64 |" in text
    assert "not measured" in text
    assert "| DnCNN | 448x448 | 256 | 64 | 36.7 | 6e-06 | 0.12 |" in text
    assert "| NAFNet-64 | not measured |" in text
    assert "| NAFNet-64 | `nafnet` width=64 | whole picture |" in text
    assert "| MIMO-UNet+ | 64x64 | literal | 0.41 |" in text
    assert "| DnCNN | 64x64 | the net is the formula | 0.41 |" in text
    assert "| MIMO-UNet+ | 64x64 | ours | 0.41 | 256 | 1,500 | 2e-07 |" in text


def test_both_sides_are_measured_and_kept(tmp_path):
    kept = tmp_path / "nets.json"
    kept.write_text(json.dumps([result("MIMO-UNet", "net"), result("other", "net")]))
    size = ("--size", "30x16", "--threads", "1", "--repeats", "0")
    command = [sys.executable, FOLDER / "nets.py", "--net", "MIMO-UNet", *size, "--save", kept]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    other, literal, ours = json.loads(kept.read_text())
    assert (other["net"], literal["side"], ours["side"]) == ("other", "literal", "net")
    assert ours["size"] == literal["size"] == "32x16"
    assert ours["difference"] < 1e-5
    assert ours["cpu"] > 0 < ours["peak"]
