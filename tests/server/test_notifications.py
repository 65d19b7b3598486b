"""Alerts over a server: what fired is told once to each target, and nobody waits for it."""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from podstack import alerts, oplog
from podstack.addresses import Allowed
from podstack.alerts import Wanted
from podstack.backend import open_backend
from podstack.cli.app import app
from podstack.errors import BackendUnavailable, NotFoundError, UsageError
from podstack.server import claims
from podstack.server.claims import Claims
from podstack.server.herald import OLDEST
from podstack.server.private import put_private
from podstack.server.targets import MOST, Target, Targets
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask
from podstack.testing.receiving import HttpReceiver
from podstack.testing.stage import DEADLINE

LAST = 424242  # the step of what fires last
SECRET, PATH = "hmac-key-nobody-sees", "/hook/T0ken-nobody-sees"
ALERT = Wanted("loss > 2.0", "diverged", 0.0, 0.0)


class Place:
    """A project of its own on a server, an admin of it, and what a run of theirs would put."""

    def __init__(self, server: RunningServer, receiver: HttpReceiver) -> None:
        self.server, self.receiver = server, receiver
        self.project = f"p{os.urandom(4).hex()}"
        self.admin = server.token(self.project, "admin", user="ada")

    def ask(
        self, method: str, path: str, body: bytes = b"", *, token: str = "", port: int = 0
    ) -> Answer:
        return ask(
            port or self.server.port,
            method,
            f"/api/v1/projects/{self.project}/{path}",
            token=token or self.admin,
            headers={"Content-Type": "application/json"},
            body=body,
        )

    def add(self, **more: object) -> str:
        """The id of a new target."""
        facts = {"url": f"{self.receiver.url}{PATH}", "label": "team", "secret": SECRET, **more}
        answer = self.ask("POST", "notifications", orjson.dumps(facts))
        assert answer.status == 200, answer.raw
        return str(answer.json["id"])

    def put(self, run: str, lines: bytes, *, packed: bool = False, port: int = 0) -> None:
        key = f"objects/runs/{run}/meta/20261128-000000-000-writer00.jsonl"
        body = gzip.compress(lines) if packed else lines
        answer = self.ask("PUT", f"{key}{'.gz' if packed else ''}", body, port=port)
        assert answer.status == 200, answer.raw

    def steps(self, count: int) -> list[int]:
        """Where that fired which was told, all of it: one process tells in the order it heard."""
        self.put("the-last-run", log((LAST, time.time())))
        self.receiver.wait_for(count + 1)
        found = [got.json["step"] for got in self.receiver.got]
        assert found[-1] == LAST
        return sorted(found[:-1])


def log(*fired: tuple[int, float], alert: Wanted = ALERT) -> bytes:
    """An op log of a run whose alert fired at these steps and times."""
    changes: list[Mapping[str, Any]] = [
        {"name": "quiet-otter", "experiment": "digits", f"alerts/{alert.id}": alert.fact},
        *(
            {f"fired/{alert.id}/{n}": alerts.firing_fact(step, 2.5, when)}
            for n, (step, when) in enumerate(fired, 1)
        ),
    ]
    return b"".join(oplog.encode(f"{n:016x}", change) for n, change in enumerate(changes, 1))


# A receiver that is slow because the machine is would be told again.
PATIENT = f"from podstack.server import webhooks; webhooks.TIMEOUT = {DEADLINE}"


