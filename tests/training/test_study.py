import json
import re

import pytest

from restorekit import api
from restorekit.errors import MissingExtraError, RestorekitError, UsageError
from restorekit.events import Event, Finished, TrialDone
from restorekit.training.comparison import as_markdown, at_edge, compare, write_comparison
from restorekit.training.study import Range, StudyRecipe, check_keys, label, load_study
from restorekit.training.trials import Arm

TOML = """
name = "small"
recipe = "tiny.toml"
trials = 2
seeds = 2
[scientific]
"net.config.blocks" = [1, 2]
[nuisance]
"optim.lr" = { low = 1e-4, high = 1e-2, log = true }
[fixed]
steps = 2
"""


@pytest.fixture
def study_file(content, tmp_path):
    data = content["data"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in data.items()]
    (tmp_path / "tiny.toml").write_text(
        'name = "tiny"\ntask = "denoise"\nsteps = 20\nvalidate_every = 2\nsave_every = 1\n[net]\n'
        'backend = "drunet"\nconfig = { widths = [4, 4, 4, 4], residual = true, in_channels = 3 }\n'
        "[optim]\nwarmup = 0\n[data]\n" + "\n".join(lines)
    )
    (tmp_path / "study.toml").write_text(TOML)
    return tmp_path / "study.toml"


@pytest.fixture
def study(study_file):
    return load_study(study_file)


def changed(study, **changes):
    return StudyRecipe.model_validate({**study.model_dump(), **changes})


def run(study, folder):
    events = api.studying(study, folder, device="cpu")
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return [event for event in seen if type(event) is not Event], stop.value


def test_every_value_is_tuned_then_repeated_with_other_seeds(study, tmp_path):
    pytest.importorskip("optuna")
    events, arms = run(study, tmp_path / "out")
    done = [event for event in events if isinstance(event, TrialDone)]
    assert len(done) == 2 * (2 + 2)
    assert isinstance(events[-1], Finished)
    assert [arm.scientific for arm in arms] == [{"net.config.blocks": n} for n in (1, 2)]
    for arm in arms:
        assert len(arm.trials) == len(arm.repeated) == 2
        assert all(1e-4 <= tried["optim.lr"] <= 1e-2 for tried, _ in arm.trials)
    runs = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    recipes = [json.loads((tmp_path / "out" / r / "recipe.json").read_text()) for r in runs]
    assert {recipe["steps"] for recipe in recipes} == {2}
    best = [recipe for recipe in recipes if "-best-" in recipe["name"]]
    assert [recipe["seed"] for recipe in best] == [1, 2, 1, 2]
    chosen = max(arms[0].trials, key=lambda trial: trial[1])[0]
    assert best[0]["optim"]["lr"] == chosen["optim.lr"]
    assert {recipe["seed"] for recipe in recipes if recipe not in best} == {0}


def test_a_finished_study_has_nothing_to_do_and_a_larger_budget_goes_on(study, tmp_path):
    pytest.importorskip("optuna")
    _, first = run(study, tmp_path / "out")
    events, again = run(study, tmp_path / "out")
    assert again == first
    assert not any(isinstance(event, TrialDone) for event in events)
    events, _ = run(changed(study, seeds=3), tmp_path / "out")
    assert sum(isinstance(event, TrialDone) for event in events) == 2
    with pytest.raises(UsageError, match="holds another study"):
        run(changed(study, fixed={"steps": 5}), tmp_path / "out")
    (tmp_path / "out" / "study.json").write_text("{")
    with pytest.raises(UsageError, match=r"study\.json: is damaged"):
        run(study, tmp_path / "out")


def test_a_study_knows_its_training_recipe_wherever_it_lies(study, tmp_path):
    pytest.importorskip("optuna")
    run(study, tmp_path / "out")
    elsewhere = tmp_path / "elsewhere.toml"
    recipe = (tmp_path / "tiny.toml").read_text()
    elsewhere.write_text(recipe)
    moved = study.model_copy(update={"recipe": str(elsewhere)})
    run(moved, tmp_path / "out")
    elsewhere.write_text(recipe.replace("warmup = 0", "warmup = 1"))
    with pytest.raises(UsageError, match="training recipe that has changed"):
        run(moved, tmp_path / "out")


