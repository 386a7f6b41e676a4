"""What a pipeline says about itself, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stixlab.vocabulary import CONTEXT_TYPES, PRODUCT_TYPES

__all__ = [
    "DEFAULT_MARGIN_S",
    "DEFAULT_RETRIES",
    "DEFAULT_TIMEOUT_S",
    "FLARE_LIST",
    "KERNELS",
    "MADE_FROM_NOTHING",
    "MANUAL",
    "ON_NEW_PRODUCT",
    "OTHER_NEEDS",
    "RESULTS",
    "Parameter",
    "PipelineSpec",
    "known_needs",
    "known_results",
]

MANUAL = "manual"
"""Schedule of a pipeline that runs when somebody asks."""
ON_NEW_PRODUCT = "on new product"
"""Schedule of a pipeline that follows what it needs."""
FLARE_LIST = "flare-list"
RESULTS = (FLARE_LIST,)
"""Results a pipeline may deliver or need, beside product types."""
OTHER_NEEDS = ("packets", "kernels")
"""What a pipeline may read beside products and results: stored packets, sources of orbit, attitude and clock."""
MADE_FROM_NOTHING = ("asp-ephemeris",)
"""Product types that no packets are needed for."""
KERNELS = ("fresh", "warm")
DEFAULT_TIMEOUT_S = 1200.0
DEFAULT_MARGIN_S = 3600.0
DEFAULT_RETRIES = 2


def known_results() -> tuple[str, ...]:
    """All names that may stand under ``makes``."""
    return (*RESULTS, *PRODUCT_TYPES, *MADE_FROM_NOTHING)


def known_needs() -> tuple[str, ...]:
    """All names that may stand under ``needs``."""
    return (*RESULTS, *PRODUCT_TYPES, *CONTEXT_TYPES, *OTHER_NEEDS)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a pipeline."""

    name: str
    type: str
    """``str``, ``int``, ``float`` or ``bool``."""
    default: Any
    """What the notebook uses when opened by hand; also the default of a run unless `required`."""
    help: str
    required: bool = False
    """Whether a run must be given it."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """``format: time``, ``after: <parameter>``, ``minimum``, ``maximum``, ``enum``."""


@dataclass(frozen=True)
class PipelineSpec:
    """What a pipeline is, needs and makes."""

    name: str
    """Name of its file, without the ending."""
    path: Path
    title: str
    summary: str
    authors: tuple[str, ...]
    needs: tuple[str, ...]
    """Product types and results it reads."""
    makes: tuple[str, ...]
    """Results it must deliver, each once."""
    schedule: str
    """``manual``, ``on new product``, ``hourly``, ``daily``, ``weekly`` or a cron line, UTC."""
    timeout_s: float
    """Longest time a run may take, seconds."""
    parameters: tuple[Parameter, ...]
    notebook_sha256: str
    """Hash of the file."""
    memory_bytes: int | None = None
    """Most memory its kernel may take; None: what the worker allows."""
    retries: int = DEFAULT_RETRIES
    """How often a run that failed of something that passes is tried again."""
    fatal_warnings: tuple[str, ...] = ()
    """Names of warning classes that fail a run."""
    kernel: str = KERNELS[0]
    """``warm``: a kernel that is ready, of a pipeline that is trusted; ``fresh``: a new one."""
    window: str = ""
    """Range of time of a scheduled run, such as ``yesterday`` or ``last 3 days``; empty: it has none."""
    margin_s: float = DEFAULT_MARGIN_S
    """What is this near to the range of a run counts as its input, seconds."""
    priority: int = 0
    """Added to that of the runs, which depends on who asks; higher ones go first."""
    may_make: tuple[str, ...] = ()
    """Product types that it delivers where there are data of them; at most once each."""

    @property
    def delivers(self) -> tuple[str, ...]:
        """All that may come of a run."""
        return (*self.makes, *self.may_make)

    @property
    def has_range(self) -> bool:
        """Whether runs are of a range of time: parameters ``start`` and ``end``."""
        return {"start", "end"} <= {p.name for p in self.parameters}

    @property
    def is_cached(self) -> bool:
        """Whether a run need not be done again: what it reads is declared, so that a change shows."""
        return self.has_range and bool(self.needs)
