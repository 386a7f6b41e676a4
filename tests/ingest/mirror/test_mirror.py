import hashlib
import json
import subprocess

import pytest

from stixlab.errors import AccessError, ConflictError, FormatError, ParameterError, ServiceError
from stixlab.ingest import mirror_files
from stixlab.ingest.mirror import Selection, mirror, verify_mirror
from stixlab.ingest.mirror_notes import Notes
from tests.support.mirrors import BACKGROUND, LIGHT, PIXELS, ROOT, copies, whole
from tests.support.public_archive import fits_bytes


def test_everything_below_the_address_is_copied_and_nothing_else(run, archive, tmp_path):
    report = run()
    assert copies(tmp_path / "copy") == whole(archive)
    assert (len(report.new), report.changed, report.gone, report.problems) == (3, [], [], [])
    assert report.n_bytes == sum(map(len, whole(archive).values()))
    assert "/secret" not in archive.paths()


def test_checksums_are_written_as_sha256sum_reads_them(run, tmp_path):
    run()
    folder = tmp_path / "copy"
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", ".mirror/SHA256SUMS"], cwd=folder, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len((folder / ".mirror" / "SHA256SUMS").read_text().splitlines()) == 3


def test_a_second_call_asks_for_the_index_pages_only(run, archive):
    run()
    archive.asked.clear()
    report = run()
    assert (report.unchanged, report.new, report.n_bytes) == (3, [], 0)
    assert all(path.endswith("/") for path in archive.paths())


@pytest.mark.parametrize("conditional", [True, False])
def test_where_the_index_says_nothing_the_server_is_asked(run, archive, conditional):
    archive.bare, archive.conditional = True, conditional
    run()
    archive.asked.clear()
    report = run()
    assert (report.unchanged, report.new, report.changed) == (3, [], [])
    asked = dict(archive.asked)[LIGHT]
    assert asked["If-None-Match"].startswith('"')
    assert asked["If-Modified-Since"].endswith("GMT")
    assert (report.n_bytes == 0) is conditional


def test_what_changed_is_replaced_and_what_is_gone_stays(run, archive, tmp_path):
    run()
    archive.files[LIGHT] = fits_bytes(9)
    archive.changed[LIGHT] = 1_700_000_000
    gone = archive.files.pop(PIXELS)
    told = []
    report = run(tell=lambda what, path: told.append((what, path)))
    name, lost = LIGHT.removeprefix("/data/fits/"), PIXELS.removeprefix("/data/fits/")
    assert (report.changed, report.gone, report.new) == ([name], [lost], [])
    assert copies(tmp_path / "copy") == {**whole(archive), lost: gone}
    assert ("gone", lost) in told
    assert run().gone == [lost]
    archive.files[PIXELS] = gone
    again = run()
    assert (again.gone, again.unchanged) == ([], 3)


def test_only_what_is_selected_is_asked_for(run, archive, tmp_path):
    import numpy as np

    report = run(selection=Selection(types=("ql-lightcurve",), end=np.datetime64("2021-06-07", "ns")))
    assert list(copies(tmp_path / "copy")) == [LIGHT.removeprefix("/data/fits/")]
    assert report.left_out == 1
    assert not any("/07/" in path for path in archive.paths())
    assert run().gone == []


def test_a_file_cut_short_is_gone_on_with(run, archive, tmp_path):
    archive.faults[PIXELS] = [("cut", 70_000)]
    report = run()
    assert len(report.problems) == 1
    assert "expected 200000 bytes; found 70000" in report.problems[0]
    assert PIXELS.removeprefix("/data/fits/") not in copies(tmp_path / "copy"), "no name before it is whole"
    report = run()
    assert (report.problems, report.n_bytes) == ([], 130_000)
    assert copies(tmp_path / "copy") == whole(archive)
    assert list((tmp_path / "copy" / ".mirror" / "pieces").iterdir()) == []


def test_what_changed_since_it_was_begun_is_begun_anew(run, archive, tmp_path):
    archive.faults[PIXELS] = [("cut", 70_000)]
    run()
    archive.files[PIXELS] = fits_bytes(8, 150_000)
    assert run().problems == []
    assert copies(tmp_path / "copy") == whole(archive)


def test_a_piece_longer_than_the_file_is_begun_anew(run, archive, tmp_path, monkeypatch):
    """A server that understands parts but not If-Range."""
    archive.faults[PIXELS] = [("cut", 70_000)]
    run()
    archive.faults[PIXELS] = [416]
    assert run().problems == []
    assert copies(tmp_path / "copy") == whole(archive)


class Killed(BaseException):
    """The process is gone."""


