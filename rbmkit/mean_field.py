"""Mean field: the saddle-point equations (27a-f) and what their solutions say about ln Z.

    m_v = sigma(beta (a + W m_h)),        m_h = sigma(beta (b + W^T m_v)),

solved by `mean_field`, from as many starts as one likes. From there on ln Z is approximated by

* `saddle_log_z`: the action at the saddle; a rigorous lower bound;
* `one_loop_log_z`: with the Gaussian fluctuations about it, -1/2 ln det(1 - A A^T), A the
  `response` at the gains m (1 - m); finite while `stability`, the largest singular value of A, is
  below 1;
* `tap_log_z`: the mean field of second order in the couplings (Thouless, Anderson and Palmer;
  Plefka); no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from rbmkit import checks
from rbmkit.model import RBM, softplus

_TOLERANCE = 1e-11  # a solution: no mean changes by more than this in one sweep
# two solutions: some mean differs by more than this; at a triple root, as for beta lambda_1 = 4,
# the tolerance above leaves a mean uncertain by about its cube root, 2e-4
_DISTINCT = 1e-3
_SWEEPS = 60  # before Newton's method
_MOST_STEPS = 400
_LONGEST_STEP = 3.0  # of a logit, in a step of Newton's method
_CONJUGATE_GRADIENTS = 60  # per step of Newton's method
_GAIN = 1e-10  # in ln Z: above rounding
# sweeps in one, straight on, adapted as it goes: leaves saddles, where Newton's method makes tiny
# steps
_FAR = 30.0
_MARGIN = 1e-12  # starts are kept this far from 0 and 1


# ---------------------------------------------------------------- solutions
@dataclass(frozen=True, eq=False)
class MeanField:
    """Solutions of the mean-field equations, the one of largest `log_z` first; made by
    `mean_field`.

    Attributes
    ----------
    v, h : (n, N) and (n, M) arrays
        Means of the units, in [0, 1]: the n different solutions.
    log_z : (n,) array
        Approximate ln Z at each. Of first order it is a lower bound on ln Z.
    found_from : (starts,) int array
        The solution that each start led to.
    rbm, beta, order
        What was solved.
    """

    v: np.ndarray
    h: np.ndarray
    log_z: np.ndarray
    found_from: np.ndarray
    rbm: RBM
    beta: float
    order: int

    def __repr__(self) -> str:
        counts = f"{len(self.v)} solutions from {len(self.found_from)} starts"
        return f"MeanField({counts}, order {self.order})"

    def __len__(self) -> int:
        return len(self.v)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """Singular values of A at each solution, descending: (n, min(N, M)). About 30 ms per
        solution at M = 500."""
        return np.array(
            [_spectrum(self.rbm, v, h, self.beta) for v, h in zip(self.v, self.h, strict=True)]
        )

    @property
    def stability(self) -> np.ndarray:
        """Largest singular value of A at each solution, (n,): at a maximum of the bound at most 1,
        above 1 at others.

        For solutions of first order: `log_z` of second order has another curvature.
        """
        self._first_order("stability")
        return self.spectrum[:, 0]

    @cached_property
    def one_loop(self) -> np.ndarray:
        """log_z - 1/2 ln det(1 - A A^T) at each solution, (n,); infinite where `stability` is not
        below 1.

        For solutions of first order: those of second order hold part of the fluctuations already.
        """
        self._first_order("the one-loop correction")
        squares = np.where(self.stability[:, None] < 1, self.spectrum**2, 0)
        return np.where(self.stability < 1, self.log_z - np.log1p(-squares).sum(axis=1) / 2, np.inf)

    def _first_order(self, what: str) -> None:
        if self.order != 1:
            raise ValueError(f"{what} belongs to solutions of order 1; these are of order 2 (TAP)")


def mean_field(
    rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0, order: int = 1
) -> MeanField:
    """Solve the mean-field equations, the saddle-point equations (27a-f), from one or many starts.

    Each sweep sets the means of the hidden units to the optimum at fixed visible ones, and then the
    reverse; the approximate ln Z never falls. Starts that are slow go on with steps of Newton's
    method (conjugate gradients inside) and long steps along the last sweep; a step counts only if
    it raises ln Z, or at least halves the change.

    Parameters
    ----------
    rbm : RBM
    start : (N,) or (n, N) array, optional
        Visible means in [0, 1] to start from: data, samples, random numbers. Default: all 1/2.
    beta : float, optional
        Inverse temperature, >= 0.
    order : {1, 2}, optional
        1: naive mean field. 2: with Onsager's reaction term (TAP), of second order in the
        couplings,

            ln Z_2 = ln Z_1 + beta^2/2 sum_ij W_ij^2 m_i (1 - m_i) m_j (1 - m_j).

    Returns
    -------
    MeanField
        All different solutions. A start at a solution stays there, also at an unstable one.

    Raises
    ------
    ValueError
        `start` has the wrong width or values outside [0, 1]; `order` is not 1 or 2; `beta`
        negative.
    ArithmeticError
        Some start has not converged.
    """
    checks.instance(rbm, RBM, "rbm")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 (naive mean field) or 2 (TAP), got {order!r}")
    beta = checks.inverse_temperature(beta)
    start = _starts(start, rbm.N)
    equations = _Equations(rbm, beta, order)
    x_v = equations.solve(logit(np.clip(start, _MARGIN, 1 - _MARGIN)))
    x_h = equations.hidden(x_v)
    first, found_from = _distinct(expit(x_v))
    log_z = equations.log_z(x_v[first], x_h[first])
    ranking = np.argsort(-log_z)
    chosen = first[ranking]
    rank = np.argsort(ranking)
    return MeanField(
        expit(x_v[chosen]), expit(x_h[chosen]), log_z[ranking], rank[found_from], rbm, beta, order
    )


def sweep(
    rbm: RBM, v: np.ndarray, *, fields: np.ndarray, order: int = 1, sweeps: int = 1
) -> np.ndarray:
    """Sweeps of the mean-field equations with visible fields of their own in each row, beta = 1.

    Parameters
    ----------
    rbm : RBM
    v, fields : (n, N) arrays
        Means to start from, in [0, 1], and the visible fields in place of `rbm.a`.
    order : {1, 2}
        As in `mean_field`.
    sweeps : int

    Returns
    -------
    (n, N) array
        Visible means after the last sweep: near a solution, or not.
    """
    checks.instance(rbm, RBM, "rbm")
    fields = checks.real_array(fields, (None, rbm.N), "fields")
    equations = _Equations(rbm, 1.0, order)
    equations.a = fields
    x = logit(np.clip(_starts(v, rbm.N), _MARGIN, 1 - _MARGIN))
    for _ in range(checks.positive_int(sweeps, "sweeps")):
        x = equations.visible(equations.hidden(x))
    return expit(x)


def saddle_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """ln Z at the saddle point of the action, the best one found from `start` (default 1/2): a
    lower bound on ln Z.

    The arguments are those of `mean_field`. The constant -(N + M) ln(2 pi) of Eq. (25) is left out:
    the fluctuations cancel it, see `one_loop_log_z`. In a symmetric model with beta lambda_1 > 4
    the default start is itself a solution, the unstable one, and by far not the best: give other
    starts.
    """
    return float(mean_field(rbm, start, beta=beta).log_z[0])


def one_loop_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """`saddle_log_z` with Gaussian fluctuations about that saddle, - 1/2 ln det(1 - A A^T).

    Infinite if the saddle is not stable (`stability` >= 1). The arguments are those of
    `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta).one_loop[0])


def tap_log_z(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """ln Z in the mean field of second order (TAP): the largest found from `start`. It is not a
    bound.

    The arguments are those of `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta, order=2).log_z[0])


