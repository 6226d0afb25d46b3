"""The server of the live explorers: one picture for all who ask, room for so many, and silence when browsers leave."""

import socket
import struct
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import ipywidgets
import pytest

from rbmkit.explorers.training import Replay, Session
from rbmkit.explorers.widgets import explorer
from tools import explore, frames

NAME = "02_reciprocal_space"


class Threads(ThreadPoolExecutor):
    """In place of the processes that draw; knows what they were asked for."""

    def __init__(self):
        super().__init__(4)
        self.calls = []

    def submit(self, function, *arguments):
        self.calls.append(arguments)
        return super().submit(function, *arguments)


def slow(x, kind):
    time.sleep(0.05)
    if x == 3:
        raise ValueError("x must not\n be 3")
    return f"{kind} {x}".encode()


@pytest.fixture
def hall(monkeypatch):
    """A server with two explorers that draw texts, the second with buttons."""
    plain = SimpleNamespace(frame=slow, controls={"x": ipywidgets.IntSlider(1, 0, 4)})
    plain.controls["kind"] = ipywidgets.Dropdown(options=["a", "b<"])
    pressed = SimpleNamespace(settings={"x": ipywidgets.IntSlider(0, 0, 2)}, buttons=("go", "again"), controls={})
    pressed.replay = lambda presses: repr([press["x"] for press in presses]).encode()
    monkeypatch.setattr(explore, "boxes", lambda name: [plain, pressed])
    pool = Threads()
    with explore.running("127.0.0.1", 0, explore.Hall(pool, explore.Pictures(pool), explore.Readers(3))) as server:
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield server


