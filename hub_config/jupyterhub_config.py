"""Configuration of the hub: read the settings, install; what is installed stands in `stixlab.hub`."""

from stixlab.hub.installation import install
from stixlab.settings import read_settings

install(c, read_settings())
