"""`python -m stixlab.hub.launch hub ...` and `... apps`: JupyterHub and the public apps, without what they never use."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stixlab.pipeline.quick_imports import load_jsonschema

__all__ = ["main"]


def main(arguments: Sequence[str]) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    arguments
        ``hub`` with the options of JupyterHub, or ``apps``.

    Raises
    ------
    ValueError
        If it is neither.
    """
    what, *options = arguments
    # Both import jsonschema, whose check of web addresses would take 17 MB and half a second in each.
    load_jsonschema()
    if what == "hub":
        from jupyterhub.app import JupyterHub

        JupyterHub.launch_instance(options)
    elif what == "apps":
        from stixlab.hub import voila_app

        voila_app.main()
    else:
        raise ValueError(f"launch: expected hub or apps; found {what!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
