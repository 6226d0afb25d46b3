"""MNIST as shipped, the script that makes it, trained models, and small patterns."""

import gzip
import hashlib
import importlib.util
import itertools
import shutil
import struct
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rbmkit import data, files

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def digits():
    return data.mnist()


@pytest.fixture(scope="module")
def make_mnist():
    spec = importlib.util.spec_from_file_location("make_mnist", ROOT / "data" / "make_mnist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- mnist()
def test_shapes_types_and_values(digits):
    assert (digits.train.shape, digits.test.shape) == ((60000, 784), (10000, 784))
    assert (digits.train_labels.shape, digits.test_labels.shape) == ((60000,), (10000,))
    for array in (digits.train, digits.test, digits.train_labels, digits.test_labels):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
    assert digits.train.max() == digits.test.max() == 1
    assert repr(digits) == "Mnist(train=(60000, 784), test=(10000, 784))"


def test_known_facts_about_mnist(digits):
    """Class sizes as published; the first training image is a 5 drawn upright, its ink at known
    pixels."""
    np.testing.assert_array_equal(
        np.bincount(digits.train_labels),
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    )
    np.testing.assert_array_equal(
        np.bincount(digits.test_labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    np.testing.assert_array_equal(digits.train_labels[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    first = digits.train[0].reshape(28, 28)
    assert not first[:5].any()
    np.testing.assert_array_equal(np.flatnonzero(first[5]), [17, 18, 20, 21, 22])
    np.testing.assert_array_equal(np.flatnonzero(first[24]), np.arange(4, 11))


def test_selection_by_digit(digits):
    some = data.mnist(digits=(0, 1))
    np.testing.assert_array_equal(some.train, digits.train[digits.train_labels <= 1])
    np.testing.assert_array_equal(some.test_labels, digits.test_labels[digits.test_labels <= 1])
    assert set(data.mnist(digits=np.int64(7)).test_labels) == {7}
    assert set(data.mnist(digits=np.array([3, 9])).test_labels) == {3, 9}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ((), ValueError),
        (10, ValueError),
        (-1, ValueError),
        (1.0, TypeError),
        ("1", TypeError),
        (True, TypeError),
    ],
)
def test_bad_digits(wrong, error):
    with pytest.raises(error, match="digits must be"):
        data.mnist(digits=wrong)


def test_the_file_is_about_two_megabytes():
    assert 1.8e6 < (ROOT / "data" / "mnist.npz").stat().st_size < 2.2e6


def test_data_folder_can_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path))
    assert data.data_folder() == tmp_path
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz; restore it"):
        data.mnist()
    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="no data folder .*none"):
        data.mnist()


def test_damaged_files(tmp_path, monkeypatch):
    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path))
    path = tmp_path / "mnist.npz"
    good = ROOT / "data" / "mnist.npz"
    path.write_bytes(good.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"mnist\.npz cannot be read"):
        data.mnist()
    arrays = files.read_npz(good, data.MNIST_KEYS, kind=data.MNIST_KIND)
    files.write_npz(path, kind=data.MNIST_KIND, **{key: arrays[key] for key in ("train", "test")})
    with pytest.raises(ValueError, match="lacks train_labels, test_labels"):
        data.mnist()
    arrays["test"][0, 50] ^= 1  # one pixel
    files.write_npz(path, kind=data.MNIST_KIND, **arrays)
    with pytest.raises(ValueError, match="damaged or altered"):
        data.mnist()


@pytest.mark.parametrize("loader", [data.trained, data.trajectory])
def test_another_model_in_the_place_of_a_trained_one(loader, tmp_path, monkeypatch):
    """A file that is whole, but not the one that ships."""
    monkeypatch.setenv("RBMKIT_DATA", str(tmp_path))
    shutil.copy(ROOT / "data" / files.SUMS, tmp_path)
    for name in files.read_sums(tmp_path):
        data.RBM.random(784, 5, sigma=1.0, rng=0).save(tmp_path / name)
    with pytest.raises(ValueError, match="mnist_500.npz is truncated or altered"):
        loader()
    files.write_sums(tmp_path, list(files.read_sums(tmp_path)))
    assert data.trained().M == 5


# ---------------------------------------------------------------- two regimes
def test_regimes_hold_their_pieces():
    found = data.regimes()
    assert found.epochs("mild")[0] == 0.2
    piece = found["mild_0.2"]
    assert piece["counts"].shape == (15, len(piece["edges"]) - 1)
    assert (piece["counts"].sum(axis=1) == piece["counts"].sum() / 15).all()  # groups of equal size
    assert found["penalty_rest_0.01"]["rows"].shape == (8, 4)
    with pytest.raises(KeyError, match="no piece 'mild_7'"):
        found["mild_7"]


