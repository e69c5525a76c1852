"""The queue of jobs, with workers that say what a test tells them and a clock that it sets."""

import logging
import queue
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from ecoval_core.runs.tasks import Work, task
from ecoval_core.work import jobs as module
from ecoval_core.work.jobs import ABSENT_SECONDS, Jobs

PATIENCE = 20


@task("Valuing {name}")
def long_work(work: Work, name: str) -> int: ...


@task("Reading {name}", quick=True, advice="keep fewer rows.")
def quick_work(work: Work, name: str) -> int: ...


class FakeWorker:
    """A worker that says what a test puts into `said`, and falls silent when it is killed."""

    def __init__(self):
        self.said, self.began = queue.Queue(), threading.Event()
        self.is_killed = False

    def say(self, **message):
        self.said.put(message)

    def messages(self, seconds=None):
        self.began.set()
        while (message := self.said.get(timeout=PATIENCE)) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message

    def kill(self):
        self.is_killed = True
        self.said.put(None)

    def close(self):
        pass


class Farm:
    """A queue whose workers are fakes."""

    def __init__(self, **options):
        self.workers, self.made, self.ended = {}, threading.Condition(), []
        # Looked up when a job starts or ends, so that a test may put its own in their place.
        self.jobs = Jobs(
            lambda job: self.start(job), on_end=lambda job: self.note_end(job), **options
        )

    def start(self, job):
        with self.made:
            self.workers[job.id] = FakeWorker()
            self.made.notify_all()
            return self.workers[job.id]

    def note_end(self, job):
        self.ended.append(job)

    def submit(self, name="wine", visitor="ada", *, work=long_work, root="/a"):
        return self.jobs.submit(work(name), {"root": root}, visitor)

    def worker(self, job):
        with self.made:
            assert self.made.wait_for(lambda: job.id in self.workers, PATIENCE)
        assert self.workers[job.id].began.wait(PATIENCE)
        return self.workers[job.id]

    def tell(self, job, message):
        """Have the worker say its last words, and wait for the end of the job."""
        self.worker(job).said.put(message)
        assert job.wait(PATIENCE)
        return job

    def finish(self, job, result=None):
        return self.tell(job, {"done": result, "trouble": ""})


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def make_farm():
    made = []

    def make(**options):
        made.append(Farm(**options))
        return made[-1]

    yield make
    for farm in made:
        farm.jobs.drain(0)
        for worker in farm.workers.values():
            worker.kill()


@pytest.fixture
def farm(make_farm):
    return make_farm()


def states(jobs):
    return [str(job.state) for job in jobs]


# --- One job for equal tasks ----------------------------------------------------------------


def test_job_ends_with_result_and_leaving_it_then_changes_nothing(farm):
    job = farm.submit()
    assert (job.state, job.label, job.is_active) == ("running", "Valuing wine", True)
    assert farm.finish(job, {"rows": 3}).result == {"rows": 3}
    farm.jobs.leave(job, "ada")
    assert (job.state, job.result, job.error, job.is_active) == ("done", {"rows": 3}, None, False)
    assert farm.ended == [job]


def test_equal_tasks_of_a_workspace_share_a_job(farm):
    first = farm.submit(visitor="ada")
    assert farm.submit(visitor="bob") is first
    assert farm.submit(root="/another workspace") is not first
    assert farm.submit("digits") is not first
    assert farm.jobs.find(first.key) is first


