"""Mean field against its equations, bounds, and models whose solutions are known."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from rbmkit import RBM, curie_weiss, exact_log_z, planted
from rbmkit.mean_field import mean_field, saddle_log_z

RANK_ONE = (np.array([1.0, 2, -1]), np.array([1.0, -1, 0.5, 0]))
COUPLINGS = {
    "N > M": np.random.default_rng(1).normal(size=(6, 3)),
    "N < M": np.random.default_rng(2).normal(size=(3, 6)),
    "square": np.random.default_rng(3).normal(size=(4, 4)),
    "rank one": np.outer(*RANK_ONE),
    "degenerate": np.eye(4)[:, :3],
    "zero": np.zeros((3, 4)),
}


def with_fields(W, seed=7):
    rng = np.random.default_rng(seed)
    return RBM(W=W, a=rng.normal(size=W.shape[0]), b=rng.normal(size=W.shape[1]))


@pytest.fixture(params=COUPLINGS)
def rbm(request):
    return with_fields(COUPLINGS[request.param])


def example():
    i = np.arange(10)
    j = np.arange(6)
    return RBM(W=0.8 * np.sin(1 + 6 * i[:, None] + j), a=0.3 * np.cos(i), b=-0.2 * np.cos(2 * j))


def bound(rbm, m, beta):
    """-beta <E> + entropy of independent units with means m, the naive way."""
    v = m[: rbm.N]
    h = m[rbm.N :]
    entropy = -(m * np.log(m) + (1 - m) * np.log(1 - m)).sum()
    return beta * (rbm.a @ v + rbm.b @ h + v @ rbm.W @ h) + entropy


@pytest.mark.parametrize("order", [1, 2])
def test_solutions_solve_the_equations_and_make_log_z_stationary(order):
    rbm = with_fields(1.5 * COUPLINGS["N > M"])
    beta = 0.9
    found = mean_field(rbm, np.random.default_rng(0).random((20, 6)), beta=beta, order=order)
    onsager = beta**2 * rbm.W**2 * (order == 2)

    def log_z(m):
        s = m * (1 - m)
        return bound(rbm, m, beta) + s[:6] @ onsager @ s[6:] / 2

    for v, h, value in zip(found.v, found.h, found.log_z, strict=True):
        field = beta * (rbm.a + rbm.W @ h) + (0.5 - v) * (onsager @ (h * (1 - h)))
        np.testing.assert_allclose(v, expit(field), atol=1e-9)
        m = np.concatenate([v, h])
        np.testing.assert_allclose(value, log_z(m), rtol=1e-9)
        for step in 1e-5 * np.diag(np.minimum(m, 1 - m)):
            slope = (log_z(m + step) - log_z(m - step)) / (2 * step.max())
            assert abs(slope) < 5e-4


def test_saddle_is_a_lower_bound_at_every_solution():
    rng = np.random.default_rng(0)
    for _ in range(40):
        N, M = rng.integers(1, 8, 2)
        rbm = with_fields(rng.uniform(0, 5) * rng.normal(size=(N, M)), seed=rng)
        found = mean_field(rbm, rng.random((10, N)), beta=0.8)
        assert (found.log_z <= exact_log_z(rbm, beta=0.8) + 1e-11).all()
        assert (np.diff(found.log_z) <= 0).all()


def test_curie_weiss_has_one_solution_below_and_three_above():
    starts = np.array([np.full(60, m) for m in (0.05, 0.5, 0.95, 0.06)])
    below, above = (mean_field(curie_weiss(60, 40, singular_value=s), starts) for s in (3.8, 4.4))
    assert (len(below), len(above)) == (1, 3)
    assert above.found_from[0] == above.found_from[3]
    assert sorted(above.found_from[:3]) == [0, 1, 2]
    unstable = above.found_from[1]
    np.testing.assert_allclose(above.v[unstable], 0.5)
    np.testing.assert_allclose(above.stability[unstable], 1.1)
    assert (np.delete(above.stability, unstable) < 1).all()
    np.testing.assert_allclose(above.v.mean(axis=1).sum(), 1.5)
    assert np.isinf(above.one_loop[unstable])


@pytest.mark.parametrize("value", [4.0001, 4.003, 4.01])
def test_starts_near_a_transition_end_at_one_of_three_roots(value):
    def excess(logit_v):
        m_h = expit(value * np.sqrt(60 / 40) * (expit(logit_v) - 0.5))
        return value * np.sqrt(40 / 60) * (m_h - 0.5) - logit_v

    upper = expit(brentq(excess, 1e-3, 5, xtol=1e-13))
    found = mean_field(
        curie_weiss(60, 40, singular_value=value), np.random.default_rng(0).random((40, 60))
    )
    roots = np.array([0.5, upper, 1 - upper])
    for v in found.v:
        assert np.abs(v - roots[:, None]).max(axis=1).min() < 1e-6
    assert len(found) >= 2


def test_tap_converges_near_its_transition():
    rbm = planted(12, 10, singular_values=[1.0], rng=1)
    starts = np.random.default_rng(0).random((31, 12))
    for beta in np.arange(5.3, 5.42, 0.01):
        found = mean_field(rbm, starts, beta=beta, order=2)
        again = mean_field(rbm, found.v, beta=beta, order=2)
        np.testing.assert_allclose(again.v[again.found_from], found.v, atol=1e-7)


def test_at_the_transition_there_is_one_solution():
    for rbm in (
        curie_weiss(60, 40, singular_value=4.0),
        planted(60, 40, singular_values=[4.0], rng=0),
    ):
        assert len(mean_field(rbm, np.random.default_rng(0).random((40, 60)))) == 1


def test_newton_is_quadratic_near_a_solution():
    from rbmkit.mean_field import _Equations

    for order in (1, 2):
        equations = _Equations(example(), 1.0, order)
        x = equations.solve(np.zeros((1, 10)))
        errors = [np.abs(equations.newton(x + d) - x).max() for d in (1e-2, 1e-3)]
        assert errors[1] < 0.02 * errors[0]


def test_what_has_not_converged_is_an_error(monkeypatch):
    solution = mean_field(example()).v[0]
    monkeypatch.setattr("rbmkit.mean_field._MOST_STEPS", 3)
    with pytest.raises(
        ArithmeticError, match="1 of 2 starts have not converged after 3 steps: rows 1 of start"
    ):
        mean_field(example(), np.array([solution, np.full(10, 0.5)]))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"start": np.full(9, 0.5)}, "shape"),
        ({"start": np.full(10, 1.5)}, "means in"),
        ({"start": np.full(10, np.nan)}, "NaN"),
        ({"order": 3}, "order must be 1"),
        ({"beta": -1.0}, "beta must be 0 or above"),
    ],
)
def test_wrong_input_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        mean_field(example(), **kwargs)


@pytest.mark.parametrize("attribute", ["one_loop", "stability"])
def test_what_belongs_to_the_first_order_is_refused_for_tap(attribute):
    with pytest.raises(ValueError, match="order 1"):
        getattr(mean_field(example(), order=2), attribute)


def test_units_of_certain_value_do_no_harm():
    rbm = RBM(W=np.full((3, 2), 100.0), a=[-300.0, 0, 0], b=[-200.0, 5.0])
    for start in (np.zeros(3), np.ones(3), None):
        assert -1e-9 < saddle_log_z(rbm, start) <= exact_log_z(rbm) + 1e-9
