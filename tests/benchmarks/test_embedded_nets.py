import sys

import embedded_nets
import pytest

from restorekit.backends.registry import default_registry
from restorekit.training.config import load_recipe


@pytest.mark.parametrize("task", embedded_nets.TASKS)
@pytest.mark.parametrize("candidate", embedded_nets.CANDIDATES, ids=lambda c: c.name)
def test_every_candidate_is_trained_on_the_data_of_the_task(candidate, task, tmp_path):
    recipe = load_recipe(embedded_nets.write_recipe(tmp_path, task, candidate), {})
    assert (recipe.data, recipe.seed) == (load_recipe(task, {}).data, load_recipe(task, {}).seed)
    assert recipe.losses == candidate.losses
    assert recipe.net.start == candidate.start


@pytest.mark.parametrize("candidate", embedded_nets.CANDIDATES, ids=lambda c: c.name)
def test_every_candidate_can_be_built(candidate):
    assert default_registry().get(candidate.backend).build(**candidate.config)


def test_processor_time_of_children_is_counted():
    before = embedded_nets.children_seconds()
    embedded_nets.subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert embedded_nets.children_seconds() > before
