"""Which desk a process stands at: what the public runs can never ask for anything."""

import pytest

from stixlab import factory
from stixlab.catalog import MemoryCatalog
from stixlab.client.runs import HttpDesk, NoDesk, QueueDesk
from stixlab.errors import AccessError
from stixlab.settings import Settings


@pytest.fixture
def member(monkeypatch):
    """Environment of a member's server."""
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")


def desk(tmp_path, access, **more):
    return factory._desk(
        Settings(home=tmp_path, access=access, **more), MemoryCatalog(writable=access == "operator")
    )


def test_the_public_has_none_even_with_a_token_at_hand(tmp_path, member):
    found = desk(tmp_path, "public")
    assert isinstance(found, NoDesk)
    with pytest.raises(AccessError):
        found.submit("flare_list", {})


def test_a_member_asks_over_http_on_this_machine(tmp_path, member):
    found = desk(tmp_path, "team", port=8123, bind="0.0.0.0", base_url="https://data.example")
    assert isinstance(found, HttpDesk)
    assert (found.url, found.user, found.operator) == ("http://127.0.0.1:8123", "ada", False)
    assert "secret" not in repr(found)


def test_the_team_outside_the_hub_has_none(tmp_path, monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    assert isinstance(desk(tmp_path, "team"), NoDesk)


def test_an_operator_stands_at_the_queue_under_the_own_name(tmp_path, member):
    found = desk(tmp_path, "operator")
    assert isinstance(found, QueueDesk)
    assert (found.user, found.operator) == ("ada", True)


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("192.0.2.7", "http://192.0.2.7:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
    ],
)
def test_the_address_on_this_machine_follows_what_is_listened_on(tmp_path, bind, url):
    assert Settings(home=tmp_path, bind=bind).local_url == url
