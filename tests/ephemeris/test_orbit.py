"""Where the spacecraft is: against the headers of real products, against SPICE, against sunpy; and the order of the sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from stixlab.ephemeris import ephemeris_keywords, load_ephemerides
from stixlab.ephemeris.aux_products import read_aux
from stixlab.ephemeris.orbit import FRAMES
from stixlab.ephemeris.provider import Ephemerides
from stixlab.ephemeris.scales import to_dynamical
from stixlab.ephemeris.states import KERNEL, PRODUCT, TABLE, OrbitStates, load_shipped_orbit
from stixlab.errors import FormatError, StixlabError, TimeError

# Products with the state of the flown orbit in their header; what the table shipped promises for them, km.
FLOWN = {
    "l1/hk/solo_L1_stix-hk-maxi_20200501_V01.fits": 200,
    "l1/ql/solo_L1_stix-ql-lightcurve_20200506_V01.fits": 500,
    "aux/solo_L2_stix-aux-ephemeris_20200607_V01.fits": 200,
    "aux/solo_L2_stix-aux-ephemeris_20221111_V01.fits": 200,
    "cal/solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits": 200,
}
AUX = "solo_L2_stix-aux-ephemeris_{}_V01.fits"


@pytest.fixture
def kernels(real_data: Path) -> Path:
    return real_data / "spice" / "stix_min.tm"


@pytest.fixture
def aux(real_data: Path) -> list[Path]:
    return sorted((real_data / "aux").glob("*.fits"))


def header_of(path: Path) -> dict:
    from astropy.io import fits

    return dict(fits.getheader(path))


def header_states(folder: Path) -> list[tuple[str, dict]]:
    return [(name, header_of(folder / name)) for name in FLOWN]


def test_the_table_shipped_is_where_published_headers_say(real_data: Path) -> None:
    """Positions, and what follows from them; within the accuracy that the answer states."""
    sources = load_ephemerides()
    for name, header in header_states(real_data):
        place = sources.at(header["DATE-AVG"])
        assert place.kind == TABLE
        apart = [place.components("hci")[i] - header[f"HCI{axis}_OBS"] / 1000 for i, axis in enumerate("XYZ")]
        assert np.linalg.norm(apart) < min(FLOWN[name], 20 + float(place.accuracy_km)), name
        velocity = [header[f"HCI{axis}_VOB"] / 1000 for axis in "XYZ"]
        assert place.velocity_components("hci") == pytest.approx(velocity, abs=2e-3), name
        assert place.stonyhurst[0] == pytest.approx(header["HGLN_OBS"], abs=0.01), name
        assert place.stonyhurst[1] == pytest.approx(header["HGLT_OBS"], abs=0.01), name
        assert place.distance_km == pytest.approx(header["DSUN_OBS"] / 1000, abs=500), name
        assert place.light_time_difference_s == pytest.approx(header["EAR_TDEL"], abs=0.02), name
        assert place.sun_radius_arcsec == pytest.approx(header["RSUN_ARC"], abs=0.02), name


def test_the_table_shipped_follows_the_prediction_where_nothing_else_is_known(kernels: Path) -> None:
    """From the launch to the third flyby of Venus: within the stated 10000 km (the flybys themselves apart)."""
    times = np.datetime64("2020-02-12", "ns") + np.arange(0, 930, 3) * np.timedelta64(
        86_400_000_000_000, "ns"
    )
    table, kernel = load_ephemerides().at(times), load_ephemerides(kernels).at(times, kind=KERNEL)
    apart = np.linalg.norm(table.position - kernel.position, axis=1)
    assert np.percentile(apart, 95) < 5100
    assert (apart < 10_000).mean() > 0.99
    assert table.accuracy_km.max() <= 10_000


def test_the_table_covers_the_mission_and_says_what_it_is_worth() -> None:
    table = load_shipped_orbit()
    assert table.span[0] < np.datetime64("2020-02-11")
    assert table.span[1] > np.datetime64("2030-11-17")
    late = load_ephemerides().at("2029-01-01")
    assert late.accuracy_km > 1e6
    assert "prediction" in late.remark
    assert load_ephemerides().at("2022-11-11").remark == ""


def test_kernels_are_asked_first_and_give_what_spice_gives(kernels: Path, monkeypatch) -> None:
    import spiceypy

    times = np.array(["2020-05-06T11:59:59.61", "2021-03-01", "2026-01-01"], dtype="datetime64[ns]")
    place = load_ephemerides(kernels).at(times)
    assert place.kind == KERNEL
    assert "solo_ANC_soc-orbit_20200210-20301118_L002_V1_00014_V01.bsp" in place.source
    assert "stix_min.tm" in place.source
    monkeypatch.chdir(kernels.parents[1])
    spiceypy.kclear()  # somebody else empties the pool; ours come back
    again = load_ephemerides(kernels).at(times)
    assert np.array_equal(again.position, place.position)
    spiceypy.furnsh("spice/stix_min.tm")
    names = {"hci": "SOLO_HCI", "hee": "SOLO_HEE_NASA", "heeq": "SOLO_HEEQ", "hae": "SUN_ARIES_ECL"}
    for i, t in enumerate(to_dynamical(times)):
        for ours, theirs in names.items():
            expected, _ = spiceypy.spkpos("SOLO", t, theirs, "NONE", "SUN")
            assert place.components(ours)[i] == pytest.approx(expected, abs=0.5), ours
        expected, light = spiceypy.spkpos("SOLO", t, "EARTH_SUN_ECL", "NONE", "EARTH")
        assert place.components("gse")[i] == pytest.approx(expected, abs=0.5)
        assert place.earth_light_time_s[i] == pytest.approx(light, abs=1e-6)
        expected, _ = spiceypy.spkpos("SOLO", t, "IAU_SUN", "NONE", "SUN")
        assert place.components("carrington")[i] == pytest.approx(expected, abs=0.5)


def test_a_prediction_of_2020_says_how_wrong_it_is(kernels: Path) -> None:
    """In 2022-11 it is 2.4 million km from the flown orbit, and the answer knows."""
    place = load_ephemerides(kernels).at("2022-11-11T12:00")
    assert 2e6 < place.accuracy_km < 3e6
    assert "table" in place.remark
    flown = load_ephemerides(kernels).at("2022-11-11T12:00", kind=TABLE)
    assert np.linalg.norm(place.position - flown.position) < place.accuracy_km


def test_products_go_before_a_prediction(kernels: Path, aux: list[Path]) -> None:
    """And each time has its own source; outside of the products it is the next one."""
    sources = load_ephemerides(kernels, aux)
    assert sources.at("2022-11-11T12:00").kind == PRODUCT
    mixed = sources.at(["2022-11-11T12:00", "2022-12-24"])
    assert mixed.kind == "product, kernel"
    assert AUX.format("20221111") in mixed.source
    assert mixed.accuracy_km[0] < 20 < mixed.accuracy_km[1]
    assert load_ephemerides(products=aux).at("2022-12-24").kind == TABLE


def test_products_agree_with_their_own_tables(aux: list[Path]) -> None:
    """Every row of every file: single precision leaves 8 km; nothing is a minute off."""
    from astropy.io import fits

    for path in aux:
        product = read_aux(path)
        place = load_ephemerides(products=[path]).at(product.time, kind=PRODUCT)
        table = fits.getdata(path, "DATA")
        assert np.abs(place.components("heeq") - table["solo_loc_heeq_zxy"]).max() < 12
        assert np.abs(place.stonyhurst[0] - table["solo_loc_carrington_lonlat"][:, 0]).max() < 1e-4
        assert place.sun_radius_arcsec == pytest.approx(table["spice_disc_size"], rel=1e-6)


def test_a_product_without_a_state_in_its_header_gives_the_same_orbit(
    aux: list[Path], tmp_path: Path
) -> None:
    from astropy.io import fits

    bare = tmp_path / aux[-1].name
    with fits.open(aux[-1]) as hdus:
        for axis in "XYZ":
            del hdus[0].header[f"HCI{axis}_OBS"], hdus[0].header[f"HCI{axis}_VOB"]
        hdus.writeto(bare, checksum=True)
    time = read_aux(aux[-1]).time[::50]
    a, b = (load_ephemerides(products=[p]).at(time, kind=PRODUCT) for p in (aux[-1], bare))
    assert np.linalg.norm(a.position - b.position, axis=1).max() < 30
    assert b.accuracy_km.min() > a.accuracy_km.min()


def test_all_quantities_fit_together(aux: list[Path]) -> None:
    place = load_ephemerides(products=aux).at(["2022-11-11T12:00", "2022-11-12", "2020-06-07T12:00"])
    for frame in FRAMES:
        rotation = place.rotation(frame)
        assert np.linalg.det(rotation) == pytest.approx(1)
        length = np.linalg.norm(place.components(frame), axis=-1)
        assert length == pytest.approx(place.earth_distance_km if frame == "gse" else place.distance_km)
    numeric = np.diff(
        load_ephemerides(products=aux).at(["2022-11-11T11:59:50", "2022-11-11T12:00:10"]).distance_km
    )
    assert place.radial_velocity_km_s[0] == pytest.approx(numeric[0] / 20, abs=1e-4)
    assert place.earth_angle_deg == pytest.approx(
        np.degrees(
            np.arccos(np.cos(np.radians(place.stonyhurst[0])) * np.cos(np.radians(place.stonyhurst[1])))
        ),
        abs=6,
    )
    assert place.sun_diameter_arcmin == pytest.approx(2 * place.sun_radius_arcsec / 60)
    with pytest.raises(ValueError, match="expected one of"):
        place.components("galactic")


def test_one_time_gives_numbers_and_several_give_arrays() -> None:
    one, many = load_ephemerides().at("2022-11-11"), load_ephemerides().at(["2022-11-11", "2022-11-12"])
    assert one.distance_km.shape == ()
    assert one.position.shape == (3,)
    assert many.position.shape == (2, 3)
    assert many.components("hee").shape == (2, 3)
    assert float(one.carrington[0]) == float(many.carrington[0][0])
    assert "2022-11-11" in repr(one)
    document = many.as_document()
    assert len(document["time"]) == len(document["hee_km"]) == 2
    table = many.to_table()
    assert table["distance_au"].to_value("km") == pytest.approx(many.distance_km)
    assert table["hci_velocity_km_s"].unit == "km/s"
    empty = load_ephemerides().at(np.array([], dtype="datetime64[ns]"))
    assert empty.position.shape == (0, 3)


def test_sunpy_agrees(aux: list[Path]) -> None:
    """Its own transformations from our coordinate give our Carrington longitude and Earth-ecliptic position."""
    from sunpy.coordinates import HeliocentricEarthEcliptic, HeliographicCarrington, sun

    from stixlab.ephemeris.coordinates import helioprojective_frame

    place = load_ephemerides(products=aux).at(["2022-11-11T12:00", "2020-06-07T12:00"])
    coordinate = place.to_skycoord()
    carrington = coordinate.transform_to(HeliographicCarrington(observer="self"))
    assert carrington.lon.deg == pytest.approx(place.carrington[0], abs=2e-3)
    assert carrington.lat.deg == pytest.approx(place.carrington[1], abs=1e-6)
    hee = coordinate.transform_to(HeliocentricEarthEcliptic(obstime=coordinate.obstime)).cartesian.xyz
    assert np.abs(hee.to_value("km").T - place.components("hee")).max() < 3000
    assert sun.L0(coordinate.obstime).deg == pytest.approx(place.earth_carrington[0], abs=0.02)
    one = load_ephemerides(products=aux).at("2022-11-11T12:00")
    frame = helioprojective_frame(one)
    assert frame.rsun.to_value("km") == pytest.approx(695_700)
    assert frame.observer.radius.to_value("km") == pytest.approx(float(one.distance_km))


def test_keywords_are_those_of_official_headers(real_data: Path, aux: list[Path]) -> None:
    """All that are right there; three that are wrong there are right here."""
    path = aux[3]
    header = header_of(path)
    cards = load_ephemerides(products=[path]).keywords(
        header["DATE-BEG"], header["DATE-END"], header["DATE-AVG"]
    )
    wrong_there = {"CRLN_OBS", "HAEZ_OBS", "OBS_VR", "SPICE_MK"}
    compared = [k for k in cards if k in header and k not in wrong_there]
    assert len(compared) == 26 + 3, "of the place, and OBS_ID, OBS_MODE, OBS_TYPE"
    for keyword in compared:
        value = cards[keyword][0]
        if isinstance(value, str):
            assert value[:22] == header[keyword][:22], keyword
        else:
            # the ecliptic of date of the official frames of the Earth differs by 3 arcsec
            assert value == pytest.approx(header[keyword], rel=1e-6, abs=2e6), keyword
    from sunpy.coordinates import sun

    expected = (sun.L0(header["DATE-AVG"]).deg + header["HGLN_OBS"]) % 360
    assert cards["CRLN_OBS"][0] == pytest.approx(expected, abs=0.05)
    assert cards["HAEZ_OBS"][0] == pytest.approx(header["HEEZ_OBS"], rel=1e-3)
    assert cards["OBS_VR"][0] == pytest.approx(
        sum(header[f"HCI{a}_OBS"] * header[f"HCI{a}_VOB"] for a in "XYZ") / header["DSUN_OBS"], abs=0.5
    )
    assert cards["SPICE_MK"][0] == path.name


def test_keywords_stand_in_a_header_without_a_warning() -> None:
    from astropy.io.fits import Header

    header = Header()
    header.update(ephemeris_keywords("2021-06-06", "2021-06-07"))
    assert header["HGLN_OBS"] == pytest.approx(-99.0, abs=0.5)
    assert header["DATE_EAR"] > "2021-06-06T00:00:30"
    assert header["EPHKIND"] == TABLE
    assert len(header.tostring()) == len(header) // 36 * 2880 + 2880


@pytest.mark.parametrize(
    ("time", "kind", "words"),
    [
        ("2035-01-01", None, "table shipped 2020-02-10 to 2030-11-18"),
        ("2019-01-01", None, "found 2019-01-01T00:00:00Z"),
        ("2022-11-11", PRODUCT, "nothing of kind product"),
        ("2022-11-11", "wishes", "expected kind to be one of kernel, product, table"),
        ("sometime", None, "expected UTC such as"),
    ],
)
def test_what_cannot_be_answered_says_what_could(time: str, kind: str | None, words: str) -> None:
    with pytest.raises(TimeError, match=words):
        load_ephemerides().at(time, kind=kind)


def test_kernels_that_do_not_cover_a_time_are_named(kernels: Path) -> None:
    with pytest.raises(TimeError, match=r"kernels 2020-02-10 to 2030-11-18.*STIXLAB_SPICE"):
        load_ephemerides(kernels).at("2032-01-01", kind=KERNEL)


def test_a_kernel_that_is_missing_or_is_none_is_named(tmp_path: Path, kernels: Path) -> None:
    (tmp_path / "some.tm").write_text("\\begindata\nKERNELS_TO_LOAD = ( 'gone.bsp' )\n")
    with pytest.raises(TimeError, match=r"gone\.bsp"):
        load_ephemerides(tmp_path / "some.tm")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "broken.bsp").write_bytes(b"no kernel at all" * 100)
    with pytest.raises(TimeError, match=r"broken\.bsp.*whole"):
        load_ephemerides(folder).at("2022-11-11")


def test_a_folder_of_kernels_does_as_well(tmp_path: Path, kernels: Path) -> None:
    for path in kernels.parent.iterdir():
        if path.suffix in {".bsp", ".tls"}:
            shutil.copy(path, tmp_path / path.name)
    a, b = load_ephemerides(tmp_path).at("2021-03-01"), load_ephemerides(kernels).at("2021-03-01")
    assert np.array_equal(a.position, b.position)


def damaged(content: bytes) -> dict[str, bytes]:
    at = content.index(b"TTYPE11 =") + 12
    return {
        "truncated": content[: len(content) // 2],
        "flipped": content[:-50_000] + bytes([content[-50_000] ^ 64]) + content[-49_999:],
        "renamed": content[:at] + b"x" + content[at + 1 :],
        "empty": b"",
    }


def test_a_damaged_product_is_refused_by_name(tmp_path: Path, aux: list[Path], real_data: Path) -> None:
    for how, content in damaged(aux[1].read_bytes()).items():
        path = tmp_path / f"{how}.fits"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=how):
            load_ephemerides(products=[path])
    with pytest.raises(FormatError, match="expected an auxiliary product"):
        read_aux(real_data / "l1/hk/solo_L1_stix-hk-maxi_20200501_V01.fits")
    with pytest.raises(FormatError, match="no such file"):
        read_aux(tmp_path / "absent.fits")


def test_a_product_that_contradicts_itself_is_refused(tmp_path: Path, aux: list[Path]) -> None:
    """Header and table a day apart: which is right cannot be told."""
    from astropy.io import fits

    path = tmp_path / "odd.fits"
    with fits.open(aux[1]) as hdus:
        hdus[0].header["DATE-AVG"] = "2022-11-10T12:00:25.000"
        hdus.writeto(path, checksum=True)
    with pytest.raises(FormatError, match="km apart"):
        load_ephemerides(products=[path])


def test_a_product_of_another_instrument_is_refused(tmp_path: Path, aux: list[Path]) -> None:
    from astropy.io import fits

    path = tmp_path / "other.fits"
    with fits.open(aux[1]) as hdus:
        hdus[0].header["INSTRUME"] = hdus[0].header["TELESCOP"] = "EUI"
        hdus.writeto(path, checksum=True)
    with pytest.raises(FormatError, match="expected INSTRUME or TELESCOP of STIX"):
        load_ephemerides(products=[path])


def test_states_that_are_no_table_are_refused() -> None:
    good = load_shipped_orbit()
    with pytest.raises(TimeError, match="ascend"):
        OrbitStates(
            good.seconds[::-1], good.position, good.velocity, good.accuracy_km, TABLE, ("upside down",)
        )
    with pytest.raises(TimeError, match="for each of"):
        OrbitStates(good.seconds, good.position[:-1], good.velocity, good.accuracy_km, TABLE, ("short",))


def test_without_any_source_the_answer_says_so() -> None:
    with pytest.raises(StixlabError, match="import the auxiliary product"):
        Ephemerides().at("2022-11-11")
