"""The embedded server: one per home, found again, refused to strangers, nothing lost when it is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pymongo
import pytest
from pymongo.errors import OperationFailure

from stixlab.catalog import MongoCatalog, connect_database
from stixlab.errors import CatalogError, ServiceError, SettingsError
from stixlab.services import EmbeddedDatabase, Supervisor, database_part, database_server, open_database
from stixlab.services import database as database_module
from stixlab.services.database_server import Places, find_strays, read_note, stop_server
from stixlab.services.health import read_health
from stixlab.settings import read_settings
from tests.support.processes import living, wait_for
from tests.support.records import flare

pytestmark = pytest.mark.slow

CLIENT = """
import sys
from pathlib import Path
from stixlab.services import EmbeddedDatabase
database = EmbeddedDatabase(Path(sys.argv[1]))
print(database.ensure(), database._server.pid, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def made_home(tmp_path_factory):
    """A home whose users are made already; the first start of a home takes twice as long as any other."""
    home = tmp_path_factory.mktemp("home")
    with open_database(read_settings(home=home, mongo_uri="")):
        pass
    yield home
    for server in find_strays(Places(home)):
        stop_server(server)


@pytest.fixture
def database(made_home):
    """This process as one client of that home; nothing is left running."""
    database = EmbeddedDatabase(made_home)
    database.ensure()
    yield database
    database.close()


def client(home):
    """Another process that uses the database until it reads a line."""
    command = [sys.executable, "-c", CLIENT, str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def running(home):
    server = read_note(Places(home))
    return server if server is not None and server.lives() else None


def save_flares(database, numbers):
    with MongoCatalog(connect_database(database.uri("operator")), writable=True) as catalog:
        for number in numbers:
            catalog.flares.save(flare(number))


def found_flares(database):
    with MongoCatalog(connect_database(database.uri("public")), writable=False) as catalog:
        return catalog.flares.find()


class TestAccess:
    def test_strangers_are_refused(self, database):
        port = int(database.uri("public").split("127.0.0.1:")[1].split("/")[0])
        with pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=3000) as stranger:
            for question in (
                stranger.stixlab.flares.find_one,
                lambda: stranger.stixlab.flares.insert_one({}),
                stranger.list_database_names,
                lambda: stranger.stixlab.command("createUser", "me", pwd="me", roles=["dbOwner"]),
                lambda: stranger.stixlab.command("usersInfo"),
            ):
                with pytest.raises(OperationFailure, match="requires authentication"):
                    question()

    @pytest.mark.parametrize("access", ["public", "team"])
    def test_readers_read_the_catalogue_and_nothing_else(self, database, access):
        save_flares(database, [1])
        with pymongo.MongoClient(database.uri(access)) as reader:
            assert reader.stixlab.flares.count_documents({}) >= 1
            for question in (
                lambda: reader.stixlab.flares.insert_one({"x": 1}),
                lambda: reader.stixlab.flares.update_one({}, {"$set": {"x": 1}}, upsert=True),
                lambda: reader.stixlab.flares.delete_many({}),
                reader.stixlab.flares.drop,
                lambda: reader.stixlab.flares.create_index("peak_counts"),
                lambda: list(reader.stixlab.flares.aggregate([{"$out": "other"}])),
                lambda: list(reader.stixlab.flares.aggregate([{"$merge": "other"}])),
                lambda: reader.stixlab.command("createUser", "me", pwd="me", roles=["dbOwner"]),
                lambda: reader.stixlab.command("updateUser", access, roles=["dbOwner"]),
                reader.admin.users.find_one,
                reader.other.things.find_one,
                lambda: reader.drop_database("stixlab"),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    question()

    def test_the_logins_are_for_the_owner_alone_and_shown_nowhere(self, database, made_home):
        places = database.places
        assert places.credentials.stat().st_mode & 0o777 == 0o600
        passwords = json.loads(places.credentials.read_text()).values()
        assert len(set(passwords)) == 4
        command = " ".join(psutil.Process(running(made_home).pid).cmdline())
        shown = command + places.log.read_text() + repr(database._credentials)
        with open_database(read_settings(home=made_home, mongo_uri="")) as handle:
            shown += repr(handle) + handle.address
        assert not any(password in shown for password in passwords)

    def test_unknown_access_is_refused(self, database):
        with pytest.raises(SettingsError, match="public, team, operator"):
            database.uri("root")


class TestLife:
    def test_all_processes_use_one_server_and_the_last_one_ends_it(self, made_home):
        with client(made_home) as first, client(made_home) as second:
            told = first.stdout.readline()
            assert second.stdout.readline() == told
            port, pid = map(int, told.split())
            assert running(made_home).port == port
            first.communicate("\n", timeout=15)
            assert living(pid)
            second.communicate("\n", timeout=15)
            assert not living(pid)

    def test_starting_at_once_gives_one_server(self, tmp_path):
        """Also in a home where the users have to be made first."""
        homes = [EmbeddedDatabase(tmp_path) for _ in range(3)]
        ports = []
        threads = [threading.Thread(target=lambda d=d: ports.append(d.ensure())) for d in homes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(ports) == 3
        assert len(set(ports)) == 1
        assert len(find_strays(Places(tmp_path))) == 1
        for each in homes:
            each.close()
        assert find_strays(Places(tmp_path)) == []

    def test_the_server_of_a_killed_client_is_used_by_the_next(self, made_home):
        with client(made_home) as first:
            pid = int(first.stdout.readline().split()[1])
            first.kill()
            first.communicate(timeout=15)
        assert living(pid)
        database = EmbeddedDatabase(made_home)
        database.ensure()
        assert database._server.pid == pid
        database.close()
        assert not living(pid)

    def test_nothing_acknowledged_is_lost_when_the_server_is_killed(self, database):
        """And the next server listens where the killed one did, so that others find it again."""
        port = database.ensure()
        wanted = {flare(n).flare_id for n in range(100, 160)}
        with MongoCatalog(
            connect_database(database.uri("operator"), selection_ms=500), writable=True
        ) as catalog:
            for number in range(100, 160):
                catalog.flares.save(flare(number))
            os.kill(database._server.pid, signal.SIGKILL)
            wait_for(lambda: not database._server.lives(), "killed")
            with pytest.raises(CatalogError, match=rf"127\.0\.0\.1:{port}.*is it running"):
                catalog.flares.find()
            assert database.ensure() == port
            catalog.flares.save(flare(99))
            assert {f.flare_id for f in catalog.flares.find()} >= wanted
        assert {f.flare_id for f in found_flares(database)} >= wanted

    def test_a_server_that_was_not_noted_is_found(self, database, made_home):
        """Its starter was killed between starting it and noting it."""
        server = database._server
        Places(made_home).note.unlink()
        other = EmbeddedDatabase(made_home)
        other.ensure()
        assert other._server.pid == server.pid
        other.close()

    @pytest.mark.parametrize("step", ["ensure_keeper", "ensure_users", "write_private"])
    def test_a_first_start_cut_short_is_completed_by_the_next(self, tmp_path, monkeypatch, step):
        code = (
            "import os, sys; from pathlib import Path; import stixlab.services.database as d\n"
            f"d.{step} = lambda *_: os.kill(os.getpid(), 9)\n"
            "d.EmbeddedDatabase(Path(sys.argv[1])).ensure()"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=30)
        assert done.returncode == -signal.SIGKILL
        assert not Places(tmp_path).ready.exists()
        database = EmbeddedDatabase(tmp_path)
        database.ensure()
        assert found_flares(database) == []
        database.close()
        assert find_strays(Places(tmp_path)) == []

    def test_lost_logins_are_made_anew_and_the_data_stay(self, made_home):
        database = EmbeddedDatabase(made_home)
        database.ensure()
        save_flares(database, [200])
        old = database.uri("operator")
        database.close()
        Places(made_home).credentials.unlink()
        database.ensure()
        assert flare(200) in found_flares(database)
        assert database.uri("operator").split("@")[0] != old.split("@")[0]
        database.close()

    def test_a_server_of_ones_own_choice_is_left_alone(self, tmp_path):
        written, read_only = (f"mongodb://{who}:word@db.example:27017/stixlab" for who in ("me", "reader"))
        settings = read_settings(home=tmp_path, mongo_uri=written, mongo_read_uri=read_only)
        with open_database(settings) as handle:
            assert handle.uri("operator") == written
            assert handle.uri("team") == handle.uri("public") == read_only
            assert not handle.embedded
            assert "word" not in repr(handle)
        assert list(tmp_path.iterdir()) == []

    def test_the_public_never_gets_the_login_that_writes(self, tmp_path):
        settings = read_settings(
            home=tmp_path, mongo_uri="mongodb://me:word@db.example:27017/stixlab", mongo_read_uri=""
        )
        with (
            open_database(settings) as handle,
            pytest.raises(SettingsError, match="STIXLAB_MONGO_READ_URI") as told,
        ):
            handle.uri("public")
        assert "word" not in str(told.value)


class TestSupervised:
    def test_the_server_of_up_is_not_ended_by_clients_and_comes_back_where_it_was(self, made_home):
        database = EmbeddedDatabase(made_home)
        database.ensure()
        events = []
        supervisor = Supervisor([database_part(made_home)], made_home, events.append, backoff_s=(0.1, 1))
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        try:
            wait_for(lambda: "ready" in [e.what for e in events], "ready")
            assert database.ensure() == running(made_home).port
            save_flares(database, [300])
            database.close()
            server = running(made_home)
            assert server is not None
            os.kill(server.pid, signal.SIGKILL)
            wait_for(lambda: [e.what for e in events].count("ready") == 2, "ready again")
            assert running(made_home).port == server.port
            database.ensure()
            assert flare(300) in found_flares(database)
            part = read_health(made_home).parts[0]
            assert (part.name, part.state, part.restarts) == ("database", "ready", 1)
            assert 20e6 < part.rss_bytes < 300e6
            database.close()
        finally:
            supervisor.request_stop()
            thread.join(20)
        assert not thread.is_alive()
        assert find_strays(Places(made_home)) == []


class TestTrouble:
    def test_without_the_program_the_message_says_what_to_do(self, tmp_path, monkeypatch):
        monkeypatch.setattr(database_server.sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ServiceError, match=r"STIXLAB_MONGO_URI.*stixlab\[embedded\]"):
            EmbeddedDatabase(tmp_path / "home").ensure()

    def test_a_home_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "home").write_text("a file")
        with pytest.raises(ServiceError, match=r"expected to be writable.*STIXLAB_HOME"):
            EmbeddedDatabase(tmp_path / "home").ensure()

    def test_data_that_cannot_be_used_show_the_end_of_the_log(self, tmp_path):
        (tmp_path / "mongo").mkdir()
        for name in ("WiredTiger", "WiredTiger.wt", "WiredTiger.turtle"):
            (tmp_path / "mongo" / name).write_text("not a database")
        with pytest.raises(ServiceError, match=r"did not come up(.|\n)*database\.log ends"):
            EmbeddedDatabase(tmp_path).ensure()
        assert find_strays(Places(tmp_path)) == []

    def test_a_full_disk_is_told_and_leaves_no_half_file(self, tmp_path, monkeypatch):
        def full(_handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("stixlab.services.credentials.os.fsync", full)
        with pytest.raises(ServiceError, match="No space left"):
            EmbeddedDatabase(tmp_path).ensure()
        assert [p.name for p in tmp_path.iterdir()] == ["run"]

    def test_damaged_logins_are_told(self, tmp_path):
        Places(tmp_path).credentials.write_text("{}")
        with pytest.raises(ServiceError, match="damaged"):
            EmbeddedDatabase(tmp_path).ensure()

    def test_a_taken_port_is_not_insisted_on(self, made_home, monkeypatch):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            choices = iter([port, 0])
            real = database_server.choose_port
            monkeypatch.setattr(database_server, "choose_port", lambda _: next(choices) or real())
            database = EmbeddedDatabase(made_home)
            assert database.ensure() != port
            database.close()

    def test_programs_name(self):
        assert Path(database_server.program()).name == "secantusd-py"
        assert database_module.is_ready(Places(Path("/nowhere"))) is False
