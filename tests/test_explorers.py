"""The explorer of notebook 1, driven as its buttons would (that of notebook 2: test_reciprocal.py)."""

import sys

from rbmkit.explorers.training import Session, steer


def test_a_session_improves_and_draws():
    session = Session(seed=1)
    before = session.picture()
    after = session.advance("PCD", 5, 0.3, bursts=20)
    assert before.startswith(b"\x89PNG")
    assert after.startswith(b"\x89PNG")
    assert after != before
    assert len(session.likelihood) == 21
    assert session.training.update == 1000
    assert session.likelihood[-1] > session.likelihood[0] + 3  # nats; the exact likelihood of bars and stripes
    session.advance("CD", 1, 0.1, bursts=1)
    assert session.training.method == "CD"
    assert session.training.steps == 1


def test_buttons_train_and_start_again():
    settings, buttons, image = steer().children
    train, again, message = buttons.children
    pictures = [bytes(image.value)]
    for button in (train, train, again):
        button.click()
        pictures.append(bytes(image.value))
    assert len(set(pictures)) == 4
    assert "best possible" in message.value


def test_extreme_settings_give_a_message_not_a_traceback():
    (method, steps, rate), (train, _, message) = (row.children for row in steer().children[:2])
    method.value, steps.value, rate.value = "Rdm", steps.max, 10.0**rate.max
    for _ in range(3):
        train.click()
    assert "nats" in message.value or "learning rate" in message.value


def test_without_ipywidgets_a_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert steer() is None
    assert "needs ipywidgets" in capsys.readouterr().out
