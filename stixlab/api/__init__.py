"""The HTTP service: front page, health, downloads and the typed interface. It only reads."""

from stixlab.api.app import create_app

__all__ = ["create_app"]
