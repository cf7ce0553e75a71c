"""Fashion-MNIST: 70,000 grey images of ten kinds of clothing, in MNIST's format and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import DataFile
from harness.data.mnist import IdxImages

__all__ = ["FASHION_MNIST"]

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the four files."""
MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""Of the published .gz files; the names are MNIST's."""
FILES = (
    DataFile(
        "train-images-idx3-ubyte",
        sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        md5="f4a8712d7a061bf5bd6d2ca38dc4d50a",
        size_bytes=47_040_016,
    ),
    DataFile(
        "train-labels-idx1-ubyte",
        sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        md5="9018921c3c673c538a1fc5bad174d6f9",
        size_bytes=60_008,
    ),
    DataFile(
        "t10k-images-idx3-ubyte",
        sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        md5="8181f5470baa50b63fa0f6fddb340f0a",
        size_bytes=7_840_016,
    ),
    DataFile(
        "t10k-labels-idx1-ubyte",
        sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        md5="15d484375f8d13e6eb1aabb0c3f46965",
        size_bytes=10_008,
    ),
)
"""As they are decompressed."""


@dataclass(frozen=True)
class FashionMnist(ArchivedSet, IdxImages):
    """Fashion-MNIST as four idx files."""


FASHION_MNIST = FashionMnist(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    source="Xiao, Rasul, Vollgraf, arXiv:1708.07747, 2017; https://github.com/zalandoresearch/fashion-mnist",
    how_to_get="spikeboard data fetch fashion-mnist (30 MB), or, on Debian, apt install dataset-fashion-mnist",
    layout="FashionMNIST/raw/ or fashion-mnist/ with the four idx files (gzipped or not)",
    folders=("FashionMNIST/raw", "fashion-mnist/FashionMNIST/raw", "fashion-mnist"),
    installed=(DEBIAN,),
    files=FILES,
    archives=tuple(Archive(f"{URL}/{name}.gz", f"{name}.gz", md5, "FashionMNIST/raw") for name, md5 in MD5.items()),
)
