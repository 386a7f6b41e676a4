"""The archive of FITS files as folders of links, and the files."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from stixlab.api.source import TheSource
from stixlab.api.templates import render
from stixlab.errors import NotInCatalogError

__all__ = ["FITS_MEDIA_TYPE", "router"]

router = APIRouter(tags=["archive"])

FITS_MEDIA_TYPE = "application/fits"


_TREES = ("fits", "simulated", "reencoded", "imported")
"""Folders of the archive that are open to everyone: what was measured, apart from it what was not, and orbit, attitude and
calibrations of others as received."""


@router.get("/data", include_in_schema=False)
@router.get("/data/", include_in_schema=False)
def top() -> Response:
    """To the tree of what was measured."""
    return RedirectResponse("/data/fits/")


@router.get(
    "/data/{tree}{path:path}",
    summary="A folder of the archive as links, or a file",
    response_class=HTMLResponse,
)
def browse(source: TheSource, tree: str, path: str) -> Response:
    """What was measured stands below ``fits``; what was simulated, re-encoded or imported as it is stands apart from it.

    Folders end in a slash; what is not finished or not ours is not there.
    """
    if tree not in _TREES:
        raise NotInCatalogError(
            f"archive: expected one of {', '.join(f'/data/{t}/' for t in _TREES)}; found {tree[:200]!r}"
        )
    return _answer(source, tree, path)


def _answer(source: TheSource, tree: str, path: str) -> Response:
    root = (source.lab.archive.root / tree).resolve()
    wanted = _within(root, path)
    hidden = _hidden(source, root, wanted)
    if wanted.is_file() and _product(wanted) not in hidden:
        return FileResponse(
            wanted, media_type=FITS_MEDIA_TYPE, filename=wanted.name, headers={"Cache-Control": "no-cache"}
        )
    if wanted.is_dir() or wanted == root:
        if not path.endswith("/"):
            return RedirectResponse(f"/data/{tree}{path}/")
        return HTMLResponse(_index(root, wanted, hidden), headers={"Cache-Control": "no-cache"})
    raise _not_there(root, path)


def _hidden(source: TheSource, root: Path, wanted: Path) -> set[str]:
    """FITS files, without their versions, of products that are not shown."""
    if wanted.is_dir() and not any(p.is_file() for p in wanted.iterdir()):
        return set()
    return {_product(root.parent / p.fits) for p in source.lab.catalog.products.find(hidden=True)}


def _product(path: Path) -> str:
    """A file by its product: all versions have the same."""
    return re.sub(r"_V\d+U?(?=[._]|$)", "", str(path))


def _not_there(root: Path, path: str) -> NotInCatalogError:
    return NotInCatalogError(
        f"archive: expected a file or folder below /data/{root.name}/; there is no {path[:200]!r}"
    )


def _within(root: Path, path: str) -> Path:
    """The path below the archive.

    Raises
    ------
    NotInCatalogError
        If it leads out of it or names something hidden.
    """
    parts = path.strip("/").split("/") if path.strip("/") else []
    hidden = any(part.startswith(".") or "\0" in part or "\\" in part for part in parts)
    wanted = root.joinpath(*parts) if not hidden else root
    if hidden or (path and not path.startswith("/")) or not wanted.resolve().is_relative_to(root):
        raise _not_there(root, path)
    return wanted


def _index(root: Path, folder: Path, hidden: set[str]) -> str:
    entries = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        if each.name.startswith(".") or _product(each) in hidden:
            continue
        state = each.stat()
        entries.append(
            {
                "name": each.name + ("/" if each.is_dir() else ""),
                "size": "" if each.is_dir() else f"{state.st_size:,}",
                "changed": f"{datetime.fromtimestamp(state.st_mtime, UTC):%Y-%m-%d %H:%M}",
            }
        )
    here = folder.relative_to(root).as_posix()
    others = [tree for tree in _TREES if tree != root.name and root.with_name(tree).is_dir()]
    return render(
        "index.html.j2",
        tree=root.name,
        here="" if here == "." else here + "/",
        entries=entries,
        others=others,
    )
