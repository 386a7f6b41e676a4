"""Tasks side by side: in threads, and on a dask cluster of processes of which some die."""

import threading
import time
from itertools import count
from pickle import dumps

import pytest

from stixlab.errors import PipelineError
from stixlab.ingest.formal import make_planned, plan_reprocess
from stixlab.pipeline import tasks as module
from stixlab.pipeline.tasks import ClusterTasks, Tasks, _Bunches, _call, _StoppedError, open_tasks
from stixlab.products.formats.zarr import open_zarr
from stixlab.products.merging import content_sha256
from tests.support.chain import new_chain
from tests.support.dask_tasks import cluster, dies, dies_once, fails, square
from tests.support.formal import Formal
from tests.support.packets import light_curves


def test_results_come_in_the_order_of_the_tasks():
    def late(n):
        time.sleep(0.02 * (5 - n))
        return n

    assert Tasks(3).map(late, range(5)) == [0, 1, 2, 3, 4]


def test_no_more_than_a_few_results_are_in_hand():
    taken, done = [], []

    def endless():
        n = 0
        while True:
            taken.append(n)
            yield n
            n += 1

    for n in Tasks(2).each(lambda n: n, endless()):
        done.append(n)
        assert len(taken) - len(done) <= 4
        if n == 20:
            break
    assert done == list(range(21))


def test_what_a_task_raises_is_raised_and_the_rest_is_not_begun():
    begun = []

    def note(n):
        begun.append(n)
        return fails(n)

    with pytest.raises(ZeroDivisionError, match="three"):
        Tasks(1).map(note, range(1000))
    assert len(begun) < 10


def test_threads_are_as_many_as_asked_for():
    together, most, lock = [0], [0], threading.Lock()

    def busy(_n):
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        time.sleep(0.02)
        with lock:
            together[0] -= 1

    Tasks(3).map(busy, range(12))
    assert most[0] <= 3
    assert "3 at once in threads" in repr(Tasks(3))


def test_short_tasks_go_in_bunches_and_long_ones_alone():
    bunches = _Bunches(iter(range(1000)))
    assert bunches.take(2) == [0], "nothing is known yet"
    bunches.note(module._BUNCH_S / 5)
    assert bunches.take(2) == [1, 2, 3, 4, 5]
    bunches.note(0.0)
    assert len(bunches.take(2)) == module._MOST_IN_BUNCH
    bunches.note(60 * module._BUNCH_S)
    assert bunches.take(2) == [14]


@pytest.mark.parametrize("kind", [list, iter])
def test_bunches_get_small_towards_the_end_and_nothing_is_left_out(kind):
    bunches, taken = _Bunches(kind(list(range(50)))), []
    bunches.note(0.001)
    while bunch := bunches.take(2):
        taken.append(bunch)
    assert [n for bunch in taken for n in bunch] == list(range(50))
    assert len(taken[0]) == 8
    assert [len(bunch) for bunch in taken[-4:]] == [1, 1, 1, 1]


def test_bunches_of_an_unknown_number_are_asked_for_as_the_work_goes_on():
    asked = []
    bunches = _Bunches(asked.append(n) or n for n in count())
    bunches.note(0.001)
    assert bunches.take(2) == list(range(8))
    assert asked == list(range(8))
    assert _Bunches(x for x in ()).take(2) == []


def test_a_bunch_ends_at_the_first_error():
    assert _call(dumps(fails), dumps([1, 2]))[0] == [1, 2]
    with pytest.raises(_StoppedError, match=r"after 2 other tasks: ZeroDivisionError.*three") as caught:
        _call(dumps(fails), dumps([1, 2, 3, 4]))
    assert caught.value.found == [1, 2]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="three"):
        _call(dumps(fails), dumps([3]))


def test_without_a_cluster_tasks_are_done_here():
    assert open_tasks("").address == ""


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_told():
    with pytest.raises(
        PipelineError, match=r"expected a scheduler at tcp://127.0.0.1:9 .*found none"
    ) as caught:
        ClusterTasks("tcp://127.0.0.1:9", wait_s=1)
    assert caught.value.recoverable
    with pytest.raises(PipelineError, match="expected a scheduler"):
        ClusterTasks("nonsense://here", wait_s=1)


