"""A full disk, and other ways in which a store goes away: training goes on, and logging heals."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.testing.stage import Stage
from podstack.testing.verdict import Verdict

SMALL = "size=3m"


def _mounted(folder: Path, options: str) -> None:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here, which needs root: {error}")


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage whose store lies on a disk of 3 MiB, or of the size that the test asks for."""
    disk = tmp_path / "disk"
    _mounted(disk, getattr(request, "param", SMALL))
    stage = Stage(tmp_path, store=disk / "store")
    yield stage
    stage.close()
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=240)


FILL = """
import podstack.journal, podstack.log

disk = os.path.dirname({store!r})
def fill():
    with open(f"{{disk}}/filler", "ab", buffering=0) as filler:
        for size in (65_536, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass
def free():
    os.unlink(f"{{disk}}/filler")
def is_full():
    return os.statvfs(disk).f_bavail == 0
"""


def _with_filler(stage: Stage, script: str) -> str:
    return FILL.format(store=str(stage.store)) + script


HEALED = """
with open(f"{disk}/filler", "wb") as filler:
    filler.write(bytes(2_500_000))
run = client.start_run(run_id="r")
i = 0
while not is_full():
    log(run, i)
    i += 1
before = len(client.get_run("r").metrics["x"])
for i in range(i, i + 10_000):
    log(run, i)
print(before > 1000, run.flush(0.3), run.dropped)
free()
print(run.flush(200), run.dropped)
log(run, i + 1)
run.finish()
"""


def test_a_full_disk_heals_when_space_returns_and_nothing_is_lost(small_disk: Stage) -> None:
    ended = small_disk.play(_with_filler(small_disk, HEALED))
    run, verdict = small_disk.run(), small_disk.verdict()

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["True", "False", "0", "True", "0"]
    assert verdict.clean, verdict
    assert verdict.logged == verdict.acked > 10_000
    assert run.status == "completed"
    assert run.dropped == 0
    assert ended.err.count("No space left on device") == 1
    assert "Traceback" not in ended.err


def test_what_was_acknowledged_before_the_disk_was_full_survives_sigkill(
    small_disk: Stage,
) -> None:
    ended = small_disk.play(
        _with_filler(
            small_disk,
            """
run = client.start_run(run_id="r")
for i in range(2000):
    log(run, i)
fill()
for i in range(2000, 4000):
    run.log_metrics({"x": i / 2}, step=i)   # these wait in memory: no disk has them
os.kill(os.getpid(), signal.SIGKILL)
""",
        )
    )

    assert ended.code == -9
    assert small_disk.verdict().clean
    assert small_disk.count_acked() == 2000
    assert small_disk.run().status == "failed"


DROPPED = """
podstack.log.MEMORY = 20_000
run = client.start_run(run_id="r")
for i in range(1000):
    log(run, i)
fill()
for i in range(1000, 5000):
    run.log_metrics({"x": i / 2}, step=i)
print(run.dropped)
"""


def test_what_no_longer_fits_into_memory_is_dropped_counted_and_told(small_disk: Stage) -> None:
    script = DROPPED + "free()\nassert run.flush(200)\nlog(run, 5000)\nrun.finish()\n"
    ended = small_disk.play(_with_filler(small_disk, script))
    run, verdict = small_disk.run(), small_disk.verdict()
    dropped = int(ended.out)

    assert ended.code == 0, ended.err
    assert dropped > 1000
    assert verdict == Verdict(logged=5001 - dropped, acked=1001, gaps=dropped)
    assert run.metrics["x"].steps.tolist()[:1300] == list(range(1300)), "what waited was dropped"
    assert run.dropped == dropped
    assert run.status == "completed"
    assert "20.0 kB wait for the disk and no more are kept" in ended.err
    assert f"refused {dropped} values" in ended.err


def test_a_disk_that_stays_full_is_told_at_the_end_which_comes_in_time(small_disk: Stage) -> None:
    script = DROPPED + "began = time.monotonic()\nrun.finish(timeout=1.0)\n"
    script += "print(time.monotonic() - began < 100, run.dropped)\nfree()\n"
    usual = {"PODSTACK_FINISH_TIMEOUT": "200"}
    ended = small_disk.play(_with_filler(small_disk, script), environment=usual)
    verdict = small_disk.verdict()

    assert ended.code == 0, ended.err
    assert ended.out.split()[1] == "True"
    assert verdict.clean, verdict
    assert verdict.logged >= verdict.acked == 1000
    assert f"the disk refused {5000 - verdict.logged} values to the end" in ended.err


