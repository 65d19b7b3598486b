"""The pages of sweeps in a real browser: the list, the form, and the monitor while workers work."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from podstack import MLOpsClient
from podstack.sweeps.sweep import Sweep
from podstack.testing.browser import Held, Watch, bring, look_again, painted, refuse
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE

pytestmark = pytest.mark.ui

HOSTILE = "<img src=x onerror=stolen(1)>'\"&{lr}"
LOOP = """
import sys
from podstack import MLOpsClient
client = MLOpsClient(sys.argv[1])
while trial := client.suggest_sweep_params(sweep_id=sys.argv[2]):
    with client.start_run(sweep_trial=trial, capture=False) as run:
        run.log_metrics({"val_acc": 1 - (trial["lr"] - 0.3) ** 2})
"""
TRAIN = """
import sys
said = dict(word[2:].split("=", 1) for word in sys.argv[1:])
print(float(said["rate"]) + float(said["model.depth"]))
"""
SPACE = {
    "lr": {"min": 1e-4, "max": 1.0, "distribution": "log_uniform"},
    "opt": {"values": ["adam", "sgd"]},
    "momentum": {"min": 0.0, "max": 0.9, "when": {"opt": "sgd"}},
}


class Swept:
    """A server over a store with an experiment `digits`, runs of it, and a sweep of 24 trials."""

    def __init__(self, server: RunningServer, client: MLOpsClient, done: Sweep) -> None:
        self.server, self.client, self.done = server, client, done

    def sweep(self, name: str) -> Sweep:
        """A new sweep of ten trials."""
        home = self.client.create_experiment("digits")
        return self.client.create_sweep(home.id, "random", SPACE, "val_acc", 10, name=name, seed=1)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    folder = tmp_path_factory.mktemp("swept")
    client = MLOpsClient(folder / "store")
    home = client.create_experiment("digits")
    for lr in (1e-4, 0.5):
        params = {"lr": lr, "batch": 64 if lr < 0.1 else 128, "model": {"act": f"a{lr}"}, "n": 3}
        with client.start_run(home.id, params=params, capture=False) as run:
            run.log_metrics({"val_acc": 0.5, "val_loss": 1.0, "odd": 2.0})
    done = client.create_sweep(home.id, "random", SPACE, "val_acc", 30, name="done", seed=7)
    for number in range(24):
        _tried(client, done, number)
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield Swept(server, client, done)


def _tried(client: MLOpsClient, sweep: Sweep, number: int) -> None:
    trial = sweep.suggest()
    assert trial is not None
    value = 1 - (math.log10(float(trial.flat_params["lr"])) + 2) ** 2 / 10
    if number == 5:
        trial.fail("out of memory")
    elif number == 6:
        sweep.complete(trial.id, {"val_acc": 0.1}, pruned=True)
    elif number < 10:
        with client.start_run(sweep_trial=trial, capture=False) as run:
            run.log_metrics({"val_acc": value})
    else:
        trial.complete({"val_acc": value})


Opened = Callable[[str], Page]


@pytest.fixture
def opened(watch_at: Callable[[str], Watch], swept: Swept) -> Opened:
    """A strict page below the project, settled."""
    watch = watch_at(swept.server.url)
    return lambda path: watch.open(f"/projects/default/{path}")


def monitor(opened: Opened, sweep: Sweep) -> Page:
    page = opened(f"sweeps/{sweep.id}")
    page.wait_for_selector("#trials[data-state=ready]")
    return page


def filled(page: Page) -> None:
    """A form with a nested and a conditional parameter, to fill any experiment's sweep."""
    page.fill("[name=objective_metric]", "val_acc")
    page.fill("[name=name]", HOSTILE)
    page.fill("[name=max_trials]", "1")
    page.fill("[name=seed]", "4")
    for name, kind, fields in (
        ("rate", "log_uniform", {"min": "1e-5", "max": "0.1"}),
        ("model/depth", "int", {"min": "2", "max": "5"}),
        (HOSTILE, "categorical", {"values": f"b, 'c, d', {HOSTILE[:12]}"}),
        ("only", "normal", {"mu": "0", "sigma": "1e-4", "when": HOSTILE, "is": "b"}),
    ):
        row = page.locator(".sweep-row").last
        row.locator("[name=p-kind]").select_option(kind)
        row.locator("[name=p-name]").fill(name)
        if "when" in fields:
            row.get_by_text("Only if").click()
        for field, text in fields.items():
            row.locator(f"[name=p-{field}]").fill(text)
        page.click("#sweep-add")


