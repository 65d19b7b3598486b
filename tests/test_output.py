"""What a script prints is shown as ever, and kept with its run."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from podstack import MLOpsClient, Run, output
from podstack.errors import UsageError, WrongTypeError
from podstack.output import Recorder, recorder
from podstack.testing.stage import DEADLINE, Ended, Stage
from podstack.transcript import Transcript

CONSOLE = ("console",)


@pytest.fixture
def run(client: MLOpsClient) -> Iterator[Run]:
    run = client.start_run(run_id="r", capture=CONSOLE)
    yield run
    run.finish()


def console_files(store: Path, run_id: str = "r") -> list[Path]:
    return sorted((store / "projects/default/runs" / run_id / "console").glob("*/*"))


def played(stage: Stage, script: str, **options: Any) -> Ended:
    """A script in which `run` prints to its console."""
    start = 'run = client.start_run(run_id="r", capture=("console",))\n'
    return stage.play(start + script, **options)


# What is kept ----------------------------------------------------------------------------------


def test_what_is_printed_is_shown_and_kept(stage: Stage) -> None:
    ended = played(
        stage,
        """
        print("to stdout", 1, 2.5)
        print("to stderr", file=sys.stderr)
        sys.stdout.writelines(["two\\n", "lines\\n"])
        print("no end", end="", flush=True)
        """.replace("        ", ""),
    )

    assert ended.code == 0, ended.err
    assert ended.out == "to stdout 1 2.5\ntwo\nlines\nno end"
    assert ended.err == "to stderr\n"
    assert stage.run().console() == "to stdout 1 2.5\nto stderr\ntwo\nlines\nno end\n"


def test_what_is_printed_before_and_after_the_run_is_not_kept(client: MLOpsClient) -> None:
    print("before")
    with client.start_run(capture=CONSOLE) as run:
        print("during")
    print("after")

    assert run.console() == "during\n"


def test_nothing_is_kept_unless_it_is_asked_for(client: MLOpsClient, store: Path) -> None:
    with client.start_run(run_id="r", capture=False) as run:
        print("text")

    assert run.console() == ""
    assert console_files(store) == []


def test_a_line_is_in_the_file_when_print_returns(run: Run, store: Path) -> None:
    print("one")
    (file,) = console_files(store)

    assert file.name == "000000.txt"
    assert file.read_text() == "one\n"
    print("two")
    assert file.read_text() == "one\ntwo\n"


def test_progress_bars_fold_and_colours_go(run: Run) -> None:
    for percent in range(101):
        sys.stderr.write(f"\r\x1b[32m{percent:3d}%\x1b[0m")
        print(f"step {percent}") if percent % 50 == 0 else None
    sys.stderr.write("\n")

    assert run.console() == "step 0\nstep 50\nstep 100\n100%\n"


def test_secrets_are_masked(run: Run) -> None:
    print("api_key=abc123def loss=0.5 hf_abcdefghijklmnopqrstuvwxyz")

    assert run.console() == "api_key=•••••• loss=0.5 ••••••\n"


SECRETS = [
    "password: hunter2",
    "{'db_passwd': 'x'}",
    "Authorization: Bearer abcdefghijklmnop",
    "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==",
    "https://me:pw@host/x",
    "sk-" + "a" * 20,
    "sk_live_" + "a" * 16,
    "ghp_" + "a" * 30,
    "github_pat_" + "a" * 30,
    "glpat-" + "a" * 20,
    "AKIA" + "A" * 16,
    "ASIA" + "A" * 16,
    "AIza" + "a" * 35,
    "xoxb-" + "1" * 12,
    "npm_" + "a" * 36,
    "pypi-" + "a" * 50,
    "eyJabcdefghijk.eyJabcdefghijk.abcdefghijk",
    "private-key=x",
    "client_secret=x",
    "aws_credential=x",
    "passphrase=x",
    "MY_TOKEN=x",
    "apikey=x",
]


@pytest.mark.parametrize("text", SECRETS)
def test_the_quick_look_for_secrets_misses_none(run: Run, text: str) -> None:
    print(f"a {text} b")

    assert "••••••" in run.console()


def test_text_of_any_kind_is_kept(run: Run) -> None:
    print("ümläut 🎉 \u2028 \ud800 end")

    assert run.console() == "ümläut 🎉 \u2028 \\ud800 end\n"


def test_an_unfinished_line_is_kept_after_a_while(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SETTLE_EVERY", 0.0)  # the background ticks too, at any moment
    monkeypatch.setattr(recorder, "_settle_at", 0.0)
    sys.stdout.write("downloading")
    recorder.tick()

    assert run.console() == "downloading\n"
    print()
    assert run.console() == "downloading\n"


def test_beyond_its_bound_output_is_shown_and_no_longer_kept(
    client: MLOpsClient,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(output, "LIMIT", 2_500_000)
    with client.start_run(run_id="r", capture=CONSOLE) as run:
        for number in range(40_000):
            print(f"{number:99d}")
        recorder.tick()
    shown = capsys.readouterr().out.count("\n")
    text = run.console()

    assert shown == 40_000
    assert len(text) < 2_600_000
    assert text.startswith(f"{0:99d}\n{1:99d}\n")
    assert text.endswith("the rest is shown and not kept\n")
    assert [path.name for path in console_files(store)] == [f"{n:06d}.txt" for n in range(3)]
    assert all(path.stat().st_size <= 1_000_000 for path in console_files(store))
    assert caplog.text.count("the rest is shown and not kept") == 1


# Several runs, threads, signals, children ------------------------------------------------------


def test_all_open_runs_keep_what_is_printed(client: MLOpsClient) -> None:
    with client.start_run(capture=CONSOLE) as outer:
        print("outer only")
        with client.start_run(capture=CONSOLE) as inner:
            print("both")
        print("outer again")

    assert outer.console() == "outer only\nboth\nouter again\n"
    assert inner.console() == "both\n"


def test_runs_may_end_in_the_order_in_which_they_began(client: MLOpsClient) -> None:
    first, second = client.start_run(capture=CONSOLE), client.start_run(capture=CONSOLE)
    print("both")
    first.finish()
    print("second only")
    second.finish()
    second.finish()
    print("none")

    assert first.console() == "both\n"
    assert second.console() == "both\nsecond only\n"


def test_eight_threads_print_whole_lines(run: Run) -> None:
    def work(name: int) -> None:
        for number in range(500):
            sys.stdout.write(f"thread {name} line {number}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    wanted = {f"thread {name} line {number}" for name in range(8) for number in range(500)}
    assert sorted(run.console().splitlines()) == sorted(wanted)


def test_a_signal_handler_may_print_inside_print(stage: Stage) -> None:
    ended = played(
        stage,
        """
