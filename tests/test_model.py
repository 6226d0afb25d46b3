"""The model against its definition, written out as sums over all states, and its files."""

import copy
import doctest
import itertools
import pickle
import re
import zipfile
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from rbmkit import RBM, checks, files, model, plain


def states(n):
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.uint8)


@pytest.fixture
def rbm():
    rng = np.random.default_rng(1)
    return RBM(W=rng.normal(size=(5, 4)), a=rng.normal(size=5), b=rng.normal(size=4))


def energy_by_loops(rbm, v, h):
    energy = 0.0
    for i, j in itertools.product(range(rbm.N), range(rbm.M)):
        energy -= v[i] * rbm.W[i, j] * h[j]
    return (
        energy
        - sum(rbm.a[i] * v[i] for i in range(rbm.N))
        - sum(rbm.b[j] * h[j] for j in range(rbm.M))
    )


def joint_energies(rbm):
    """(2^N, 2^M) table of E(v, h), by loops."""
    return np.array([[energy_by_loops(rbm, v, h) for h in states(rbm.M)] for v in states(rbm.N)])


# ---------------------------------------------------------------- physics
def test_energy_is_the_sum_over_pairs(rbm):
    v = states(rbm.N)
    h = states(rbm.M)
    table = joint_energies(rbm)
    np.testing.assert_allclose(
        rbm.energy(np.repeat(v, len(h), 0), np.tile(h, (len(v), 1))), table.ravel(), atol=1e-12
    )
    np.testing.assert_allclose(rbm.energy(v, h[3]), table[:, 3], atol=1e-12)
    np.testing.assert_allclose(rbm.energy(v[7], h), table[7], atol=1e-12)
    assert rbm.energy(v[7], h[3]).shape == (1,)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 2.5])
def test_free_energy_sums_the_hidden_layer(rbm, beta):
    expected = -np.log(np.exp(-beta * joint_energies(rbm)).sum(axis=1))
    np.testing.assert_allclose(
        rbm.free_energy(states(rbm.N), beta), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 2.5])
def test_conditional_means_are_those_of_the_joint_law(rbm, beta):
    p = np.exp(-beta * joint_energies(rbm))
    hidden = (p @ states(rbm.M)) / p.sum(axis=1, keepdims=True)
    visible = (p.T @ states(rbm.N)) / p.sum(axis=0)[:, None]
    np.testing.assert_allclose(rbm.hidden_mean(states(rbm.N), beta), hidden, atol=1e-13)
    np.testing.assert_allclose(rbm.visible_mean(states(rbm.M), beta), visible, atol=1e-13)


def test_conditional_means_are_those_of_the_plain_reference(rbm):
    rng = np.random.default_rng(0)
    v = rng.integers(0, 2, (5, rbm.N))
    h = rng.integers(0, 2, (5, rbm.M))
    np.testing.assert_allclose(rbm.hidden_mean(v), plain.sigmoid(rbm.b + v @ rbm.W), rtol=1e-14)
    np.testing.assert_allclose(rbm.visible_mean(h), plain.sigmoid(rbm.a + h @ rbm.W.T), rtol=1e-14)


def test_the_plain_reference_needs_nothing_but_numpy():
    text = Path(plain.__file__).read_text("utf-8")
    assert re.findall(r"^(?:from|import) .*", text, re.MULTILINE) == ["import numpy as np"]
    assert len(text.splitlines()) <= 90


def test_extreme_couplings_stay_finite():
    rbm = RBM(W=[[800.0, -800.0]], a=[0.0], b=[0.0, 0.0])
    np.testing.assert_allclose(rbm.free_energy([[0], [1]]), [-2 * np.log(2), -800.0])
    np.testing.assert_allclose(rbm.hidden_mean([1]), [[1.0, 0.0]])


def test_softplus_against_logaddexp():
    x = np.concatenate([np.linspace(-50, 50, 1001), [-745.0, 0.0, 710.0, 1e300]])
    np.testing.assert_allclose(model.softplus(x), np.logaddexp(0, x), rtol=1e-15, atol=0)


def test_blocks_of_rows_do_not_change_results(rbm, monkeypatch):
    v = states(rbm.N)
    h = states(rbm.N)[:, : rbm.M]
    before = (
        rbm.energy(v, h),
        rbm.energy(v, h[5]),
        rbm.free_energy(v),
        rbm.hidden_mean(v),
        rbm.visible_mean(h),
    )
    monkeypatch.setattr(model, "_BLOCK_BYTES", 8 * 60)  # a few rows each
    after = (
        rbm.energy(v, h),
        rbm.energy(v, h[5]),
        rbm.free_energy(v),
        rbm.hidden_mean(v),
        rbm.visible_mean(h),
    )
    for x, y in zip(before, after):
        np.testing.assert_allclose(x, y, rtol=1e-14, atol=1e-14)


