"""Real data that is at hand without a network: the small archive of L1 files inside the installed package stixpy.

The archive is read as a file, in memory; nothing is unpacked beside it and the package is not imported.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath

from stixlab.errors import FormatError
from stixlab.files import write_bytes
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.report import IngestReport
from stixlab.instrument.packages import find_package_file

__all__ = ["bundled_products", "bundled_source", "import_bundled"]

_ARCHIVE = ("data", "test_data.tar.gz")
_ENDS = (".fits", ".fits.gz")
_RESOURCE_FORK = "._"
"""Begin of the names of what a Mac adds to an archive."""
_MAX_BYTES = 1 << 26
"""Several times of what is known of it: more is no longer a small archive."""


def bundled_products(archive: Path | None = None) -> list[tuple[str, bytes]]:
    """Name and content of each FITS product in the archive that the package stixpy carries.

    Parameters
    ----------
    archive
        Another archive; None: that of the package.

    Returns
    -------
    list of (str, bytes)
        By name.

    Raises
    ------
    NotInCatalogError
        If the package is not installed or carries none.
    FormatError
        If the archive is damaged, or larger than such an archive can be.
    """
    path = find_package_file(*_ARCHIVE)[0] if archive is None else archive
    found: dict[str, bytes] = {}
    try:
        # Unpacked to its very end, where the checksum stands: reading member by member would stop before it.
        with gzip.open(path) as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise FormatError(
                f"{path.name}: expected at most {_MAX_BYTES} bytes of files; found more; is it the archive of the package?",
                path=path,
            )
        with tarfile.open(fileobj=BytesIO(content), mode="r:") as members:
            for member in members:
                name = PurePosixPath(member.name).name
                if member.isfile() and name.lower().endswith(_ENDS) and not name.startswith(_RESOURCE_FORK):
                    file = members.extractfile(member)
                    assert file is not None
                    found[name] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise FormatError(
            f"{path.name}: expected an archive of FITS files (tar, gzip); found {error}; install the package again",
            path=path,
        ) from error
    if not found:
        raise FormatError(f"{path.name}: expected FITS products; found no FITS file in it", path=path)
    return sorted(found.items())


def bundled_source() -> str:
    """What to call where these products come from: the package and its version.

    Raises
    ------
    NotInCatalogError
        If the package is not installed.
    """
    return find_package_file(*_ARCHIVE)[1]


def import_bundled(ingestor: Ingestor) -> IngestReport:
    """Take the products that the package stixpy carries into archive and catalogue; measured data, of May 2020.

    Those that are there already change nothing; those of a kind that cannot be read are reported, the rest is taken.

    Raises
    ------
    NotInCatalogError
        If the package is not installed.
    FormatError
        If its archive is damaged.
    CatalogError, ArchiveError
        As `Ingestor.import_files`.
    """
    products = bundled_products()
    with tempfile.TemporaryDirectory(prefix="stixlab-bundled-") as scratch:
        for name, content in products:
            write_bytes(Path(scratch, name), content)
        report = ingestor.import_files([Path(scratch, name) for name, _ in products])
    for result in report.files:
        result.path = f"{bundled_source()}: {Path(result.path).name}"
        result.error = result.error.replace(f"{scratch}/", "") if result.error else result.error
    return report
