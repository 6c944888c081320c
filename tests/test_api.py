import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import restorekit
from restorekit import api
from restorekit.backends import hub
from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.errors import UsageError
from restorekit.media.image import write_image
from restorekit.types import Image, Task

SURFACE = Path(__file__).parent / "api_surface.json"
CONFIG = {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True, "bias": True}


@pytest.fixture
def model(tmp_path):
    net = restorekit.build_net("drunet", **CONFIG)
    path = tmp_path / "little.safetensors"
    card = Card(name="little", backend="drunet", config=CONFIG, task=Task.DERAIN)
    write_checkpoint(path, net.state_dict(), card)
    return restorekit.load_model(path, device="cpu")


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)


def test_what_is_no_model_is_named(picture):
    with pytest.raises(UsageError, match="got int for a model; give a name, a path or a loaded"):
        restorekit.restore(picture, model=3)


def test_the_public_names_are_those_of_the_surface_file():
    assert sorted(restorekit.__all__) == json.loads(SURFACE.read_text())["restorekit"]
    assert all(getattr(restorekit, name) is not None for name in restorekit.__all__)


@pytest.mark.parametrize("module", ["backends", "metrics"])
def test_the_names_of_the_public_modules_are_those_of_the_surface_file(module):
    names = getattr(restorekit, module).__all__
    assert sorted(names) == json.loads(SURFACE.read_text())[f"restorekit.{module}"]
    assert all(callable(getattr(getattr(restorekit, module), name)) for name in names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="restor"):
        _ = restorekit.restor


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(30, 41, 3), (30, 41, 1), (30, 41)])
def test_restore_keeps_size_and_dtype(model, dtype, shape):
    degraded = np.random.default_rng(0).uniform(0, 1, shape)
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    restored = restorekit.restore((degraded * scale).astype(dtype), model=model)
    assert restored.shape == (30, 41, shape[2] if len(shape) == 3 else 1)
    assert restored.dtype == dtype


def test_restore_takes_a_path(model, picture, tmp_path):
    write_image(tmp_path / "in.png", Image(picture))
    from_path = restorekit.restore(tmp_path / "in.png", model=model)
    np.testing.assert_array_equal(from_path, restorekit.restore(picture, model=model))


def restored(image):
    return restorekit.restore(image, model="median", device="cpu")


def degraded(image):
    return restorekit.degrade(image, "gaussian-noise:3")


ALPHA = np.zeros((8, 8, 4), np.uint8)


@pytest.mark.parametrize("verb", [restored, degraded])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "got NoneType for a picture; give a path or a NumPy array"),
        ([[1, 2], [3, 4]], "got list for a picture"),
        (b"photo.png", "got bytes for a picture"),
        (torch.zeros(3, 8, 8), "got Tensor for a picture"),
        (PIL.Image.new("RGB", (8, 8)), r"got Image for a picture; .*numpy\.asarray"),
        (np.zeros(8, np.uint8), r"shape \(8,\) for a picture; give \(H, W, 3\) RGB"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"shape \(1, 8, 8, 3\)"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\) .* not empty"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\)"),
        (ALPHA[..., :2], r"shape \(8, 8, 2\)"),
        (ALPHA, r"shape \(8, 8, 4\) .* without alpha"),
        *(
            (np.zeros((8, 8), dtype), f"got samples of {dtype}; give uint8, uint16, or float32")
            for dtype in ("bool", "int8", "int64", "uint32", "float16", "complex64", "object")
        ),
        (np.full((8, 8), 255, np.float32), "from 255 to 255; scale or clip floats"),
        (np.full((8, 8), -0.1), "from -0.1"),
        (np.full((8, 8), 1 + 2**-23, np.float32), r"to 1\.00000012"),
        (np.full((8, 8), np.nan, np.float32), "from nan to nan"),
        (np.full((8, 8), np.inf), "to inf"),
    ],
)
def test_samples_that_are_no_picture_are_refused(verb, image, words):
    with pytest.raises(UsageError, match=words):
        verb(image)


@pytest.mark.parametrize("verb", [restored, degraded])
def test_both_verbs_take_the_same_pictures(verb, picture, tmp_path):
    expected = verb(picture)
    write_image(tmp_path / "a.png", Image(picture))
    for same in (tmp_path / "a.png", str(tmp_path / "a.png"), np.asfortranarray(picture)):
        np.testing.assert_array_equal(verb(same), expected)
    grey, deep = picture[::-1, :, 0], picture.astype(">u2") * 257
    np.testing.assert_array_equal(verb(grey), verb(grey[..., None]))
    np.testing.assert_array_equal(verb(deep), verb(deep.astype(np.uint16)))
    floats = verb(picture / 255)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, expected / 255, atol=2e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "half"}, "unknown precision 'half'; known: auto, bfloat16"),
        ({"precision": "flaot16"}, "did you mean float16"),
        ({"precision": None}, "unknown precision 'None'"),
        ({"tile": "64"}, "tile must be 'auto', 0 or a number of pixels, not '64'"),
        ({"tile": None}, "pixels, not None"),
        ({"tile": 32.5}, r"pixels, not 32\.5"),
        ({"tile": -1}, "pixels, not -1"),
        ({"overlap": "8"}, "overlap must be 0 or more pixels, not '8'"),
    ],
)
def test_options_of_a_wrong_kind_are_refused(picture, options, words):
    with pytest.raises(UsageError, match=words):
        restorekit.restore(picture, model="median", **options)