count, inside = 0, False
def handler(number, frame):
    global count, inside
    if not inside:      # Python's own stderr is not made for a handler inside a handler
        inside = True
        sys.stderr.write(f"signal {count}\\n")
        count, inside = count + 1, False
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
ended = time.monotonic() + 1.0
lines = 0
while time.monotonic() < ended or count < 100:
    sys.stdout.write(f"line {lines}\\n")
    lines += 1
signal.setitimer(signal.ITIMER_REAL, 0)
run.finish()
sys.stdout.write(f"{lines} {count}")
""",
    )
    lines, count = map(int, ended.out.rpartition("\n")[2].split())
    kept = stage.run().console().splitlines()

    assert ended.code == 0, ended.err
    assert [line for line in kept if line.startswith("line")] == [f"line {i}" for i in range(lines)]
    assert sorted(kept) == sorted(
        [f"line {i}" for i in range(lines)] + [f"signal {i}" for i in range(count)]
    )


def test_a_forked_child_keeps_nothing_and_its_parent_everything(stage: Stage) -> None:
    ended = played(
        stage,
        """
print("half of ", end="")
for n in range(5):
    pid = os.fork()
    if pid == 0:
        print("child")
        run.log_metrics({"x": 1})
        print("child after logging")
        with client.start_run(run_id=f"c{n}", capture=("console",)):
            print("own run")
        sys.exit(0)
    os.waitpid(pid, 0)