# The list ----------------------------------------------------------------------------------------


def test_the_list_of_an_experiment_shows_how_far_each_sweep_is(
    opened: Opened, swept: Swept
) -> None:
    page = opened("experiments/digits/sweeps")
    row = page.locator("#sweeps tbody tr", has_text="done")

    expect(page.locator(".tabs [aria-current=page]")).to_have_text("Sweeps")
    expect(row).to_contain_text("24 of 30")
    row.get_by_role("link", name="done").click()
    page.wait_for_url(f"**/sweeps/{swept.done.id}")


# The form ----------------------------------------------------------------------------------------


def grid(opened: Opened) -> Page:
    """The form of a grid over `rate`, which lacks its upper end."""
    page = opened("sweeps/new?experiment=digits")
    page.check("[value=grid]")
    page.fill("[name=max_trials]", "")
    page.fill("[name=p-name]", "rate")
    page.fill("[name=p-min]", "0.1")
    return page


def test_a_grid_is_counted_exactly_while_one_types(opened: Opened) -> None:
    page = grid(opened)
    page.fill("[name=p-max]", "0.9")
    page.locator("[name=p-max]").blur()
    expect(page.locator(".sweep-row .sweep-error")).to_contain_text("grid points")
    page.fill("[name=p-count]", "7")
    expect(page.locator("#sweep-count")).to_have_text("7 trials")
    expect(page.locator(".sweep-row .sweep-error")).to_be_empty()
    page.click("#sweep-add")
    page.locator("[name=p-name]").last.fill("n")
    page.locator("[name=p-kind]").last.select_option("int")
    page.locator("[name=p-min]").last.fill("1")
    page.locator("[name=p-max]").last.fill("1000000000000")

    expect(page.locator("#sweep-count")).to_have_text("7,000,000,000,000 trials")
    expect(page.locator(".sweep-preview svg")).to_have_count(2)


def test_an_answer_that_came_while_one_typed_on_is_not_what_stays(opened: Opened) -> None:
    page = grid(opened)
    checks = Held(page, "**/sweeps/check", method="POST")
    page.fill("[name=p-max]", "0.9")
    late = checks.next()
    answer = late.fetch()
    page.fill("[name=p-count]", "7")
    late.fulfill(response=answer)  # a grid needs a count
    checks.release()

    expect(page.locator("#sweep-count")).to_have_text("7 trials")


def test_what_is_wrong_stands_at_its_field(opened: Opened) -> None:
    page = opened("sweeps/new?experiment=digits")
    page.fill("[name=p-name]", "rate")
    page.fill("[name=p-min]", "2")
    page.fill("[name=p-max]", "1")
    page.fill("[name=seed]", "many")
    page.fill("[name=objective_metric]", "odd")
    page.click("#sweep-create")

    expect(page.locator("#e-seed")).to_have_text("many is no number.")
    expect(page.locator("#e-direction")).to_contain_text("does not say which way")
    expect(page.locator(".sweep-row .sweep-error")).to_contain_text("min")
    expect(page.locator("#e-target")).to_be_empty()
    assert page.evaluate("() => document.activeElement.getAttribute('aria-invalid')") == "true"
    page.fill("[name=objective_metric]", "val_loss")
    expect(page.locator("#e-direction")).to_be_empty()
    expect(page.locator("[name=direction] option").first).to_have_text("minimize, by its name")


def test_ranges_that_runs_had_become_rows(opened: Opened) -> None:
    page = opened("sweeps/new?experiment=digits")
    page.click("#sweep-ranges")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("n", exact=True)).not_to_be_checked()
    dialog.get_by_role("button", name="Take them").click()
    expect(page.locator(".sweep-row")).to_have_count(5)
    yaml = page.inner_text("#sweep-yaml")

    assert re.search(r"lr: \{distribution: log_uniform, min: 1\.?\d*e-4, max: 0\.\d+\}", yaml)
    assert "batch: {distribution: int, min: 64, max: 128}" in yaml
    assert "act: {values: [a0.0001, a0.5]}" in yaml
    assert page.locator("#sweep-metrics option").evaluate_all("all => all.map(o => o.value)") == [
        "val_acc", "odd", "val_loss",
    ]  # fmt: skip


