import pytest
import torch

from restorekit.nets.fsnet import FSNet, infer_config
from restorekit.nets.sfnet import FRACTIONS
from restorekit.nets.tlc import LocalStatistics
from tests.golden_files import golden, spec_of

FRACTION = {
    "fsnet_its": None,
    "fsnet_ots": FRACTIONS["Outdoor"],
    "fsnet_deblur": FRACTIONS["GOPRO"],
}


def empty(**config):
    with torch.device("meta"):
        return FSNet(**config)


@pytest.mark.parametrize("name", FRACTION)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(empty())
    x = file.input()
    if FRACTION[name]:
        net.statistics = LocalStatistics(*x.shape[-2:], FRACTION[name])
    with torch.inference_mode():
        outputs = net(x)
    file.check({f"output_{scale}": output for scale, output in enumerate(outputs)})


@pytest.mark.parametrize("config", [(16, 4), (32, 16)])
def test_configuration_is_read_off_the_weights(config):
    net = empty(base=config[0], num_res=config[1])
    inferred = infer_config(net.state_dict())
    assert inferred == {"base": config[0], "num_res": config[1]}
    assert spec_of(empty(**inferred).state_dict()) == spec_of(net.state_dict())


@pytest.mark.parametrize(("num_res", "message"), [(3, "at least 4 blocks"), (0, "one block")])
def test_an_impossible_configuration_is_refused(num_res, message):
    with pytest.raises(ValueError, match=message):
        FSNet(base=16, num_res=num_res)