print("the parent's line")
""",
    )

    assert ended.code == 0, ended.err
    assert stage.run().console() == "half of the parent's line\n"
    assert len(console_files(stage.store)) == 1
    assert [stage.run(f"c{n}").console() for n in range(5)] == ["own run\n"] * 5


def test_a_spawned_worker_prints_undisturbed(stage: Stage) -> None:
    ended = played(
        stage,
        """
import multiprocessing
def work(n):
    print("worker", n, flush=True)
    return n
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(4)))
""",
    )

    assert ended.code == 0, ended.err
    assert ended.out.count("worker") == 4
    assert stage.run().console() == "[0, 1, 2, 3]\n"


# Endings ---------------------------------------------------------------------------------------


def test_what_was_printed_survives_sigkill(stage: Stage) -> None:
    ended = played(
        stage,
        """
for number in range(1000):
    print("line", number)
print("unfinished", end="")
os.kill(os.getpid(), signal.SIGKILL)
""",
    )

    assert ended.code == -9
    assert stage.run().console() == "".join(f"line {number}\n" for number in range(1000))


def test_what_was_printed_survives_os_exit(stage: Stage) -> None:
    played(stage, "print('last words')\nos._exit(3)\n")

    assert stage.run().console() == "last words\n"


def test_the_traceback_of_an_uncaught_exception_is_kept(stage: Stage) -> None:
    ended = played(stage, "print('x')\nraise ValueError('the cause')\n")
    text = stage.run().console()

    assert ended.code == 1
    assert text == "x\n" + ended.err
    assert "ValueError: the cause" in text


def test_a_traceback_that_is_shown_after_the_run_has_ended_is_kept_too(stage: Stage) -> None:
    ended = stage.play(
        """
with client.start_run(run_id="r", capture=("console",)) as run:
    raise ValueError("the cause")
"""
    )

    assert ended.code == 1
    assert stage.run().console() == ended.err


def test_sigterm_keeps_the_line_that_was_being_printed(stage: Stage) -> None:
    script = 'run = client.start_run(run_id="r", capture=("console",))\n'
    child = stage.start(script + "print('step 1', flush=True, end='')\ntime.sleep(600)\n")
    child.wait_for_word("step 1")
    child.send(15)

    assert child.wait().code == -15
    assert stage.run().console() == "step 1\n"
    assert stage.run().status == "killed"


def test_a_resumed_run_reads_as_one_text(client: MLOpsClient) -> None:
    for part in ("first", "second"):
        with client.start_run(run_id="r", capture=CONSOLE):
            print(part)

    assert client.get_run("r").console() == "first\nsecond\n"


# Streams that a program may have ---------------------------------------------------------------


def test_streams_stay_what_they_are(stage: Stage) -> None:
    ended = stage.play(
        """
import io, logging
facts = lambda s: (id(s), s.fileno(), s.isatty(), s.encoding, s.errors, s.line_buffering,
                   id(s.buffer), isinstance(s, io.TextIOWrapper), s.closed, s.name, s.mode)
handler = logging.StreamHandler()      # holds sys.stderr from before the run
before = facts(sys.stdout), facts(sys.stderr), id(sys.__stdout__)
write = sys.stdout.write.__qualname__
with client.start_run(run_id="r", capture=("console",)):
    assert (facts(sys.stdout), facts(sys.stderr), id(sys.__stdout__)) == before
    assert sys.stdout.write("four\\n") == 5
    handler.emit(logging.makeLogRecord({"msg": "an early handler"}))
    logging.getLogger().addHandler(logging.StreamHandler())
    logging.getLogger("x").warning("a late handler")
    faulthandler.enable(sys.stderr)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"bytes\\n")
    sys.stdout.reconfigure(line_buffering=True)
    import warnings; warnings.warn("careful")
    try:
        sys.stdout.write(b"no text")
    except TypeError as error:
        print("TypeError")
