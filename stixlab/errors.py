"""Every exception of the package: one class for each decision that a caller can take.

A message says what was expected, what was found, where, and what to do. The parts that a
program may need (an offset, a run, a key) are attributes, not words to be parsed.
"""

__all__ = [
    "AccessError",
    "ArchiveError",
    "CatalogError",
    "CompressionError",
    "ConflictError",
    "FormatError",
    "NotInCatalogError",
    "PacketError",
    "ParameterError",
    "PipelineError",
    "SchemaError",
    "ServiceError",
    "SettingsError",
    "StixlabError",
    "TimeError",
    "UnknownPacketError",
]


class StixlabError(Exception):
    """Root of all errors that the package raises on purpose.

    Parameters
    ----------
    message
        What was expected, what was found, where, what to do.
    **details
        Facts for programs; each becomes an attribute.
    """

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __getattr__(self, name: str) -> object:
        details = self.__dict__.get("details", {})
        if name in details:
            return details[name]
        raise AttributeError(name)


class SettingsError(StixlabError, ValueError):
    """A setting cannot be used; the caller corrects it and starts again."""


class FormatError(StixlabError, ValueError):
    """A file is not what it should be (kind, structure, encoding); it is set aside whole."""


class PacketError(StixlabError, ValueError):
    """One packet cannot be decoded; the rest of its file can."""


class UnknownPacketError(PacketError):
    """No definition is known for a packet; it is kept and counted."""


class CompressionError(StixlabError, ValueError):
    """An (s, k, m) scheme or a value outside what eight bits can carry."""


class TimeError(StixlabError, ValueError):
    """A time cannot be read or converted with the clock at hand."""


class SchemaError(StixlabError, ValueError):
    """A dataset departs from its declaration; nothing of it is stored."""


class ArchiveError(StixlabError, OSError):
    """The archive cannot be read or written (full, read-only, damaged)."""


class CatalogError(StixlabError, ConnectionError):
    """The database does not answer or refuses; try again when it is back."""


class NotInCatalogError(StixlabError, LookupError):
    """What was asked for is not in the catalogue."""


class ConflictError(StixlabError, RuntimeError):
    """Somebody else holds what is needed (a lock, a lease, a name)."""


class AccessError(StixlabError, PermissionError):
    """The role of the caller does not allow it."""


class ParameterError(StixlabError, ValueError):
    """A pipeline was given a parameter that is unknown, missing, mistyped or out of range."""


class PipelineError(StixlabError, RuntimeError):
    """A pipeline is declared wrongly, failed, or did not deliver; nothing of it is catalogued."""


class ServiceError(StixlabError, RuntimeError):
    """A process of the platform did not start, or died, or does not answer."""