@pytest.mark.slow
@pytest.mark.alone
def test_a_cluster_does_tasks_in_order_on_all_workers(tmp_path, monkeypatch):
    with cluster(tmp_path) as (address, _):
        tasks = ClusterTasks(address, wait_s=60)
        while tasks.size < 2:
            time.sleep(0.1)
        found = tasks.map(square, range(20))
        assert [n for n, _ in found] == [n * n for n in range(20)]
        assert len({pid for _, pid in found}) == 2
        with pytest.raises(ZeroDivisionError, match="three"):
            tasks.map(fails, range(6))
        # An error in the middle of a bunch comes after what the tasks before it gave.
        found = []
        with pytest.raises(ZeroDivisionError, match="three"):
            found.extend(
                tasks._collect(tasks._client.submit(_call, dumps(fails), dumps([1, 2, 3, 4])), _Bunches([]))
            )
        assert found == [1, 2]
        found, given = [], [0] * 70 + [3] + [0] * 70
        with pytest.raises(ZeroDivisionError, match="three"):
            found.extend(tasks.each(fails, iter(given)))
        assert found == [0] * 70
        submitted, submit = [], tasks._client.submit
        monkeypatch.setattr(tasks._client, "submit", lambda *a, **kw: submitted.append(1) or submit(*a, **kw))
        assert tasks.map(abs, range(200)) == list(range(200))
        assert len(submitted) < 100
        tasks.close()


@pytest.mark.slow
@pytest.mark.alone
def test_a_task_whose_worker_dies_is_done_by_another(tmp_path):
    with cluster(tmp_path) as (address, workers):
        tasks = ClusterTasks(address, wait_s=60)
        while tasks.size < 2:
            time.sleep(0.1)
        assert tasks.map(dies_once, [(str(tmp_path), n) for n in range(8)]) == [n * n for n in range(8)]
        assert sorted(w.poll() is None for w in workers) == [False, True]
        tasks.close()


@pytest.mark.slow
@pytest.mark.alone
def test_a_task_that_ends_its_workers_is_told_and_so_is_a_cluster_without_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.2)
    with cluster(tmp_path, 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as (address, workers):
        tasks = ClusterTasks(address, wait_s=60)
        with pytest.raises(PipelineError, match="ended several workers"):
            tasks.map(dies, range(1))
        workers[0].wait(30)
        tasks._wait_s = 1
        with pytest.raises(PipelineError, match="there has been none for"):
            tasks.map(square, range(1))
        tasks.close()
        with pytest.raises(PipelineError, match="expected workers at"):
            ClusterTasks(address, wait_s=1)


@pytest.mark.slow
@pytest.mark.alone
def test_products_are_the_same_on_two_workers_one_of_which_is_killed_midway(tmp_path, monkeypatch):
    chain = new_chain(tmp_path / "home")
    path = tmp_path / "a.bin"
    path.write_bytes(light_curves(160, n_bins=580).data.tobytes())
    assert not chain.ingest(path).failed
    formal = Formal(chain, tmp_path, {})
    formal.ingested = formal.state()
    formal.forget()
    given = {"start": "2021-01-01", "end": "2021-03-01", "again": True}
    lost = []

    def kill(workers, stage):
        while not list(stage.glob("zarr/*/*/*/*/*.zarr")):
            time.sleep(0.005)
        workers[0].kill()
        lost.append(len(list(stage.glob("zarr/*/*/*/*/*.zarr"))))

    with cluster(tmp_path) as (address, workers):
        monkeypatch.setenv("STIXLAB_DASK", address)
        run = formal.session(**given)
        while run.client().size < 2:
            time.sleep(0.1)
        killer = threading.Thread(target=kill, args=(workers, run.stage.folder))
        killer.start()
        made = make_planned(run, plan_reprocess(run))
        killer.join()
        assert workers[0].wait(10) != 0
        assert workers[1].poll() is None
        run.save_products()
        formal.commit(run)
        lazy = chain.lab.open("ql-lightcurve", "2021-01-15", "2021-01-20")
        assert lazy["counts"].chunks is not None
        total = int(lazy["counts"].sum().compute())  # by the worker that is left
        run.client().close()
    assert lost[0] < len(made.products), "killed before all was made"
    assert formal.state() == formal.ingested
    assert total == int(chain.lab.open("ql-lightcurve", "2021-01-15", "2021-01-20")["counts"].sum().compute())
    for product in chain.catalog.products.find():
        assert content_sha256(open_zarr(chain.archive.path(product.zarr))) == product.content_sha256