def test_an_interrupted_run_goes_on(study, tmp_path):
    pytest.importorskip("optuna")
    events = api.studying(study, tmp_path / "out", device="cpu")
    for number, _ in enumerate(events):
        if number == 2:  # in the first run
            events.close()
    state = tmp_path / "out" / "arm-00-trial-000" / "state.pt"
    assert state.exists()
    log = (state.parent / "log.csv").read_text().splitlines()
    events, arms = run(study, tmp_path / "out")
    assert not state.exists()
    continued = (state.parent / "log.csv").read_text().splitlines()
    assert all(line.startswith(before) for line, before in zip(continued, log, strict=False))
    done = [event for event in events if isinstance(event, TrialDone)]
    assert done[0].run == "arm-00-trial-000"
    assert [len(arm.trials) for arm in arms] == [2, 2]


def test_a_run_that_diverges_counts_as_tried(study, tmp_path):
    pytest.importorskip("optuna")
    hopeless = {"bad_steps": 0, "optim.clip": 1e30, "optim.clip_by": "value"}
    wild = changed(
        study,
        scientific={"net.config.blocks": [1]},
        nuisance={"optim.lr": {"choices": [1e30]}},
        fixed={**study.fixed, **hopeless},
    )
    events, arms = run(wild, tmp_path / "out")
    assert [value for _, value in arms[0].trials] == [None, None]
    assert arms[0].repeated == ()
    assert sum(isinstance(e, TrialDone) and e.value is None for e in events) == 2
    assert "2 diverged" in as_markdown(wild, compare(wild, arms))


def test_without_optuna_the_extra_is_named(study, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'restorekit\[study\]'"):
        run(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("trials = 2", "trails = 2", "did you mean trials"),
        ("low = 1e-4", "low = 1e-1", "low must be less than high"),
        ("low = 1e-4", "low = 0.0", "begins above 0"),
        ("high = 1e-2, ", "", "give low and high, or choices"),
        ("steps = 2", '"optim.lr" = 1', "optim.lr cannot be of two kinds"),
        ("steps = 2", "seed = 4", "see seeds"),
        ("[1, 2]", "[]", "has no values to compare"),
        ("trials = 2", "trials = ", "cannot be read as a TOML file"),
    ],
)
def test_a_wrong_study_says_what_is_wrong(study_file, before, after, said):
    study_file.write_text(TOML.replace(before, after))
    with pytest.raises(UsageError, match=re.escape(said)):
        load_study(study_file)


def test_a_key_that_the_recipe_does_not_have_is_found_before_any_run(study):
    with pytest.raises(UsageError, match="did you mean lr"):
        check_keys(changed(study, nuisance={"optim.lrr": {"low": 1, "high": 2}}))
    with pytest.raises(UsageError, match=r"optim\.lr"):
        check_keys(changed(study, nuisance={"optim.lr": {"choices": [1e-3, -1]}}))


def test_a_value_in_the_middle_of_a_list_is_looked_at_too(study):
    for choices in ([1e-3, -1, 1e-2], [1e-3, 1e-2, 0], [0, 1e-3]):
        with pytest.raises(UsageError, match=r"optim\.lr"):
            check_keys(changed(study, nuisance={"optim.lr": {"choices": choices}}))
    tried = check_keys(changed(study, nuisance={"optim.lr": {"choices": [1e-3, 2e-3, 1e-2]}}))
    found = {(recipe.net.config["blocks"], recipe.optim.lr) for recipe in tried}
    assert found == {(blocks, lr) for blocks in (1, 2) for lr in (1e-3, 2e-3, 1e-2)}


