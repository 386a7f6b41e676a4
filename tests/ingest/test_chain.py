"""From files to archive and catalogue: what comes of good files, bad files, repeated files."""

import gzip
import hashlib
import random
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import ArchiveError, NotInCatalogError, SchemaError
from stixlab.idb import load_versions
from stixlab.ingest import receive
from stixlab.simulation import simulate
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sources import read_packets
from stixlab.telemetry.writers import write_binary, write_hex
from tests.support.chain import Chain, new_chain

LB_DAY = "l1/ql/solo_LB_stix-21-6-30_0664156800_V01.fits"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


@pytest.fixture(scope="session")
def lb_packets(real_data) -> PacketBlock:
    path = real_data / LB_DAY
    return read_packets(path.read_bytes(), path.name, load_versions())[0]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    simulate("2026-02-03T00:00", "2026-02-03T03:00", out=folder, seed=3)
    return folder


def test_the_lb_day_gives_two_days_of_light_curve(chain, real_data):
    """36 packets: 35 of 580 bins and one of 222, from 2021-01-16T21:03:51 on."""
    path = real_data / LB_DAY
    report = chain.ingest(path)
    assert not report.failed
    assert report.packets == {"ok": 36}
    assert {p.product_id: p.n_times for p in chain.catalog.products.find()} == {
        "L1_ql-lightcurve_20210116_flight": 2642,
        "L1_ql-lightcurve_20210117_flight": 17880,
    }
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert chain.archive.read_raw(sha256) == path.read_bytes()
    for product in chain.catalog.products.find():
        assert product.sources == (sha256,)
        fits = chain.archive.path(product.fits)
        assert hashlib.sha256(fits.read_bytes()).hexdigest() == product.fits_sha256
        assert fits.parent.relative_to(chain.archive.root).parts[:2] == ("fits", "L1")
    assert chain.archive.path("fits/L1/2021/01/17/QL/solo_L1_stix-ql-lightcurve_20210117_V01U.fits").is_file()


def test_the_stored_day_equals_the_official_level_0(chain, real_data):
    """Counts are the decompressed codes of the L0 product, on its 2,654 bins."""
    from astropy.io import fits

    from stixlab.telemetry.compression import decompress

    chain.ingest(real_data / LB_DAY)
    ds = chain.lab.open("ql-lightcurve", "2021-01-16", "2021-01-18")
    with fits.open(real_data / "l1/ql/solo_L0_stix-ql-LightCurve_0664070400_V01.fits") as hdus:
        codes = hdus["DATA"].data["counts"].astype(np.uint8)
        triggers = hdus["DATA"].data["triggers"].astype(np.uint8)
    n = len(codes)
    assert n == 2654
    np.testing.assert_array_equal(ds.counts[:n], decompress(codes, 0, 5, 3)[0])
    np.testing.assert_array_equal(ds.triggers[:n], decompress(triggers, 0, 5, 3)[0])
    variance = decompress(codes, 0, 5, 3)[1]
    expected = np.sqrt(variance + ds.counts[:n].to_numpy())
    np.testing.assert_allclose(ds.counts_error[:n], expected, rtol=1e-6)


def test_no_packet_is_dropped(chain, real_data):
    """Every hex file holds one packet; those without a known structure are kept and counted."""
    folder = real_data / "telemetry"
    report = chain.ingest(folder / "hex", folder / "xml")
    assert not report.failed
    n_hex = len(list((folder / "hex").glob("*.hex")))
    n_xml = sum(
        (folder / "xml" / f.path.rsplit("/", 1)[-1]).read_text().count("<Packet>")
        for f in report.files
        if f.kind == "edds-tm"
    )
    assert sum(report.packets.values()) == n_hex + n_xml
    stored = sum(
        len(chain.archive.open_packets(f.sha256)) for f in chain.catalog.raw_files.find() if f.kind != "fits"
    )
    assert stored == n_hex + n_xml


def test_a_repeated_file_changes_nothing(chain, simulated):
    first = chain.ingest(simulated)
    files, contents = chain.files(), chain.contents()
    again = chain.ingest(simulated)
    assert (chain.files(), chain.contents()) == (files, contents)
    assert not again.failed
    assert {f.status for f in first.files} == {"new"}
    assert {f.status for f in again.files} == {"repeated"}
    assert again.products == []


