import json

from restorekit.cli.render import describe, render
from restorekit.events import Event, Started, TrialDone, Tuned, WeightsLoaded


def test_what_was_loaded_is_counted_and_the_first_misfits_are_named():
    keys = tuple(f"tail.{number} (not in the file)" for number in range(10))
    text = describe(WeightsLoaded(70, keys, ("old.weight",)))
    assert text.splitlines()[:3] == [
        "70 tensors of the file loaded",
        "10 tensors of the net stay random:",
        "  tail.0 (not in the file)",
    ]
    assert "  ... and 2 more" in text
    assert text.endswith("1 tensors of the file dropped:\n  old.weight")
    assert describe(WeightsLoaded(70)) == "70 tensors of the file loaded"


def test_a_tuning_ends_with_both_numbers(tmp_path):
    before, after = {"psnr": 36.5, "degraded_psnr": 36.0}, {"psnr": 39.4, "degraded_psnr": 36.0}
    text = describe(Tuned(tmp_path / "a.safetensors", before, after))
    assert text.endswith("a.safetensors\n  PSNR 36.5 before tuning, 39.4 after")


def test_a_trial_is_a_line():
    trial = TrialDone("blocks=1", "arm-00-trial-001", {"optim.lr": 1e-3}, 30.123456, 75.0)
    assert describe(trial) == "blocks=1  arm-00-trial-001: 30.1235  optim.lr 0.001  1 min 15 s"
    assert "diverged" in describe(TrialDone("blocks=1", "t", {}, None, 1.0))


def test_bare_events_are_no_lines_of_json(capsys):
    render([Started("study", 2), Event(), Event()], as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["Started"]
