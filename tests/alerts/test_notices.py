"""Notices leave for receivers that answer, fail, hang and are gone; nobody waits for them."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from podstack import MissingExtraError, UsageError, WrongTypeError, config
from podstack.alerts import notices
from podstack.alerts.receivers import Notice
from podstack.testing.stage import Stage

WAIT = 240.0  # seconds that nothing here needs
NOTICE = Notice(
    run_id="r-1",
    run_name="quiet-otter-82",
    experiment="digits",
    condition="val_loss > 2.0",
    message="diverged?",
    metric="val_loss",
    value=2.3125,
    step=120,
    time=1763935530.0,
    url="/a/store",
)
LINE = 'run quiet-otter-82: alert "val_loss > 2.0": val_loss = 2.3125 at step 120 — diverged?'


class Receiver:
    """A real HTTP server: what it got, and how it answers: the path of a request says that."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.release = threading.Event()  # what hangs, hangs until then
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.paths.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(json.loads(body))
                if self.path == "/hang":
                    receiver.release.wait(WAIT)
                if self.path in ("/hang", "/reset"):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(int(self.path[1:]))
                self.send_header("Location", "/200")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def address(self, answer: str) -> str:
        patient = "" if "?" in answer else f"?cto={WAIT}&rto={WAIT}"
        return f"json://user:s3cret@127.0.0.1:{self.port}/{answer}{patient}"

    def hears(self, count: int) -> None:
        """Wait for requests that were sent; one that was given up may be read later."""
        deadline = time.monotonic() + WAIT
        while len(self.paths) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(autouse=True)
def _quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_PAUSES", (0.01, 0.01))


def send(notify: notices.Notify, *what: Notice) -> int:
    """How many notices are left after everything was handed over or given up."""
    boxes = notices.mailboxes_of(notify)
    for notice in what or (NOTICE,):
        for box in boxes:
            box.put(notice)
    return notices.wait(WAIT)


def test_every_alert_is_told_to_the_log_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert send(None) == 0

    told = [r for r in caplog.records if NOTICE.run_name in r.getMessage()]  # others' may trail in
    assert [(r.name, r.levelname, r.getMessage()) for r in told] == [("podstack", "WARNING", LINE)]


