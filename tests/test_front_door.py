"""Wrong objects and arrays in any public function: one sentence each, before anything is
computed."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import scipy.sparse

import rbmkit.figures
from rbmkit import RBM, Training, ais, checks, exact_moments, gibbs, pseudo_likelihood
from rbmkit.reciprocal import modes

DATA = (np.random.default_rng(0).random((40, 9)) < 0.4).astype(np.uint8)
MODEL = RBM.random(9, 5, sigma=0.5, rng=1)


# ---------------------------------------------------------------- models
def public_functions():
    """All public functions of the package's modules, with the parameters that must be models."""
    for info in pkgutil.walk_packages(rbmkit.__path__, "rbmkit."):
        path = info.name.removeprefix("rbmkit.")
        if path in ("__main__", "kernels", "checks") or path.startswith("explorers"):
            continue
        module = importlib.import_module(info.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            kinds = {p.name: p.annotation for p in inspect.signature(function).parameters.values()}
            models = [
                p for p, kind in kinds.items() if kind in ("RBM", "Modes", "ModePaths", "Potential")
            ]
            if models:
                yield pytest.param(function, models, id=f"{path}.{name}")


FUNCTIONS = list(public_functions())


class Estimator:
    """Looks like a fitted scikit-learn BernoulliRBM."""

    components_ = np.zeros((5, 9))
    intercept_visible_ = np.zeros(9)
    intercept_hidden_ = np.zeros(5)


def test_all_functions_are_found():
    names = {case.id for case in FUNCTIONS}
    some = {"sampling.gibbs", "likelihood.ais", "mean_field.mean_field", "relaxation.dressed"}
    assert some | {"symmetry.free_energy.landau", "figures.reciprocal.landscape"} <= names
    assert len(names) > 30


@pytest.mark.parametrize(
    "wrong", [None, MODEL.W, "rbm", RBM, Estimator()], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize(("function", "models"), FUNCTIONS)
def test_something_else_than_a_model_is_refused(function, models, wrong):
    """The model is checked before all other arguments, so those may be anything here."""
    parameters = inspect.signature(function).parameters.values()
    needed = {
        p.name: None for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    with pytest.raises(TypeError, match=f"{models[0]} must be of the type ") as caught:
        function(**needed | {models[0]: wrong})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (Estimator(), "rbmkit.from_sklearn"),
        (MODEL.W, r"RBM\(W, a, b\) makes one"),
        (Training(MODEL, DATA, rng=0), r"use its \.rbm"),
    ],
)
def test_the_sentence_says_how_to_make_a_model(wrong, hint):
    for call in (
        lambda x: gibbs(x, 3, steps=1, rng=0),
        exact_moments,
        modes,
        lambda x: Training(x, DATA, rng=0),
    ):
        with pytest.raises(TypeError, match=hint):
            call(wrong)
    with pytest.raises(
        TypeError, match=r"modes must be of the type Modes, not RBM; modes\(rbm\) makes one"
    ):
        rbmkit.symmetry.critical_coupling(MODEL)


# ---------------------------------------------------------------- arrays
CALLS = [
    MODEL.free_energy,
    lambda v: MODEL.energy(v, np.zeros(5)),
    lambda v: gibbs(MODEL, v, steps=2, rng=0).v,
    lambda v: pseudo_likelihood(MODEL, v),
    lambda v: Training(MODEL, v, batch_size=10, rng=0).run(2, progress=False).rbm.W,
    lambda v: modes(MODEL).x(v),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_matrix", "lil_array"])
def test_sparse_states_are_those_of_the_dense_array(call, form):
    for dtype in (np.uint8, float, bool):
        np.testing.assert_array_equal(
            call(getattr(scipy.sparse, form)(DATA.astype(dtype))), call(DATA)
        )


def test_sparse_matrices_with_other_values_are_refused():
    # the same entry twice: it is 2
    double = scipy.sparse.coo_array(([1, 1], ([0, 0], [2, 2])), shape=(1, 9))
    for wrong in (scipy.sparse.csr_array(0.5 * DATA), scipy.sparse.csr_array(3 * DATA), double):
        with pytest.raises(ValueError, match="sparse matrix with entries other than 0 and 1"):
            MODEL.free_energy(wrong)
    with pytest.raises(ValueError, match=r"v must have shape \(n, 9\)"):
        MODEL.free_energy(scipy.sparse.csr_array(DATA[:, :5]))
    with pytest.raises(TypeError, match="W is a sparse matrix; a dense array is needed"):
        RBM(scipy.sparse.csr_array(MODEL.W), MODEL.a, MODEL.b)


def test_sparse_input_is_left_alone():
    sparse = scipy.sparse.coo_array(([1, 0], ([0, 0], [2, 3])), shape=(1, 9))
    MODEL.free_energy(sparse)
    np.testing.assert_array_equal(sparse.data, [1, 0])


@pytest.mark.parametrize("call", CALLS)
def test_masked_arrays_are_refused(call):
    masked = np.ma.masked_array(DATA, mask=np.eye(40, 9, dtype=bool))
    with pytest.raises(
        TypeError, match="is a masked array, and there is no rule for hidden entries"
    ):
        call(masked)
    with pytest.raises(TypeError, match="W is a masked array"):
        RBM(np.ma.masked_array(MODEL.W), MODEL.a, MODEL.b)


@pytest.mark.parametrize(
    ("states", "error", "hint"),
    [
        (
            2 * DATA.astype(int) - 1,
            ValueError,
            r"spins -1 and \+1 become 0 and 1 by \(1 \+ x\) // 2",
        ),
        (255 * DATA, ValueError, "grey levels become 0 and 1 by a threshold"),
        (DATA / 2, ValueError, "grey levels"),
        (
            DATA.astype(object),
            ValueError,
            r"dtype object \(columns of pandas .* \.to_numpy\(int\)\)",
        ),
    ],
)
def test_states_get_a_hint(states, error, hint):
    with pytest.raises(error, match=hint):
        MODEL.free_energy(states)
    with pytest.raises(TypeError, match=r"to_numpy\(int\)"):
        RBM(MODEL.W.astype(object), MODEL.a, MODEL.b)


def test_spins_after_the_hint_are_the_same_states():
    spins = 2 * DATA.astype(int) - 1
    np.testing.assert_array_equal(checks.binary((1 + spins) // 2, 9, "v"), DATA)


def test_spins_are_bits_with_other_parameters():
    """As on the troubleshooting page: -s.J.t - A.s - B.t of spins is the energy of bits, up to a
    constant."""
    J = MODEL.W
    A = np.arange(9) / 9
    B = np.arange(5) / 5
    rbm = RBM(4 * J, 2 * A - 2 * J.sum(axis=1), 2 * B - 2 * J.sum(axis=0))
    v = DATA
    h = np.random.default_rng(1).integers(0, 2, (40, 5))
    s = 2.0 * v - 1
    t = 2.0 * h - 1
    spins = -np.einsum("ni,ij,nj->n", s, J, t) - s @ A - t @ B
    assert np.ptp(rbm.energy(v, h) - spins) < 1e-12


# ---------------------------------------------------------------- extremes
def test_fields_beyond_single_precision_are_refused():
    zero = np.zeros(40)
    for rbm in (
        RBM(np.full((40, 30), 1e37), zero, zero[:30]),
        RBM(np.zeros((40, 30)), zero, zero[:30] + 1e300),
    ):
        with pytest.raises(ValueError, match="do not fit into the float32 sums"):
            gibbs(rbm, 3, steps=1, rng=0)
        with pytest.raises(ValueError, match="do not fit into the float32 sums"):
            ais(rbm, chains=3, temperatures=4, rng=0)


def test_annealing_warns_of_fields_that_lose_digits():
    W = np.random.default_rng(0).normal(size=(12, 70))
    for field in (1e3, 1e7):
        rbm = RBM(W, np.zeros(12), np.full(70, field))
        v = rbmkit.all_states(12)
        exact = np.logaddexp.reduce(-rbm.free_energy(v))
        if field == 1e3:
            estimate = ais(rbm, chains=50, temperatures=300, rng=0)
            assert abs(estimate.value - exact) < 5 * estimate.stderr + 0.01
        else:
            with pytest.warns(UserWarning, match="annealing, in float32, may be off by 42 nats"):
                estimate = ais(rbm, chains=50, temperatures=300, rng=0)
            assert 1 < abs(estimate.value - exact) < 42
