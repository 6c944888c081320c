from dataclasses import replace

import pytest

from restorekit.backends.registry import default_registry
from restorekit.errors import RestorekitError, UsageError


@pytest.fixture
def drunet():
    return default_registry().get("drunet")


def test_builds_from_what_json_gives(drunet):
    net = drunet.build(widths=[2, 3, 4, 5], blocks=1)
    assert net.m_head.weight.shape == (2, 4, 3, 3)


def test_says_which_arguments_it_takes(drunet):
    with pytest.raises(UsageError, match=r"does not take width; it takes in_channels, .*widths"):
        drunet.build(width=8)


@pytest.mark.parametrize("widths", [(8, 8), ("a", "b", "c", "d"), (0, -1, 2, 3), 5])
def test_refuses_values_that_make_no_net(drunet, widths):
    with pytest.raises(UsageError, match="'drunet' cannot be built with"):
        drunet.build(widths=widths)


def test_a_net_that_cannot_be_imported_is_named(drunet):
    broken = replace(drunet, net="restorekit.nets.no_such:Net")
    with pytest.raises(RestorekitError, match=r"'drunet' is broken: restorekit\.nets\.no_such"):
        broken.build()


def test_matches_only_with_all_signature_keys(drunet):
    assert drunet.matches({*drunet.keys, "more"})
    assert not drunet.matches(drunet.keys[1:])


def test_channels_and_scale_come_from_the_configuration_or_its_defaults(drunet):
    assert drunet.channels({}) == 3
    assert drunet.channels({"in_channels": 1}) == 1
    assert drunet.channels({"in_channels": 2, "out_channels": 1}) == 1
    assert drunet.channels({"in_channels": 3, "out_channels": 3}) == 3
    assert default_registry().get("restormer").channels({"in_channels": 6}) == 6
    assert default_registry().get("prenet").channels({}) == 3
    assert (drunet.scale({}), drunet.scale({"scale": 4})) == (1, 4)
    assert default_registry().get("rrdbnet").scale({}) == 4


def test_folding_pixels_asks_for_sizes_that_fold(drunet):
    rrdbnet = default_registry().get("rrdbnet")
    assert [rrdbnet.multiple({"unshuffle": fold}) for fold in (1, 2, 4)] == [1, 2, 4]
    assert (rrdbnet.multiple({}), drunet.multiple({})) == (1, 8)