@pytest.mark.parametrize("before", ["no store", "a store", "a store and its experiment"])
def test_a_disk_that_is_full_from_the_start_is_an_error_that_says_what_to_do(
    small_disk: Stage, before: str
) -> None:
    prepared = {
        "no store": "os.makedirs(disk, exist_ok=True)",
        "a store": "client.create_experiment('other')",
        "a store and its experiment": "client.start_run(run_id='first').finish()",
    }
    script = """
fill()
try:
    client.start_run(run_id="r")
except BackendError as error:
    print(type(error).__name__, error, sep="|")
free()
print([run.id for run in client.list_runs()], sep="|")
run = client.start_run(run_id="r")
log(run, 0)
run.finish()
"""
    opening = f"from podstack import BackendError\n{prepared[before]}\n"
    ended = small_disk.play(_with_filler(small_disk, opening + script))
    said, listed = ended.out.splitlines()

    assert (ended.code, ended.err.count("Traceback")) == (0, 0), ended.err
    assert said.startswith("BackendError|Cannot write to the store")
    assert "free space" in said
    assert "PODSTACK_URI" in said
    assert listed == ("['first']" if "experiment" in before else "[]")
    assert small_disk.verdict().clean
    assert small_disk.run().status == "completed"


@pytest.mark.parametrize("small_disk", ["size=3m,nr_inodes=60"], indirect=True)
def test_a_disk_without_inodes_heals_once_there_are_some(small_disk: Stage) -> None:
    ended = small_disk.play(
        _with_filler(
            small_disk,
            """
run = client.start_run(run_id="r")
files = []
while os.statvfs(disk).f_ffree:
    files.append(f"{disk}/file{len(files)}")
    open(files[-1], "x").close()
for i in range(2000):   # the first of them needs a file
    log(run, i)
print(run.flush(0.3))
for file in files:
    os.unlink(file)
print(run.flush(200), run.dropped)
run.finish()
""",
        )
    )

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["False", "True", "0"]
    assert small_disk.verdict() == Verdict(logged=2000, acked=2000)
    assert small_disk.run().status == "completed"


def test_a_limit_on_the_size_of_files_is_gone_round(stage: Stage) -> None:
    ended = stage.play(
        """
        import resource
        run = client.start_run(run_id="r")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_001, resource.RLIM_INFINITY))
        for i in range(10_000):
            run.log_metrics({"x": i / 2}, step=i)
        print(run.flush(200), run.dropped)
        run.finish()
        """
    )
    verdict = stage.verdict()

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["True", "0"]
    assert verdict == Verdict(logged=10_000)
    assert stage.run().status == "completed"
    assert max(path.stat().st_size for path in stage.store.rglob("*.jsonl")) <= 100_001


def test_a_limit_on_the_size_of_files_that_is_lifted_again_costs_nothing(stage: Stage) -> None:
    ended = stage.play(
        """
        import resource
        run = client.start_run(run_id="r")
        log(run, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for i in range(1, 500):
            run.log_metrics({"x": i / 2}, step=i)
            run.log_params({"i": i})
        refused = run.flush(0.3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        print(refused, run.flush(200), run.dropped)
        run.finish()
        """
    )

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["False", "True", "0"]
    assert stage.verdict() == Verdict(logged=500, acked=1)
    assert stage.run().params == {"i": 499}
    assert stage.run().status == "completed"


OUT_OF_FILES = """
import podstack.journal, resource
podstack.journal.SEGMENT = 20_000
podstack.journal.SYNC_EVERY = 0.0
run = client.start_run(run_id="r")
resource.setrlimit(resource.RLIMIT_NOFILE, (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
files = []
try:
    while True:
        files.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for i in range(2000):
    log(run, i)
"""


