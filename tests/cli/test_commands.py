"""The commands as a user gives them: real processes, the embedded database, exit statuses, JSON lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DAY = ("2026-04-05T06:00:00", "2026-04-05T10:00:00")
MADE = {f"ql-{kind}" for kind in ("lightcurve", "background", "spectra", "variance", "flareflag")} | {
    "cal-spectra", "hk-maxi", "hk-mini",
}  # fmt: skip
"""Products of that day; the list of flares is sent after it."""


class Home:
    def __init__(self, folder: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("STIXLAB_")}
        self.folder = folder
        self.environment = clean | {"STIXLAB_HOME": str(folder / "home")}

    def run(self, *arguments: str | Path, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "stixlab.cli", *map(str, arguments)],
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.folder,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str | Path, status: int = 0, **more: str) -> list[dict]:
        done = self.run(*arguments, "--json", status=status, **more)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """Four simulated hours, taken in with all that follows."""
    home = Home(tmp_path_factory.mktemp("commands"))
    truth = home.folder / "truth.json"
    (simulated,) = home.json(
        "simulate", "--start", DAY[0], "--end", DAY[1], "--out", "telemetry", "--seed", "4", "--truth", truth
    )
    assert json.loads(truth.read_text())["flares"] == simulated["flares"]
    (report,) = home.json("ingest", "telemetry")
    assert report["ok"]
    assert report["files"] == {"total": 2, "new": 2, "repeated": 0, "repaired": 0, "failed": 0}
    assert [r["status"] for r in report["runs"]] == ["succeeded"]
    return home


def test_the_flares_are_those_that_were_simulated(home):
    truth = json.loads((home.folder / "truth.json").read_text())["flares"]
    found = home.json("flares", "--start", DAY[0], "--end", DAY[1])
    assert len(found) == len(truth) > 0
    assert {f["origin"] for f in found} == {"simulated"}
    strong = [f["flare_id"] for f in found if f["peak_counts"] > 1000]
    assert [f["flare_id"] for f in home.json("flares", "--min-counts", "1000")] == strong
    assert home.run("flares", "--csv").stdout.startswith("flare_id,start,peak,end,peak_counts")


def test_products_and_their_files(home):
    found = home.json("products", "--start", DAY[0], "--end", DAY[1])
    assert {p["type"] for p in found} == MADE
    assert home.json("products", "--type", "hk-maxi", "--origin", "flight") == []
    (fetched,) = home.json("fetch", found[0]["product_id"], "--out", "files")
    assert (home.folder / fetched["path"]).stat().st_size == found[0]["fits_bytes"]
    assert "not in the catalogue" in home.run("fetch", "nonsense", status=1).stderr


def test_the_same_again_changes_nothing(home):
    before = home.json("products")
    (report,) = home.json("ingest", "telemetry")
    assert report["files"]["repeated"] == 2
    assert report["products"] == []
    assert [r["status"] for r in report["runs"]] == []
    assert home.json("products") == before


def test_a_run_by_hand_and_its_record(home):
    (run,) = home.json("run", "flare_list", "-p", f"start={DAY[0]}", "-p", f"end={DAY[1]}")
    assert run["status"] == "succeeded"
    assert (home.folder / "home" / "archive" / run["notebook"]).is_file()
    assert run["run_id"] in {
        r["run_id"] for r in home.json("runs", "--pipeline", "flare_list", "--status", "succeeded")
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("flare_list", "-p", "start=2026-04-05"), "end"),
        (("flare_list", "-p", "start=2026-04-05", "-p", "end=2026-04-04"), "end"),
        (("flare_list", "-p", "start=2026-04-05", "-p", "end=2026-04-06", "-p", "sigma=2"), "sigma"),
        (("flare_list", "-p", "start=yesterday", "-p", "end=2026-04-06"), "yesterday"),
        (("flarelist",), "did you mean flare_list"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(home, arguments, words):
    before = len(home.json("runs"))
    assert words in home.run("run", *arguments, status=1).stderr
    assert len(home.json("runs")) == before


def test_status_and_doctor(home):
    (status,) = home.json("status")
    assert status["running"] is False
    assert {d["product"] for d in status["data"]} == MADE | {"ql-tmstatusflarelist", "flare-list"}
    assert all(f["ok"] for f in home.json("doctor"))
    assert "simulated" in home.run("status").stdout


def test_pipelines_are_listed_with_their_parameters(home):
    schemas = {schema["title"]: schema for schema in home.json("pipelines")}
    assert {"start", "end"} <= set(schemas["Flare list"]["properties"])
    assert not any(schema["additionalProperties"] for schema in schemas.values())
    listed = home.run("pipelines").stdout
    assert all(name in listed for name in ("flare_list", "l1_daily", "l1_science", "ephemeris", "reprocess"))


def test_config_says_where_values_come_from_and_masks_secrets(home):
    rows = {r["name"]: r for r in home.json("config", STIXLAB_MONGO_URI="mongodb://me:secret@db.example/x")}
    assert rows["STIXLAB_HOME"]["from"] == "environment"
    assert rows["STIXLAB_PORT"]["from"] == "default"
    assert "secret" not in json.dumps(rows)
    assert "db.example" in rows["STIXLAB_MONGO_URI"]["value"]
    wrong = home.run("config", status=1, STIXLAB_PORT="many").stderr
    assert "STIXLAB_PORT" in wrong
    assert "'many'" in wrong


def test_times_both_ways(home):
    (there,) = home.json("convert-time", "2021-01-16T21:03:51.361687Z")
    (back,) = home.json("convert-time", there["scet"])
    assert back["utc"][:23] == "2021-01-16T21:03:51.361"
    assert there["accuracy_s"] > 0
    assert "expected UTC such as" in home.run("convert-time", "noon", status=1).stderr


def test_decode_of_a_simulated_file(home):
    path = next((home.folder / "telemetry").glob("*.bin"))
    records = home.json("decode", path)
    assert {r["status"] for r in records} == {"ok"}
    assert {(r["service"], r["subtype"], r["ssid"]) for r in records} == {(3, 25, 1), (3, 25, 2)}
    assert all(r["simulated"] and r["parameters"] for r in records)
    physical = home.json("decode", path, "--physical")[0]
    assert physical["engineering"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("ingest",), 2, "Missing argument"),
        (("ingest", "nowhere.xml"), 1, "cannot be read"),
        (("decode", "."), 1, "found a folder"),
        (("decode", "truth.json"), 1, "expected telemetry"),
        (("nonsense",), 2, "No such command"),
        (("simulate", "--start", "2026-01-02", "--end", "2026-01-01", "--out", "x"), 1, "before"),
        (("flares", "--start", "soon"), 1, "soon"),
        (("bench", "nonsense"), 2, "expected one of"),
        (("run", "flare_list", "-p", "start"), 2, "NAME=VALUE"),
    ],
)
def test_wrong_usage_is_told_with_its_status(home, arguments, status, words):
    done = home.run(*arguments, status=status)
    assert words in done.stderr + done.stdout


def test_a_file_that_is_no_telemetry_among_good_ones(home, tmp_path):
    (tmp_path / "letter.txt").write_text("no telemetry")
    done = home.run("ingest", tmp_path / "letter.txt", "telemetry", status=1)
    assert "expected telemetry" in done.stdout
    assert "2 repeated, 1 failed" in done.stdout


def test_a_database_that_is_away_is_told_and_nothing_is_stored(tmp_path, home):
    lonely = Home(tmp_path)
    done = lonely.run(
        "ingest",
        home.folder / "telemetry",
        status=1,
        STIXLAB_MONGO_URI="mongodb://me:secret@127.0.0.1:1/stixlab",
    )
    assert "127.0.0.1:1" in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "home" / "archive").exists()


def test_a_reader_cannot_ingest(home):
    assert "operator" in home.run("ingest", "telemetry", status=1, STIXLAB_ACCESS="team").stderr


def test_accounts(home):
    (made,) = home.json("accounts", "add", "ada")
    assert len(made["password"]) > 12
    assert [a["name"] for a in home.json("accounts", "list")] == ["ada"]
    assert "there is one already" in home.run("accounts", "add", "ada", status=1).stderr
    home.run("accounts", "remove", "ada")
    assert home.json("accounts", "list") == []


def test_down_when_nothing_runs(home):
    assert "nothing runs" in home.run("down").stdout