def test_a_killed_process_leaves_whole_files_and_a_safe_beginning(run, archive, tmp_path, monkeypatch):
    """Nothing is written when a process dies: not even its notes are closed."""
    monkeypatch.setattr(mirror_files, "_SAFE_EVERY_BYTES", 60_000)
    monkeypatch.setattr(Notes, "_close", lambda _self: None)
    read = mirror_files._blocks

    def dies(body):
        for number, block in enumerate(read(body)):
            yield block
            if number == 1:
                raise Killed

    monkeypatch.setattr(mirror_files, "_blocks", dies)
    with pytest.raises(Killed):
        run()
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    there = copies(tmp_path / "copy")
    assert there == {k: v for k, v in whole(archive).items() if "QL" in k}
    journal = tmp_path / "copy" / ".mirror" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"path": "L1/2021/06/06/QL/so')  # cut short by the kill
    report = run()
    assert copies(tmp_path / "copy") == whole(archive)
    assert report.unchanged == 2
    assert report.n_bytes < 200_000 - 60_000


def test_a_page_that_says_sorry_is_no_fits_file(run, archive, tmp_path):
    archive.files[LIGHT] = b"<html>sorry</html>".ljust(3000)
    report = run()
    assert "expected a FITS file; it begins with b'<html>sorry" in report.problems[0]
    assert LIGHT.removeprefix("/data/fits/") not in copies(tmp_path / "copy")
    assert len(report.new) == 2


def test_a_busy_server_is_asked_again_later(run, archive, waits):
    archive.faults[LIGHT] = [503, (429, {"Retry-After": "17"}), 500]
    assert run().problems == []
    assert waits == [2.0, 17.0, 8.0]


def test_one_file_that_never_comes_is_told_and_the_rest_is_there(run, archive):
    archive.faults[LIGHT] = [500] * 4
    report = run()
    assert len(report.new) == 2
    assert "status 500, asked 4 times" in report.problems[0]
    assert run().new == [LIGHT.removeprefix("/data/fits/")]


def test_a_server_that_falls_silent_ends_it(run, archive):
    for path in (LIGHT, BACKGROUND, f"{ROOT}07/"):
        archive.faults[path] = [502] * 4
    with pytest.raises(ServiceError, match="the same command goes on from there"):
        run()
    assert len(run().new) == 3


def test_a_server_that_wants_to_be_left_alone_is(run, archive, waits):
    archive.faults[LIGHT] = [(503, {"Retry-After": "86400"})]
    with pytest.raises(ServiceError, match="asks to come again in 86400 s"):
        run()
    assert waits == []


def test_no_server_is_told(tmp_path, waits):
    with pytest.raises(ServiceError, match="asked 4 times"):
        mirror("http://127.0.0.1:9/data/fits/", tmp_path, delay_s=0, sleep=waits.append)
    assert waits == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("path", ["/data/nothing/", LIGHT])
def test_an_address_that_is_no_index_is_refused(run, path):
    with pytest.raises(ServiceError, match="expected"):
        run(path)


def test_a_page_without_links_is_a_problem(run, archive):
    archive.pages["/empty/"] = "<html>hello</html>"
    assert "lists nothing below it" in run("/empty/").problems[0]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x/",
        "file:///etc/",
        "host/data",
        "http://user:word@host/x/",
        "http:///x",
        "http://host/x?y/",
        "http://host/a b/",
        "http://host:x/",
        "http://[x/",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url, tmp_path):
    with pytest.raises(ParameterError, match="expected an address"):
        mirror(url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("delay", ["²", "9" * 5000])
def test_a_robots_txt_that_cannot_be_understood_is_told(run, archive, delay):
    archive.robots = f"User-agent: *\nCrawl-delay: {delay}\n"
    with pytest.raises(AccessError, match=r"expected a robots\.txt that says what is allowed"):
        run()


def test_what_robots_txt_forbids_is_not_asked_for(run, archive, waits):
    archive.robots = "User-agent: *\nDisallow: /data/fits/L1/2021/06/07/\nCrawl-delay: 3\n"
    report = run(delay_s=0.1)
    assert len(report.new) == 2
    assert "robots.txt asks programs not to read it" in report.problems[0]
    assert not any("/07/" in path for path in archive.paths())
    assert all(2.5 < wait <= 3 for wait in waits[1:])


def test_a_pause_that_would_not_end_is_told(run, archive, waits):
    archive.robots = "User-agent: *\nCrawl-delay: 86400\n"
    with pytest.raises(AccessError, match="a pause of 86400 s"):
        run()
    assert (waits, archive.paths()) == ([], [])


@pytest.mark.parametrize("answer", [403, 401])
def test_a_server_that_forbids_everything_is_left_alone(run, archive, answer):
    archive.faults["/robots.txt"] = [answer]
    with pytest.raises(AccessError, match=r"robots\.txt"):
        run()
    assert archive.paths() == []


def test_requests_have_pauses_and_a_name(run, archive, waits):
    run(delay_s=0.25)
    assert len(waits) == len(archive.asked) - 1
    assert all(0 < wait <= 0.25 for wait in waits)
    assert all(headers["User-Agent"].startswith("stixlab-mirror/") for _, headers in archive.asked)
    with pytest.raises(ParameterError, match="0 or more; found -1"):
        run(delay_s=-1)


def test_links_and_redirects_to_elsewhere_are_not_followed(run, archive, tmp_path):
    archive.pages[f"{ROOT}08/"] = (
        '<a href="/secret">x</a> <a href="http://127.0.0.1:9/x.fits">x</a> <a href="..%2f..%2f..%2fx.fits">x</a>'
        ' <a href="moved.fits">x</a> <a href="folder">x</a>'
    )
    archive.pages[ROOT] = '<a href="06/">x</a><a href="08/">x</a>'
    archive.pages[f"{ROOT}08/folder/"] = "<html></html>"
    archive.faults[f"{ROOT}08/moved.fits"] = [(302, {"Location": "/secret"})]
    report = run()
    assert "/secret" not in archive.paths()
    assert set(copies(tmp_path / "copy")) == {p.removeprefix("/data/fits/") for p in (LIGHT, BACKGROUND)}
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]
    told = "\n".join(report.problems)
    for words in ("cannot be the name of a file", "which is outside", "or a folder"):
        assert words in told
    assert len(report.problems) == 3


