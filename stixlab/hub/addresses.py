"""Variables by which the hub tells its services where things are; no hub is imported for them."""

__all__ = ["HUB_API", "SERVICE_URL"]

SERVICE_URL = "STIXLAB_SERVICE_URL"
"""Address at which a service has to listen."""
HUB_API = "STIXLAB_HUB_API"
"""Address of the hub's interface, for the service that asks whose token it was given."""