def get(server, path, reader="me"):
    """Status, type and text of an answer."""
    request = urllib.request.Request(server.address + path, headers={"Cookie": f"reader={reader}"} if reader else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["Content-Type"], answer.read().decode()


def test_list_and_pages(hall):
    text = get(hall, "/")[2]
    assert all(f"/{name}/{k}'" in text for name in explore.with_explorers() for k in range(len(explore.headings(name))))
    page = get(hall, f"/{NAME}/0")[2]
    assert f'src="/{NAME}/0/1-0.png"' in page
    assert "data-live" in page
    assert "<option value='1'>b&lt;</option>" in page
    assert f'src="/{NAME}/1/start.png"' in get(hall, f"/{NAME}/1")[2]
    for file in ("frames.js", "frames.css"):
        assert f"/static/{file}" in page
        assert get(hall, f"/static/{file}")[0] == 200


def test_a_picture_is_drawn_once_for_all(hall):
    with ThreadPoolExecutor(8) as readers:
        answers = list(readers.map(lambda _: get(hall, f"/{NAME}/0/2-1.png"), range(8)))
    assert set(answers) == {(200, "image/png", "b< 2")}
    assert get(hall, f"/{NAME}/0/2-1.png")[2] == "b< 2"
    assert len(hall.hall.pool.calls) == 1


def test_only_the_latest_pictures_are_kept(hall, monkeypatch):
    monkeypatch.setattr(explore, "KEPT", 7)  # two of three bytes
    for x in (0, 1, 2, 2, 0):
        assert get(hall, f"/{NAME}/0/{x}-0.png")[2] == f"a {x}"
    assert [at for _, _, at in hall.hall.pool.calls] == ["0-0", "1-0", "2-0", "0-0"]
    assert hall.hall.pictures.size == 6


def test_a_button_continues_what_was_pressed_before(hall):
    assert get(hall, f"/{NAME}/1/start.png")[2] == "[]"
    assert get(hall, f"/{NAME}/1/2_0_1.png")[2] == "[2, 0, 1]"
    status, _, text = get(hall, f"/{NAME}/1/{'_'.join('0' * 100)}.png")
    assert (status, text) == (422, "That is far enough: start again.")


def test_an_explorer_that_cannot_draw_says_why(hall):
    assert get(hall, f"/{NAME}/0/3-0.png") == (422, "text/plain; charset=utf-8", "x must not be 3")


@pytest.mark.parametrize(
    "path", ["/x", "/x/0", f"/{NAME}/2", f"/{NAME}/0/9-0.png", f"/{NAME}/0/0.png", "/static/..%2Fconf.py", "/book/no"]
)
def test_what_is_not_there(hall, path):
    assert get(hall, path)[0] == 404


def test_a_full_hall_is_polite(hall, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    page = tmp_path / "notebooks" / f"{NAME}.html"
    page.write_text("frames")
    monkeypatch.setattr(explore, "BOOK", tmp_path)
    assert [get(hall, f"/{NAME}/0", reader)[0] for reader in ("a", "b", "c", "d", "a")] == [200, 200, 200, 503, 200]
    _, kind, text = get(hall, f"/{NAME}/0", "d")
    assert kind.startswith("text/html")
    assert "All 3 places are taken" in text
    assert f"href='/book/notebooks/{NAME}.html'" in text
    assert get(hall, f"/book/notebooks/{NAME}.html", "d")[2] == "frames"
    page.unlink()
    assert "run.py book" in get(hall, f"/{NAME}/0", "d")[2]
    monkeypatch.setattr(explore, "AWAY", 0.0)  # all others have left
    assert get(hall, f"/{NAME}/0", "d")[0] == 200


def test_a_new_reader_gets_a_name(hall):
    with urllib.request.urlopen(f"{hall.address}/{NAME}/0", timeout=60) as answer:
        assert answer.headers["Set-Cookie"].startswith("reader=")


def test_a_browser_that_closes_is_no_error(hall, capfd):
    """Neither before the answer nor in the middle of it; the connection is reset, as by a browser that is killed."""
    for x in range(3):
        with socket.create_connection(hall.server_address) as browser:
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            browser.sendall(f"GET /{NAME}/0/{x}-1.png HTTP/1.1\r\nHost: here\r\nCookie: reader=me\r\n\r\n".encode())
    time.sleep(0.5)
    assert get(hall, f"/{NAME}/0/2-1.png")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_replay_is_the_session_that_its_presses_made():
    """Whatever was kept, dropped or asked for by others in between."""
    presses = [{"method": "PCD", "steps": 5, "rate": 0.1}, {"method": "CD", "steps": 1, "rate": 0.3}]
    session, replay = Session(), Replay()
    pictures = [session.picture()] + [session.advance(*press.values()) for press in presses]
    assert [replay(presses[:n]) for n in (2, 0, 1, 2)] == [pictures[n] for n in (2, 0, 1, 2)]


def test_positions_are_the_values_that_a_control_takes():
    assert frames.positions(ipywidgets.IntSlider(3, 1, 9, 2)) == [1, 3, 5, 7, 9]
    assert frames.positions(ipywidgets.FloatLogSlider(1, min=-1, max=1, step=1)) == pytest.approx([0.1, 1, 10])
    assert frames.positions(ipywidgets.Checkbox(True)) == [False, True]
    named = ipywidgets.SelectionSlider(options=[("one", 1.0), ("two", 2.0)], value=2.0, description="n")
    assert frames.axis("x", named, frames.positions(named)) == frames.Axis("n", ["one", "two"], 1)


def test_choices_have_the_ends_and_the_present_value():
    wide = frames.choices(ipywidgets.IntSlider(7, 1, 500), 6)
    assert (len(wide), wide[0], wide[-1]) == (6, 1, 500)
    assert 7 in wide
    assert wide[1] < 10  # in ratios
    assert frames.choices(ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.25), 9) == [0, 0.25, 0.5, 0.75, 1]


def test_every_live_control_stands_where_that_of_the_notebook_does():
    """And at this place the page shows the picture of the notebook."""
    box = explorer({"x": ipywidgets.FloatSlider(0.3, min=0, max=1, step=0.1)}, lambda x: figure(x))
    at = frames.axis("x", box.controls["x"], frames.positions(box.controls["x"])).start
    assert at == 3
    assert box.frame(x=frames.positions(box.controls["x"])[at]) == bytes(box.children[-1].value)


def figure(x):
    from rbmkit.figures.style import canvas

    fig, ax = canvas()
    ax.plot([0, 1], [round(x, 9), 1])
    return fig