def test_a_loop_of_folders_ends(run, archive):
    loop = "".join(f"/{n}" for n in ["data", "fits", *["a"] * 40])
    for depth in range(1, loop.count("/") + 1):
        archive.pages["/".join(loop.split("/")[: depth + 1]) + "/"] = '<a href="a/">a</a>'
    report = run()
    assert "is it a loop of links?" in report.problems[0]
    assert len(archive.paths()) < 20


def test_the_first_address_may_lead_on_within_its_host(run, archive, tmp_path):
    archive.faults["/data/"] = [(302, {"Location": "/data/fits/"})]
    assert len(run("/data").new) == 3
    assert copies(tmp_path / "copy") == whole(archive)


def test_a_folder_serves_one_address_and_one_process(run, archive, tmp_path):
    run()
    with pytest.raises(ConflictError, match=r"it is one of .*/data/fits/; name another folder"):
        run("/data/fits/L1/")
    url = archive.url + "/data/fits/"
    with pytest.raises(ServiceError):
        run("/data/wrong/", folder=tmp_path / "new")
    assert len(run(folder=tmp_path / "new").new) == 3, "a wrong address before the first file binds nothing"
    with Notes.held(tmp_path / "copy", url), pytest.raises(ConflictError, match="another process"):
        run()


def test_damage_is_found_and_made_good(run, archive, tmp_path):
    run()
    folder = tmp_path / "copy"
    light, pixels = (folder / p.removeprefix("/data/fits/") for p in (LIGHT, PIXELS))
    light.write_bytes(light.read_bytes()[:-1] + b"?")
    pixels.unlink()
    names = [p.removeprefix("/data/fits/") for p in (LIGHT, PIXELS)]
    assert verify_mirror(folder) == {names[0]: "damaged", names[1]: "missing"}
    assert run().changed == [names[1]], "without --verify only what is seen by its size"
    assert run(verify=True).changed == [names[0]]
    assert verify_mirror(folder) == {}
    assert copies(folder) == whole(archive)


def test_a_folder_that_is_no_mirror_is_not_verified(tmp_path):
    with pytest.raises(FormatError, match="made by `stixlab mirror`"):
        verify_mirror(tmp_path)


def test_damaged_notes_are_told_or_passed_over(run, archive, tmp_path):
    run()
    hidden = tmp_path / "copy" / ".mirror"
    (hidden / "journal.jsonl").write_bytes(
        b"\x00\xff{]\n[1]\n{}\nnull\n" + (hidden / "journal.jsonl").read_bytes()[:200]
    )
    assert run().problems == []
    assert verify_mirror(tmp_path / "copy") == {}
    (hidden / "source.json").write_text("{")
    with pytest.raises(FormatError, match=r"source\.json"):
        run()


def test_what_import_sees_is_the_files_alone(run, tmp_path):
    """The notes of the mirror are hidden; nothing else lies beside the files."""
    from stixlab.ingest.folders import find_files

    run()
    found = list(find_files([tmp_path / "copy"]))
    assert len(found) == 3
    assert all(p.suffix == ".fits" for p in found)


def test_the_journal_names_hash_and_version_of_each_file(run, archive, tmp_path):
    run()
    lines = (tmp_path / "copy" / ".mirror" / "journal.jsonl").read_text().splitlines()
    record = next(r for r in map(json.loads, lines) if "lightcurve" in r["path"])
    assert record["sha256"] == hashlib.sha256(archive.files[LIGHT]).hexdigest()
    assert (record["size"], record["gone"], record["etag"][0]) == (2880, "", '"')