@pytest.fixture
def hasty_threads():
    """Threads that take turns 500 times as often as others."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_many_threads_make_one_job_of_equal_tasks_and_do_not_disturb_each_other(make_farm):
    farm = make_farm(max_running=1, max_processes=1)
    jobs = [farm.submit(str(number), "ada") for number in range(5)]
    gate = threading.Barrier(8)

    def act(number):
        gate.wait(PATIENCE)
        mine = farm.submit("new", f"visitor {number}")
        for n in range(300):
            farm.jobs.join(jobs[n % 5], f"{number} {n}")
            farm.jobs.position(jobs[4])
            farm.jobs.leave(jobs[n % 5], f"{number} {n - 3}")
        return mine

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(act, range(8)))) == 1


# --- Leaving --------------------------------------------------------------------------------


def test_last_visitor_who_leaves_kills_the_worker(farm):
    job = farm.submit(visitor="ada")
    farm.submit(visitor="bob")
    worker = farm.worker(job)
    farm.jobs.leave(job, "ada")
    assert (job.is_active, worker.is_killed) == (True, False)
    farm.jobs.leave(job, "bob")
    assert job.wait(PATIENCE)
    assert (job.state, job.result, job.error) == ("cancelled", None, None)
    assert worker.is_killed
    assert farm.ended == [job]


@pytest.mark.parametrize(("seconds", "is_active"), [(ABSENT_SECONDS + 1, False), (1, True)])
def test_visitor_who_closed_the_tab_does_not_keep_a_job_that_its_owner_cancels(
    farm, clock, seconds, is_active
):
    job = farm.submit(visitor="ada")
    farm.worker(job)
    farm.jobs.join(job, "bob")
    clock.now += seconds
    farm.jobs.join(job, "ada")
    farm.jobs.leave(job, "ada")
    assert job.wait(0 if is_active else PATIENCE) != is_active


def test_queued_job_is_cancelled_at_once_and_never_begins(make_farm):
    farm = make_farm(max_running=1)
    first, queued, last = (farm.submit(name) for name in "abc")
    farm.jobs.leave(queued, "ada")
    assert queued.wait(0)
    assert (queued.state, queued.seconds) == ("cancelled", 0)
    farm.finish(first)
    farm.finish(last)
    assert queued.id not in farm.workers


def test_job_that_is_cancelled_while_its_worker_starts_ends(farm):
    start, may_start = farm.start, threading.Event()

    def start_slowly(job):
        assert may_start.wait(PATIENCE)
        return start(job)

    farm.start = start_slowly
    job = farm.submit()
    farm.jobs.leave(job, "ada")
    may_start.set()
    assert job.wait(PATIENCE)
    assert (job.state, farm.workers[job.id].is_killed) == ("cancelled", True)


def test_task_asked_for_after_cancelling_starts_anew(farm):
    old = farm.submit()
    farm.worker(old)
    farm.jobs.leave(old, "ada")
    new = farm.submit()
    assert new is not old
    assert farm.finish(new).state == "done"
    assert old.wait(PATIENCE)
    assert old.state == "cancelled"


# --- Turns ----------------------------------------------------------------------------------


def test_few_jobs_run_at_once_and_the_rest_queue_in_order(make_farm):
    farm = make_farm(max_running=2)
    jobs = [farm.submit(name) for name in "abcd"]
    assert states(jobs) == ["running", "running", "queued", "queued"]
    assert [farm.jobs.position(job) for job in jobs] == [0, 0, 1, 2]
    farm.finish(jobs[1])
    farm.worker(jobs[2])
    assert states(jobs) == ["running", "done", "running", "queued"]
    assert farm.jobs.position(jobs[3]) == 1


def test_first_job_of_a_visitor_does_not_wait_behind_those_of_another(make_farm):
    farm = make_farm(max_running=2, max_processes=4)
    greedy = [farm.submit(name, "ada") for name in "abcdef"]
    assert states(greedy) == ["running"] * 2 + ["queued"] * 4
    modest = farm.submit("g", "bob")
    assert modest.state == "running"
    second = farm.submit("h", "bob")
    # Of those that wait, whoever has least under way is next.
    assert [farm.jobs.position(job) for job in (second, *greedy[2:])] == [1, 2, 3, 4, 5]
    farm.finish(modest)
    farm.worker(second)
    assert states(greedy[2:]) == ["queued"] * 4


def test_turns_alternate_between_visitors_who_wait(make_farm):
    farm = make_farm(max_running=1, max_processes=1)
    farm.submit("running", "eve")
    ada = [farm.submit(f"a{n}", "ada") for n in range(3)]
    bob = [farm.submit(f"b{n}", "bob") for n in range(2)]
    assert [farm.jobs.position(job) for job in (*ada, *bob)] == [1, 3, 5, 2, 4]


def test_no_more_jobs_run_than_processes_are_allowed(make_farm):
    farm = make_farm(max_running=1, max_processes=3)
    jobs = [farm.submit(str(n), f"visitor {n}") for n in range(5)]
    assert states(jobs) == ["running"] * 3 + ["queued"] * 2


def test_quick_task_does_not_wait_behind_long_ones(make_farm):
    farm = make_farm(max_running=1, max_processes=1)
    long = [farm.submit(name) for name in "ab"]
    quick = farm.submit("c", work=quick_work)
    assert states([*long, quick]) == ["running", "queued", "running"]
    later = farm.submit("d", work=quick_work)
    assert (farm.jobs.position(long[1]), farm.jobs.position(later)) == (1, 1)


# --- How a job ends -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": "sentence", "sentence": "Column 'age' is empty."}, "^Column 'age' is empty.$"),
        ({"error": "KeyError", "sentence": "'petal'"}, "Reading wine .*KeyError: 'petal'"),
        ({"error": "OSError", "sentence": ""}, "Reading wine .*OSError: no message"),
        ({"error": "memory"}, "Reading wine needs more memory .* 2,000 MB.*: keep fewer rows"),
        (None, "Reading wine .* stopped from outside.*2,000 MB.*: keep fewer rows"),
        (TimeoutError(), "Reading wine .* 3 minutes, the limit: keep fewer rows"),
    ],
    ids=["sentence", "bug", "no message", "memory", "killed", "time"],
)
def test_failure_is_one_sentence_with_limit_and_advice_and_can_be_tried_again(
    farm, monkeypatch, caplog, said, words
):
    monkeypatch.setenv("ECOVAL_JOB_MB", "2000")
    monkeypatch.setenv("ECOVAL_JOB_MINUTES", "3")
    job = farm.tell(farm.submit(work=quick_work), said)
    assert (job.state, job.result) == ("error", None)
    assert re.search(words, job.error)
    assert job.error.endswith(".")
    assert farm.workers[job.id].is_killed
    assert farm.finish(farm.submit(work=quick_work)).state == "done"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_worker_that_cannot_be_started_is_one_sentence_and_frees_its_place(make_farm, caplog):
    farm = make_farm(max_running=1)
    start = farm.start

    def fail(job):
        raise OSError("no more processes")

    farm.start = fail
    job = farm.submit()
    assert job.wait(PATIENCE)
    assert "could not be started (OSError: no more processes)" in job.error
    assert "no more processes" in caplog.text
    farm.start = start
    assert farm.finish(farm.submit("next")).state == "done"


def test_job_ends_though_its_end_cannot_be_noted(farm, caplog):
    farm.note_end = lambda job: 1 / 0
    assert farm.finish(farm.submit()).state == "done"
    assert "could not be noted" in caplog.text


def test_trouble_with_the_workspace_comes_with_the_result(farm):
    job = farm.tell(farm.submit(), {"done": None, "trouble": "The disk is full."})
    assert (job.state, job.trouble) == ("done", "The disk is full.")


def test_draining_lets_what_runs_end_and_begins_nothing(make_farm):
    farm = make_farm(max_running=1, max_processes=1)
    running, queued = farm.submit("a"), farm.submit("b")
    worker = farm.worker(running)
    draining = threading.Thread(target=farm.jobs.drain, args=(PATIENCE,))
    draining.start()
    worker.say(done=1, trouble="")
    draining.join(PATIENCE)
    assert (running.state, queued.state) == ("done", "queued")
    assert queued.id not in farm.workers


def test_job_that_does_not_end_in_time_is_killed_and_not_noted_as_failed(farm):
    job = farm.submit()
    worker = farm.worker(job)
    farm.jobs.drain(0)
    assert job.wait(PATIENCE)
    assert worker.is_killed
    assert farm.ended == []


# --- Progress and memory --------------------------------------------------------------------


def progress(farm, job, done, total):
    farm.worker(job).say(progress=[done, total])
    deadline = time.monotonic() + PATIENCE
    while (job.done, job.total) != (done, total):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_seconds_left_follow_the_pace_since_the_first_step(farm, clock):
    job = farm.submit()
    assert (job.done, job.total, job.seconds_left) == (0, 0, None)
    clock.now += 8
    progress(farm, job, 0, 11)
    assert job.seconds_left is None
    clock.now += 2
    progress(farm, job, 1, 11)
    assert job.seconds_left == pytest.approx(100), "ten seconds a step is all that is known"
    clock.now += 2
    progress(farm, job, 3, 11)
    assert job.seconds_left == pytest.approx(8), "the slow start does not count"
    clock.now += 3
    assert job.seconds_left == pytest.approx(5), "it counts down between reports"
    clock.now += 100
    assert job.seconds_left == 0
    farm.finish(job)
    clock.now += 50
    assert (job.seconds_left, job.seconds) == (None, pytest.approx(115))


def test_seconds_left_of_a_second_phase_are_its_own(farm, clock):
    job = farm.submit()
    for done in (1, 2):
        clock.now += 1
        progress(farm, job, done, 2)
    progress(farm, job, 0, 3)
    assert job.seconds_left is None
    for done in (1, 2):
        clock.now += 5
        progress(farm, job, done, 3)
    assert job.seconds_left == pytest.approx(5)


def test_ended_job_is_forgotten_once_nobody_looks_and_an_active_one_is_not(
    farm, clock, monkeypatch
):
    monkeypatch.setattr(module, "ENDED_SECONDS", 60)
    done, active = farm.finish(farm.submit("a")), farm.submit("b")
    for _ in range(2):
        clock.now += 59
        assert farm.jobs.find(done.key) is done, "each look at it keeps it"
    clock.now += 61
    assert farm.jobs.find(done.key) is None
    assert farm.jobs.find(active.key) is active
