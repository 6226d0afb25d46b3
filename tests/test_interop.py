"""Models to and from scikit-learn and rbms, against the numbers that those packages compute."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rbmkit import RBM, interop

FIXTURES = Path(__file__).parent / "fixtures"
ARCHIVE = FIXTURES / "rbms_0.5.0.h5"


@pytest.fixture
def rbm():
    rng = np.random.default_rng(5)
    return RBM(W=rng.normal(size=(9, 4)), a=rng.normal(size=9), b=rng.normal(size=4))


def assert_same(x, y):
    for name in "Wab":
        np.testing.assert_array_equal(getattr(x, name), getattr(y, name))


# ---------------------------------------------------------------- scikit-learn
def test_sklearn_computes_our_numbers(rbm):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: interop)")
    estimator = interop.to_sklearn(rbm, random_state=0)
    v = np.random.default_rng(0).integers(0, 2, size=(30, 9))
    np.testing.assert_allclose(estimator.transform(v), rbm.hidden_mean(v), rtol=1e-12)
    np.testing.assert_allclose(
        estimator._free_energy(v), rbm.free_energy(v), rtol=1e-12, atol=1e-12
    )
    assert_same(interop.from_sklearn(estimator), rbm)


def test_sklearn_estimator_works_as_a_fitted_one(rbm):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: interop)")
    estimator = interop.to_sklearn(rbm, random_state=0, batch_size=7)
    v = np.random.default_rng(0).integers(0, 2, size=(30, 9)).astype(float)
    assert estimator.gibbs(v).shape == (30, 9)
    assert np.isfinite(estimator.score_samples(v)).all()
    assert list(estimator.get_feature_names_out()) == [f"bernoullirbm{j}" for j in range(4)]
    estimator.partial_fit(v)
    assert np.abs(interop.from_sklearn(estimator).W - rbm.W).max() > 0
    assert not np.shares_memory(rbm.W, estimator.components_)


def test_model_fitted_by_sklearn():
    neural = pytest.importorskip(
        "sklearn.neural_network", reason="scikit-learn is not installed (extra: interop)"
    )
    v = np.random.default_rng(0).integers(0, 2, size=(40, 6)).astype(np.float32)
    estimator = neural.BernoulliRBM(n_components=3, n_iter=5, random_state=1).fit(v)
    rbm = interop.from_sklearn(estimator)
    assert (rbm.N, rbm.M, rbm.W.dtype) == (6, 3, np.float64)
    np.testing.assert_allclose(rbm.hidden_mean(v), estimator.transform(v), rtol=1e-6)


def test_sklearn_bad_input(rbm):
    neural = pytest.importorskip(
        "sklearn.neural_network", reason="scikit-learn is not installed (extra: interop)"
    )
    with pytest.raises(
        TypeError, match="BernoulliRBM lacks components_.*a fitted BernoulliRBM is needed"
    ):
        interop.from_sklearn(neural.BernoulliRBM())
    with pytest.raises(TypeError, match="str lacks"):
        interop.from_sklearn("model")
    with pytest.raises(TypeError, match="rbm must be of the type RBM"):
        interop.to_sklearn(rbm.W)
    with pytest.raises(ValueError, match="n_components is the number of hidden units, 4; got 5"):
        interop.to_sklearn(rbm, n_components=5)


# ---------------------------------------------------------------- rbms
h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: interop)")


@pytest.fixture(scope="module")
def numbers():
    with np.load(FIXTURES / "rbms_0.5.0_numbers.npz", allow_pickle=False) as file:
        return dict(file)


def test_import_agrees_with_the_numbers_of_rbms(numbers):
    updates = interop.rbms_updates(ARCHIVE)
    assert updates == list(numbers["updates"]) == [1, 10, 40]
    v = numbers["v"]
    h = numbers["h"]
    for n in updates:
        rbm = interop.from_rbms_hdf5(ARCHIVE, update=n)
        np.testing.assert_allclose(rbm.energy(v, h), numbers[f"energy_{n}"], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            rbm.free_energy(v), numbers[f"energy_visibles_{n}"], rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(rbm.hidden_mean(v), numbers[f"hidden_mean_{n}"], rtol=1e-12)
        np.testing.assert_allclose(rbm.visible_mean(h), numbers[f"visible_mean_{n}"], rtol=1e-12)
    assert np.ptp(numbers["energy_40"]) > 1  # the comparison is not one of zeros


def test_the_last_update_is_the_default():
    assert_same(interop.from_rbms_hdf5(ARCHIVE), interop.from_rbms_hdf5(str(ARCHIVE), update=40))


def test_older_archives_without_the_group_params(tmp_path):
    path = tmp_path / "old.h5"
    path.write_bytes(ARCHIVE.read_bytes())
    with h5py.File(path, "a") as file:
        del file["update_40/params"], file["model_type"]
    assert_same(interop.from_rbms_hdf5(path), interop.from_rbms_hdf5(ARCHIVE))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_export_and_import_again(rbm, tmp_path, dtype):
    path = tmp_path / "model.h5"
    interop.to_rbms_hdf5(rbm, path, update=12, dtype=dtype)
    interop.to_rbms_hdf5(rbm, path, update=13, dtype=dtype)  # replaces
    assert interop.rbms_updates(path) == [13]
    assert_same(
        interop.from_rbms_hdf5(path), RBM(*(x.astype(dtype) for x in (rbm.W, rbm.a, rbm.b)))
    )
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]


def layout(path, update):
    """{name: (shape, dtype)} of all datasets outside the updates and of one update, without its
    number."""
    with h5py.File(path, "r") as file:
        found = {}
        for name, item in walk(file):
            if not name.startswith("update_") or name.startswith(f"update_{update}/"):
                found[name.replace(f"update_{update}/", "update/")] = item.shape, item.dtype
        return found


def walk(group, prefix=""):
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            yield from walk(item, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", item


def test_export_has_the_layout_of_rbms(tmp_path):
    rbm = interop.from_rbms_hdf5(ARCHIVE)
    path = tmp_path / "model.h5"
    interop.to_rbms_hdf5(rbm, path, update=40, dtype="float32", chains=np.zeros((6, 9)))
    theirs = layout(ARCHIVE, 40)
    del theirs["learning_rate"]  # a log of the training, one entry per update
    assert layout(path, 40) == theirs
    with h5py.File(path) as ours, h5py.File(ARCHIVE) as theirs:
        assert ours["model_type"][()] == theirs["model_type"][()] == b"BBRBM"
        for name in ("weight_matrix", "vbias", "hbias"):
            for group in ("update_40", "update_40/params"):
                np.testing.assert_array_equal(ours[group][name], theirs[group][name])


def test_random_state_is_that_of_a_seeded_pytorch(rbm, numbers, tmp_path):
    path = tmp_path / "model.h5"
    seed = int(numbers["torch_seed"])
    interop.to_rbms_hdf5(rbm, path, seed=seed)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["update_1/torch_rng_state"], numbers["torch_state"])
        np.testing.assert_array_equal(
            file["update_1/numpy_rng_arg1"], np.random.RandomState(seed).get_state()[1]
        )


def test_export_of_chains_and_hyperparameters(rbm, tmp_path):
    path = tmp_path / "model.h5"
    chains = np.eye(9, dtype=np.uint8)
    interop.to_rbms_hdf5(rbm, path, chains=chains, hyperparameters={"learning_rate": 0.125})
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["parallel_chains"], chains)
        assert file["hyperparameters/learning_rate"][()] == 0.125
        assert file["hyperparameters/num_chains"][()] == 9


def test_rbms_itself_loads_and_restores_the_export(rbm, tmp_path):
    pytest.importorskip(
        "rbms", reason="rbms (which needs PyTorch) is not installed: its live check is left out"
    )
    import torch
    from rbms.io import load_model
    from rbms.utils import get_saved_updates

    path = tmp_path / "model.h5"
    interop.to_rbms_hdf5(rbm, path, update=3, seed=11)
    assert list(get_saved_updates(str(path))) == [3]
    params, chains, _, settings = load_model(
        str(path), 3, torch.device("cpu"), torch.float64, restore=True
    )
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(11).get_state())
    v = np.random.default_rng(0).integers(0, 2, size=(20, 9))
    theirs = params.compute_energy_visibles(torch.tensor(v, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(theirs, rbm.free_energy(v), rtol=1e-12, atol=1e-12)
    assert tuple(chains["visible"].shape) == (100, 9)
    assert settings["seed"] == 11


def write_bad(path, what):
    match what:
        case "text":
            path.write_text("hello")
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(ARCHIVE.read_bytes()[:5000])
        case "foreign":
            with h5py.File(path, "w") as file:
                file["samples"] = np.zeros(3)
        case "Potts":
            with h5py.File(path, "w") as file:
                file["model_type"] = "PBRBM"
        case _:
            path.write_bytes(ARCHIVE.read_bytes())
            with h5py.File(path, "a") as file:
                del file["update_40/params/vbias"]
                if what == "NaN":
                    file["update_40/params/vbias"] = np.full(9, np.nan)
                if what == "bad shape":
                    file["update_40/params/vbias"] = np.zeros(8)
                if what == "group":
                    file.create_group("update_40/params/vbias")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("text", "is not an HDF5 file, or is truncated"),
        ("empty", "is not an HDF5 file, or is truncated"),
        ("truncated", "is not an HDF5 file, or is truncated"),
        ("foreign", "is not an archive of rbms: it has no group update_<number>"),
        ("Potts", "model of type 'PBRBM'; only 'BBRBM'"),
        ("incomplete", "update 40 of .* does not hold a valid RBM"),
        ("NaN", "does not hold a valid RBM: a contains NaN"),
        ("bad shape", r"does not hold a valid RBM: a must have shape \(9,\)"),
        ("group", "does not hold a valid RBM"),
    ],
)
def test_bad_archives(tmp_path, what, message):
    path = tmp_path / "bad.h5"
    write_bad(path, what)
    with pytest.raises(ValueError, match=message) as caught:
        interop.from_rbms_hdf5(path)
    assert "bad.h5" in str(caught.value)


def test_rbms_bad_arguments(rbm, tmp_path):
    path = tmp_path / "model.h5"
    with pytest.raises(FileNotFoundError, match="no such file"):
        interop.from_rbms_hdf5(path)
    with pytest.raises(ValueError, match="has no update 11; it has 1, 10, 40"):
        interop.from_rbms_hdf5(ARCHIVE, update=11)
    with pytest.raises(TypeError, match="update must be an integer"):
        interop.from_rbms_hdf5(ARCHIVE, update="40")
    with pytest.raises(TypeError, match="rbm must be of the type RBM"):
        interop.to_rbms_hdf5(None, path)
    with pytest.raises(ValueError, match="update must be an integer >= 1"):
        interop.to_rbms_hdf5(rbm, path, update=0)
    with pytest.raises(ValueError, match="chains must contain only 0 and 1"):
        interop.to_rbms_hdf5(rbm, path, chains=-np.ones((2, 9)))
    with pytest.raises(ValueError, match="dtype must be a floating-point type"):
        interop.to_rbms_hdf5(rbm, path, dtype=int)
    assert not path.exists()


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("sklearn.neural_network", lambda rbm, path: interop.to_sklearn(rbm)),
        ("h5py", lambda rbm, path: interop.to_rbms_hdf5(rbm, path)),
        ("h5py", lambda rbm, path: interop.from_rbms_hdf5(path)),
    ],
)
def test_missing_package_is_named(rbm, tmp_path, monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)
    name = "scikit-learn" if module.startswith("sklearn") else module
    with pytest.raises(ImportError, match=f"this needs {name}: pip install {name} "):
        call(rbm, tmp_path / "model.h5")