def started(folder: Path, *options: str) -> RunningServer:
    return RunningServer(
        folder / "store",
        tokens=True,
        options=("--allow-private-notifications", "127.0.0.1", *options),
        environment={"PODSTACK_CACHE": str(folder / "cache"), "HOME": str(folder)},
        first=PATIENT,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with started(tmp_path_factory.mktemp("notifying")) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as found:
        yield found


@pytest.fixture
def place(server: RunningServer, receiver: HttpReceiver) -> Place:
    return Place(server, receiver)


def test_a_run_over_http_whose_alert_fires_is_told_once_by_two_workers(tmp_path: Path) -> None:
    """The receiver refuses at first. Once the server has ended, nothing more can come."""
    with (
        HttpReceiver(503, body=b"answer-nobody-sees") as receiver,
        started(tmp_path, "--workers", "2") as server,
    ):
        place = Place(server, receiver)
        place.add()
        script = (
            "import sys, podstack\n"
            "with podstack.MLOpsClient(sys.argv[1], project=sys.argv[2]).start_run() as run:\n"
            "    run.create_alert('loss > 2', 'diverged')\n"
            "    for step in range(6):\n"
            "        run.log_metrics({'loss': float(step)}, step=step)\n"
        )
        words = [sys.executable, "-c", script, server.url, place.project]
        environment = {
            **os.environ,
            "PODSTACK_API_TOKEN": place.admin,
            "PODSTACK_CACHE": str(tmp_path / "client"),
            "HOME": str(tmp_path),
        }
        done = subprocess.run(words, env=environment, capture_output=True, check=True)
        receiver.wait_for(2)
        server.stop()
        told = [got.json for got in receiver.got]
        output = server.output + done.stdout.decode() + done.stderr.decode()

    assert [notice["step"] for notice in told] == [3, 3]
    assert told[0] == told[1]  # one notice, tried twice
    assert (told[0]["project"], told[0]["condition"], told[0]["message"], told[0]["value"]) == (
        place.project,
        "loss > 2",
        "diverged",
        3.0,
    )
    assert "nobody-sees" not in output


def test_a_log_that_grows_tells_each_firing_once(place: Place) -> None:
    place.add()
    now = time.time()
    for count in (1, 2, 3):
        fired = [(step, now) for step in range(count)]
        place.put("run-1", log(*fired), packed=True)
        place.put("run-1", log(*fired), packed=True)  # the same again

    assert place.steps(3) == [0, 1, 2]


@pytest.mark.slow
def test_a_server_that_was_killed_and_starts_again_repeats_nothing(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    with started(tmp_path) as server:
        place = Place(server, receiver)
        place.add()
        now = time.time()
        place.put("run-1", log((0, now)))
        receiver.wait_for(1)
        server.kill()
        server.start()
        place.put("run-1", log((0, now)))
        place.put("run-1", log((0, now), (1, now)))

        assert place.steps(2) == [0, 1]


def test_what_fired_before_the_target_was_made_or_long_ago_is_not_told(place: Place) -> None:
    long_ago = time.time() - 3600
    place.put("run-1", log((1, long_ago)))
    place.add()
    now = time.time()
    place.put("run-1", log((1, long_ago), (2, now)))
    place.put("old-run", log((3, now - OLDEST - 10)))
    place.put("run-2", log((4, now)))

    assert place.steps(2) == [2, 4]


def test_two_servers_of_one_store_tell_once(tmp_path: Path, receiver: HttpReceiver) -> None:
    with (
        started(tmp_path) as first,
        RunningServer(
            tmp_path / "store",
            options=("--allow-private-notifications", "127.0.0.1"),
            environment={"PODSTACK_CACHE": str(tmp_path / "cache-2"), "HOME": str(tmp_path)},
            log=tmp_path / "second.log",
            first=PATIENT,
        ) as second,
    ):
        place = Place(first, receiver)
        place.add()
        for number in range(3):
            lines = log((number, time.time()))
            both = [
                threading.Thread(
                    target=place.put, args=(f"run-{number}", lines), kwargs={"port": p}
                )
                for p in (first.port, second.port)
            ]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join(DEADLINE)
        receiver.wait_for(3)
        first.stop()
        second.stop()

    assert sorted(got.json["step"] for got in receiver.got) == [0, 1, 2]


def test_77_a_receiver_that_hangs_delays_no_put_and_no_other_receiver(place: Place) -> None:
    """It answers once the other one was told and all was put, and not before."""
    with HttpReceiver(holds=True) as hanging:
        place.add(url=hanging.url, secret="")
        place.add()
        for number in range(2):
            place.put(f"run-{number}", log((number, time.time())))
        steps = place.steps(2)
        hanging.wait_for(1)
        has_answered = hanging.go_on.is_set()

    assert not has_answered
    assert steps == [0, 1]


@pytest.mark.slow
def test_a_hundred_alerts_that_fire_at_once_are_a_hundred_notices(place: Place) -> None:
    place.add()
    now = time.time()
    wanted = [ALERT._replace(condition=f"loss > {number}") for number in range(100)]
    place.put("run-1", b"".join(log((n, now), alert=alert) for n, alert in enumerate(wanted)))

    assert place.steps(100) == list(range(100))


def test_a_project_hears_of_its_own_alerts_only(place: Place) -> None:
    place.add()
    other = Place(place.server, place.receiver)
    other.put("run-1", log((9, time.time())))
    place.put("run-1", log((1, time.time())))

    assert place.steps(1) == [1]


# Settings --------------------------------------------------------------------------------


def test_78_url_and_secret_are_written_and_never_shown(place: Place) -> None:
    ident = place.add()
    answers = [
        place.ask("GET", "notifications"),
        place.ask("POST", f"notifications/{ident}/test"),
        place.ask("POST", "notifications/aaaaaaaaaaaa/test"),
        place.ask("GET", f"objects/server/projects/{place.project}/notify/{ident}.json"),
        place.ask("GET", f"objects?prefix=server/projects/{place.project}/notify/{ident}.json"),
        place.ask("DELETE", f"notifications/{ident}x"),
    ]
    said = b"".join(answer.raw for answer in answers)
    kept = Path(place.server.store, f"server/projects/{place.project}/notify/{ident}.json")
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in kept.parents[:4]]

    assert [answer.status for answer in answers] == [200, 200, 404, 404, 200, 404]
    assert answers[1].json == {"ok": True, "reason": ""}
    assert answers[0].json["notifications"][0]["signed"] is True
    assert SECRET.encode() not in said
    assert b"nobody-sees" not in said + place.server.output.encode()
    assert SECRET in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert modes == [0o700] * 4


def test_78_a_test_tells_the_status_and_not_the_answer(server: RunningServer) -> None:
    with HttpReceiver(404, body=b"inside") as receiver:
        place = Place(server, receiver)
        answer = place.ask("POST", f"notifications/{place.add()}/test")

    assert answer.json == {"ok": False, "reason": "it answered 404"}
    assert len(receiver.got) == 1


def test_a_target_that_was_removed_hears_nothing_more(place: Place) -> None:
    gone, kept = place.add(), place.add(label="kept")
    removed = place.ask("DELETE", f"notifications/{gone}")
    place.put("run-1", log((1, time.time())))
    listed = place.ask("GET", "notifications").json["notifications"]

    assert removed.status == 204
    assert [target["id"] for target in listed] == [kept]
    assert place.steps(1) == [1]


def test_21_22_an_editor_lists_and_an_admin_changes(place: Place) -> None:
    ident = place.add()
    editor = place.server.token(place.project, "editor")
    viewer = place.server.token(place.project, "viewer")
    root = place.server.token("*", "admin")
    stranger = place.server.token("speech", "admin")

    def statuses(token: str) -> list[int]:
        return [
            place.ask("GET", "notifications", token=token).status,
            place.ask("POST", "notifications", b"{}", token=token).status,
            place.ask("POST", f"notifications/{ident}/test", token=token).status,
            place.ask("DELETE", f"notifications/{ident}", token=token).status,
        ]

    assert statuses(viewer) == [403, 403, 403, 403]
    assert statuses(editor) == [200, 403, 403, 403]
    assert statuses(stranger) == [404, 404, 404, 404]
    assert statuses(root) == [200, 422, 200, 204]


def test_a_project_has_a_bounded_number_of_targets(tmp_path: Path) -> None:
    targets = Targets(open_backend(str(tmp_path)), Allowed())
    for _ in range(MOST):
        targets.add("p", "http://93.184.215.14/", label="", secret="", user="me")

    with pytest.raises(UsageError, match=f"at most {MOST} targets"):
        targets.add("p", "http://93.184.215.14/", label="", secret="", user="me")


def test_a_target_shows_no_secret_of_itself(tmp_path: Path) -> None:
    targets = Targets(open_backend(str(tmp_path)), Allowed())
    made = targets.add("p", f"https://93.184.215.14{PATH}", label="x", secret=SECRET, user="me")
    found = targets.get("p", made.id)

    assert found == made
    assert "nobody-sees" not in f"{made!r}{made}{made.shown}{made.name}{targets.receiver(made)!r}"
    with pytest.raises(NotFoundError) as missing:
        targets.get("p", "nope")
    assert "nobody-sees" not in str(missing.value)


def test_a_target_that_was_written_by_hand_goes_through_the_same_rules(tmp_path: Path) -> None:
    """Whoever may write the store still makes no server call its own network."""
    backend = open_backend(str(tmp_path))
    facts = {"id": "a" * 12, "kind": "http", "label": "", "url": "http://10.0.0.1/", "secret": "",
             "created": 0.0, "user": "me"}  # fmt: skip
    backend.put(f"server/projects/p/notify/{'a' * 12}.json", orjson.dumps(facts))
    backend.put(f"server/projects/p/notify/{'b' * 12}.json", b"[]")
    targets = Targets(backend, Allowed())
    (found,) = targets.all("p")

    assert isinstance(found, Target)
    with pytest.raises(UsageError, match="not in the open internet"):
        targets.receiver(found)


# Claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_of_many_claimants_one_wins_each_thing(tmp_path: Path, late: float) -> None:
    backend = open_backend(str(tmp_path))
    things = [f"server/claims/thing{number}" for number in range(10)]
    won: list[set[str]] = []

    def claim(number: int) -> None:
        time.sleep(number * late)
        won.append(Claims(backend).won(things))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert sorted(thing for mine in won for thing in mine) == things
    assert Claims(backend).won(things) == set()


class Ordered:
    """A store whose calls wait for others: `before` and `after` hold, by call, what they do.

    A call is "put", or "list" with how many listings there were before it.
    """

    def __init__(self, folder: Path) -> None:
        self._backend = open_backend(str(folder))
        self.url = self._backend.url
        self.get, self.delete = self._backend.get, self._backend.delete
        self.list_dirs, self.close = self._backend.list_dirs, self._backend.close
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self._listings = 0

    def put(self, key: str, data: bytes | Path) -> None:
        self._told(self.before, "put")
        self._backend.put(key, data)
        self._told(self.after, "put")

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        call = f"list{self._listings}"
        self._listings += 1
        self._told(self.before, call)
        found = list(self._backend.list(prefix, start_after=start_after))
        self._told(self.after, call)
        return iter(found)

    def _told(self, told: dict[str, Callable[[], object]], call: str) -> None:
        told.pop(call, lambda: None)()  # the first time only


def test_who_made_way_for_a_claim_that_came_too_late_wins_where_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow one's claim comes just before the quick one's second look, and stays until it."""
    monkeypatch.setattr(claims, "SETTLE", 0.2)
    slow, quick = Ordered(tmp_path), Ordered(tmp_path)
    has_looked, is_quick_put, is_slow_put, is_decided = (threading.Event() for _ in range(4))

    def hold() -> None:
        is_slow_put.set()
        is_decided.wait(DEADLINE)

    slow.after["list0"] = has_looked.set
    quick.before["put"] = lambda: has_looked.wait(DEADLINE)
    quick.after["put"] = is_quick_put.set
    slow.before["put"] = lambda: is_quick_put.wait(DEADLINE)
    slow.after["put"] = hold
    quick.before["list1"] = lambda: is_slow_put.wait(DEADLINE)
    quick.after["list1"] = is_decided.set
    both = [Claims(slow), Claims(quick)]
    both[0]._me, both[1]._me = "0" * 16, "f" * 16  # the slow one is the lowest
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(lambda one: one.won(["server/claims/x"]), both))

    assert sorted(map(len, won)) == [0, 1]
    assert Claims(slow).won(["server/claims/x"]) == set()


def test_a_folder_that_goes_with_its_last_object_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, chmod = open_backend(str(tmp_path)), os.chmod
    gone: list[Path] = []

    def removed_before(path: Path, mode: int) -> None:
        if path.name == "notify" and not gone:
            gone.append(path)
            path.rmdir()
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", removed_before)
    put_private(backend, "server/projects/p/notify/x.json", b"{}")

    assert gone
    assert backend.get("server/projects/p/notify/x.json") == b"{}"


class FailingOnce:
    """A store whose second listing fails."""

    def __init__(self, folder: Path) -> None:
        self._backend = open_backend(str(folder))
        self.url = self._backend.url
        self.put, self.get, self.delete = self._backend.put, self._backend.get, self._backend.delete
        self.list_dirs, self.close = self._backend.list_dirs, self._backend.close
        self._listings = 0

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        self._listings += 1
        if self._listings == 2:
            raise BackendUnavailable("no answer", url=self.url)
        return self._backend.list(prefix, start_after=start_after)


def test_a_claim_is_not_lost_where_the_store_fails_before_the_second_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SETTLE", 0.1)
    mine = Claims(FailingOnce(tmp_path))
    with pytest.raises(BackendUnavailable):
        mine.won(["server/claims/x"])

    assert mine.won(["server/claims/x"]) == {"server/claims/x"}
    assert mine.won(["server/claims/x"]) == set()


# The command line --------------------------------------------------------------------------


def run(store: Path, *words: str, given: str = "") -> tuple[int, str]:
    whole = ["--store", str(store), "--project", "vision", "notify", *words]
    result = CliRunner().invoke(app, whole, input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_adds_lists_tests_and_removes(tmp_path: Path, receiver: HttpReceiver) -> None:
    allow = ("--allow-private-notifications", f"127.0.0.1:{receiver.port}")
    added = run(
        tmp_path, "add", "--label", "team", *allow, given=f"{receiver.url}{PATH}\n{SECRET}\n"
    )
    found = re.match(r"added ([a-z0-9]{12}): the http:// target team", added[1])
    assert found, added
    listed = run(tmp_path, "list")
    tested = run(tmp_path, "test", found[1], *allow)
    refused = run(tmp_path, "test", found[1])
    removed = run(tmp_path, "remove", found[1])
    again = run(tmp_path, "remove", found[1])

    assert [said[0] for said in (added, listed, tested, refused, removed, again)] == [
        0, 0, 0, 2, 0, 2,
    ]  # fmt: skip
    assert found[1] in listed[1]
    assert len(receiver.got) == 1
    for _, said in (added, listed, tested, refused, removed, again):
        assert "nobody-sees" not in said


@pytest.mark.parametrize("given", ["", "\n", "a\nb\nc\n", "http://127.0.0.1/\n", "file:///etc/x\n"])
def test_the_command_refuses_what_is_no_target(tmp_path: Path, given: str) -> None:
    assert run(tmp_path, "add", given=given)[0] == 2


def test_the_command_names_the_routes_where_the_store_is_a_server() -> None:
    whole = ["--store", "http://127.0.0.1:1", "notify", "list"]
    result = CliRunner().invoke(app, whole)

    assert result.exit_code == 2
    assert "/api/v1/projects/PROJECT/notifications" in result.output