def test_the_same_content_under_another_name_is_the_same_file(chain, simulated, tmp_path):
    path = next(simulated.glob("*.bin"))
    chain.ingest(path)
    other = tmp_path / "other.dat"
    other.write_bytes(path.read_bytes())
    assert chain.ingest(other).files[0].status == "repeated"
    assert chain.catalog.raw_files.find()[0].names == tuple(sorted((path.name, "other.dat")))


def test_the_same_name_with_other_content_is_a_new_file(chain, lb_packets, tmp_path):
    path = tmp_path / "a.bin"
    write_binary(lb_packets.select(slice(0, 5)), path)
    chain.ingest(path)
    write_binary(lb_packets.select(slice(5, 10)), path)
    assert chain.ingest(path).files[0].status == "new"
    assert sum(p.n_times for p in chain.catalog.products.find()) == 5800


@pytest.mark.slow
def test_neither_order_nor_partition_nor_repetition_of_packets_shows(tmp_path, lb_packets):
    """All at once, or in five files of random packets, some twice, in two orders: the same products."""
    whole = new_chain(tmp_path / "whole")
    write_binary(lb_packets, tmp_path / "all.bin")
    whole.ingest(tmp_path / "all.bin")
    draw = random.Random(5)
    parts = []
    for number in range(5):
        index = sorted(
            {i for i in range(len(lb_packets)) if i % 5 == number} | set(draw.sample(range(36), 4))
        )
        parts.append(tmp_path / f"part{number}.{'hex' if number % 2 else 'bin'}")
        (write_hex if number % 2 else write_binary)(lb_packets.select(np.array(index)), parts[-1])
    for name, order in (("forward", parts), ("backward", parts[::-1])):
        chain = new_chain(tmp_path / name)
        for path in order:
            assert not chain.ingest(path).failed
        assert chain.contents() == whole.contents()
    together = new_chain(tmp_path / "together")
    together.ingest(*parts)
    assert together.contents() == whole.contents()


def test_a_product_names_the_files_that_gave_it_data_and_no_other(tmp_path, lb_packets):
    """The packets of the 16th in one file, those of the 17th after noon in another: neighbours, in either order."""
    first, second = tmp_path / "first.bin", tmp_path / "second.bin"
    write_binary(lb_packets.select(slice(0, 4)), first)
    write_binary(lb_packets.select(slice(30, 36)), second)
    hashes = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in (first, second)}
    for name, order in (("forward", (first, second)), ("backward", (second, first))):
        chain = new_chain(tmp_path / name)
        for path in order:
            chain.ingest(path)
        sources = {p.product_id[-15:-7]: p.sources for p in chain.catalog.products.find()}
        assert sources == {"20210116": (hashes[first],), "20210117": (hashes[second],)}


def test_a_changed_day_is_a_new_version_and_the_old_file_stays(chain, lb_packets, tmp_path):
    for number, chosen in enumerate((slice(10, 20), slice(20, 30))):
        write_binary(lb_packets.select(chosen), tmp_path / f"{number}.bin")
        chain.ingest(tmp_path / f"{number}.bin")
    (product,) = chain.catalog.products.find(type="ql-lightcurve", start=None)
    assert product.version == 2
    folder = chain.archive.path(product.fits).parent
    assert sorted(p.name[-9:] for p in folder.iterdir()) == ["V01U.fits", "V02U.fits"]


def test_dirt_costs_only_itself(chain, lb_packets, tmp_path):
    """Garbage between packets, a packet cut off, a packet nobody knows: the others are all there, and the report says it."""
    packets = [lb_packets.packet(i) for i in range(6)]
    unknown = bytearray(packets[2][:40])
    unknown[4:6] = (len(unknown) - 7).to_bytes(2, "big")
    unknown[7:9] = bytes((21, 99))
    content = (
        packets[0] + b"\xff garbage \x00" * 7 + packets[1] + bytes(unknown) + packets[3] + packets[4][:-100]
    )
    path = tmp_path / "dirty.bin"
    path.write_bytes(content)
    report = chain.ingest(path)
    assert not report.failed
    assert report.packets["ok"] == 3
    assert report.packets["truncated"] == 1
    findings = " ".join(report.files[0].findings)
    assert f"first at byte {len(packets[0])}" in findings
    assert "packet without its end" in findings
    assert sum(p.n_times for p in chain.catalog.products.find()) == 3 * 580
    (raw_file,) = chain.catalog.raw_files.find()
    assert sum(raw_file.report["bytes"].values()) == len(content)


