"""Fashion-MNIST: 70,000 grey images of ten kinds of clothing, in MNIST's format and numbers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import DataFile
from harness.data.mnist import IdxImages

__all__ = ["FASHION_MNIST"]

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""Of the published .gz files; the names are MNIST's."""
SIZES = (47_040_016, 60_008, 7_840_016, 10_008)


@dataclass(frozen=True)
class FashionMnist(ArchivedSet, IdxImages):
    """Fashion-MNIST as four idx files."""


FASHION_MNIST = FashionMnist(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    source="Xiao, Rasul, Vollgraf, arXiv:1708.07747, 2017; https://github.com/zalandoresearch/fashion-mnist",
    how_to_get="spikeboard data fetch fashion-mnist (30 MB)",
    layout="FashionMNIST/raw/ or fashion-mnist/ with the four idx files (gzipped or not)",
    folders=("FashionMNIST/raw", "fashion-mnist/FashionMNIST/raw", "fashion-mnist"),
    files=tuple(DataFile(name, "", "", size) for name, size in zip(MD5, SIZES, strict=True)),
    archives=tuple(Archive(f"{URL}/{name}.gz", f"{name}.gz", md5, "FashionMNIST/raw") for name, md5 in MD5.items()),
)