def test_restore_wants_to_know_what_to_do(picture):
    with pytest.raises(UsageError, match="give a task or a model; tasks: derain"):
        restorekit.restore(picture)


def test_a_model_for_another_task_is_refused(model, picture):
    with pytest.raises(UsageError, match="little was trained to derain, not to denoise"):
        restorekit.restore(picture, model=model, task="denoise")


def test_an_unknown_task_names_the_nearest(picture):
    with pytest.raises(UsageError, match="did you mean derain"):
        restorekit.restore(picture, task="deran")


def test_degrade_is_reproducible_and_keeps_the_dtype(picture):
    first, second = (restorekit.degrade(picture, "rain-varied", seed=4) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.uint8
    assert not np.array_equal(first, restorekit.degrade(picture, "denoise-blind", seed=4))


def test_evaluate_measures_a_folder_of_pairs(model, picture, tmp_path):
    for kind in ("input", "target"):
        write_image(tmp_path / "set" / kind / "1.png", Image(picture))
    evaluation = restorekit.evaluate(str(tmp_path / "set"), model=model, protocol="rgb")
    restored = restorekit.restore(picture, model=model)
    error = np.mean((restored.astype(float) - picture) ** 2)
    assert evaluation.mean("psnr") == pytest.approx(10 * np.log10(255**2 / error), abs=1e-6)
    assert evaluation.protocol.id == "rgb"


def test_train_returns_the_best_checkpoint(picture, tmp_path):
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", Image(picture))
    overrides = {
        "data.photos": str(tmp_path / "photos"),
        "data.hold_out": 1,
        "data.patch": 16,
        "data.workers": 0,
        "steps": 2,
        "net.config.widths": [2, 3, 4, 5],
    }
    path = restorekit.train("denoise-s-first", output=tmp_path / "run", device="cpu", **overrides)
    assert restorekit.load_model(path, device="cpu").task == Task.DENOISE


def test_lists_are_not_empty():
    assert "derain" in restorekit.list_tasks()
    assert "rain-streaks" in restorekit.list_degradations()
    assert "Rain100L" in restorekit.list_datasets()
    assert {"derain-s", "denoise-s"} <= set(restorekit.list_models())


def test_drain_returns_what_the_generator_returns():
    def steps():
        yield 1
        return "done"

    assert api.drain(steps()) == "done"


@pytest.fixture
def enlarging(tmp_path, monkeypatch):
    """Embedded models of sr, of scale 2 and 4."""
    monkeypatch.setattr(hub, "weights_folder", lambda: tmp_path / "weights")
    for scale in (2, 4):
        config = {"scale": scale, "channels": 4, "convs": 1}
        card = Card(name=f"x{scale}", backend="srvgg", config=config, task=Task.SR, scale=scale)
        weights = restorekit.build_net("srvgg", **config).state_dict()
        write_checkpoint(tmp_path / "weights" / f"x{scale}.safetensors", weights, card)


def test_the_scale_chooses_among_the_models_of_a_task(enlarging, picture):
    for scale, side in ((None, 60), (2, 60), (4, 120)):
        restored = restorekit.restore(picture, task="sr", scale=scale, device="cpu")
        assert restored.shape[0] == side
    with pytest.raises(UsageError, match=r"'sr' has scale 3 \(scales: 2, 4\)"):
        restorekit.restore(picture, task="sr", scale=3)


def test_a_model_of_another_scale_is_refused(model, picture):
    with pytest.raises(UsageError, match="little has scale 1, not 4"):
        restorekit.restore(picture, model=model, scale=4)
    assert restorekit.restore(picture, model="bicubic-x2", scale=2).shape[0] == 60


def test_a_set_tells_the_scale(enlarging, picture, tmp_path):
    write_image(tmp_path / "clean" / "1.png", Image(picture[:28, :40]))
    folder = str(tmp_path / "clean")
    for scale in (2, 4):
        result = restorekit.evaluate(
            folder, task="sr", protocol=f"srgan-y-crop{scale}", device="cpu"
        )
        assert result.model == f"x{scale}"