def test_what_is_no_telemetry_is_told_and_the_rest_goes_on(chain, simulated, tmp_path):
    wrong = tmp_path / "notes.txt"
    wrong.write_text("Dear all, the telemetry follows tomorrow.")
    report = chain.ingest(wrong, simulated)
    assert report.failed
    by_status = {f.status for f in report.files}
    assert by_status == {"new", "failed"}
    assert "expected telemetry" in report.files[0].error
    assert "notes.txt" in report.files[0].error
    assert hashlib.sha256(wrong.read_bytes()).hexdigest() not in {
        f.sha256 for f in chain.catalog.raw_files.find()
    }
    assert report.products


@pytest.mark.parametrize("content", [b"", b"\x00" * 5000, bytes(range(256)) * 20])
def test_rubbish_leaves_no_trace(chain, tmp_path, content):
    path = tmp_path / "rubbish"
    path.write_bytes(content)
    assert chain.ingest(path).failed
    assert chain.files() <= {".writing", "schema.json"}
    assert chain.catalog.raw_files.find() == []


def test_a_file_whose_datasets_cannot_be_made_leaves_no_trace(chain, simulated, monkeypatch):
    """Everything is made before anything is stored."""

    def refuse(*_):
        raise SchemaError("on purpose")

    monkeypatch.setattr(receive, "level1_by_day", refuse)
    report = chain.ingest(simulated)
    assert {f.error for f in report.files} == {"on purpose"}
    assert chain.files() <= {".writing", "schema.json"}
    assert chain.catalog.raw_files.find() == []


def test_a_stored_file_that_is_damaged_is_told_when_its_day_is_made_again(
    chain, real_data, lb_packets, tmp_path
):
    source = real_data / "l1/ql/solo_L1_stix-ql-LightCurve_20210117_V01.fits"
    assert not chain.ingestor.import_files([source]).failed
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    chain.archive.path(f"raw/{sha256[:2]}/{sha256}").write_bytes(b"SIMPLE  = nothing")
    write_binary(lb_packets, tmp_path / "a.bin")
    with pytest.raises(ArchiveError, match="restore it from a backup"):
        chain.ingest(tmp_path / "a.bin")


def test_a_path_that_is_not_there_and_an_empty_folder_are_told(chain, tmp_path):
    report = chain.ingest(tmp_path / "nowhere.bin")
    assert "cannot be read" in report.files[0].error
    (tmp_path / "empty").mkdir()
    report = chain.ingest(tmp_path / "empty")
    assert report.failed
    assert "no files found" in report.problems[0]


def test_simulated_and_flight_data_stay_apart(chain, lb_packets, tmp_path):
    """The same day from both: two products, the flight one first, and files of other names in another folder."""
    write_binary(lb_packets, tmp_path / "flight.bin")
    simulate("2021-01-17T03:00", "2021-01-17T05:00", out=tmp_path / "sim", seed=2, kinds=("bin",))
    chain.ingest(tmp_path / "flight.bin", tmp_path / "sim")
    origins = {p.product_id: p.origin for p in chain.catalog.products.find(type="ql-lightcurve")}
    assert origins["L1_ql-lightcurve_20210117_flight"] == "flight"
    assert origins["L1_ql-lightcurve_20210117_simulated"] == "simulated"
    with pytest.warns(UserWarning, match="simulated"):
        ds = chain.lab.open("ql-lightcurve", "2021-01-17", "2021-01-18")
    assert ds.attrs["origin"] == "flight"
    assert (
        chain.lab.open("ql-lightcurve", "2021-01-17", "2021-01-18", origin="simulated").attrs["origin"]
        == "simulated"
    )
    simulated = chain.catalog.products.get("L1_ql-lightcurve_20210117_simulated")
    assert simulated.fits.startswith("simulated/fits/L1/")
    assert "simulated" in Path(simulated.fits).name


def test_packets_without_a_synchronised_clock_are_kept_and_make_no_product(chain, lb_packets, tmp_path):
    content = bytearray(lb_packets.packet(0))
    content[10] |= 0x80
    (tmp_path / "a.bin").write_bytes(content + lb_packets.packet(1))
    report = chain.ingest(tmp_path / "a.bin")
    assert report.packets == {"ok": 2}
    assert report.files[0].findings == [
        "1 x packet gives no data: on-board time is not synchronised, first at byte 0"
    ]
    assert sum(p.n_times for p in chain.catalog.products.find()) == 580