# ---------------------------------------------------------------- the object
def test_parameters_are_copied_and_read_only():
    W = np.ones((3, 2))
    a = np.zeros(3)
    b = np.zeros(2)
    rbm = RBM(W=W, a=a, b=b)
    W[0, 0] = 5.0
    assert rbm.W[0, 0] == 1.0
    assert rbm.W.dtype == rbm.a.dtype == rbm.b.dtype == np.float64
    for other in (rbm, copy.deepcopy(rbm), pickle.loads(pickle.dumps(rbm))):
        for array in (other.W, other.a, other.b):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    with pytest.raises(FrozenInstanceError):
        rbm.W = W


def test_examples_in_the_docstrings():
    assert doctest.testmod(model).failed == 0


def test_sizes_and_repr(rbm):
    assert (rbm.N, rbm.M, repr(rbm)) == (5, 4, "RBM(N=5, M=4)")


def test_random_couplings_have_the_width_asked_for():
    rbm = RBM.random(200, 100, sigma=0.3, rng=3)
    n = rbm.W.size
    assert abs(rbm.W.mean()) < 5 * 0.3 / np.sqrt(n)
    assert abs(rbm.W.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * n)
    assert not rbm.a.any()
    assert not rbm.b.any()
    np.testing.assert_array_equal(
        RBM.random(200, 100, sigma=0.3, rng=np.random.default_rng(3)).W, rbm.W
    )
    assert (RBM.random(200, 100, sigma=0.3, rng=4).W != rbm.W).all()


def test_random_with_pixel_means_reproduces_them_without_couplings():
    means = np.array([0.0, 0.25, 0.5, 1.0])
    rbm = RBM.random(4, 3, sigma=0.0, rng=0, pixel_means=means)
    np.testing.assert_allclose(
        rbm.visible_mean([0, 0, 0])[0], [1e-4, 0.25, 0.5, 1 - 1e-4], rtol=1e-12
    )


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"W": np.zeros(6)}, ValueError, r"W must have shape \(any, any\)"),
        ({"W": np.zeros((0, 2))}, ValueError, "W must have shape .* not be empty"),
        ({"a": np.zeros(2)}, ValueError, r"a must have shape \(3,\).*got \(2,\)"),
        ({"b": np.zeros((2, 1))}, ValueError, r"b must have shape \(2,\)"),
        ({"W": np.full((3, 2), np.nan)}, ValueError, "W contains NaN or infinity"),
        ({"b": [0.0, np.inf]}, ValueError, "b contains NaN or infinity"),
        ({"W": np.zeros((3, 2)) + 0j}, TypeError, "W must be an array of real numbers"),
        ({"a": ["x", "y", "z"]}, TypeError, "a must be an array of real numbers"),
        ({"W": [[1.0], [1.0, 2.0]]}, TypeError, "W must be an array of real numbers"),
        ({"a": None}, TypeError, "a must be an array of real numbers"),
    ],
)
def test_bad_parameters(change, error, message):
    with pytest.raises(error, match=message):
        RBM(**{"W": np.zeros((3, 2)), "a": np.zeros(3), "b": np.zeros(2), **change})


@pytest.mark.parametrize(
    ("v", "message"),
    [
        (np.zeros((2, 4)), r"v must have shape \(n, 5\) or \(5,\), got \(2, 4\)"),
        (np.zeros((2, 1, 5)), "v must have shape"),
        (0, "v must have shape"),
        (np.zeros((0, 5)), "v is empty"),
        (np.full((1, 5), 2), "v must contain only 0 and 1, found values from 2 to 2"),
        (np.full((1, 5), 255, dtype=np.uint8), "only 0 and 1"),
        (np.array([1, -1, 1, 1, 1]), "only 0 and 1, found values from -1 to 1"),
        (np.array([0.5, 1, 1, 1, 1]), "only 0 and 1"),
        (np.array([0.0, np.nan, 1, 1, 1]), "v contains NaN"),
        (np.array([0.0, np.inf, 1, 1, 1]), "only 0 and 1"),
        (np.array(["0"] * 5), "dtype <U1"),
        (np.zeros(5, dtype=complex), "dtype complex128"),
    ],
)
def test_bad_states(rbm, v, message):
    for call in (rbm.free_energy, rbm.hidden_mean, lambda v: rbm.energy(v, np.zeros(4))):
        with pytest.raises(ValueError, match=message):
            call(v)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, np.float64])
def test_states_of_any_numeric_type(rbm, dtype):
    v = states(5)
    np.testing.assert_array_equal(rbm.free_energy(v.astype(dtype)), rbm.free_energy(v))
    np.testing.assert_array_equal(
        rbm.free_energy(np.asfortranarray(v.astype(dtype))), rbm.free_energy(v)
    )


def test_binary_does_not_copy_what_is_already_right():
    v = states(3)
    assert np.shares_memory(checks.binary(v, 3, "v"), v)
    assert checks.binary(v[:, ::-1], 3, "v").flags.c_contiguous


