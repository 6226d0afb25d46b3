"""The server of the live explorers: one picture for all who ask, room for so many, and silence when
browsers leave."""

import socket
import struct
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from rbmkit.explorers import EXPLORERS, NOTEBOOKS
from rbmkit.explorers.controls import Choice, Slider
from rbmkit.explorers.explorer import Explorer, png
from rbmkit.explorers.training import Session, Steering
from rbmkit.figures.style import canvas
from tools import explore, frames

NOTEBOOK = "02_reciprocal_space"
PLAIN, PRESSED = "landscapes", "steering"  # the names at which the tests have other explorers


class Threads(ThreadPoolExecutor):
    """In place of the processes that draw; knows what they were asked for."""

    def __init__(self):
        super().__init__(4)
        self.calls = []

    def submit(self, function, *arguments):
        self.calls.append(arguments)
        return super().submit(function, *arguments)


def slow(setting):
    time.sleep(0.05)
    if setting["x"] == 3:
        raise ValueError("x must not\n be 3")
    return f"{setting['kind']} {setting['x']}".encode()


@pytest.fixture
def hall(monkeypatch):
    """A server with two explorers that draw texts, the second with buttons."""
    controls = {"x": Slider("x", 1, 0, 4), "kind": Choice("kind", "a", ["a", "b<"], listed=True)}
    plain = SimpleNamespace(picture=slow, controls=controls, buttons=())
    pressed = SimpleNamespace(controls={"x": Slider("x", 0, 0, 2)}, buttons=("go", "again"))
    pressed.picture = lambda *presses: repr([press["x"] for press in presses]).encode()
    monkeypatch.setattr(explore, "explorer", {PLAIN: plain, PRESSED: pressed}.get)
    pool = Threads()
    three_places = explore.Hall(pool, explore.Pictures(pool), explore.Readers(3))
    with explore.running("127.0.0.1", 0, three_places) as server:
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield server


def get(server, path, reader="me"):
    """Status, type and text of an answer."""
    cookie = {"Cookie": f"reader={reader}"}
    request = urllib.request.Request(server.address + path, headers=cookie)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["Content-Type"], answer.read().decode()


def test_list_and_pages(hall):
    text = get(hall, "/")[2]
    assert all(f"href='/{name}'" in text for name in EXPLORERS)
    assert all(explore.title(notebook) in text for notebook in NOTEBOOKS)
    page = get(hall, f"/{PLAIN}")[2]
    assert f'src="/{PLAIN}/1-0.png"' in page
    assert "data-live" in page
    assert "<option value='1'>b&lt;</option>" in page
    assert f'src="/{PRESSED}/start.png"' in get(hall, f"/{PRESSED}")[2]
    for file in ("frames.js", "frames.css"):
        assert f"/static/{file}" in page
        assert get(hall, f"/static/{file}")[0] == 200


def test_a_picture_is_drawn_once_for_all(hall):
    with ThreadPoolExecutor(8) as readers:
        answers = list(readers.map(lambda _: get(hall, f"/{PLAIN}/2-1.png"), range(8)))
    assert set(answers) == {(200, "image/png", "b< 2")}
    assert get(hall, f"/{PLAIN}/2-1.png")[2] == "b< 2"
    assert len(hall.hall.pool.calls) == 1


def test_only_the_latest_pictures_are_kept(hall, monkeypatch):
    monkeypatch.setattr(explore, "KEPT", 7)  # two of three bytes
    for x in (0, 1, 2, 2, 0):
        assert get(hall, f"/{PLAIN}/{x}-0.png")[2] == f"a {x}"
    assert [at for _, at in hall.hall.pool.calls] == ["0-0", "1-0", "2-0", "0-0"]
    assert hall.hall.pictures.size == 6


def test_a_button_continues_what_was_pressed_before(hall):
    assert get(hall, f"/{PRESSED}/start.png")[2] == "[]"
    assert get(hall, f"/{PRESSED}/2_0_1.png")[2] == "[2, 0, 1]"
    status, _, text = get(hall, f"/{PRESSED}/{'_'.join('0' * 100)}.png")
    assert (status, text) == (422, "That is far enough: start again.")


