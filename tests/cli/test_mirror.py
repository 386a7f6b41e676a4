import json

import pytest
from click.testing import CliRunner

from stixlab.cli.mirror import mirror_command
from stixlab.errors import ParameterError
from tests.support.public_archive import PublicArchive, fits_bytes, served

PATH = "/data/fits/L1/2021/06/06/QL/solo_L1_stix-ql-lightcurve_20210606_V02.fits"


@pytest.fixture
def archive(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with served(PublicArchive({PATH: fits_bytes(1)})) as archive:
        yield archive


def call(*arguments):
    return CliRunner().invoke(mirror_command, [*map(str, arguments)])


def test_the_copy_is_made_and_told(archive, tmp_path):
    done = call(archive.url + "/data/fits/", "--to", tmp_path / "copy", "--delay", 0)
    assert done.exit_code == 0, done.output
    assert done.stdout == "new       L1/2021/06/06/QL/solo_L1_stix-ql-lightcurve_20210606_V02.fits\n"
    assert "1 new, 0 changed" in done.stderr
    assert f"`stixlab import {tmp_path / 'copy'}`" in done.stderr


def test_the_report_is_one_object(archive, tmp_path):
    done = call(
        archive.url + "/data/fits/",
        "--to",
        tmp_path / "copy",
        "--delay",
        0,
        "--json",
        "--type",
        "ql-background",
    )
    assert json.loads(done.stdout)["left_out"] == 1
    assert done.exit_code == 0


def test_a_file_that_failed_gives_status_one(archive, tmp_path):
    archive.files[PATH] = b"no FITS"
    done = call(archive.url + "/data/fits/", "--to", tmp_path / "copy", "--delay", 0)
    assert done.exit_code == 1
    assert "expected a FITS file" in done.stdout


def test_a_copy_is_verified_without_its_archive(archive, tmp_path):
    call(archive.url + "/data/fits/", "--to", tmp_path / "copy", "--delay", 0)
    assert call("--to", tmp_path / "copy", "--verify").exit_code == 0
    (tmp_path / "copy" / PATH.removeprefix("/data/fits/")).unlink()
    done = call("--to", tmp_path / "copy", "--verify", "--json")
    assert done.exit_code == 1
    assert list(json.loads(done.stdout)["wrong"].values()) == ["missing"]


def test_no_address_is_wrong(tmp_path):
    done = call("--to", tmp_path / "copy")
    assert isinstance(done.exception, ParameterError)


def test_a_file_that_is_too_large_gives_status_one_and_the_cure(archive, tmp_path):
    call_of = (archive.url + "/data/fits/", "--to", tmp_path / "copy", "--delay", 0, "--most-bytes")
    done = call(*call_of, 1000)
    assert done.exit_code == 1
    assert "expected a file of at most 1000 bytes" in done.stdout
    assert call(*call_of, 2880).exit_code == 0
    assert call(*call_of, 0).exit_code == 2