assert sys.stdout.write.__qualname__ == write and not hasattr(sys.stdout.__dict__, "write")
"""
    )
    kept = stage.run().console()

    assert ended.code == 0, ended.err
    assert ended.out == "four\nbytes\nTypeError\n"
    assert "UserWarning: careful" in kept
    assert [line for line in kept.splitlines() if "arning" not in line and "warn(" not in line] == [
        "four",
        "an early handler",
        "a late handler",
        "TypeError",
    ]


def test_output_redirected_by_the_program_goes_where_it_wants(client: MLOpsClient) -> None:
    inside, around = io.StringIO(), io.StringIO()
    with client.start_run(capture=CONSOLE) as run:
        print("before")
        with contextlib.redirect_stdout(inside):
            print("redirected")
        print("after")
    with contextlib.redirect_stdout(around), client.start_run(capture=CONSOLE) as other:
        print("in a redirection")
    print("outside")

    assert inside.getvalue() == "redirected\n"
    assert run.console() == "before\nafter\n"
    assert around.getvalue() == other.console() == "in a redirection\n"


def test_a_run_that_ends_inside_a_redirection_leaves_no_trace(client: MLOpsClient) -> None:
    stdout, inside = sys.stdout, io.StringIO()
    run = client.start_run(capture=CONSOLE)
    with contextlib.redirect_stdout(inside):
        run.finish()
        print("text")

    assert "write" not in vars(stdout)
    assert "write" not in vars(inside)


def test_a_wrapper_of_somebody_else_is_left_in_place(client: MLOpsClient) -> None:
    seen: list[str] = []
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        run = client.start_run(capture=CONSOLE)
        ours = stream.write

        def theirs(text: str) -> int:
            seen.append(text)
            return ours(text)

        vars(stream)["write"] = theirs
        print("one")
        run.finish()
        print("two")
        with client.start_run(capture=CONSOLE) as again:
            print("three")

    assert "".join(seen) == stream.getvalue() == "one\ntwo\nthree\n"
    assert run.console() == "one\n"
    assert again.console() == "three\n"


class Proxy:
    """A stream around another one that hands on what is set, as some libraries' are."""

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "inner", inner)

    def write(self, text: str) -> int:
        return cast(int, self.inner.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.inner, name, value)


class Fixed:
    """A stream that takes no attributes."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)


def test_odd_streams_work_as_before(client: MLOpsClient) -> None:
    inner, fixed = io.StringIO(), Fixed()
    with (
        contextlib.redirect_stdout(cast(Any, Proxy(inner))),
        client.start_run(capture=CONSOLE) as proxied,
    ):
        print("through a proxy")
    with contextlib.redirect_stdout(cast(Any, fixed)), client.start_run(capture=CONSOLE) as other:
        print("not to be heard")

    assert inner.getvalue() == proxied.console() == "through a proxy\n"
    assert "".join(fixed.texts) == "not to be heard\n"
    assert other.console() == ""


def test_stdout_and_stderr_as_one_object_are_kept_once(client: MLOpsClient) -> None:
    stream = io.StringIO()
    with (
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
        client.start_run(capture=CONSOLE) as run,
    ):
        print("out")
        print("err", file=sys.stderr)

    assert run.console() == stream.getvalue() == "out\nerr\n"


def test_no_streams_and_closed_ones_are_fine(stage: Stage) -> None:
    ended = stage.play(
        """
keep = sys.stdout, sys.stderr
sys.stdout = sys.stderr = None
with client.start_run(run_id="none", capture=("console",)):
    print("into nothing")
sys.stdout, sys.stderr = keep
closed = sys.stdout = open(os.devnull, "w")
closed.close()
with client.start_run(run_id="r", capture=("console",)):
    try:
        print("into a closed file")
    except ValueError:
        sys.stderr.write("as without podstack\\n")
"""
    )

    assert ended.code == 0, ended.err
    assert stage.run("none").console() == ""
    assert stage.run().console() == "as without podstack\n"


def test_a_process_without_descriptors_records_its_run(stage: Stage) -> None:
    stage.play(
        """
os.close(0); os.close(1); os.close(2)
run = client.start_run(run_id="r", capture=("console",))
try:
    print("nobody sees this", flush=True)
except OSError:
    pass
