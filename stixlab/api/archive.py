"""The archive of FITS files as folders of links, and the files."""

from __future__ import annotations

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


@router.get("/data", include_in_schema=False)
@router.get("/data/", include_in_schema=False)
def top() -> Response:
    """To the one tree there is."""
    return RedirectResponse("/data/fits/")


@router.get(
    "/data/fits{path:path}",
    summary="A folder of the archive as links, or a file",
    response_class=HTMLResponse,
)
def fits(source: TheSource, path: str) -> Response:
    """Folders end in a slash; what is not finished or not ours is not there."""
    root = (source.lab.archive.root / "fits").resolve()
    wanted = _within(root, path)
    if wanted.is_file():
        return FileResponse(
            wanted, media_type=FITS_MEDIA_TYPE, filename=wanted.name, headers={"Cache-Control": "no-cache"}
        )
    if wanted.is_dir() or wanted == root:
        if not path.endswith("/"):
            return RedirectResponse(f"/data/fits{path}/")
        return HTMLResponse(_index(root, wanted), headers={"Cache-Control": "no-cache"})
    raise NotInCatalogError(
        f"archive: expected a file or folder below /data/fits/; there is no {path[:200]!r}"
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
        raise NotInCatalogError(
            f"archive: expected a file or folder below /data/fits/; there is no {path[:200]!r}"
        )
    return wanted


def _index(root: Path, folder: Path) -> str:
    entries = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        if each.name.startswith("."):
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
    return render("index.html.j2", here="" if here == "." else here + "/", entries=entries)
