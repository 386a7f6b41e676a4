"""What the processes of an idle platform do not load: each library counts once for every process that has it."""

import subprocess
import sys

import pytest

SCIENCE = "pandas, xarray, dask, scipy, astropy, numba, bokeh, matplotlib, sunpy"
HUB = "jupyterhub, sqlalchemy, alembic"
ENGINE = "papermill, nbformat, jsonschema"
LAB = (
    "stixlab.factory, stixlab.catalog, stixlab.services.database, stixlab.client.lab, stixlab.ephemeris.clock"
)


@pytest.mark.parametrize(
    ("loaded", "absent"),
    [
        ("stixlab.platform", f"numpy, {SCIENCE}, {HUB}, {ENGINE}"),
        (f"{LAB}, stixlab.api.app, stixlab.hub.addresses", f"{SCIENCE}, {HUB}, {ENGINE}"),
        (
            f"{LAB}, stixlab.api.runs, stixlab.api.members, stixlab.pipeline.discovery",
            f"{SCIENCE}, {HUB}, {ENGINE}",
        ),
        (f"{LAB}, stixlab.hub.team_pages", f"{SCIENCE}, {ENGINE}"),
        (
            "stixlab.factory, stixlab.services.database, stixlab.pipeline.queue, stixlab.pipeline.warm",
            f"{SCIENCE}, {HUB}, {ENGINE}",
        ),
    ],
    ids=["up", "api", "runs-service", "team-pages", "worker"],
)
def test_a_process_that_waits_has_not_loaded_what_it_does_not_use(loaded, absent):
    code = f"import sys, {loaded}\nprint(*sorted({{*{absent.split(', ')!r}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_hub_and_apps_start_without_the_slow_check_of_addresses():
    code = (
        "import sys\nfrom stixlab.pipeline.quick_imports import load_jsonschema\nload_jsonschema()\n"
        "import jupyterhub.app, stixlab.hub.voila_app\nprint('jsonschema' in sys.modules, 'rfc3987_syntax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