@pytest.fixture
def make_regimes():
    spec = importlib.util.spec_from_file_location("make_regimes", ROOT / "data" / "make_regimes.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_script_makes_the_pieces_that_are_stored(make_regimes, tmp_path):
    stored = make_regimes.held(ROOT / "data" / "regimes.npz")
    assert set(stored) == set(make_regimes.pieces(tmp_path, tmp_path, data.mnist()))
    assert make_regimes.held(tmp_path / "no.npz") == {}


def test_only_pieces_that_are_missing_are_made(make_regimes, tmp_path, monkeypatch):
    made = []

    def piece(name: str, value: float) -> dict[str, np.ndarray]:
        made.append(name)
        return {"rows": np.array([[value]])}

    def run(**values: float) -> dict[str, dict[str, np.ndarray]]:
        work = {name: partial(piece, name, value) for name, value in values.items()}
        monkeypatch.setattr(make_regimes, "pieces", lambda *_: work)
        make_regimes.main(tmp_path, tmp_path / "build", out=tmp_path)
        return make_regimes.held(tmp_path / "regimes.npz")

    run(first=1.0, third=3.0)
    found = run(first=-1.0, second=0.1, third=-3.0)
    assert made == ["first", "third", "second"]
    assert {name: piece["rows"].item() for name, piece in found.items()} == {
        "first": 1, "second": np.float32(0.1), "third": 3,
    }  # fmt: skip
    assert found["second"]["rows"].dtype == np.float32
    assert files.verified(tmp_path, "regimes.npz")


def test_memory_of_the_start_is_none_for_one_law_and_all_for_three_places(make_regimes):
    script = make_regimes
    x = np.random.default_rng(1).normal(size=(300, 200))
    share, error = script.memory(x)
    assert abs(share.mean()) < 4 * share.std() / np.sqrt(200)  # unbiased
    assert error.mean() == pytest.approx(share.std(), rel=0.5)
    apart = x + np.repeat([-1, 0, 1], 100)[:, None]
    share, error = script.memory(apart)
    assert share.mean() == pytest.approx(0.4, abs=0.02)  # variance 2/3 between, 1 within
    assert (script.memory(1e-6 * x + np.repeat([-1, 0, 1], 100)[:, None])[0] > 0.999).all()
    rows = script.Average(3)
    v = np.eye(6, 4)
    h = np.arange(12.0).reshape(6, 2)
    rows.add(v, h)
    np.testing.assert_allclose(rows.value[0], v[:2].T @ h[:2] / 2)


# ---------------------------------------------------------------- make_mnist.py
@pytest.fixture
def small_files(make_mnist, tmp_path, monkeypatch):
    """A folder with tiny IDX files, and a script that expects them."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "idx"
    files = {}
    folder.mkdir()
    for key, (name, _, shape) in make_mnist.FILES.items():
        array = rng.integers(
            0, 256 if len(shape) == 3 else 10, size=(6, *shape[1:]), dtype=np.uint8
        )
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
        files[key] = name, hashlib.sha256(header + array.tobytes()).hexdigest(), array.shape
        np.save(tmp_path / f"{key}.npy", array)
    monkeypatch.setattr(make_mnist, "FILES", files)
    return folder


def test_script_binarises_packs_and_repeats_itself(make_mnist, small_files, tmp_path, capsys):
    make_mnist.main([str(small_files), "-o", str(tmp_path / "1.npz")])
    make_mnist.main([str(small_files), "-o", str(tmp_path / "2.npz")])
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    arrays = files.read_npz(tmp_path / "1.npz", data.MNIST_KEYS, kind=data.MNIST_KIND)
    raw = np.load(tmp_path / "train.npy")
    assert {127, 128} <= set(raw.ravel())
    np.testing.assert_array_equal(
        np.unpackbits(arrays["train"], axis=1), (raw >= 128).reshape(6, 784)
    )
    np.testing.assert_array_equal(arrays["test_labels"], np.load(tmp_path / "test_labels.npy"))
    assert data.mnist_digest(arrays) in capsys.readouterr().out


def test_script_reads_unzipped_files(make_mnist, small_files):
    path = small_files / "train-images-idx3-ubyte.gz"
    before = make_mnist.read_idx(small_files, "train")
    (small_files / "train-images-idx3-ubyte").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    np.testing.assert_array_equal(make_mnist.read_idx(small_files, "train"), before)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "neither t10k-images-idx3-ubyte.gz nor"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated or corrupt"),
        (lambda path: path.write_bytes(b"\x1f\x8b" + b"x" * 50), "truncated or corrupt"),
        (
            lambda path: path.write_bytes(gzip.compress(b"other")),
            "is not the t10k-images-idx3-ubyte of MNIST",
        ),
    ],
)
def test_script_refuses_other_files_and_writes_nothing(
    make_mnist, small_files, tmp_path, damage, message
):
    damage(small_files / "t10k-images-idx3-ubyte.gz")
    with pytest.raises(SystemExit, match=message):
        make_mnist.main([str(small_files), "-o", str(tmp_path / "out.npz")])
    assert not (tmp_path / "out.npz").exists()


class FakePooch:
    """Serves files of a folder; the first mirror gives something else, like a page that says
    "moved"."""

    def __init__(self, folder):
        self.folder = folder
        self.urls = []

    def retrieve(self, url, known_hash, fname, path):
        self.urls.append(url)
        good = "ossci" not in url
        (Path(path) / fname).write_bytes(
            (self.folder / url.rsplit("/")[-1]).read_bytes() if good else b"moved"
        )


def test_download_falls_back_to_the_next_mirror(make_mnist, small_files, tmp_path, monkeypatch):
    fake = FakePooch(small_files)
    monkeypatch.setitem(sys.modules, "pooch", fake)
    target = tmp_path / "new"
    make_mnist.main([str(target), "--download", "-o", str(tmp_path / "out.npz")])
    assert len(fake.urls) == 8
    assert sorted(p.name for p in target.iterdir()) == sorted(
        f"{name}.gz" for name, _, _ in make_mnist.FILES.values()
    )
    make_mnist.main([str(target), "--download", "-o", str(tmp_path / "out.npz")])
    assert len(fake.urls) == 8  # nothing is fetched twice


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no network")])
def test_interrupted_download_leaves_nothing(make_mnist, small_files, tmp_path, monkeypatch, error):
    fake = FakePooch(small_files)

    def retrieve(url, known_hash, fname, path):
        (Path(path) / fname).write_bytes(b"half")
        raise error

    fake.retrieve = retrieve
    monkeypatch.setitem(sys.modules, "pooch", fake)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SystemExit):
        make_mnist.main([str(tmp_path / "new"), "--download", "-o", str(tmp_path / "out.npz")])
    assert list((tmp_path / "new").iterdir()) == []
    assert not (tmp_path / "out.npz").exists()


def test_download_without_pooch_says_what_to_install(make_mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(SystemExit, match="needs pooch: pip install pooch"):
        make_mnist.main([str(tmp_path), "--download"])


# ---------------------------------------------------------------- grey levels
def test_grey_levels_of_a_users_files(small_files, tmp_path):
    """Gzipped or not; the shipped bits are one threshold of them."""
    grey = data.read_idx(small_files / "train-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(grey, np.load(tmp_path / "train.npy"))
    plain = tmp_path / "plain"
    plain.write_bytes(gzip.decompress((small_files / "train-images-idx3-ubyte.gz").read_bytes()))
    np.testing.assert_array_equal(data.read_idx(plain), grey)
    labels = data.read_idx(small_files / "t10k-labels-idx1-ubyte.gz")
    np.testing.assert_array_equal(labels, np.load(tmp_path / "test_labels.npy"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "truncated or damaged"),
        (lambda content: content + b"x", "truncated or damaged"),
        (lambda content: content[:3], "not an IDX file"),
        (lambda content: b"", "not an IDX file"),
        (lambda content: b"\0\0\x0d" + content[3:], "not an IDX file of bytes"),
        (lambda content: gzip.compress(content)[:-20], "truncated or corrupt"),
    ],
)
def test_damaged_idx_files(small_files, tmp_path, damage, message):
    content = gzip.decompress((small_files / "train-images-idx3-ubyte.gz").read_bytes())
    (tmp_path / "file").write_bytes(damage(content))
    with pytest.raises(ValueError, match=message):
        data.read_idx(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="no such file"):
        data.read_idx(tmp_path / "none")


# ---------------------------------------------------------------- patterns
@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_bars_and_stripes_are_all_the_distinct_ones(side):
    patterns = data.bars_and_stripes(side)
    found = {tuple(row) for row in patterns}
    images = np.array(list(itertools.product((0, 1), repeat=side * side))).reshape(-1, side, side)
    uniform_rows = (images == images[:, :, :1]).all(axis=(1, 2))
    uniform_columns = (images == images[:, :1, :]).all(axis=(1, 2))
    assert found == {tuple(image.ravel()) for image in images[uniform_rows | uniform_columns]}
    assert len(patterns) == len(found) == 2 ** (side + 1) - 2
    assert patterns.dtype == np.uint8
    assert patterns.flags.c_contiguous


@pytest.mark.parametrize(("side", "error"), [(0, ValueError), (17, ValueError), (2.0, TypeError)])
def test_bad_side(side, error):
    with pytest.raises(error, match="side must be"):
        data.bars_and_stripes(side)
