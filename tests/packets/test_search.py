"""Search for packets: conditions, order, pages; always against looking at every packet in turn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stixlab.errors import NotInCatalogError, ParameterError, TimeError
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock, Status
from tests.support.examples import examples
from tests.support.packets import LIGHT_CURVE, MAXI, MINI, housekeeping, light_curves

T0 = 664_000_000


def utc(store, seconds):
    return str(store.clock.to_utc(T0 + seconds))


@pytest.fixture
def three(store):
    """Light curves, long and short housekeeping, in three files that overlap in time."""
    store.add(light_curves(6, start=T0), "light.xml")
    store.add(housekeeping(MAXI, 10, start=T0 + 64), "maxi.bin")
    store.add(housekeeping(MINI, 20, start=T0 + 200), "mini.hex")
    return store


def test_everything_is_found_latest_first(three):
    found = three.find()
    assert (len(found), found.total, found.more, found.next) == (36, 36, False, None)
    assert (np.diff(found["time"]) <= np.timedelta64(0)).all()
    assert found.n_files == 3


def test_oldest_first_is_the_other_way_round(three):
    times = three.find(newest_first=False)["time"]
    assert (np.diff(times) >= np.timedelta64(0)).all()


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"spid": LIGHT_CURVE}, 6),
        ({"spid": [MAXI, MINI]}, 30),
        ({"service": 21}, 6),
        ({"service": 3, "subtype": 25, "ssid": 2}, 10),
        ({"ssid": [1, 30]}, 26),
        ({"apid": 1444}, 30),
        ({"file": "MAXI"}, 10),
        ({"status": "ok"}, 36),
        ({"status": ["truncated", "corrupt"]}, 0),
        ({"service": 21, "spid": MAXI}, 0),
        ({"text": "light curve"}, 6),
        ({"text": "light curve", "spid": MAXI}, 0),
        ({"text": "no such words at all"}, 0),
        ({"origin": "flight"}, 36),
        ({"origin": "simulated"}, 0),
        ({"request": 2_112_250_001}, 0),
    ],
)
def test_conditions_are_met_by_all_that_is_found(three, conditions, expected):
    found = three.find(**conditions)
    assert len(found) == found.total == expected


def test_words_are_searched_in_the_titles_of_parameters_too(three):
    """A parameter of the short report alone."""
    assert set(three.find(text="NIXD0023").rows().__next__()) >= {"id", "title"}
    assert {int(s) for s in three.find(text="NIX00272")["spid"]} == {LIGHT_CURVE}


def test_the_file_is_found_by_the_digits_of_its_hash(three):
    sha256 = three.find(file="light")["sha256"][0]
    assert three.find(file=sha256[:8]).total == 6
    assert three.find(file=sha256.upper()).total == 6


def test_time_takes_the_start_and_leaves_the_end_out(store):
    store.add(housekeeping(MAXI, 5, start=T0))
    assert store.find(start=utc(store, 64), end=utc(store, 192)).total == 2
    assert store.find(end=utc(store, 0)).total == 0
    assert store.find(start=utc(store, 256)).total == 1


def test_time_may_be_given_as_on_board_time(store):
    store.add(housekeeping(MAXI, 5, start=T0))
    assert store.find(start=f"{T0 + 64}:00000", end=f"{T0 + 64}:00001").total == 1


def test_pages_follow_one_another_without_loss_or_repetition(three):
    """Also where many packets have one time."""
    three.add(housekeeping(MINI, 20, start=T0 + 200), "again.hex")
    everything = three.find().ids
    for limit in (1, 7, 19):
        pages, after = [], None
        while True:
            page = three.find(limit=limit, after=after)
            assert page.total == 56
            pages += page.ids
            after = page.next
            if after is None:
                break
        assert pages == everything


def test_what_arrives_between_two_pages_does_not_shift_them(three):
    first = three.find(limit=10)
    rest = three.find(limit=10, after=first.next).ids
    three.add(housekeeping(MAXI, 5, start=T0 + 100_000), "later.bin")
    assert three.find(limit=10, after=first.next).ids == rest


def test_without_counting_the_page_is_the_same(three):
    for newest_first in (True, False):
        counted = three.find(limit=5, newest_first=newest_first)
        quick = three.find(limit=5, newest_first=newest_first, count=False)
        assert (quick.ids, quick.total, quick.more) == (counted.ids, None, True)


def test_without_counting_files_behind_the_page_stay_closed(store):
    for day in range(5):
        store.add(housekeeping(MAXI, 10, start=T0 + day * 86_400), f"day{day}")
    assert store.find(limit=5, count=False).n_files == 1
    assert store.find(limit=5, count=False, newest_first=False).n_files == 1
    assert store.find(limit=15, count=False).n_files == 2


def test_simulated_packets_in_a_file_with_others_are_told_apart(store):
    measured = housekeeping(MAXI, 3, start=T0)
    made = housekeeping(MAXI, 2, start=T0 + 10, destination=SIMULATED_DESTINATION)
    store.add(PacketBlock.concatenate([measured, made]))
    store.add(housekeeping(MAXI, 4, start=T0 + 9, destination=SIMULATED_DESTINATION), origin="simulated")
    assert store.find(origin="flight").total == 3
    found = store.find(origin="simulated")
    assert found.total == 6
    assert set(found["origin"]) == {"simulated"}


def test_packets_of_a_request_are_found_over_files(store):
    counts = {"NIX00037": [2_112_250_001, 2_112_250_002]}
    for day in range(2):
        store.add(encode(54143, counts, scet_coarse=T0 + np.arange(2) + day * 86_400), f"day{day}")
    found = store.find(request=2_112_250_002)
    assert (found.total, set(found["request"].tolist())) == (2, {2_112_250_002})


def test_an_unsynchronised_packet_has_the_time_of_the_control_centre_or_none(store):
    block = housekeeping(MAXI, 3, start=100, synchronised=False)
    said = np.array(["2021-01-16T10:00:00", "1970-01-01", "NaT"], dtype="M8[us]")
    store.add(replace(block, generation_time=said))
    found = store.find()
    assert found["time"][0] == said[0]
    assert np.isnat(found["time"][1:]).all()
    assert store.find(start="2021-01-16", end="2021-01-17").total == 1
    assert store.find(start="1999-01-01", end="2030-01-01").total == 1
    assert np.isnat(store.find(newest_first=False)["time"][1:]).all(), "packets without a time come last"


def test_pages_go_on_through_packets_without_a_time(store):
    store.add(housekeeping(MAXI, 3, start=T0), "a")
    store.add(housekeeping(MAXI, 3, start=5, synchronised=False), "b")
    ids, after = [], None
    for _ in range(6):
        page = store.find(limit=1, after=after)
        ids += page.ids
        after = page.next
    assert (after, len(set(ids))) == (None, 6)


def test_a_file_whose_packets_are_gone_is_named_and_the_rest_is_found(three):
    sha256 = three.find(file="maxi")["sha256"][0]
    next(three.archive.root.rglob(f"{sha256}*")).unlink()
    found = three.find()
    assert (found.total, found.missing) == (26, ("maxi.bin",))


def test_copies_that_came_in_several_files_are_listed_once_if_asked(store):
    for name in ("one", "two", "three"):
        store.add(housekeeping(MAXI, 5), name)
    assert store.find().total == 15
    found = store.find(distinct=True)
    assert (found.total, len(found), len(set(found["scet_coarse"].tolist()))) == (5, 5, 5)


def test_a_page_may_be_made_of_more_files_than_a_process_may_have_open(store):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(60):
        store.add(housekeeping(MAXI, 1, start=T0 + number), f"file{number}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_files() + 20, hard))
    try:
        found = store.find(limit=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (found.total, len(found), found.missing) == (60, 60, ())


def _open_files():
    return max(int(path.name) for path in Path("/dev/fd").iterdir()) + 1


def test_files_without_packets_are_left_alone(three):
    raw_file = three.catalog.raw_files.find()[0]
    three.catalog.raw_files.save(replace(raw_file, sha256="f" * 64, kind="fits", packets={}, structures={}))
    assert three.find().missing == ()


def test_unknown_packets_are_found_as_such(store):
    block = housekeeping(MAXI, 2, start=T0)
    block = replace(block, spid=np.array([MAXI, -1], dtype="<i4"))
    store.add(block.with_status(np.array([Status.OK, Status.UNKNOWN], dtype="u1")))
    assert store.find(spid=-1).total == store.find(status="unknown").total == 1
    assert store.find(spid=-1)["title"][0] == ""


@pytest.mark.parametrize(
    ("conditions", "problem", "told"),
    [
        ({"start": "yesterday"}, TimeError, "expected UTC such as"),
        ({"start": "2021-01-02", "end": "2021-01-01"}, ParameterError, "start before end"),
        ({"service": 256}, ParameterError, "0 to 255; found 256"),
        ({"apid": [1, 2048]}, ParameterError, "0 to 2047; found 2048"),
        ({"spid": 99}, ParameterError, "found 99"),
        ({"status": "good"}, ParameterError, "one of ok, .*found 'good'"),
        ({"origin": "moon"}, ParameterError, "found 'moon'"),
        ({"text": "x"}, ParameterError, "at least 2 letters"),
        ({"limit": 0}, ParameterError, "1 to 10000"),
        ({"limit": 10_001}, ParameterError, "found 10001"),
        ({"after": "nonsense"}, ParameterError, "expected an id such as"),
        ({"after": "0123456789ab.1"}, NotInCatalogError, "0123456789ab"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_with_what_does(three, conditions, problem, told):
    with pytest.raises(problem, match=told):
        three.find(**conditions)


def test_an_empty_archive_has_no_packets(store):
    found = store.find(start="2021-01-01", text="light")
    assert (len(found), found.total, list(found.rows())) == (0, 0, [])
    assert len(found.to_pandas()) == len(found.to_astropy()) == 0


@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_search_finds_what_looking_at_every_packet_finds(tmp_path_factory, store, data):
    """Random files, conditions, pages and orders."""
    from stixlab.archive import Archive
    from stixlab.catalog.memory import MemoryCatalog

    store.catalog = MemoryCatalog()
    store.archive = Archive(tmp_path_factory.mktemp("archive"), writable=True)
    makers = [(housekeeping, MAXI), (housekeeping, MINI)]
    rows = []
    for number in range(data.draw(st.integers(1, 4))):
        make, spid = data.draw(st.sampled_from(makers))
        n = data.draw(st.integers(1, 6))
        coarse = np.array(data.draw(st.lists(st.integers(T0, T0 + 6), min_size=n, max_size=n)))
        sha256 = store.add(make(spid, n, scet_coarse=coarse), f"file{number}")
        rows += [(int(t), sha256, i, spid, f"file{number}") for i, t in enumerate(coarse)]
    low, high = sorted(data.draw(st.tuples(st.integers(T0 - 1, T0 + 7), st.integers(T0 - 1, T0 + 7))))
    high += low == high
    wanted = data.draw(st.sampled_from([(), (MAXI,), (MAXI, MINI)]))
    name = data.draw(st.sampled_from(["", "file", "file1"]))
    newest_first = data.draw(st.booleans())
    expected = [r for r in rows if low <= r[0] < high and (not wanted or r[3] in wanted) and name in r[4]]
    expected.sort(key=lambda r: (-r[0] if newest_first else r[0], r[1], r[2]))
    distinct = data.draw(st.booleans())
    if distinct:  # packets of one time, counter and structure have the same bytes here
        expected = list({(r[0], r[2], r[3]): r for r in reversed(expected)}.values())[::-1]
        expected.sort(key=lambda r: (-r[0] if newest_first else r[0], r[1], r[2]))
    limit = data.draw(st.integers(1, 5))
    conditions = {"start": f"{low}:00000", "end": f"{high}:00000", "spid": wanted, "file": name}
    order = {"newest_first": newest_first, "distinct": distinct}
    ids, after = [], None
    while True:
        count = data.draw(st.booleans())
        page = store.find(**conditions, **order, limit=limit, after=after, count=count)
        ids += page.ids
        assert page.total == (len(expected) if count else None)
        after = page.next
        if after is None:
            break
    assert ids == [f"{r[1][:12]}.{r[2]}" for r in expected]
