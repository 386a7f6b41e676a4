import numpy as np
import pytest

from stixlab.errors import FormatError
from stixlab.instrument import elut as module
from stixlab.instrument.elut import elut_at, elut_history
from stixlab.instrument.packages import TableFolder
from stixlab.instrument.table_import import import_elut, import_tables
from tests.support.elut_tables import elut_text, table_folder

SPANS = [
    ("2020-02-14T00:00:00", "2021-01-01T00:00:00", "20200519"),
    ("2021-01-01T00:00:00", "none", "20201204"),
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An installation without the package."""

    def folders(home=None):
        there = home is not None and (home / "instrument").is_dir()
        return (TableFolder(home / "instrument", "imported"),) if there else ()

    monkeypatch.setattr(module, "table_folders", folders)
    return tmp_path / "home"


def names(home):
    return [(s.name, str(s.start)[:10]) for s in elut_history(home)]


def test_a_copy_of_the_configuration_files_is_taken(home, tmp_path):
    given = table_folder(tmp_path / "conf", SPANS)
    (given / "grid").mkdir()
    (given / "grid" / "grid_param_front.txt").write_text("1 2\n")
    (given / "grid" / "program.exe").write_bytes(b"MZ")
    (given / "elut" / "not_in_the_index.csv").write_text("x")
    taken = import_tables(given, home)
    assert taken == [
        "elut/elut_table_20200519.csv", "elut/elut_table_20201204.csv", "grid/grid_param_front.txt", "elut/elut_index.csv",
    ]  # fmt: skip
    assert names(home) == [("20200519", "2020-02-14"), ("20201204", "2021-01-01")]
    there = sorted(p.relative_to(home / "instrument").as_posix() for p in home.rglob("*") if p.is_file())
    assert there == sorted(taken)
    assert import_tables(given / "elut", home)[-1] == "elut/elut_index.csv", "the folder elut alone will do"


def test_a_damaged_table_leaves_everything_as_it_was(home, tmp_path):
    given = table_folder(tmp_path / "conf", SPANS)
    (given / "elut" / "elut_table_20201204.csv").write_text(elut_text()[:5000])
    with pytest.raises(FormatError, match=r"elut_table_20201204\.csv"):
        import_tables(given, home)
    assert not home.exists()


def test_a_folder_without_an_index_is_refused(home, tmp_path):
    with pytest.raises(FormatError, match=r"expected elut/elut_index\.csv"):
        import_tables(tmp_path, home)


def test_a_single_table_joins_the_history(home, tmp_path):
    import_tables(table_folder(tmp_path / "conf", SPANS), home)
    path = tmp_path / "elut_table_20251120.csv"
    path.write_text(elut_text(offset=920))
    span = import_elut(path, np.datetime64("2026-01-12T00:03:00", "ns"), home)
    assert (span.name, span.end, span.source) == ("20251120", None, "imported")
    assert names(home)[-2:] == [("20201204", "2021-01-01"), ("20251120", "2026-01-12")]
    assert elut_at(np.datetime64("2026-02-01", "ns"), home).offset.mean() > 910
    assert elut_at(np.datetime64("2026-01-01", "ns"), home).name == "20201204"


def test_a_table_between_two_ends_where_the_next_begins(home, tmp_path):
    import_tables(table_folder(tmp_path / "conf", SPANS), home)
    path = tmp_path / "elut_table_20200901.csv"
    path.write_text(elut_text(seed=9))
    span = import_elut(path, np.datetime64("2020-09-01", "ns"), home)
    assert span.end == np.datetime64("2021-01-01")
    assert [n for n, _ in names(home)] == ["20200519", "20200901", "20201204"]


def test_the_same_again_changes_nothing(home, tmp_path):
    path = tmp_path / "elut_table_20251120.csv"
    path.write_text(elut_text())
    first = import_elut(path, np.datetime64("2026-01-12", "ns"), home)
    assert import_elut(path, np.datetime64("2026-01-12", "ns"), home) == first
    assert len(elut_history(home)) == 1


def test_another_table_of_a_known_name_is_refused(home, tmp_path):
    import_tables(table_folder(tmp_path / "conf", SPANS), home)
    path = tmp_path / "elut_table_20201204.csv"
    path.write_text(elut_text(offset=1000))
    with pytest.raises(FormatError, match="a different table of the name"):
        import_elut(path, np.datetime64("2022-01-01", "ns"), home)
    assert len(elut_history(home)) == 2
