"""Accounts of the team: hashes, files only their owner reads, waiting after failures."""

import asyncio
import json
import stat
from types import SimpleNamespace

import pytest

from stixlab.errors import ConflictError, NotInCatalogError, ParameterError
from stixlab.hub.accounts import OPERATOR, Accounts, ensure_operator
from stixlab.hub.authenticator import AccountAuthenticator, Throttle


@pytest.fixture
def accounts(tmp_path):
    return Accounts(tmp_path)


def test_the_first_operator_is_made_once_and_its_password_is_not_kept(tmp_path, accounts, caplog):
    caplog.set_level("DEBUG")
    password = ensure_operator(tmp_path)
    assert ensure_operator(tmp_path) is None
    assert accounts.check(OPERATOR, password).role == "operator"
    kept = "".join(p.read_text() for p in (tmp_path / "hub").iterdir())
    assert password not in kept
    assert password not in caplog.text


def test_files_of_the_hub_are_read_by_their_owner_alone(tmp_path, accounts):
    ensure_operator(tmp_path)
    assert stat.S_IMODE((tmp_path / "hub").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "hub" / "accounts.json").stat().st_mode) == 0o600


def test_equal_passwords_have_different_hashes(accounts):
    for name in ("anna", "berta"):
        accounts.add(name, password="the same password")
    found = accounts.all()
    assert found["anna"].hash != found["berta"].hash


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(accounts):
    accounts.add("anna", password="long enough 1")
    assert accounts.check("anna", "long enough 2") is None
    assert accounts.check("berta", "long enough 1") is None
    assert accounts.check("anna", "\ud800") is None


@pytest.mark.parametrize("name", ["", "A", "Anna", "../x", "a b", "a" * 40, "1a", "an\nna"])
def test_names_are_small_and_plain(accounts, name):
    with pytest.raises(ParameterError, match="small letters"):
        accounts.add(name)


def test_what_cannot_be_done_is_said(accounts):
    accounts.add("anna")
    with pytest.raises(ConflictError, match="one already"):
        accounts.add("anna")
    with pytest.raises(ParameterError, match="10 to 1024 characters; found 5"):
        accounts.add("berta", password="short")
    with pytest.raises(ParameterError, match="team or operator"):
        accounts.add("berta", role="king")
    with pytest.raises(NotInCatalogError):
        accounts.set_password("carla")
    with pytest.raises(NotInCatalogError):
        accounts.remove("carla")
    assert set(accounts.all()) == {"anna"}


def test_a_new_password_replaces_the_old_one(accounts):
    old = accounts.add("anna")
    new = accounts.set_password("anna")
    assert accounts.check("anna", old) is None
    assert accounts.check("anna", new) is not None


def test_repeated_failures_wait_and_others_do_not():
    throttle = Throttle()
    for _ in range(throttle.free_tries):
        assert throttle.wait_s("anna", "10.0.0.1", now=100.0) == 0
        throttle.failed("anna", "10.0.0.1", now=100.0)
    assert throttle.wait_s("anna", "10.0.0.1", now=101.0) == pytest.approx(9.0)
    assert throttle.wait_s("anna", "10.0.0.2", now=101.0) == 0, "nobody is locked out by somebody else"
    throttle.failed("anna", "10.0.0.1", now=111.0)
    assert throttle.wait_s("anna", "10.0.0.1", now=111.0) == pytest.approx(20.0)
    throttle.succeeded("anna", "10.0.0.1")
    assert throttle.wait_s("anna", "10.0.0.1", now=111.0) == 0


def test_one_address_cannot_try_many_names():
    throttle = Throttle()
    for n in range(4 * throttle.free_tries):
        throttle.failed(f"name{n}", "10.0.0.1", now=100.0)
    assert throttle.wait_s("somebody", "10.0.0.1", now=100.0) > 0


def test_waiting_has_an_end_and_the_memory_too():
    throttle = Throttle()
    for n in range(30):
        throttle.failed("anna", "10.0.0.1", now=float(n))
    assert throttle.wait_s("anna", "10.0.0.1", now=30.0) <= throttle.longest_wait_s
    for n in range(11_000):
        throttle.failed(str(n), str(n), now=31.0)
    assert len(throttle._failures) <= throttle._MOST


def login(authenticator, name, password):
    handler = SimpleNamespace(request=SimpleNamespace(remote_ip="10.0.0.1"))
    return asyncio.run(authenticator.authenticate(handler, {"username": name, "password": password}))


def test_the_hub_logs_in_by_account_and_knows_operators(tmp_path, accounts):
    accounts.add("anna", password="long enough 1")
    password = accounts.add("opi", role="operator")
    authenticator = AccountAuthenticator(home=str(tmp_path))
    assert login(authenticator, "anna", "long enough 1") == {"name": "anna", "admin": False}
    assert login(authenticator, "opi", password) == {"name": "opi", "admin": True}
    assert login(authenticator, "anna", "wrong") is None
    accounts.remove("anna")
    assert not authenticator.check_allowed("anna")
    assert asyncio.run(authenticator.refresh_user(SimpleNamespace(name="anna"))) is False


def test_the_hub_refuses_for_a_while_after_failures_even_the_right_password(tmp_path, accounts):
    accounts.add("anna", password="long enough 1")
    authenticator = AccountAuthenticator(home=str(tmp_path))
    for _ in range(Throttle.free_tries):
        login(authenticator, "anna", "wrong")
    assert login(authenticator, "anna", "long enough 1") is None


def test_a_member_changes_the_password_with_the_present_one(tmp_path, accounts):
    accounts.add("anna", password="long enough 1")
    authenticator = AccountAuthenticator(home=str(tmp_path))

    def change(old, new):
        return asyncio.run(authenticator.change_password("anna", old, new, "10.0.0.1"))

    assert "not the right one" in change("wrong", "long enough 2")
    assert "10 to 1024" in change("long enough 1", "short")
    assert change("long enough 1", "long enough 2") == ""
    assert accounts.check("anna", "long enough 2") is not None


def test_the_file_is_whole_json_after_many_changes(tmp_path, accounts):
    for n in range(5):
        accounts.add(f"member{n}", password="long enough")
    assert len(json.loads((tmp_path / "hub" / "accounts.json").read_text())) == 5