@pytest.mark.parametrize(
    ("beta", "error"),
    [
        (-1, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        ("1", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_bad_beta(rbm, beta, error):
    for call in (rbm.free_energy, rbm.hidden_mean, lambda v, beta: rbm.visible_mean(v[:4], beta)):
        with pytest.raises(error, match="beta must be"):
            call(np.zeros(5), beta)


def test_rows_that_do_not_match(rbm):
    with pytest.raises(ValueError, match="equally many rows.*got 3 and 2"):
        rbm.energy(np.zeros((3, 5)), np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"N": 0}, ValueError, "N must be an integer >= 1"),
        ({"M": 2.0}, TypeError, "M must be an integer, not float"),
        ({"M": True}, TypeError, "M must be an integer"),
        ({"sigma": -0.1}, ValueError, "sigma must be 0 or above"),
        ({"sigma": np.nan}, ValueError, "sigma must be finite"),
        ({"rng": None}, TypeError, "rng must be an integer seed or a numpy Generator"),
        ({"rng": 1.5}, TypeError, "rng must be an integer seed"),
        ({"rng": -1}, ValueError, "rng as a seed must be >= 0"),
        ({"pixel_means": [0.5, 0.5]}, ValueError, r"pixel_means must have shape \(3,\)"),
        ({"pixel_means": [0.5, 0.5, 1.5]}, ValueError, r"pixel_means must lie in \[0, 1\]"),
        ({"pixel_means": [0.5, np.nan, 0.5]}, ValueError, "pixel_means contains NaN"),
    ],
)
def test_bad_arguments_of_random(change, error, message):
    arguments = {"N": 3, "M": 2, "sigma": 0.1, "rng": 0, **change}
    with pytest.raises(error, match=message):
        RBM.random(arguments.pop("N"), arguments.pop("M"), **arguments)


# ---------------------------------------------------------------- files
def test_saved_model_comes_back_exactly(rbm, tmp_path):
    path = tmp_path / "model.npz"
    rbm.save(path)
    rbm.save(str(path))  # replaces
    again = RBM.load(str(path))
    for name in "Wab":
        np.testing.assert_array_equal(getattr(again, name), getattr(rbm, name))
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def test_saving_twice_gives_the_same_bytes(rbm, tmp_path):
    rbm.save(tmp_path / "1.npz")
    rbm.save(tmp_path / "2.npz")
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_interrupted_save_keeps_the_old_file(rbm, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    rbm.save(path)
    before = path.read_bytes()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        RBM.random(5, 4, sigma=1, rng=0).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def test_every_truncation_is_noticed(rbm, tmp_path):
    path = tmp_path / "model.npz"
    rbm.save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.npz cannot be read as rbmkit\.RBM/1"):
            RBM.load(path)


def test_flipped_bits_are_noticed_or_harmless(rbm, tmp_path):
    """A changed byte is refused with a ValueError, or sits in a part of the archive that carries
    no data."""
    path = tmp_path / "model.npz"
    rbm.save(path)
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 3):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
        try:
            again = RBM.load(path)
        except ValueError as error:
            refused += "model.npz" in str(error)
        else:
            np.testing.assert_array_equal(again.W, rbm.W)
    assert refused > len(content) / 6


def write_foreign(path, what, rbm):
    match what:
        case "text":
            path.write_text("hello")
        case "empty":
            path.write_bytes(b"")
        case "npy":
            with open(path, "wb") as file:
                np.save(file, rbm.W)
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.txt", "hello")
        case "unmarked":
            np.savez(path, W=rbm.W, a=rbm.a, b=rbm.b)
        case "other kind":
            files.write_npz(path, kind="rbmkit.other/1", W=rbm.W, a=rbm.a, b=rbm.b)
        case "pickle":
            np.savez(
                path,
                format=np.array("rbmkit.RBM/1"),
                W=np.array([{}], dtype=object),
                a=rbm.a,
                b=rbm.b,
            )
        case "incomplete":
            files.write_npz(path, kind="rbmkit.RBM/1", W=rbm.W, a=rbm.a)
        case "bad shapes":
            files.write_npz(path, kind="rbmkit.RBM/1", W=rbm.W, a=rbm.b, b=rbm.a)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("text", "cannot be read"),
        ("empty", "cannot be read"),
        ("npy", "cannot be read"),
        ("zip", "not a file of kind rbmkit.RBM/1: its marker is missing"),
        ("unmarked", "its marker is missing"),
        ("other kind", "its marker is 'rbmkit.other/1'"),
        ("pickle", "cannot be read"),
        ("incomplete", "lacks b"),
        ("bad shapes", "does not hold a valid RBM"),
    ],
)
def test_foreign_files(rbm, tmp_path, what, message):
    path = tmp_path / "foreign.npz"
    write_foreign(path, what, rbm)
    with pytest.raises(ValueError, match=message) as caught:
        RBM.load(path)
    assert "foreign.npz" in str(caught.value)


def test_missing_file_and_folder(rbm, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        RBM.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        RBM.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        rbm.save(tmp_path / "none" / "model.npz")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        rbm.save(tmp_path)


def test_positive_float_refuses_zero():
    assert checks.positive_float(np.float32(0.5), "x") == 0.5
    with pytest.raises(ValueError, match="x must be above 0"):
        checks.positive_float(0, "x")
