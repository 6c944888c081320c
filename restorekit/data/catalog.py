"""Data sets by name, as data: where they lie, how large they are, how they are measured.

Facts: the sets' own pages, and the layouts of the repositories that publish numbers on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from restorekit.data.pairs import Pair, clean_pictures, find_pairs
from restorekit.errors import DataError
from restorekit.types import Task


@dataclass(frozen=True)
class Dataset:
    """A published set of pictures."""

    name: str
    folders: tuple[str, ...]
    """Where below the data root it may lie; the first that exists counts."""
    pictures: int
    """How many pairs, or clean pictures, the whole test set has."""
    task: Task
    protocol: str
    """The protocol of the published tables."""
    clean: bool = False
    """References only; the protocol makes the degraded pictures."""

    def pairs(self, data_root: Path) -> list[Pair]:
        """Find the set below the data root and pair its files."""
        folder = self.locate(data_root)
        return clean_pictures(folder) if self.clean else find_pairs(folder)

    def locate(self, data_root: Path) -> Path:
        """Return the folder of the set; raise DataError with the places that were tried."""
        for folder in self.folders:
            if (data_root / folder).is_dir():
                return data_root / folder
        raise DataError(
            f"{self.name} is not in {data_root}: looked for {', '.join(self.folders)}; "
            "name the folder that holds it with --data-root, or give the folder itself as --dataset"
        )


_DATASETS = (
    Dataset(
        "Rain100L",
        ("Rain100L", "rain100L", "test/Rain100L"),
        100,
        Task.DERAIN,
        "rain-y-matlab",
    ),
    Dataset(
        "SOTS-Indoor",
        ("SOTS-Indoor", "SOTS/indoor", "reside-indoor/test", "SOTS_indoor_13"),
        500,
        Task.DEHAZE,
        "sots-rgb",
    ),
    Dataset(
        "GoPro",
        ("GoPro/test", "GOPRO/test", "GOPRO_Large/test", "test/GoPro", "GoPro", "GoPro_2"),
        1111,
        Task.DEBLUR,
        "gopro-matlab",
    ),
    Dataset(
        "DeRaindrop",
        ("DeRaindrop/test_a", "raindrop_data/test_a", "test_a", "RainDrop_2"),
        58,
        Task.RAINDROP,
        "raindrop-y",
    ),
    Dataset("PolyU", ("PolyU", "CroppedImages"), 100, Task.DENOISE, "rgb"),
    Dataset("CBSD68", ("CBSD68",), 68, Task.DENOISE, "awgn-sigma25", clean=True),
    Dataset("Kodak24-full", ("Kodak24_full",), 24, Task.DENOISE, "awgn-sigma25", clean=True),
)
DATASETS: Mapping[str, Dataset] = MappingProxyType({d.name: d for d in _DATASETS})


def find_dataset(name: str) -> Dataset | None:
    """Look up a set by its name, in upper or lower case."""
    by_name = {key.casefold(): dataset for key, dataset in DATASETS.items()}
    return by_name.get(name.casefold())