def test_what_names_and_messages_hold_steers_no_terminal_and_fills_no_template(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = "%(x)s {{7*7}} ${HOME} \x1b[31m\r\nERROR forged\u2028line"
    send(None, NOTICE._replace(message=odd, run_name=odd, metric=odd, condition=odd))
    (record,) = [r for r in caplog.records if "ERROR forged" in r.getMessage()]

    assert len(record.getMessage().splitlines()) == 1
    assert record.getMessage().isprintable()
    assert "%(x)s {{7*7}} ${HOME} " in record.getMessage()


def test_a_function_gets_the_notice_and_its_fields() -> None:
    got: list[Notice] = []
    send(got.append)

    assert got == [NOTICE]
    assert (got[0].run_id, got[0].value, got[0].step) == ("r-1", 2.3125, 120)


def test_notices_reach_a_function_in_their_order_and_each_once() -> None:
    got: list[Notice] = []
    sent = [NOTICE._replace(step=step) for step in range(300)]
    send(got.append, *sent)

    assert got == sent


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_a_function_that_raises_is_told_and_the_next_notice_still_comes(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[int] = []

    def failing(notice: Notice) -> None:
        got.append(notice.step)
        if notice.step == 1:
            raise error

    send(failing, NOTICE._replace(step=1), NOTICE._replace(step=2))

    assert got == [1, 2]
    assert any("the function 'failing'" in r.getMessage() for r in caplog.records)


def test_an_address_gets_title_and_text_as_text(receiver: Receiver) -> None:
    odd = "<b>{{7*7}}</b> ${HOME}\nsecond \x1b[31mline"
    send(receiver.address("200"), NOTICE._replace(message=odd))
    (got,) = receiver.got

    assert got["title"] == 'run quiet-otter-82: alert "val_loss > 2.0"'
    assert got["message"].startswith("val_loss = 2.3125 at step 120.\n<b>{{7*7}}</b> ${HOME}\n")
    assert "r-1" in got["message"]
    assert "\x1b" not in got["message"]


def test_one_address_of_several_alerts_is_one_receiver(receiver: Receiver) -> None:
    address = receiver.address("200")
    first = notices.mailboxes_of(address)
    second = notices.mailboxes_of([address, receiver.address("204")])

    assert first[-1] is second[1]
    assert len(second) == 3  # the log is one


def test_the_environment_names_addresses_for_every_alert(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = f" {receiver.address('200')}, {receiver.address('204')}\n"
    monkeypatch.setenv("PODSTACK_NOTIFY", addresses)
    send([receiver.address("200"), receiver.address("201")])

    assert sorted(receiver.paths) == ["/200", "/201", "/204"]


@pytest.mark.parametrize(
    ("answer", "tries", "reason"),
    [
        ("500", 3, "it answered 500"),
        ("429", 3, "it answered 429"),
        ("reset", 3, "it does not answer"),
        ("hang?rto=0.2", 3, "it does not answer"),
        ("403", 1, "it answered 403"),
        ("302", 1, "it answered 302"),
    ],
)
def test_an_address_that_fails_is_tried_a_few_times_and_told_without_its_secrets(
    answer: str,
    tries: int,
    reason: str,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        send(receiver.address(answer))
    receiver.hears(tries)
    told = [r.getMessage() for r in caplog.records if r.name == "podstack"]

    assert len(receiver.paths) == tries
    assert len(set(receiver.paths)) == 1  # a redirect is not followed
    assert f"not taken by the json:// address: {reason}. {LINE}" in told
    heard = "\n".join([caplog.text, *capfd.readouterr()])
    assert "s3cret" not in heard
    assert f":{receiver.port}" not in heard


def test_a_dead_port_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        send(f"json://127.0.0.1:{port}")  # while nobody else can take it

    assert "it does not answer" in caplog.text


def test_a_receiver_that_hangs_delays_neither_the_call_nor_other_receivers() -> None:
    release, begun, came = threading.Event(), threading.Event(), threading.Event()

    def hangs(notice: Notice) -> None:
        begun.set()
        release.wait(WAIT)

    slow, quick = notices.mailboxes_of(hangs), notices.mailboxes_of(lambda notice: came.set())
    slow[-1].put(NOTICE)
    quick[-1].put(NOTICE)

    assert came.wait(WAIT)
    assert begun.wait(WAIT)
    assert quick[-1].wait(time.monotonic() + WAIT)
    assert slow[-1].left == 1
    assert notices.wait(0.05) == 1
    release.set()
    assert notices.wait(WAIT) == 0


def test_notices_beyond_the_bound_are_dropped_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "WAITING", 10)
    release, begun, got = threading.Event(), threading.Event(), []

    def slow(notice: Notice) -> None:
        begun.set()
        release.wait(WAIT)
        got.append(notice.step)

    *_, box = notices.mailboxes_of(slow)
    box.put(NOTICE)
    assert begun.wait(WAIT)
    for _ in range(15):
        box.put(NOTICE)
    release.set()
    notices.wait(WAIT)

    assert len(got) == 11
    assert "5 notices of alerts were dropped" in caplog.text


def test_a_thread_that_has_nothing_to_do_ends_and_another_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "_IDLE", 0.01)
    threads: list[threading.Thread] = []
    *_, box = notices.mailboxes_of(lambda notice: threads.append(threading.current_thread()))
    for _ in range(2):
        box.put(NOTICE)
        notices.wait(WAIT)
        threads[-1].join(WAIT)

        assert not threads[-1].is_alive()
    assert threads[0] is not threads[1]


SECRET = "json://user:s3cret@host\r\nX: y/t0ken"


@pytest.mark.parametrize(
    ("notify", "error", "words"),
    [
        ("nonsense s3cret", UsageError, "not shown"),
        (SECRET, UsageError, "not shown"),
        ("json://" + "s3cret" * 10_000, UsageError, "60007 characters"),
        ("no-such-scheme://s3cret", UsageError, "apprise cannot use"),
        ("foo://s3cret", UsageError, "apprise cannot use the foo:// address"),
        ("slack://s3cret", UsageError, "apprise cannot use the slack:// address"),
        (["json://s3cret", 5], WrongTypeError, "a string, not a int"),
        (5, WrongTypeError, "a function, an apprise address"),
        ({"a": "json://s3cret"}, WrongTypeError, "not a dict"),
        ([f"json://s3cret-{i}" for i in range(21)], UsageError, "at most 20 addresses, not 21"),
    ],
)
def test_what_cannot_be_notified_is_refused_without_being_shown(
    notify: Any, error: type[Exception], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=words) as raised:
        notices.mailboxes_of(notify)

    assert "s3cret" not in str(raised.value) + caplog.text
    assert len(str(raised.value)) < 2000


def test_an_async_function_is_refused() -> None:
    async def send_it(notice: Notice) -> None: ...

    with pytest.raises(WrongTypeError, match="async function"):
        notices.mailboxes_of(send_it)


def test_without_apprise_an_address_names_the_extra_and_a_function_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'podstack\[notify\]'"):
        notices.mailboxes_of("json://127.0.0.1")

    assert len(notices.mailboxes_of(print)) == 2


def test_the_end_of_the_script_waits_for_a_receiver_that_answers(stage: Stage) -> None:
    ended = stage.play(
        """
        from podstack.alerts import notices
        notices.AT_EXIT = 200.0
        def slowly(notice):
            time.sleep(0.5)
            print("told", notice.step, flush=True)
        with client.start_run(run_id="r") as run:
            run.create_alert("loss is nan", notify=slowly)
            run.log_metrics({"loss": float("nan")}, step=7)
        """
    )

    assert ended.code == 0
    assert ended.out == "told 7\n"


def test_the_end_of_the_script_does_not_wait_for_ever_and_says_what_is_left(stage: Stage) -> None:
    ended = stage.play(
        """
        from podstack.alerts import notices
        notices.AT_EXIT = 0.5
        with client.start_run(run_id="r") as run:
            run.create_alert("loss > 1", notify=lambda notice: threading.Event().wait())
            run.log_metrics({"loss": 2.0}, step=7)
        print(notices._mailboxes[""].wait(time.monotonic() + 200))  # the log has its own
        """
    )

    assert ended.code == 0
    assert ended.out == "True\n"
    assert "1 notices of alerts were not taken within" in ended.err
    assert [firing.step for firing in stage.run().fired_alerts] == [7]


def test_at_the_end_an_address_is_reached_too(stage: Stage, receiver: Receiver) -> None:
    ended = stage.play(
        f"""
        from podstack.alerts import notices
        notices.AT_EXIT = 200.0
        with client.start_run(run_id="r") as run:
            run.create_alert("loss > 1", notify={receiver.address("200")!r})
            run.log_metrics({{"loss": 2.0}}, step=7)
        """
    )

    assert ended.code == 0
    assert len(receiver.got) == 1


def test_a_forked_child_does_not_deliver_what_waits_for_its_parent(stage: Stage) -> None:
    ended = stage.play(
        """
        from podstack.alerts import notices
        notices.AT_EXIT = 200.0
        parent, held = os.getpid(), threading.Event()
        def slowly(notice):
            if os.getpid() == parent:  # a fork may find the lock of what others wait for held
                held.wait(200)
            os.write(1, f"{notice.step}\\n".encode())
        run = client.start_run(run_id="r")
        run.create_alert("loss > 1", notify=slowly, cooldown=0)
        for step in range(4):
            run.log_metrics({"loss": 2.0 * (step % 2)}, step=step)
        child = os.fork()
        if not child:
            run.log_metrics({"loss": 0.0}, step=10)
            run.log_metrics({"loss": 2.0}, step=11)
            os._exit(0 if notices.wait(200) == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0
        held.set()
        run.finish()
        """
    )

    assert ended.code == 0, ended.err
    assert sorted(ended.out.split(), key=int) == ["1", "3", "11"]


def test_time_is_a_label_of_the_moment_it_fired() -> None:
    assert str(NOTICE) == LINE
    assert NOTICE.time < time.time()


def test_a_comma_inside_an_address_of_the_environment_does_not_divide_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PODSTACK_NOTIFY", "mailto://a:b@c?to=d@e,f@g,slack://h\n json://i ")

    assert config.notify_urls() == ["mailto://a:b@c?to=d@e,f@g", "slack://h", "json://i"]
    monkeypatch.setenv("PODSTACK_NOTIFY", " ,")
    assert config.notify_urls() == []


def test_an_alert_heard_of_goes_to_the_log_where_the_environment_names_nonsense(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PODSTACK_NOTIFY", "nonsense://s3cret")
    with pytest.raises(UsageError, match="PODSTACK_NOTIFY"):
        notices.mailboxes_of(None)

    assert len(notices.everyones_mailboxes()) == 1
    assert "alerts go to the log alone" in caplog.text
    assert "s3cret" not in caplog.text
