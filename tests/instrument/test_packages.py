import subprocess
import sys
from pathlib import Path

import pytest

from stixlab.errors import NotInCatalogError
from stixlab.instrument import packages
from stixlab.instrument.packages import find_package_file, package_folder, table_folders


def test_the_package_is_found_without_importing_it():
    """Importing it takes seconds."""
    code = (
        "import sys\n"
        "from stixlab.instrument.packages import package_folder, table_folders\n"
        "package_folder(); table_folders()\n"
        "print('stixpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_what_is_not_installed_is_told_with_its_cure(monkeypatch):
    monkeypatch.setattr(packages, "_PACKAGE", "no_such_package_of_tables")
    assert package_folder() is None
    assert table_folders() == ()
    with pytest.raises(NotInCatalogError, match="not installed; `pip install"):
        find_package_file("data", "x")


def test_a_package_that_lacks_the_file_is_told():
    if package_folder() is None:
        pytest.skip("the package stixpy is not installed")
    with pytest.raises(
        NotInCatalogError, match=r"data/nothing.gz: expected inside the package stixpy; version"
    ):
        find_package_file("data", "nothing.gz")


def test_imported_tables_come_first_and_no_path_is_a_source(tmp_path):
    (tmp_path / "instrument").mkdir()
    folders = table_folders(tmp_path)
    assert folders[0].source == "imported"
    assert all(str(Path(f.path).parent) not in f.source for f in folders)