def stability(rbm: RBM, start: np.ndarray | None = None, *, beta: float = 1.0) -> float:
    """Largest singular value of A at the saddle of `saddle_log_z`; fluctuations about it are stable
    below 1.

    At m = 1/2 it is beta lambda_1 / 4. The arguments are those of `mean_field`.
    """
    return float(mean_field(rbm, start, beta=beta).stability[0])


def response(rbm: RBM, gain_v: np.ndarray, gain_h: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """A = beta sqrt(g_v) W sqrt(g_h), (N, M): how the layers answer each other; g are the slopes of
    mean against field.

    At a mean-field solution the gains are m (1 - m), and at m = 1/2 A has the singular values beta
    lambda / 4.
    """
    checks.instance(rbm, RBM, "rbm")
    return beta * np.sqrt(gain_v)[:, None] * rbm.W * np.sqrt(gain_h)


# ---------------------------------------------------------------- the equations
class _Equations:
    """Mean-field equations of one RBM at one temperature; x are logits of means, rows are
    independent problems."""

    def __init__(self, rbm: RBM, beta: float, order: int):
        self.W = beta * rbm.W
        self.a = beta * rbm.a
        self.b = beta * rbm.b
        self.W2 = self.W**2 if order == 2 else None

    def hidden(self, x_v: np.ndarray) -> np.ndarray:
        m = expit(x_v)
        return _best(self.b + m @ self.W, None if self.W2 is None else (m * (1 - m)) @ self.W2)

    def visible(self, x_h: np.ndarray) -> np.ndarray:
        m = expit(x_h)
        return _best(self.a + m @ self.W.T, None if self.W2 is None else (m * (1 - m)) @ self.W2.T)

    def log_z(self, x_v: np.ndarray, x_h: np.ndarray) -> np.ndarray:
        """Mean energy (times -beta) and entropy of independent units, and the Onsager term."""
        v = expit(x_v)
        h = expit(x_h)
        value = v @ self.a + h @ self.b + ((v @ self.W) * h).sum(axis=1)
        value += (softplus(x_v) - v * x_v).sum(axis=1) + (softplus(x_h) - h * x_h).sum(axis=1)
        return (
            value
            if self.W2 is None
            else value + (((v * (1 - v)) @ self.W2) * h * (1 - h)).sum(axis=1) / 2
        )

    def solve(self, x: np.ndarray) -> np.ndarray:
        """Visible logits of a solution for each row of starts x."""
        x = x.copy()
        todo = np.arange(len(x))
        reach = np.full((len(x), 1), _FAR)
        for step in range(_MOST_STEPS):
            now = x[todo]
            swept, change = self.sweep(now)
            if step >= _SWEEPS:
                a_sweep = self.valued(swept, change)
                newton = self.landing(self.newton(now))
                straight_on = self.landing(now + reach[todo] * (swept - now))
                swept, change = _best_of(a_sweep, newton, straight_on)
                went_up = straight_on.log_z > a_sweep.log_z
                reach[todo] *= np.where(went_up, 2.0, 0.5)[:, None]
            x[todo] = swept
            todo = todo[change > _TOLERANCE]
            if not len(todo):
                return x
        raise ArithmeticError(
            f"mean field: {len(todo)} of {len(x)} starts have not converged after {_MOST_STEPS} "
            "steps: "
            f"rows {', '.join(map(str, todo))} of start (means still change by "
            f"{change.max():.1e}); "
            "leave them out, or try another beta"
        )

    def sweep(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update of both layers, and the largest change of a visible mean in each row."""
        swept = self.visible(self.hidden(x))
        return swept, np.abs(expit(swept) - expit(x)).max(axis=1)

    def landing(self, x: np.ndarray) -> _Landing:
        """Where a move that ends at x lands: every move is followed by a sweep."""
        return self.valued(*self.sweep(x))

    def valued(self, swept: np.ndarray, change: np.ndarray) -> _Landing:
        """A sweep with its ln Z."""
        return _Landing(swept, change, self.log_z(swept, self.hidden(swept)))

    def newton(self, x_v: np.ndarray) -> np.ndarray:
        """One step of Newton's method: the Hessian of ln Z, hidden units eliminated, by
        conjugate gradients."""
        x_h = self.hidden(x_v)
        v = expit(x_v)
        h = expit(x_h)
        s_v = v * (1 - v)
        s_h = h * (1 - h)
        residual = self.a + h @ self.W.T - x_v
        stiff_v = stiff_h = 1.0
        if self.W2 is not None:
            c_v = s_h @ self.W2.T
            c_h = s_v @ self.W2
            residual += c_v * (0.5 - v)
            stiff_v = 1 + c_v * s_v
            stiff_h = 1 + c_h * s_h

        # of visible means, through the hidden units, to their fields
        def feedback(
            change: np.ndarray,
        ) -> np.ndarray:
            field = change @ self.W
            if self.W2 is not None:
                field += (change * (1 - 2 * v)) @ self.W2 * (0.5 - h)
            answer = field * s_h / stiff_h
            field = answer @ self.W.T
            if self.W2 is not None:
                field += (answer * (1 - 2 * h)) @ self.W2.T * (0.5 - v)
            return field

        root = np.sqrt(s_v / stiff_v)
        change = root * _conjugate_gradients(
            lambda p: p - root * feedback(root * p), root * residual
        )
        return x_v + np.clip((residual + feedback(change)) / stiff_v, -_LONGEST_STEP, _LONGEST_STEP)


@dataclass(frozen=True, eq=False)
class _Landing:
    """Visible logits x (n, N) after a move, and of each row the change by its last sweep and ln
    Z."""

    x: np.ndarray
    change: np.ndarray
    log_z: np.ndarray


def _best_of(a_sweep: _Landing, *others: _Landing) -> tuple[np.ndarray, np.ndarray]:
    """The rule of acceptance: another move counts where it raises ln Z, or at least halves the
    change.

    Returns logits and changes of the moves that were taken, row by row.
    """
    x = a_sweep.x.copy()
    change = least = a_sweep.change
    log_z = a_sweep.log_z
    for move in others:
        better = (move.log_z > log_z + _GAIN) | (move.change < least / 2)
        x[better] = move.x[better]
        log_z = np.where(better, move.log_z, log_z)
        change = np.where(better, move.change, change)
        least = np.minimum(least, change)
    return x, change


def _best(field: np.ndarray, onsager: np.ndarray | None) -> np.ndarray:
    """Root x of x + c (sigma(x) - 1/2) = field, c >= 0: Newton's method from below |x|, which
    never overshoots."""
    if onsager is None:
        return field
    x = field / (1 + onsager / 4)
    for _ in range(100):
        m = expit(x)
        step = (field - x - onsager * (m - 0.5)) / (1 + onsager * m * (1 - m))
        x = x + step
        if np.all(np.abs(step) <= 1e-14 * (1 + np.abs(x))):
            break
    return x


def _conjugate_gradients(apply, rhs: np.ndarray) -> np.ndarray:
    """Solve apply(x) = rhs for each row; a row stops where it meets a direction of negative
    curvature."""
    x = np.zeros_like(rhs)
    r = rhs.copy()
    p = r.copy()
    rr = (r**2).sum(axis=1)
    enough = rr * np.minimum(1e-2, rr)  # far from the solution a rough direction will do
    for _ in range(_CONJUGATE_GRADIENTS):
        q = apply(p)
        curvature = (p * q).sum(axis=1)
        go = (curvature > 0) & (rr > enough)
        if not go.any():
            break
        step = np.where(go, rr / np.where(go, curvature, 1), 0)[:, None]
        x = x + step * p
        r = r - step * q
        previous = rr
        rr = np.where(go, (r**2).sum(axis=1), 0)
        p = r + np.where(go, rr / np.where(go, previous, 1), 0)[:, None] * p
    return x


def _starts(start: np.ndarray | None, N: int) -> np.ndarray:
    if start is None:
        return np.full((1, N), 0.5)
    start = np.atleast_2d(np.asarray(start))
    start = checks.real_array(start, (None, N), "start")
    if start.min() < 0 or start.max() > 1:
        raise ValueError(
            f"start must hold means in [0, 1], found values from {start.min()} to {start.max()}"
        )
    return start


def _distinct(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first row of each kind, and the kind of each row."""
    first = []
    kind = np.empty(len(m), int)
    for k, row in enumerate(m):
        same = np.flatnonzero(np.abs(m[first] - row).max(axis=1) < _DISTINCT) if first else []
        if len(same):
            kind[k] = same[0]
        else:
            kind[k] = len(first)
            first.append(k)
    return np.array(first), kind


def _spectrum(rbm: RBM, v: np.ndarray, h: np.ndarray, beta: float) -> np.ndarray:
    """Singular values of the `response` at a solution, descending."""
    A = response(rbm, v * (1 - v), h * (1 - h), beta)
    square = A.T @ A if rbm.M <= rbm.N else A @ A.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(square)[::-1], 0))