def test_without_a_free_file_descriptor_points_wait_and_arrive(stage: Stage) -> None:
    ended = stage.play(
        OUT_OF_FILES
        + """
run.flush(3)
for file in files:
    os.close(file)
print(run.flush(200), run.dropped)
run.finish()
"""
    )

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["True", "0"]
    assert stage.verdict() == Verdict(logged=2000, acked=2000)
    assert stage.run().status == "completed"
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("ending", ["run.finish(timeout=1.0)", "os.kill(os.getpid(), 15)"])
def test_a_run_ends_without_a_free_file_descriptor(stage: Stage, ending: str) -> None:
    ended = stage.play(OUT_OF_FILES + ending)

    assert ended.code == (0 if "finish" in ending else -15), ended.err
    assert "Traceback" not in ended.err
    assert stage.run().status in ("completed", "killed")


@pytest.mark.xfail(
    strict=True,
    reason="a log writes to its descriptor's number without asking whose file that is now",
)
def test_a_file_that_takes_the_number_of_a_closed_log_stays_as_it_is(stage: Stage) -> None:
    """A daemon closes all descriptors; the next files that it opens get the same numbers."""
    ended = stage.play(
        """
        run = client.start_run(run_id="r")
        run.log_metrics({"x": 0}, step=0)
        os.closerange(3, 256)
        files = [open(f"file{n}", "wb") for n in range(10)]
        run.log_metrics({"x": 0.5}, step=1)
        run.log_params({"lr": 0.1})
        print(sum(os.path.getsize(file.name) for file in files))
        """
    )

    assert (ended.code, ended.out) == (0, "0\n")
    assert stage.verdict() == Verdict(logged=2)


def test_a_store_that_is_deleted_while_a_run_logs_is_made_again(stage: Stage) -> None:
    ended = stage.play(
        """
        import podstack.journal, shutil
        podstack.journal.SYNC_EVERY = 0.0
        run = client.start_run(run_id="r")
        for i in range(100):
            run.log_metrics({"x": i / 2}, step=i)
        store = client.uri
        os.rename(store, "away")    # in one step: nothing is made in it while it is deleted
        shutil.rmtree("away")
        deadline = time.monotonic() + 200
        while not (os.path.exists(store) and client.list_runs() and client.get_run("r").metrics):
            assert time.monotonic() < deadline
            i += 1
            run.log_metrics({"x": i / 2}, step=i)
            time.sleep(0.001)
        for i in range(i + 1, i + 101):
            log(run, i)
        run.finish()
        """
    )

    assert ended.code == 0, ended.err
    verdict = stage.verdict()
    assert "was deleted while the run wrote to it" in ended.err
    assert "Traceback" not in ended.err
    assert (verdict.lost, verdict.doubled, verdict.damaged) == (0, 0, 0)
    assert verdict.acked == 100
    assert stage.run().status == "completed"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_without_rights_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)

    with pytest.raises(OSError, match="its rights"):
        MLOpsClient(tmp_path / "store").start_run()


PRINTED = """
import logging
run = client.start_run(run_id="r", capture=("console",))
logging.basicConfig(level=logging.INFO, format="%(message)s")
print("before")
fill()
def work(name):
    for n in range(200):
        sys.stdout.write(f"print {name} {n}\\n")
        logging.info(f"log {name} {n}")
        log(run, n, name)
threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
free()
flushed = run.flush(200)
print("after", flushed)
run.finish()
"""


def test_what_is_printed_while_the_disk_is_full_is_shown_and_kept_once_it_is_not(
    small_disk: Stage,
) -> None:
    """Threads that print, log and record at once show too that no two locks wait for each other."""
    ended = small_disk.play(_with_filler(small_disk, PRINTED))
    kept = small_disk.run().console().splitlines()
    wanted = [f"{how} t{t} {n}" for how in ("print", "log") for t in range(4) for n in range(200)]

    assert ended.code == 0, ended.err
    assert ended.out.count("print") == ended.err.count("log t") == 800
    assert (kept[0], kept[-1]) == ("before", "after True")
    assert sorted(line for line in kept if line in set(wanted)) == sorted(wanted)
    assert small_disk.verdict().clean


def test_a_disk_that_stays_full_costs_the_program_no_line(small_disk: Stage) -> None:
    ended = small_disk.play(
        _with_filler(
            small_disk,
            """
run = client.start_run(run_id="r", capture=("console",))
fill()
for n in range(30_000):
    print(f"{n:99d}")
run.finish(timeout=0.1)
""",
        )
    )

    assert ended.code == 0, ended.err
    assert ended.out.count("\n") == 30_000
    assert "Traceback" not in ended.err
