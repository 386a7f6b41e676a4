"""Files of orbit, attitude and calibration, imported: kept as they are, and used for whatever asks for place or energies."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from astropy.io import fits

from stixlab.api.app import create_app
from stixlab.archive.trash import hide
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.ingest.context import IMPORTED
from stixlab.ingest.reprocess import reprocess
from stixlab.instrument.packages import package_folder
from stixlab.simulation import simulate
from tests.support.asgi import Client
from tests.support.chain import Chain, new_chain

AUX = "aux/solo_L2_stix-aux-ephemeris_20221111_V01.fits"
CAL = "cal/solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits"
CPD = "l1/sci/nov2022/solo_L1_stix-sci-xray-cpd_20221111T085618-20221111T092155_V01_2211118567-54712.fits"
PLACE = "L2_aux-ephemeris_20221111_flight"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


@pytest.fixture
def changed(real_data, tmp_path):
    """Write a real file with something changed in it; gives its path."""

    def write(name, change, to=None):
        path = tmp_path / (to or name.rsplit("/", 1)[-1])
        with fits.open(real_data / name) as hdus:
            for hdu in hdus:
                for keyword in ("CHECKSUM", "DATASUM"):
                    hdu.header.remove(keyword, ignore_missing=True)
            change(hdus)
            hdus.writeto(path, overwrite=True, output_verify="ignore")
        return path

    return write


def test_orbit_and_attitude_are_kept_as_received_and_answer(chain, real_data):
    report = chain.ingestor.import_files([real_data / AUX])
    assert not report.failed, report.as_document()
    (product,) = chain.catalog.products.find()
    assert (product.product_id, product.version, product.zarr) == (PLACE, 1, "")
    assert product.fits == f"{IMPORTED}/L2/2022/11/11/AUX/{AUX.rsplit('/', 1)[-1]}"
    assert chain.archive.path(product.fits).read_bytes() == (real_data / AUX).read_bytes()
    place = chain.lab.ephemeris("2022-11-11T12:00")
    assert (place.kind, place.source) == ("product", AUX.rsplit("/", 1)[-1])
    assert chain.lab.ephemeris("2022-11-20").kind == "table"
    attitude = chain.lab.attitude(["2022-11-11T12:00", "2022-11-20"])
    assert attitude.valid.tolist() == [True, False]
    assert "2 times, 1 of them covered: roll" in repr(attitude)
    assert "no source says how the spacecraft is turned" in repr(chain.lab.attitude("2022-11-20"))
    flare = chain.lab.flare_geometry("2022-11-11T12:00", 100, 200)
    assert flare.ephemeris.kind == "product"
    explained = chain.lab.explain(PLACE)
    assert (explained.n_packets, explained.changed) == (0, ())
    assert explained.sources[0].names == (AUX.rsplit("/", 1)[-1],)


def test_headers_tell_the_place_by_the_imported_product(chain, real_data):
    chain.ingestor.import_files([real_data / CPD])
    chain.ingestor.import_files([real_data / AUX])
    before = fits.getheader(chain.archive.path(chain.lab.products(type="sci-xray-cpd")[0].fits))
    other = new_chain(chain.home.with_name("other"))
    other.ingestor.import_files([real_data / CPD, real_data / AUX])
    after = fits.getheader(other.archive.path(other.lab.products(type="sci-xray-cpd")[0].fits))
    assert before["EPHKIND"] == "table"
    assert (after["EPHKIND"], after["SPICE_MK"]) == ("product", AUX.rsplit("/", 1)[-1])
    assert abs(after["HGLN_OBS"] - before["HGLN_OBS"]) < 0.5


@pytest.mark.parametrize("kind", ["day", "imported request"])
def test_reprocess_renews_headers_when_the_source_of_the_place_comes_or_is_hidden(
    chain, real_data, tmp_path, kind
):
    def header():
        (product,) = [p for p in chain.lab.products() if p.type != "aux-ephemeris"]
        path = chain.archive.path(product.fits)
        assert sha256(path.read_bytes()).hexdigest() == product.fits_sha256
        return product, fits.getheader(path)

    if kind == "day":
        what = {"kinds": ("bin",), "what": ("quicklook",), "flares": (), "requests": ()}
        simulate("2022-11-11T08:00", "2022-11-11T08:20", out=tmp_path / "tm", **what)
        chain.ingest(tmp_path / "tm")
        for other in chain.lab.products():
            if other.type != "ql-lightcurve":
                chain.catalog.products.delete(other.product_id)
    else:
        chain.ingestor.import_files([real_data / CPD])
    first, before = header()
    chain.ingestor.import_files([real_data / AUX])
    report = reprocess(chain.ingestor, type=first.type)
    again, after = header()
    assert report.why == {"place": 1}
    assert (before["EPHKIND"], after["EPHKIND"]) == ("table", "product")
    assert (again.version, again.content_sha256, again.zarr) == (
        first.version,
        first.content_sha256,
        first.zarr,
    )
    assert reprocess(chain.ingestor, type=first.type).why == {}

    (aux,) = chain.lab.products(type="aux-ephemeris")
    hide(chain.catalog, chain.archive, aux.product_id, who="ada", reason="a test")
    assert reprocess(chain.ingestor, type=first.type).why == {"place": 1}
    assert header() == (first, before)


def test_a_damaged_file_in_the_archive_does_not_stop_an_ingest(chain, real_data):
    chain.ingestor.import_files([real_data / AUX])
    (aux,) = chain.catalog.products.find(type="aux-ephemeris")
    path = chain.archive.path(aux.fits)
    path.write_bytes(path.read_bytes()[:5000])
    report = chain.ingestor.import_files([real_data / CPD])
    assert not report.failed, report.as_document()
    header = fits.getheader(chain.archive.path(chain.lab.products(type="sci-xray-cpd")[0].fits))
    assert header["EPHKIND"] == "table"


def test_of_two_versions_the_later_counts_whatever_came_first(chain, real_data, changed, tmp_path):
    later = changed(
        AUX, lambda h: h[0].header.set("VERSION", "02"), to=AUX.rsplit("/", 1)[-1].replace("V01", "V02")
    )
    first = chain.ingestor.import_files([later])
    assert [p["version"] for p in first.products] == [2]
    report = chain.ingestor.import_files([real_data / AUX])
    assert (report.products, report.unchanged) == ([], 1)
    assert "kept, not used" in report.files[0].findings[0]
    assert chain.lab.ephemeris("2022-11-11T12:00").source == later.name

    other = new_chain(tmp_path / "other")
    for path in (real_data / AUX, later):
        other.ingestor.import_files([path])
    assert [p.fits for p in other.catalog.products.find()] == [p.fits for p in chain.catalog.products.find()]
    kept = {k for k in other.files() if k.startswith((IMPORTED, "raw/"))}
    assert kept == {k for k in chain.files() if k.startswith((IMPORTED, "raw/"))}


def test_the_same_again_changes_nothing(chain, real_data):
    chain.ingestor.import_files([real_data / AUX])
    before = (chain.catalog.products.find(), chain.files())
    report = chain.ingestor.import_files([real_data / AUX])
    assert [f.status for f in report.files] == ["repeated"]
    assert (chain.catalog.products.find(), chain.files()) == before


def test_what_was_worked_out_here_is_no_source(chain, real_data):
    """An ephemeris made of the table must not count more than the table."""
    from dataclasses import replace

    chain.ingestor.import_files([real_data / AUX])
    (product,) = chain.catalog.products.find()
    chain.catalog.products.save(replace(product, provenance={"software_version": "stixlab"}))
    assert chain.lab.ephemeris("2022-11-11T12:00").kind == "table"


def test_hidden_products_are_not_asked(chain, real_data):
    chain.ingestor.import_files([real_data / AUX])
    hide(chain.catalog, chain.archive, PLACE, who="tester", reason="a test")
    assert chain.lab.ephemeris("2022-11-11T12:00").kind == "table"
    with pytest.raises(NotInCatalogError, match="nothing from"):
        chain.lab.open("aux-ephemeris", "2022-11-11", "2022-11-12")


def test_the_http_service_lists_it_and_gives_it(chain, real_data):
    chain.ingestor.import_files([real_data / AUX])
    client = Client(create_app(chain.lab, chain.lab.settings))
    (found,) = client.get("/api/v1/products?type=aux-ephemeris&level=L2").json()["products"]
    assert client.get(found["url"]).content == (real_data / AUX).read_bytes()
    hide(chain.catalog, chain.archive, PLACE, who="tester", reason="a test")
    assert client.get(found["url"]).status_code == 404


def test_of_a_day_that_was_made_here_too_the_imported_one_is_opened(chain, real_data):
    from dataclasses import replace

    chain.ingestor.import_files([real_data / AUX])
    (product,) = chain.catalog.products.find()
    made = replace(product, product_id=f"{PLACE}-made", provenance={})
    chain.catalog.products.save(made)
    assert chain.lab.open("aux-ephemeris", "2022-11-11", "2022-11-12").sizes["time"] == 1350
    chain.catalog.products.delete(PLACE)
    assert chain.lab.open("aux-ephemeris", "2022-11-11", "2022-11-12").sizes["time"] == 1350


def test_days_of_orbit_are_opened_as_one(chain, real_data):
    chain.ingestor.import_files(sorted((real_data / "aux").glob("*202211*")))
    ds = chain.lab.open("aux-ephemeris", "2022-11-10", "2022-11-12")
    times = ds.time.to_numpy()
    assert (np.diff(times) > np.timedelta64(0)).all()
    assert np.datetime64("2022-11-10") <= times[0] < times[-1] < np.datetime64("2022-11-12")
    assert 2 * 1340 < len(times) <= 2 * 1350
    assert hasattr(ds.distance.data, "dask")
    assert chain.lab.open("aux-ephemeris").time.to_numpy()[0] > np.datetime64("2022-11-14")
    with pytest.raises(NotInCatalogError, match="the nearest is 2022-11-14"):
        chain.lab.open("aux-ephemeris", "2023-01-01", "2023-01-02")
    with pytest.raises(ParameterError, match="start before end"):
        chain.lab.open("aux-ephemeris", "2023-01-02", "2023-01-01")
    with pytest.raises(NotInCatalogError, match="stixlab import"):
        chain.lab.open("cal-energy")


@pytest.mark.skipif(package_folder() is None, reason="the package stixpy is not installed")
def test_the_imported_calibration_of_the_table_in_force_is_used(chain, real_data):
    assert chain.lab.elut("2025-03-03").attrs["calibration"] == "that of the table"
    chain.ingestor.import_files([real_data / CAL])
    found = chain.lab.elut("2025-03-03")
    assert found.attrs["calibration"] == CAL.rsplit("/", 1)[-1]
    assert found.equals(chain.lab.elut("2025-03-03", calibration=real_data / CAL))
    assert chain.lab.elut("2022-03-03").attrs["calibration"] == "that of the table"
    ds = chain.lab.open("cal-energy", "2025-03-03T12:00", "2025-03-03T13:00")
    assert ds.gain.shape == (1, 32, 12)


def broken(real_data, name, how):
    content = bytearray((real_data / name).read_bytes())
    if how == "truncated":
        return bytes(content[: len(content) // 2])
    content[len(content) // 2] ^= 0x20
    return bytes(content)


@pytest.mark.parametrize("name", [AUX, CAL, CPD])
@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_damage_is_named_and_the_archive_stays_as_it_was(chain, real_data, tmp_path, name, how):
    path = tmp_path / name.rsplit("/", 1)[-1]
    path.write_bytes(broken(real_data, name, how))
    report = chain.ingestor.import_files([path])
    assert report.failed
    assert path.name in report.files[0].error
    assert "expected" in report.files[0].error
    assert chain.catalog.products.find() == []
    assert chain.catalog.raw_files.find() == []
    assert {k for k in chain.files() if not k.startswith((".", "schema"))} == set()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (AUX, lambda h: [h[0].header.set(k, "EUI") for k in ("INSTRUME", "TELESCOP")], "INSTRUME or TELESCOP of STIX"),
        (CPD, lambda h: [h[0].header.set(k, "EUI") for k in ("INSTRUME", "TELESCOP")], "INSTRUME or TELESCOP of STIX"),
        (AUX, lambda h: [h[0].header.remove(k, ignore_missing=True) for k in ("HCIX_OBS",)] and h.pop("DATA"), "DATA"),
        (CAL, lambda h: h[0].header.remove("DATE-BEG"), "DATE-BEG"),
        (CAL, lambda h: h["DATA"].data["gain"].fill(0.0), "expected a gain of"),
        (CPD, lambda h: h.pop("CONTROL"), "expected a table CONTROL"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_is_wrong_is_named_with_the_file(chain, changed, name, change, told):
    path = changed(name, change)
    report = chain.ingestor.import_files([path])
    assert report.failed
    assert path.name in report.files[0].error
    assert told in report.files[0].error
    assert chain.catalog.products.find() == []