def test_imported_files_of_other_dialects(chain, real_data):
    """Official L1 of 2020-05-06 and L1A of 2021-06-06."""
    folder = real_data / "l1/ql"
    report = chain.ingestor.import_files(
        [
            folder / "solo_L1_stix-ql-lightcurve_20200506_V01.fits",
            folder / "solo_L1A_stix-ql-lightcurve_20210606_010104_V01.fits",
        ]
    )
    assert not report.failed
    assert {p.product_id: p.n_times for p in chain.catalog.products.find()} == {
        "L1_ql-lightcurve_20200506_flight": 21516,
        "L1_ql-lightcurve_20210606_flight": 16802,
    }
    with pytest.raises(NotInCatalogError, match="nearest is 2021-06-06"):
        chain.lab.open("ql-lightcurve", "2021-06-08", "2021-06-09")


def test_telemetry_comes_before_an_imported_file_of_the_same_time(tmp_path, lb_packets):
    """Packets 10 to 19 imported as FITS, packets 15 to 24 as telemetry: together as if all had come as telemetry."""
    source = new_chain(tmp_path / "source")
    write_binary(lb_packets.select(slice(10, 20)), tmp_path / "a.bin")
    source.ingest(tmp_path / "a.bin")
    fits = source.archive.path(source.catalog.products.find()[0].fits)
    write_binary(lb_packets.select(slice(15, 25)), tmp_path / "b.bin")
    for name, order in (("one", "import first"), ("two", "telemetry first")):
        chain = new_chain(tmp_path / name)
        steps = [
            lambda c=chain: c.ingestor.import_files([fits]),
            lambda c=chain: c.ingest(tmp_path / "b.bin"),
        ]
        for step in steps if order == "import first" else steps[::-1]:
            assert not step().failed
        ds = chain.lab.open("ql-lightcurve", "2021-01-17", "2021-01-18")
        assert ds.sizes["time"] == 15 * 580
        assert (np.diff(ds.time) > np.timedelta64(3, "s")).all()


def test_fits_and_telemetry_are_sent_to_the_right_command(chain, real_data, simulated):
    light_curve = real_data / "l1/ql/solo_L1_stix-ql-lightcurve_20200506_V01.fits"
    assert "stixlab import" in chain.ingest(light_curve).files[0].error
    telemetry = next(simulated.glob("*.bin"))
    assert "stixlab ingest" in chain.ingestor.import_files([telemetry]).files[0].error


def test_a_packed_product_is_the_same_product(chain, real_data, tmp_path):
    """FITS files are often given compressed."""
    source = real_data / "l1/ql/solo_L1_stix-ql-LightCurve_20210117_V01.fits"
    packed = tmp_path / f"{source.name}.gz"
    packed.write_bytes(gzip.compress(source.read_bytes(), 1))
    assert not chain.ingestor.import_files([packed]).failed
    once = chain.contents()
    assert not chain.ingestor.import_files([source]).failed
    assert chain.contents() == once


def test_packets_that_are_gone_are_made_again_from_the_same_file(chain, simulated):
    """As in an archive of an earlier version, which kept them in another form."""
    chain.ingest(simulated)
    before = chain.contents()
    for path in chain.archive.root.rglob("*.packets"):
        path.unlink()
    report = chain.ingest(simulated)
    assert {f.status for f in report.files} == {"new"}
    assert chain.contents() == before
    assert all(chain.archive.has_packets(f.sha256) for f in report.files)


def test_reports_of_telecommands_go_into_the_catalogue(chain, real_data):
    """The same report again changes nothing; `lab.telecommands` finds what it says."""
    report = chain.ingest(real_data / "telemetry" / "xml")
    (taken,) = [f for f in report.files if f.kind == "edds-tc"]
    assert taken.telecommands == {"new": 2, "changed": 0}
    found = chain.lab.telecommands(name="ZIX*")
    assert [c.name for c in found] == ["ZIX0602A", "ZIX0602A"]
    assert chain.lab.telecommands("2020-05-18", "2020-05-19") == found
    chain.ingest(real_data / "telemetry" / "xml")
    assert chain.lab.telecommands() == found


def test_packets_and_requests_of_real_files_are_found(chain, real_data):
    """By request and by text; a tree of each packet."""
    chain.ingest(real_data / "telemetry" / "hex")
    (cpd,) = chain.lab.requests(type="sci-xray-cpd")
    assert cpd.n_packets == 1
    assert not cpd.complete
    assembled = chain.lab.request(cpd.id)
    assert len(assembled.columns["NIX00260"]) > 100
    table = chain.lab.packets(request=cpd.request_id)
    (identity,) = table.ids
    assert chain.lab.packet(identity).find("NIX00037")[0].raw == (cpd.request_id,)
    assert len(chain.lab.packets(text="calibration spectra")) >= 1
