"""The picture on the front page: what it shows is measured, and only if two groups of chains
agree."""

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

import rbmkit
from rbmkit.figures.opening import Moment, mosaic, opening
from tools import opening as script


def test_density_of_a_normal_law():
    u = np.random.default_rng(0).normal(1.0, 2.0, (400, 50))
    p, error, counts = script.density(u)
    middle = (script.EDGES[1:] + script.EDGES[:-1]) / 2
    exact = np.exp(-((middle - 1) ** 2) / 8) / np.sqrt(8 * np.pi)
    seen = counts > script.RARE
    assert seen.sum() > 12
    assert np.abs((p - exact)[seen] / error[seen]).max() < 5  # the width of the bins is 1 % of it
    assert p.sum() * np.diff(script.EDGES)[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("gap", "agree"), [(0.0, True), (0.5, False)])
def test_groups_that_differ_are_no_samples(gap, agree, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    u = rng.normal(0, 2, (2, 300, 80)) + np.array([0, gap])[:, None, None]
    run = rbmkit.trajectory()
    chains = rbmkit.gibbs(run.rbm(0), 2 * script.CHAINS, steps=1, rng=0)
    monkeypatch.setattr(script, "measure", lambda rbm, rng: (u, chains))
    if agree:
        drawn = script.moment(run, 0.0, rng)
        assert drawn.images.shape == (12, 784)
        assert np.nanmin(drawn.potential) == pytest.approx(np.log(2 * np.sqrt(2 * np.pi)), abs=0.1)
        assert "minima at [" in capsys.readouterr().out
    else:
        with pytest.raises(RuntimeError, match="differ by"):
            script.moment(run, 0.0, rng)


def test_chains_of_both_ends_are_measured(monkeypatch):
    """Of an untrained model, whose pixels are nearly independent: all forget their start at
    once."""
    for name, value in {"CHAINS": 40, "FORGET": 20, "TIMES": 30, "APART": 2}.items():
        monkeypatch.setattr(script, name, value)
    rbm = rbmkit.trajectory().rbm(0)
    u, chains = script.measure(rbm, np.random.default_rng(0))
    assert u.shape == (2, 40, 30)
    assert chains.v.shape == (80, 784)
    m = rbmkit.reciprocal.modes(rbm)
    late = rbmkit.gibbs(rbm, np.zeros((400, 784), np.uint8), steps=20, rng=1)
    assert u.mean() == pytest.approx(script.leading_u(m, late).mean(), abs=0.2)
    assert abs(u[0].mean() - u[1].mean()) < 0.1


def test_one_column_for_each_moment():
    u = np.linspace(-5, 5, 11)
    sides = np.array([u**2, u**2 + 1])
    one = Moment("epoch 1", u, sides, np.full((2, 11), 0.1), np.zeros((12, 784)))
    _, ax = opening([one, one, one])
    assert ax.shape == (2, 3)
    assert [panel.get_title() for panel in ax[0]] == ["epoch 1"] * 3
    left, right = ax[0, 0].containers
    assert left.get_label() == "chains from the left"
    np.testing.assert_allclose(right[0].get_ydata() - left[0].get_ydata(), 1)
    # the mean of both sides begins at 0
    assert np.nanmin(left[0].get_ydata()) == pytest.approx(-0.5)


def test_mosaic_has_the_pictures_in_order():
    images = np.repeat(np.arange(1, 13.0)[:, None], 784, axis=1)
    tiles = mosaic(images)
    assert tiles.shape == (90, 120)
    np.testing.assert_array_equal(tiles[15::30, 15::30], np.arange(1, 13).reshape(3, 4))


def test_the_stored_picture_is_small():
    assert script.FILE.stat().st_size < 150_000
    height, width, _ = matplotlib.image.imread(script.FILE).shape
    assert 7.2 * 192 >= width > 1.5 * height > 900
    stored = Image.open(script.FILE).text
    assert float(stored["smallest text"]) >= 9
    assert stored["under legends"] == ""