def test_ranges_that_are_asked_for_early_are_waited_for(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    held: list[Route] = []
    page = watch_at(swept.server.url).context().new_page()
    page.route("**/ranges", lambda route: held.append(route))
    with page.expect_request("**/ranges"):
        page.goto(f"{swept.server.url}/projects/default/sweeps/new?experiment=digits")
    page.click("#sweep-ranges")
    page.click("#sweep-ranges")
    painted(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
    held[0].continue_()
    painted(page)

    expect(page.get_by_role("dialog").get_by_label("n", exact=True)).to_be_visible()


def test_a_name_that_is_typed_early_gets_its_range_when_it_is_told(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    page = watch_at(swept.server.url).context().new_page()
    held = Held(page, "**/ranges")
    page.goto(f"{swept.server.url}/projects/default/sweeps/new?experiment=digits")
    route = held.next()
    page.locator("[name=p-name]").fill("lr")
    page.keyboard.press("Tab")
    route.continue_()

    expect(page.locator("[name=p-max]")).to_have_value("0.5")


def test_ranges_that_cannot_be_told_are_no_claim_that_there_are_none(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    watch = watch_at(swept.server.url)
    watch.allowed.append("503")
    page = watch.context().new_page()
    page.route("**/ranges", refuse)
    page.goto(f"{swept.server.url}/projects/default/sweeps/new?experiment=digits")
    expect(page.get_by_text("The store is asleep.")).to_be_visible()
    page.unroute("**/ranges")
    page.click("#sweep-ranges")

    expect(page.get_by_role("dialog").get_by_label("n", exact=True)).to_be_visible()


def test_a_created_sweep_opens_its_monitor_and_moves_as_a_worker_works(
    opened: Opened, swept: Swept, tmp_path: Path
) -> None:
    page = opened("sweeps/new?experiment=digits")
    page.fill("[name=objective_metric]", "val_acc")
    page.fill("[name=max_trials]", "4")
    page.fill("[name=p-name]", "lr")
    page.locator("[name=p-kind]").focus()
    expect(page.locator("[name=p-min]")).to_have_value("1e-4")
    page.click("#sweep-create")
    page.wait_for_url(re.compile(r"/sweeps/2\d+"))
    expect(page.locator("#sweep-progress")).to_contain_text("No trial has begun")
    id = page.url.rsplit("/", 1)[1]
    assert id in page.inner_text("#sweep-progress pre")
    polls: list[str] = []
    question = f"/api/v1/projects/default/sweeps/{id}"
    page.on("request", lambda sent: polls.append(sent.url.partition(question)[2]))
    with subprocess.Popen([sys.executable, "-c", LOOP, swept.server.url, id], cwd=tmp_path) as loop:
        page.wait_for_selector("#trials[data-rows='4']")
        assert loop.wait(DEADLINE) == 0

    expect(page.locator("#sweep-status")).to_have_text("completed")
    expect(page.locator("#sweep-progress")).to_contain_text("4 of 4 trials over")
    expect(page.locator("#best")).to_contain_text("val_acc")
    expect(page.locator("#history")).to_have_attribute("data-points", "4")
    expect(page.locator("#sweep-stop")).to_be_hidden()
    assert any(rest.startswith("?since=") for rest in polls)


def test_what_the_form_shows_as_code_makes_the_same_sweep(
    opened: Opened, swept: Swept, tmp_path: Path
) -> None:
    page = opened("sweeps/new?experiment=digits")
    filled(page)
    shown = {name: page.inner_text(f"#sweep-{name}") for name in ("python", "yaml", "command")}
    page.click("#sweep-create")
    page.wait_for_url(re.compile(r"/sweeps/2\d+"))
    made = swept.client.get_sweep(page.url.rsplit("/", 1)[1])
    (tmp_path / "sweep.yaml").write_text(shown["yaml"])
    (tmp_path / "train.py").write_text(TRAIN)
    create, agent = shown["command"].strip().splitlines()
    from_yaml = swept.client.get_sweep(_ran(shlex.split(create), tmp_path).strip())
    worked = _ran(shlex.split(agent), tmp_path)
    program = f"def train(params): return params['rate']\n{shown['python']}\nprint(sweep.id)"
    from_python = swept.client.get_sweep(_ran(["python", "-c", program], tmp_path).split()[-1])

    assert facts(from_yaml) == facts(made) == facts(from_python)
    assert made.name == HOSTILE
    assert [trial.status for trial in from_yaml.refresh().records()] == ["completed"], worked
    assert len(from_python.records()) == 1


def facts(sweep: Sweep) -> Any:
    """What two sweeps that are the same have in common."""
    told = sweep.definition.as_changes()
    return {name: value for name, value in told.items() if name not in ("created", "user")}


def _ran(words: list[str], folder: Path) -> str:
    """What a command prints, with this environment's programs found first."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PODSTACK_CACHE": str(folder / "cache")}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_like_this_one_is_made_by_a_link(opened: Opened, swept: Swept) -> None:
    space = {
        **SPACE,
        "model": {
            "depth": {"distribution": "int", "min": 1, "max": 4},
            HOSTILE: {"values": [1, "1"]},
        },
        "epochs": 5,
    }
    old = swept.client.create_sweep(
        swept.client.create_experiment("digits").id, "random", space, "val_acc", 8, sampler="quasi",
        direction="maximize", patience=4, max_time=600.0, target=0.99, pruner="median",
        warm_start=swept.done,
    )  # fmt: skip
    page = monitor(opened, swept.done)
    page.get_by_role("link", name="New sweep like this one").click()
    page.wait_for_url(f"**/sweeps/new?like={swept.done.id}")
    page = opened(f"sweeps/new?like={old.id}")
    expect(page.locator("#sweep-lost li")).to_have_count(2 + bool(old.definition.warm))
    expect(page.locator("#sweep-lost")).to_contain_text("quasi")
    page.click("#sweep-create")
    page.wait_for_url(re.compile(r"/sweeps/2\d+"))
    made = swept.client.get_sweep(page.url.rsplit("/", 1)[1])

    own = ("name", "seed", "options", "warm")
    told, wanted = facts(made), facts(old)
    assert {n: told[n] for n in wanted if n not in own} == {
        n: wanted[n] for n in wanted if n not in own
    }


def test_the_menu_of_a_sweep_in_the_list_leads_to_a_form_filled_in_from_it(
    opened: Opened, swept: Swept
) -> None:
    page = opened("sweeps")
    page.get_by_role("button", name="Actions on done").click()
    page.get_by_role("menuitem", name="New sweep like this one").click()
    page.wait_for_url(f"**/sweeps/new?like={swept.done.id}")

    expect(page.locator(".banner")).to_contain_text("Filled in from done.")
    expect(page.locator("[name=p-name]")).to_have_count(3)
    expect(page.locator("[name=max_trials]")).to_have_value("30")


# The monitor -------------------------------------------------------------------------------------


def test_stop_asks_once_and_says_what_becomes_of_running_trials(
    opened: Opened, swept: Swept
) -> None:
    sweep = swept.sweep("to stop")
    trial = sweep.suggest()
    assert trial is not None
    page = monitor(opened, sweep)
    page.click("#sweep-stop")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("One trial runs now: it goes on to the end, and still counts.")
    dialog.get_by_role("button", name="Stop").click()

    expect(page.locator("#sweep-status")).to_have_text("stopped")
    assert swept.client.get_sweep(sweep.id).suggest() is None
    trial.complete({"val_acc": 0.4})
    page.wait_for_selector("#best[data-trial='1']")


def test_stop_says_nothing_of_trials_before_they_are_known(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    sweep = swept.sweep("asked early")
    assert sweep.suggest() is not None
    page = watch_at(swept.server.url).context().new_page()
    held = Held(page, f"**/api/**/sweeps/{sweep.id}")
    page.goto(f"{swept.server.url}/projects/default/sweeps/{sweep.id}")
    route = held.next()
    page.click("#sweep-stop")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("A stopped sweep does not go on.")
    expect(dialog).not_to_contain_text("runs now")
    route.continue_()


def test_the_line_that_starts_a_worker_stays_marked_while_nothing_is_new(
    opened: Opened, swept: Swept
) -> None:
    page = opened(f"sweeps/{swept.sweep('copied').id}")
    line = page.locator("#sweep-progress pre")
    line.evaluate("(line) => getSelection().selectAllChildren(line)")
    before = page.evaluate("() => getSelection().toString()")
    assert "podstack sweep agent" in before
    with page.expect_response("**/sweeps/*?since=*"):
        look_again(page)
    painted(page)

    assert page.evaluate("() => getSelection().toString()") == before


def test_a_contour_whose_script_does_not_come_says_so_alone(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    watch = watch_at(swept.server.url)
    watch.allowed.append("503")
    page = watch.context().new_page()
    page.route("**/contour_panel.js", refuse)
    page.goto(f"{swept.server.url}/projects/default/sweeps/{swept.done.id}")
    bring(page, "#contour", "error")

    expect(page.locator("#contour")).to_contain_text("This chart could not be drawn")
    page.wait_for_selector("#trials[data-state=ready]")


def test_the_trials_are_sorted_by_keyboard_and_lead_to_their_runs(
    opened: Opened, swept: Swept
) -> None:
    page = monitor(opened, swept.done)
    head = page.locator("th[data-key=value]")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    best = swept.done.best_trial
    assert best is not None
    expect(page.locator("#trials tbody tr").first).to_have_attribute("data-trial", str(best.number))
    page.keyboard.press("Enter")
    expect(page.locator("#trials tbody tr").last).to_contain_text("out of memory")
    expect(page).to_have_url(re.compile("sort=value"))
    page.locator("tr[data-trial='2'] a").click()
    page.wait_for_url("**/runs/*")

    expect(page.locator("h1")).to_be_visible()


def test_the_contour_tells_its_values_by_keyboard_and_opens_the_nearest_trial(
    opened: Opened, swept: Swept
) -> None:
    page = monitor(opened, swept.done)
    bring(page, "#contour")
    page.locator("#contour-tools select").first.select_option("lr")
    page.locator("#contour-tools select").last.select_option("opt")
    page.wait_for_selector("#contour[data-x=lr][data-y=opt]")
    canvas = page.locator("#contour canvas[role=img]")
    canvas.focus()
    page.keyboard.press("Home")
    said = page.locator("#contour [aria-live]")

    expect(said).to_contain_text(re.compile(r"val_acc about .*, lr = .*, opt = (adam|sgd)"))
    before = said.inner_text()
    page.keyboard.press("ArrowLeft")
    expect(said).not_to_have_text(before)
    assert canvas.get_attribute("aria-label").startswith("val_acc over lr and opt, 22 trials")  # type: ignore[union-attr]


def test_a_brush_of_the_parallel_axes_leaves_its_trials_in_the_table(
    opened: Opened, swept: Swept
) -> None:
    page = monitor(opened, swept.done)
    bring(page, "#parallel")
    page.locator("#parallel .axis-title[data-axis=lr]").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#trials")).to_contain_text("are within the brushes")
    assert int(page.get_attribute("#trials", "data-rows") or 0) < 24
    page.get_by_role("button", name="Take the brushes away").click()

    expect(page.locator("#trials")).to_have_attribute("data-rows", "24")


def test_an_importance_that_fails_says_so_alone_and_is_asked_again(
    watch_at: Callable[[str], Watch], swept: Swept
) -> None:
    watch = watch_at(swept.server.url)
    watch.allowed.append("422")
    page = watch.context().new_page()
    refusal = json.dumps({"error": {"code": "damaged", "message": "The forest burnt."}})
    page.route("**/importance", lambda route: route.fulfill(status=422, body=refusal))
    page.goto(f"/projects/default/sweeps/{swept.done.id}")
    expect(page.locator("#importance[data-state=error]")).to_contain_text("The forest burnt.")
    page.wait_for_selector("#history[data-state=ready]")
    bring(page, "#contour")
    page.unroute("**/importance")
    page.locator("#importance").get_by_role("button", name="Try again").click()

    expect(page.locator("#importance[data-state=ready]")).to_contain_text("lr")


def test_hostile_names_are_texts_on_the_monitor_and_in_the_list(
    opened: Opened, swept: Swept
) -> None:
    space = {HOSTILE: {"values": [HOSTILE, "b"]}, "__proto__": {"values": [1, 2]}}
    home = swept.client.create_experiment(HOSTILE).id
    sweep = swept.client.create_sweep(
        home, "grid", space, HOSTILE, direction="maximize", name=HOSTILE
    )
    for value in (0.5, 0.7, math.nan):
        trial = sweep.suggest()
        assert trial is not None
        trial.complete({HOSTILE: value})
    page = monitor(opened, sweep)
    for part in ("history", "importance", "contour", "parallel", "slices", "timeline", "space"):
        bring(page, f"#{part}", "")
        assert page.get_attribute(f"#{part}", "data-state") != "error"

    expect(page.locator("h1")).to_have_text(HOSTILE)
    expect(page.locator("#best")).to_contain_text(HOSTILE)
    expect(page.locator("#trials")).to_contain_text("__proto__")
    expect(opened("sweeps").locator("#sweeps")).to_contain_text(HOSTILE)
