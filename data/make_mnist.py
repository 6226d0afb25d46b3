"""Make mnist.npz from the four IDX files of MNIST, whose SHA-256 is checked.

    python data/make_mnist.py FOLDER             the folder holds the IDX files, gzipped or not
    python data/make_mnist.py FOLDER --download  first download what is missing there (needs pooch)
    python data/make_mnist.py FOLDER -o FILE     write FILE, not mnist.npz beside this script

The same input gives the same arrays, and with the same zlib the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np

from rbmkit import data, files

# Name, SHA-256 of the file without gzip (mirrors may compress differently), shape.
FILES = {
    "train": (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        (60000, 28, 28),
    ),
    "test": (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        (10000, 28, 28),
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        (60000,),
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        (10000,),
    ),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
THRESHOLD = 128  # at least half of full scale, 255


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make mnist.npz from the IDX files of MNIST.")
    parser.add_argument("folder", type=Path, help="folder with the four IDX files, gzipped or not")
    parser.add_argument(
        "--download", action="store_true", help="download the missing ones into it (needs pooch)"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("mnist.npz"))
    options = parser.parse_args(arguments)
    try:
        if options.download:
            download(options.folder)
        arrays = pack({key: read_idx(options.folder, key) for key in FILES})
        files.write_npz(options.output, kind=data.MNIST_KIND, **arrays)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"make_mnist.py: {error}")
    print(
        f"{options.output}: {options.output.stat().st_size} bytes, SHA-256 of its contents "
        f"{data.mnist_digest(arrays)}"
    )


def pack(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Images as rows of bits, eight pixels to a byte, the first pixel in the highest bit; labels
    as they are."""
    return {
        key: np.packbits(array.reshape(len(array), -1) >= THRESHOLD, axis=1)
        if array.ndim == 3
        else array
        for key, array in raw.items()
    }


def read_idx(folder: Path, key: str) -> np.ndarray:
    """One IDX file, checked."""
    name = FILES[key][0]
    path = find(folder, name)
    if path is None:
        raise FileNotFoundError(
            f"neither {name}.gz nor {name} in {folder}; --download fetches what is missing"
        )
    content = data.idx_bytes(path)
    check(content, key, path)
    return data.idx_array(content, path)


def find(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}.gz", folder / name, folder / name.replace("-idx", ".idx"))
    return next((path for path in candidates if path.is_file()), None)


def check(content: bytes, key: str, source: object) -> None:
    name, expected, _ = FILES[key]
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{source} is not the {name} of MNIST: SHA-256 {found} instead of {expected}; fetch it "
            "again"
        )


def download(folder: Path) -> None:
    """Fetch the files that are missing in `folder`. Each appears there only once it is complete
    and checked."""
    try:
        import pooch
    except ImportError:
        raise ImportError(
            '--download needs pooch: pip install pooch, or pip install -e ".[download]"'
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    for key, (name, _, _) in FILES.items():
        if find(folder, name) is None:
            with files.replacing(folder / f"{name}.gz") as partial:
                fetch(pooch, key, partial)


def fetch(pooch, key: str, target: Path) -> None:
    """Try one mirror after the other until a download has the right contents."""
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{FILES[key][0]}.gz"
        try:
            pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent)
            check(data.idx_bytes(target), key, url)
            return
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            failures.append(f"{url}: {error}")
            target.unlink(missing_ok=True)
    raise OSError("no mirror gave the file:\n  " + "\n  ".join(failures))


if __name__ == "__main__":
    main()
