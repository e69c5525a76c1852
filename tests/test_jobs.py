"""Jobs are driven by events and a hand-wound clock: nothing here waits for time to pass."""

import logging
import queue
import re
import threading

import pytest
from ecoval_core.workspace.orders import Order
from ecoval_core.workspace.registry import JobRegistry

from ecoval_core.workspace.jobs import Job, JobState

PATIENCE = 20


class Clock:
    """A clock that moves when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class FakeWorker:
    """A worker that says what it is made to say, and falls silent when it is killed."""

    def __init__(self):
        self.said = queue.Queue()
        self.began = threading.Event()
        self.is_killed = False
        self.is_closed = False
        self.seconds = None

    def say(self, **message):
        self.said.put(message)

    def finish(self, **result):
        self.say(done=result)

    def messages(self, seconds=None):
        self.seconds = seconds
        self.began.set()
        while (message := self.said.get(timeout=PATIENCE)) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message

    def kill(self):
        self.is_killed = True
        self.said.put(None)

    def close(self):
        self.is_closed = True


class Farm:
    """A registry whose workers are fakes, made as they are asked for."""

    def __init__(self, **options):
        self.workers = {}
        self.made = threading.Condition()
        self.ended = []
        self.registry = JobRegistry(self.start, on_end=self.ended.append, **options)

    def start(self, job):
        with self.made:
            self.workers[job.id] = FakeWorker()
            self.made.notify_all()
            return self.workers[job.id]

    def submit(self, name="work", visitor="ada", *, lane="long", root="/a"):
        order = Order("value", {"name": name}, "Valuing wine", lane)
        return self.registry.submit(order, {"root": root}, visitor)

    def worker(self, job) -> FakeWorker:
        with self.made:
            assert self.made.wait_for(lambda: job.id in self.workers, PATIENCE)
        worker = self.workers[job.id]
        assert worker.began.wait(PATIENCE)
        return worker

    def finish(self, job, **result) -> Job:
        self.worker(job).finish(**result)
        assert job.wait(PATIENCE)
        return job


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def farm():
    """Make farms, and let whatever a failed test left running go."""
    made = []

    def make(**options):
        made.append(Farm(**options))
        return made[-1]

    yield make
    for one in made:
        for worker in one.workers.values():
            worker.kill()
        for job in one.registry.active():
            # Those still queued begin as the others end, and are let go in their turn.
            one.registry.drain(0)
            if job.state == "running":
                assert job.wait(PATIENCE)


def states(jobs):
    return [str(job.state) for job in jobs]


def test_a_job_runs_to_its_result(farm):
    farm = farm()
    job = farm.submit()
    assert farm.finish(job, rows=3).state == JobState.DONE == "done"
    assert job.result == {"rows": 3}
    assert job.error is None
    assert not job.is_active
    assert re.fullmatch("[0-9a-f]{32}", job.id)
    assert job.label == "Valuing wine"
    assert farm.workers[job.id].is_closed
    assert farm.ended == [job]


def test_the_same_work_is_done_once_for_all_who_ask_for_it(farm):
    farm = farm()
    first, second = farm.submit(visitor="ada"), farm.submit(visitor="bob")
    assert first is second
    assert first.visitors == {"ada", "bob"}
    farm.finish(first)
    assert farm.submit(visitor="eve") is first
    assert farm.submit(root="/another workspace") is not first


def test_clicks_from_many_threads_make_one_job(farm):
    farm, barrier, jobs = farm(), threading.Barrier(16), []

    def click():
        barrier.wait(PATIENCE)
        jobs.append(farm.submit())

    clicks = [threading.Thread(target=click) for _ in range(16)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join(PATIENCE)
    assert len(jobs) == 16
    assert len(set(jobs)) == 1
    assert len(farm.registry) == 1


def test_cancelling_by_one_visitor_does_not_end_it_for_the_other(farm):
    farm = farm()
    job = farm.submit(visitor="ada")
    farm.submit(visitor="bob")
    worker = farm.worker(job)
    farm.registry.leave(job, "ada")
    assert job.is_active
    assert not worker.is_killed
    assert farm.finish(job, rows=1).result == {"rows": 1}


def test_cancelling_by_the_last_visitor_kills_the_process(farm):
    farm = farm()
    job = farm.submit(visitor="ada")
    farm.submit(visitor="bob")
    worker = farm.worker(job)
    farm.registry.leave(job, "ada")
    farm.registry.leave(job, "bob")
    assert job.wait(PATIENCE)
    assert worker.is_killed
    assert (job.state, job.result, job.error) == ("cancelled", None, None)
    assert farm.ended == [job]


def test_a_queued_job_is_cancelled_at_once_and_never_begins(farm):
    farm = farm(max_running=1)
    first, queued, last = (farm.submit(name) for name in "abc")
    farm.registry.leave(queued, "ada")
    assert queued.state == JobState.CANCELLED
    assert queued.wait(0)
    assert queued.seconds == 0
    farm.finish(first)
    farm.finish(last)
    assert queued.id not in farm.workers


def test_cancelling_after_the_end_changes_nothing(farm):
    farm = farm()
    job = farm.finish(farm.submit(), rows=1)
    farm.registry.leave(job, "ada")
    assert (job.state, job.result) == ("done", {"rows": 1})


def test_a_click_after_cancelling_starts_anew(farm):
    farm = farm()
    old = farm.submit()
    farm.worker(old)
    farm.registry.leave(old, "ada")
    new = farm.submit()
    assert new is not old
    assert farm.finish(new).state == "done"
    assert old.wait(PATIENCE)
    assert old.state == "cancelled"


def test_a_few_run_at_once_and_the_rest_queue_in_order(farm):
    farm = farm(max_running=2)
    jobs = [farm.submit(name) for name in "abcd"]
    assert states(jobs) == ["running", "running", "queued", "queued"]
    assert [farm.registry.position(job) for job in jobs] == [0, 0, 1, 2]
    farm.finish(jobs[1])
    farm.worker(jobs[2])
    assert states(jobs) == ["running", "done", "running", "queued"]
    assert farm.registry.position(jobs[3]) == 1


def test_nobody_waits_behind_the_long_work_of_another(farm):
    farm = farm(max_running=2, max_processes=4)
    greedy = [farm.submit(name, "ada") for name in "abcdef"]
    assert states(greedy) == ["running"] * 2 + ["queued"] * 4
    modest = farm.submit("g", "bob")
    assert modest.state == "running", "a first piece of work begins at once"
    second = farm.submit("h", "bob")
    assert second.state == "queued"
    # Of those that wait, whoever has least under way is next.
    assert farm.registry.position(second) == 1
    assert [farm.registry.position(job) for job in greedy[2:]] == [2, 3, 4, 5]
    farm.finish(modest)
    farm.worker(second)
    assert states(greedy[2:]) == ["queued"] * 4


def test_turns_alternate_between_those_who_wait(farm):
    farm = farm(max_running=1, max_processes=1)
    farm.submit("running", "eve")
    ada = [farm.submit(f"a{n}", "ada") for n in range(3)]
    bob = [farm.submit(f"b{n}", "bob") for n in range(2)]
    places = {
        name: farm.registry.position(job) for name, job in zip("abcde", ada + bob, strict=True)
    }
    assert places == {"a": 1, "b": 3, "c": 5, "d": 2, "e": 4}


def test_never_more_processes_than_allowed(farm):
    farm = farm(max_running=1, max_processes=3)
    jobs = [farm.submit(str(n), f"visitor {n}") for n in range(5)]
    assert states(jobs) == ["running"] * 3 + ["queued"] * 2


def test_quick_work_does_not_wait_behind_long_work(farm):
    farm = farm(max_running=1, max_processes=1)
    long = [farm.submit(name) for name in "ab"]
    quick = farm.submit("c", lane="quick")
    assert states([*long, quick]) == ["running", "queued", "running"]
    later = farm.submit("d", lane="quick")
    assert farm.registry.position(later) == 1, "each lane has its own line"


def test_an_error_keeps_its_sentence_and_can_be_tried_again(farm, caplog):
    farm = farm()
    job = farm.submit()
    farm.worker(job).say(
        error="sentence", sentence="Column 'age' holds infinite numbers: remove them."
    )
    assert job.wait(PATIENCE)
    assert job.state == JobState.ERROR
    assert job.error == "Column 'age' holds infinite numbers: remove them."
    assert job.result is None
    again = farm.submit()
    assert again is not job
    assert farm.finish(again).state == "done"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"error": "KeyError", "sentence": "'petal'"},
            r"failed unexpectedly \(KeyError: 'petal'\)\.",
        ),
        ({"error": "OSError", "sentence": ""}, r"failed unexpectedly \(OSError: no message\)\."),
        ({"error": "memory"}, "needs more memory than the 8,000 MB it may take: take fewer rows"),
    ],
)
def test_what_a_worker_dies_of_is_a_sentence(farm, said, sentence):
    farm = farm()
    job = farm.submit()
    farm.worker(job).say(**said)
    assert job.wait(PATIENCE)
    assert job.state == "error"
    assert re.match(f"Valuing wine {sentence}", job.error)


def test_a_process_that_ends_without_a_word_is_a_sentence(farm):
    farm = farm()
    job = farm.submit()
    farm.worker(job).said.put(None)
    assert job.wait(PATIENCE)
    assert job.state == "error"
    assert job.error.startswith("Valuing wine ended without a result: its process was stopped")


def test_the_time_limit_is_that_of_the_order_and_ends_the_process(farm, monkeypatch):
    monkeypatch.setenv("ECOVAL_JOB_MINUTES", "3")
    farm = farm()
    job = farm.submit()
    worker = farm.worker(job)
    assert worker.seconds == 180
    worker.said.put(TimeoutError())
    assert job.wait(PATIENCE)
    assert job.error.startswith(
        "Valuing wine was stopped after 3 minutes, the limit: take fewer rows"
    )
    assert worker.is_killed


def test_a_worker_that_cannot_be_started_is_a_sentence_and_frees_its_place(farm, caplog):
    farm, reason = farm(max_running=1), OSError("no more processes")

    def fail(job):
        raise reason

    farm.registry._start = fail
    job = farm.submit()
    assert job.wait(PATIENCE)
    assert job.error == "Valuing wine could not be started (OSError: no more processes)."
    assert [record.exc_info[1] for record in caplog.records] == [reason]
    farm.registry._start = farm.start
    assert farm.finish(farm.submit("next")).state == "done"


def test_a_note_that_fails_is_logged_and_the_job_ends_all_the_same(farm, caplog):
    farm = farm()
    farm.registry._on_end = lambda job: 1 / 0
    assert farm.finish(farm.submit()).state == "done"
    assert "could not be noted" in caplog.text


def test_trouble_with_keeping_the_result_comes_with_it(farm):
    farm = farm()
    job = farm.submit()
    farm.worker(job).say(done={}, trouble="The disk is full.")
    assert job.wait(PATIENCE)
    assert (job.state, job.trouble) == ("done", "The disk is full.")


def progress(farm, job, done, total):
    farm.worker(job).say(progress=[done, total])
    deadline = threading.Event()
    while (job.done, job.total) != (done, total):
        assert not deadline.wait(0.001)


def test_progress_and_seconds_left(clock, farm):
    farm = farm(clock=clock)
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
    assert job.seconds == pytest.approx(15)
    clock.now += 100
    assert job.seconds_left == 0
    farm.finish(job)
    clock.now += 50
    assert job.seconds_left is None
    assert job.seconds == pytest.approx(115), "time stands still after the end"


def test_a_second_phase_is_timed_by_itself(clock, farm):
    farm = farm(clock=clock)
    job = farm.submit()
    for done in range(1, 5):
        clock.now += 1
        progress(farm, job, done, 4)
    progress(farm, job, 0, 3)
    assert job.seconds_left is None
    clock.now += 5
    progress(farm, job, 1, 3)
    clock.now += 5
    progress(farm, job, 2, 3)
    assert job.seconds_left == pytest.approx(5)


def test_ended_jobs_expire_and_active_ones_do_not(clock, farm):
    farm = farm(keep_seconds=60, clock=clock)
    done, active = farm.finish(farm.submit("a")), farm.submit("b")
    clock.now += 61
    assert farm.registry.find(done.key) is None
    assert farm.registry.find(active.key) is active
    clock.now += 1000
    farm.finish(active)
    clock.now += 59
    assert farm.registry.find(active.key) is active, "its time to be kept begins at its end"
    clock.now += 59
    assert farm.registry.find(active.key) is active, "asking for it keeps it"
    clock.now += 61
    assert farm.registry.find(active.key) is None
    assert len(farm.registry) == 0


def test_beyond_max_kept_the_one_unused_for_longest_goes(clock, farm):
    farm = farm(max_kept=2, clock=clock)
    jobs = []
    for name in "ab":
        clock.now += 1
        jobs.append(farm.finish(farm.submit(name)))
    clock.now += 1
    assert farm.registry.find(jobs[0].key) is jobs[0]
    clock.now += 1
    newest = farm.finish(farm.submit("c"))
    assert farm.registry.find(jobs[1].key) is None
    assert farm.registry.find(jobs[0].key) is jobs[0]
    assert farm.registry.find(newest.key) is newest


def test_a_dropped_job_is_done_again(farm):
    farm = farm()
    job = farm.finish(farm.submit())
    farm.registry.drop(job)
    assert farm.submit() is not job


def test_draining_lets_what_runs_end_and_begins_nothing_more(farm):
    farm = farm(max_running=1, max_processes=1)
    running, queued = farm.submit("a"), farm.submit("b")
    worker = farm.worker(running)
    draining = threading.Thread(target=farm.registry.drain, args=(PATIENCE,))
    draining.start()
    worker.finish(rows=1)
    draining.join(PATIENCE)
    assert running.state == "done"
    assert queued.state == "queued"
    assert queued.id not in farm.workers


def test_what_does_not_end_in_time_is_ended_and_not_noted_as_failed(farm):
    farm = farm()
    job = farm.submit()
    worker = farm.worker(job)
    farm.registry.drain(0)
    assert job.wait(PATIENCE)
    assert worker.is_killed
    assert farm.ended == []


def test_repr_tells_where_it_stands(farm):
    farm = farm()
    job = farm.submit()
    progress(farm, job, 2, 3)
    farm.finish(job)
    assert repr(job) == f"<Job {job.id[:8]} 'Valuing wine': done, 2 of 3>"


@pytest.mark.parametrize("limits", [{"max_running": 0}, {"max_processes": 0}, {"max_kept": 0}])
def test_limits_below_one_are_refused(limits):
    with pytest.raises(ValueError, match="at least 1"):
        JobRegistry(lambda job: None, **limits)