log(run, 0)
run.finish()
"""
    )

    assert stage.verdict().logged == 1


def test_an_error_of_the_stream_reaches_the_program_and_nothing_is_kept(
    client: MLOpsClient,
) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError("gone")

    with (
        contextlib.redirect_stdout(Broken()),
        client.start_run(capture=CONSOLE) as run,
        pytest.raises(BrokenPipeError, match="gone"),
    ):
        print("text")

    assert run.console() == ""


def test_no_failure_to_keep_reaches_the_program(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenJournal:
        def append_text(self, lines: bytes) -> None:
            raise RuntimeError("a bug")

    mine = Recorder()
    mine.opened(BrokenJournal())
    print("one")
    print("two")
    stream = mine._streams
    for one in stream:
        one.unwrap()

    assert capsys.readouterr().out == "one\ntwo\n"
    assert caplog.text.count("RuntimeError: a bug") == 1


def test_what_is_printed_while_a_line_is_kept_follows_it() -> None:
    """As a signal handler or a destructor may: it must not come in between, nor wait for itself."""

    class PrintingJournal:
        def __init__(self) -> None:
            self.kept: list[bytes] = []

        def append_text(self, lines: bytes) -> None:
            if not self.kept and lines == b"outer\n":
                print("inner")
            self.kept.append(lines)

    mine, journal = Recorder(), PrintingJournal()
    mine.opened(journal)
    print("outer")
    mine.closed(journal)

    assert journal.kept == [b"outer\n", b"inner\n"]


def test_a_place_that_refuses_output_is_not_warned_of_and_heals(
    client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning given while a print is recorded could wait for who waits for that print."""
    with client.start_run(run_id="r", capture=CONSOLE) as run:
        in_the_way = store / "projects/default/runs/r/console"
        in_the_way.write_text("a file where a folder should be")
        print("one")
        print("two")
        refused = run._journal._text.waiting  # type: ignore[union-attr]
        in_the_way.unlink()
        run.flush(DEADLINE)

        assert refused == 2
        assert run.console() == "one\ntwo\n"
        assert caplog.text == ""


def test_what_podstack_itself_warns_of_while_it_records_does_not_loop(stage: Stage) -> None:
    ended = played(
        stage,
        """
from podstack.console import warn
class Loud:
    def __str__(self):
        warn("inside")
        return "loud"
print(Loud())
run.finish()
""",
    )

    assert ended.code == 0, ended.err
    assert stage.run().console() == "inside\nloud\n"


# Reading ---------------------------------------------------------------------------------------


def write_console(store: Path, writer: str, *segments: bytes) -> None:
    folder = store / "projects/default/runs/r/console" / writer
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(segments):
        (folder / f"{number:06d}.txt").write_bytes(data)


@pytest.fixture
def quiet_run(client: MLOpsClient) -> Run:
    client.start_run(run_id="r", capture=False).finish()
    return client.get_run("r")


def test_writers_and_segments_are_read_in_order(quiet_run: Run, store: Path) -> None:
    write_console(store, "b", b"5\n")
    write_console(store, "a", b"1\n2\n", b"3\n", b"4\n")

    assert quiet_run.console() == "1\n2\n3\n4\n5\n"
    assert quiet_run.console(tail=2) == "4\n5\n"
    assert quiet_run.console(tail=3) == "3\n4\n5\n"
    assert quiet_run.console(tail=99) == "1\n2\n3\n4\n5\n"
    assert quiet_run.console(tail=0) == ""


def test_the_tail_of_a_long_text_is_its_end(quiet_run: Run, store: Path) -> None:
    lines = [f"{number} {'é' * (number % 300)}" for number in range(20_000)]
    write_console(store, "a", "".join(f"{line}\n" for line in lines).encode())

    for tail in (1, 5, 500, 5_000, 19_999, 20_000, 20_001):
        assert quiet_run.console(tail=tail).splitlines() == lines[-tail:]


def test_only_the_end_is_read_for_a_tail(client: MLOpsClient, store: Path) -> None:
    asked: list[tuple[str, int]] = []

    class Watched:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
            asked.append((key[-12:], start))
            return cast(bytes, self._inner.get(key, start, stop))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    client.start_run(run_id="r", capture=False).finish()
    write_console(store, "a", b"x\n" * 500_000, b"y\n" * 500_000)
    run = client.get_run("r")
    backend = cast(Any, Watched(run._store.backend))
    text = output.console_text(backend, run._store.keys.console("r"), tail=20)

    assert text == "y\n" * 20
    assert asked == [("a/000001.txt", 1_000_000 - 65_536)]