def test_an_explorer_that_cannot_draw_says_why(hall):
    assert get(hall, f"/{PLAIN}/3-0.png") == (422, "text/plain; charset=utf-8", "x must not be 3")


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        f"/{PLAIN}/9-0.png",
        f"/{PLAIN}/0.png",
        f"/{PLAIN}/start.png",
        f"/{PLAIN}/0-0_1-0.png",
        "/static/..%2Fconf.py",
        "/book/no",
    ],
)
def test_what_is_not_there(hall, path):
    assert get(hall, path)[0] == 404


def test_a_full_hall_is_polite(hall, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    page = tmp_path / "notebooks" / f"{NOTEBOOK}.html"
    page.write_text("frames")
    monkeypatch.setattr(explore, "BOOK", tmp_path)
    answers = [get(hall, f"/{PLAIN}", reader)[0] for reader in ("a", "b", "c", "d", "a")]
    assert answers == [200, 200, 200, 503, 200]
    _, kind, text = get(hall, f"/{PLAIN}", "d")
    assert kind.startswith("text/html")
    assert "All 3 places are taken" in text
    assert f"href='/book/notebooks/{NOTEBOOK}.html'" in text
    assert get(hall, f"/book/notebooks/{NOTEBOOK}.html", "d")[2] == "frames"
    page.unlink()
    assert "run.py book" in get(hall, f"/{PLAIN}", "d")[2]
    monkeypatch.setattr(explore, "AWAY", 0.0)  # all others have left
    assert get(hall, f"/{PLAIN}", "d")[0] == 200


def test_a_new_reader_gets_a_name(hall):
    with urllib.request.urlopen(f"{hall.address}/{PLAIN}", timeout=60) as answer:
        assert answer.headers["Set-Cookie"].startswith("reader=")


def test_a_browser_that_closes_is_no_error(hall, capfd):
    """Neither before the answer nor in the middle of it; the connection is reset, as by a browser
    that is killed."""
    for x in range(3):
        with socket.create_connection(hall.server_address) as browser:
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request = f"GET /{PLAIN}/{x}-1.png HTTP/1.1", "Host: here", "Cookie: reader=me"
            browser.sendall("\r\n".join([*request, "", ""]).encode())
    time.sleep(0.5)
    assert get(hall, f"/{PLAIN}/2-1.png")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_steering_shows_the_session_that_its_presses_made():
    """Whatever was kept, dropped or asked for by others in between."""
    presses = [
        {"method": "PCD", "steps": 5, "rate": 0.1},
        {"method": "CD", "steps": 1, "rate": 0.3},
    ]
    session = Session()
    pictures = [png(session.figure())]
    for press in presses:
        session.advance(**press)
        pictures.append(png(session.figure()))
    assert len(set(pictures)) == 3
    steering = Steering()
    for n in (2, 0, 1, 2):
        assert steering.picture(*presses[:n]) == pictures[n]
    assert png(steering.figure("PCD", 250)) == pictures[1]


def test_values_are_the_values_that_a_control_takes():
    assert Slider("n", 3, 1, 9, 2).values == [1, 3, 5, 7, 9]
    assert Slider("n", 1.0, -1, 1, base=10.0).values == pytest.approx([0.1, 1, 10])
    named = Choice("n", 2.0, [1.0, 2.0], texts=["one", "two"])
    assert frames.axis(named, named.values) == frames.Axis("n", ["one", "two"], 1)


def test_choices_have_the_ends_and_the_first_value():
    wide = frames.choices(Slider("n", 7, 1, 500), 6)
    assert (len(wide), wide[0], wide[-1]) == (6, 1, 500)
    assert 7 in wide
    assert wide[1] < 10  # in ratios
    assert frames.choices(Slider("n", 0.5, 0.0, 1.0, 0.25), 9) == [0, 0.25, 0.5, 0.75, 1]


def test_every_live_control_stands_where_that_of_the_notebook_does():
    """And at this place the page shows the picture of the notebook."""
    explorer = Line()
    control = explorer.controls["x"]
    at = frames.axis(control, control.values).start
    assert at == 3
    assert explorer.picture({"x": control.values[at]}) == bytes(explorer.box().children[-1].value)


class Line(Explorer):
    controls = {"x": Slider("x", 0.3, 0.0, 1.0, 0.1)}

    def figure(self, x):
        fig, ax = canvas()
        ax.plot([0, 1], [round(x, 9), 1])
        return fig