@pytest.mark.parametrize(
    ("scientific", "said"),
    [
        ({"net.config.blocks": [1, 2], "net.backend": ["drunet", "drunett"]}, "drunett"),
        ({"net.config.blocks": [1, "many"]}, "many"),
        ({"net.config.bocks": [1, 2]}, "bocks"),
        ({"data.photos": ["nowhere"]}, "nowhere"),
        ({"optim.lr": [1e-3, -1.0]}, "greater than 0"),
    ],
)
def test_a_value_that_no_run_can_have_is_found_before_anything_is_written(
    study, tmp_path, scientific, said
):
    pytest.importorskip("optuna")
    wrong = changed(study, scientific=scientific, nuisance={})
    with pytest.raises(RestorekitError, match=said):
        run(wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ranges_know_their_corners_and_edges():
    log = Range(low=1e-4, high=1e-2, log=True)
    assert log.corners == (1e-4, 1e-2)
    assert log.place(1e-3) == pytest.approx(0.5)
    assert [at_edge(log, value) for value in (1.1e-4, 1e-3, 9.9e-3)] == [True, False, True]
    assert Range(low=1, high=4).corners == (1, 4)
    assert Range(low=0.0, high=1.0).corners == (0.0, 1.0)
    assert not at_edge(Range(choices=("a", "b")), "a")


@pytest.mark.parametrize(
    ("ends", "tried", "found"),
    [
        ({"low": 0.0, "high": 1.0}, 0.5, True),
        ({"low": 1, "high": 10}, 5, True),
        ({"low": 2, "high": 32, "log": True}, 5, True),
        ({"low": 1, "high": 10}, 5.5, False),
        ({"low": 2, "high": 32, "log": True}, 5.5, False),
    ],
)
@pytest.mark.filterwarnings("ignore:The value 5.5")
def test_whole_numbers_are_searched_between_whole_numbers(ends, tried, found):
    optuna = pytest.importorskip("optuna")
    value = Range(**ends).suggest(optuna.trial.FixedTrial({"x": tried}), "x")
    assert (value == tried) is found


def test_values_that_share_digits_are_told_apart():
    assert label({"ema": 0.99995}) != label({"ema": 0.99999})
    assert label({"optim.lr": 0.00031622776}) == "optim.lr=0.0003162"


def test_the_report_ranks_by_the_repeated_runs_and_says_what_to_doubt(study, tmp_path):
    lucky = Arm({"net.config.blocks": 1}, (({"optim.lr": 1e-3}, 31.0),), (29.0, 29.2))
    good = Arm(
        {"net.config.blocks": 2},
        (({"optim.lr": 1e-2}, 30.0), ({"optim.lr": 1e-4}, 20.0)),
        (30.0, 30.1),
    )
    found = compare(study, [lucky, good])
    assert [each.arm for each in found] == [good, lucky]
    text = as_markdown(study, found)
    assert "| 2 | 30.05 ± 0.07 | 30.00 | 25.00 (20.00 to 30.00) | optim.lr=0.01 |" in text
    assert "net.config.blocks=2: the best optim.lr lies at the end of its range" in text
    assert "is ahead of net.config.blocks=1 by 0.950, more than twice the larger" in text
    paths = write_comparison(tmp_path, study, [lucky, good])
    assert paths[0].read_text() == text
    assert json.loads(paths[1].read_text())["arms"][0]["mean"] == pytest.approx(30.05)
    assert "one seed does not tell" in as_markdown(
        study, compare(study, [Arm(a.scientific, a.trials, a.repeated[:1]) for a in (lucky, good)])
    )
    assert "nothing to compare" in as_markdown(study, compare(study, [lucky]))


@pytest.mark.parametrize(
    ("seeds", "trials", "said"),
    [
        (1, 1, ("tuned for each row by 1 trial:", "is that of 1 further seed of each row's best")),
        (3, 2, ("by 2 trials:", "the standard deviation over 3 further seeds of each row's best")),
    ],
)
def test_the_report_counts_in_the_singular_and_in_the_plural(study, seeds, trials, said):
    text = as_markdown(changed(study, seeds=seeds, trials=trials), [])
    assert all(words in text for words in said)


def test_labels_are_short():
    assert label({"a": 0.123456, "b": 2, "c": "x"}) == "a=0.1235, b=2, c=x"