def test_a_torn_end_is_dropped_and_damage_costs_only_itself(quiet_run: Run, store: Path) -> None:
    write_console(store, "a", b"whole\n\xff\xfebad\nto\xc3")
    write_console(store, "b", "é\n".encode()[:1])
    write_console(store, "c", b"next\n")

    assert quiet_run.console() == "whole\n��bad\nnext\n"
    assert quiet_run.console(tail=2) == "��bad\nnext\n"


def test_packed_segments_are_read_where_there_is_no_plain_one(
    quiet_run: Run, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import gzip

    write_console(store, "a", b"plain\n")
    folder = store / "projects/default/runs/r/console/a"
    (folder / "000000.txt.gz").write_bytes(gzip.compress(b"stale\n"))
    (folder / "000001.txt.gz").write_bytes(gzip.compress(b"packed\n"))
    (folder / "000002.txt.gz").write_bytes(b"damaged")
    (folder / "notes.md").write_bytes(b"not ours")

    assert quiet_run.console() == "plain\npacked\n"
    assert quiet_run.console(tail=1) == "packed\n"
    assert "000002.txt.gz" in caplog.text


def test_a_stored_text_cannot_steer_a_terminal(quiet_run: Run, store: Path) -> None:
    write_console(store, "a", "a\x1b[2Jb\x00\x9b\r\u202e\tc\n".encode())

    assert quiet_run.console() == "a�[2Jb����\tc\n"


def test_a_tail_that_is_no_number_of_lines_is_refused(quiet_run: Run) -> None:
    with pytest.raises(UsageError, match="not -1"):
        quiet_run.console(tail=-1)
    for wrong in ("20", 2.0, True):
        with pytest.raises(WrongTypeError, match="tail is a number of lines"):
            quiet_run.console(tail=cast(Any, wrong))


def test_the_keys_of_segments_are_known_and_others_are_not() -> None:
    from podstack import keys

    key = keys.Project("p").console_segment("r", "w", 7)

    assert key == "projects/p/runs/r/console/w/000007.txt"
    assert keys.console_segment_of(key) == ("w", 7)
    assert keys.console_segment_of(key + ".gz") == ("w", 7)
    assert keys.console_segment_of(keys.Project("p").segment("r", "w", 7)) is None
    assert keys.console_segment_of("projects/p/runs/r/console/W!/000007.txt") is None


# Stores that go away ---------------------------------------------------------------------------


def test_a_purged_run_does_not_come_back_with_the_next_line(
    client: MLOpsClient, store: Path
) -> None:
    run = client.start_run(run_id="r", capture=CONSOLE)
    print("one")
    MLOpsClient(store).get_run("r").purge()
    run._journal._reopen_if_removed()  # type: ignore[union-attr]  # what the background does
    print("two")
    run.finish()
    run.flush(DEADLINE)

    assert console_files(store) == []


def test_a_disabled_client_keeps_nothing(tmp_path: Path) -> None:
    with MLOpsClient(tmp_path / "s", mode="disabled").start_run(capture=CONSOLE) as run:
        print("text")
        assert "write" not in vars(sys.stdout)

    assert run.console() == ""
    assert not os.path.exists(tmp_path / "s")


def test_output_reaches_a_store_that_is_no_folder(tmp_path: Path) -> None:
    client = MLOpsClient("memory://console-test")
    with client.start_run(run_id="r", capture=CONSOLE) as run:
        print("shipped")
        assert run.flush(DEADLINE)
        first = run.console()
        print("and the rest")
    assert run.flush(DEADLINE)

    assert first == "shipped\n"
    assert client.get_run("r").console() == "shipped\nand the rest\n"


def test_a_transcript_holds_little(run: Run) -> None:
    for number in range(10_000):
        print(number)
    (held,) = {len(s.transcript.last_rows) for s in recorder._streams if s.stream is sys.stdout}

    assert held <= 2 * 100 + 1
    assert isinstance(recorder._streams[0].transcript, Transcript)
