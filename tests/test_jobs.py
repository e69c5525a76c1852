"""Jobs are driven by events and a hand-wound clock: nothing here waits for time to pass."""

import logging
import re
import threading
from itertools import count

import pytest

from ecoval_core.valuation.parallel import Cancelled
from ecoval_core.workspace.jobs import Job, JobRegistry, JobState

PATIENCE = 20


class Clock:
    """A clock that moves when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Gate:
    """Work that says when it has begun and ends when it is let go."""

    def __init__(self, result="result"):
        self.begun = threading.Event()
        self.released = threading.Event()
        self.result = result
        self.progress = None

    def __call__(self, progress, should_stop):
        self.progress = progress
        self.begun.set()
        assert self.released.wait(PATIENCE)
        if should_stop():
            raise Cancelled
        return self.result

    def wait_until_begun(self):
        assert self.begun.wait(PATIENCE)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gates():
    """Make gates, and open whatever a failed test left shut."""
    made = []

    def make(result="result"):
        made.append(Gate(result))
        return made[-1]

    yield make
    for gate in made:
        gate.released.set()


def finish(job: Job) -> Job:
    assert job.wait(PATIENCE)
    return job


def run(registry: JobRegistry, work, key="key", label="Valuing wine") -> Job:
    return finish(registry.submit(key, label, work))


def test_job_runs_to_its_result():
    job = run(JobRegistry(), lambda progress, should_stop: [1, 2])
    assert job.state == JobState.DONE == "done"
    assert job.result == [1, 2]
    assert job.error is None
    assert not job.is_active
    assert re.fullmatch("[0-9a-f]{32}", job.id)
    assert job.key == "key"
    assert job.label == "Valuing wine"


def test_job_runs_on_a_daemon_thread_of_its_own():
    threads = run(JobRegistry(), lambda *_: threading.current_thread()).result
    assert threads is not threading.main_thread()
    assert threads.daemon


def test_work_is_forgotten_once_done():
    registry, work = JobRegistry(), lambda *_: 1
    job = run(registry, work)
    assert work not in vars(job).values()


def test_a_few_run_at_once_and_the_rest_queue_in_order(gates):
    registry = JobRegistry(max_running=2)
    works = [gates() for _ in range(4)]
    jobs = [registry.submit(str(i), "Job", work) for i, work in enumerate(works)]
    works[0].wait_until_begun()
    works[1].wait_until_begun()
    assert [job.state for job in jobs] == ["running", "running", "queued", "queued"]
    assert all(job.is_active for job in jobs)
    assert jobs[2].seconds == 0
    works[1].released.set()
    works[2].wait_until_begun()
    assert [job.state for job in jobs[2:]] == ["running", "queued"]
    for work in works:
        work.released.set()
    assert [finish(job).state for job in jobs] == ["done"] * 4


def test_never_more_than_max_running_at_once():
    registry, lock, running, most = JobRegistry(max_running=3), threading.Lock(), [0], [0]

    def work(progress, should_stop):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1

    jobs = [registry.submit(str(i), "Job", work) for i in range(60)]
    assert {finish(job).state for job in jobs} == {"done"}
    assert 1 <= most[0] <= 3


def test_double_click_never_doubles_the_job(gates):
    registry, first, other = JobRegistry(max_running=1), gates(), gates()
    job = registry.submit("key", "Job", first)
    waiting = registry.submit("other", "Job", other)
    first.wait_until_begun()
    assert registry.submit("key", "Job", gates()) is job
    assert registry.submit("other", "Job", gates()) is waiting
    first.released.set()
    finish(job)
    assert registry.submit("key", "Job", gates()) is job
    assert len(registry) == 2


def test_clicks_from_many_threads_make_one_job(gates):
    registry, work = JobRegistry(), gates()
    barrier, jobs = threading.Barrier(16), []

    def click():
        barrier.wait(PATIENCE)
        jobs.append(registry.submit("key", "Job", work))

    clicks = [threading.Thread(target=click) for _ in range(16)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join(PATIENCE)
    assert len(jobs) == 16
    assert len(set(jobs)) == 1


def test_cancel_of_a_queued_job_is_immediate_and_it_never_runs(gates):
    registry, first, second, third = JobRegistry(max_running=1), gates(), gates(), gates()
    registry.submit("1", "Job", first)
    queued = registry.submit("2", "Job", second)
    last = registry.submit("3", "Job", third)
    queued.cancel()
    assert queued.state == JobState.CANCELLED
    assert queued.wait(0)
    assert queued.seconds == 0
    first.released.set()
    third.released.set()
    assert finish(last).state == "done"
    assert not second.begun.is_set()


def test_cancel_of_a_running_job_stops_it_when_it_looks(gates):
    registry, work = JobRegistry(), gates()
    job = registry.submit("key", "Job", work)
    work.wait_until_begun()
    job.cancel()
    assert job.state == JobState.RUNNING
    assert job.is_cancelling
    work.released.set()
    assert finish(job).state == JobState.CANCELLED
    assert job.result is None
    assert job.error is None
    assert not job.is_cancelling


@pytest.mark.parametrize("ending", ["returns", "fails"])
def test_cancelled_job_stays_cancelled_however_the_work_ends(ending):
    registry, begun, released = JobRegistry(), threading.Event(), threading.Event()

    def deaf(progress, should_stop):
        begun.set()
        assert released.wait(PATIENCE)
        if ending == "fails":
            raise ValueError("too late")
        return "too late"

    job = registry.submit("key", "Job", deaf)
    assert begun.wait(PATIENCE)
    job.cancel()
    released.set()
    assert finish(job).state == JobState.CANCELLED
    assert (job.result, job.error) == (None, None)


def test_cancel_after_the_end_changes_nothing():
    job = run(JobRegistry(), lambda *_: "kept")
    job.cancel()
    assert (job.state, job.result) == ("done", "kept")


def test_a_new_click_during_or_after_cancelling_starts_anew(gates):
    registry, first, second = JobRegistry(), gates(), gates("new")
    old = registry.submit("key", "Job", first)
    first.wait_until_begun()
    old.cancel()
    new = registry.submit("key", "Job", second)
    assert new is not old
    first.released.set()
    second.released.set()
    assert finish(old).state == "cancelled"
    assert finish(new).result == "new"


def test_error_keeps_the_message_and_can_be_tried_again(caplog):
    def fail(progress, should_stop):
        raise ValueError("Column 'age' holds infinite numbers: remove them.\nMore for experts.")

    registry = JobRegistry()
    job = run(registry, fail)
    assert job.state == JobState.ERROR
    assert job.error == "Column 'age' holds infinite numbers: remove them."
    assert job.result is None
    again = run(registry, lambda *_: 1)
    assert again is not job
    assert again.state == "done"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyError("petal"), "Valuing wine failed unexpectedly (KeyError: 'petal')."),
        (RuntimeError(), "Valuing wine failed unexpectedly (RuntimeError: no message)."),
        (ValueError(), "Valuing wine failed unexpectedly (ValueError: no message)."),
        (
            MemoryError(),
            "Valuing wine needs more memory than there is: take fewer rows or fewer clusters.",
        ),
    ],
)
def test_unforeseen_error_is_a_sentence_and_its_traceback_is_logged(error, sentence, caplog):
    def fail(progress, should_stop):
        raise error

    job = run(JobRegistry(), fail)
    assert (job.state, job.error) == ("error", sentence)
    assert [record.exc_info[1] for record in caplog.records] == [error]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_is_torn_down_frees_its_place():
    threads = []

    def leave(progress, should_stop):
        threads.append(threading.current_thread())
        raise SystemExit

    registry = JobRegistry(max_running=1)
    torn = run(registry, leave)
    threads[0].join(PATIENCE)
    assert torn.state == "error"
    assert torn.error == "Valuing wine was stopped from outside."
    assert run(registry, lambda *_: 1, key="next").state == "done"


def test_progress_and_seconds_left(clock, gates):
    registry, work = JobRegistry(clock=clock), gates()
    job = registry.submit("key", "Job", work)
    work.wait_until_begun()
    assert (job.done, job.total, job.seconds_left) == (0, 0, None)
    clock.now += 8
    work.progress(0, 11)
    assert (job.done, job.total, job.seconds_left) == (0, 11, None)
    clock.now += 2
    work.progress(1, 11)
    assert job.seconds_left == pytest.approx(100), "ten seconds a step is all that is known"
    clock.now += 2
    work.progress(3, 11)
    assert job.seconds_left == pytest.approx(8), "the slow start does not count"
    clock.now += 3
    assert job.seconds_left == pytest.approx(5), "it counts down between reports"
    assert job.seconds == pytest.approx(15)
    clock.now += 100
    assert job.seconds_left == 0
    work.released.set()
    finish(job)
    clock.now += 50
    assert job.seconds_left is None
    assert job.seconds == pytest.approx(115), "time stands still after the end"
    assert (job.done, job.total) == (3, 11)


def test_a_second_phase_is_timed_by_itself(clock, gates):
    registry, work = JobRegistry(clock=clock), gates()
    job = registry.submit("key", "Job", work)
    work.wait_until_begun()
    for done in range(1, 5):
        clock.now += 1
        work.progress(done, 4)
    work.progress(0, 3)
    assert job.seconds_left is None
    clock.now += 5
    work.progress(1, 3)
    clock.now += 5
    work.progress(2, 3)
    assert job.seconds_left == pytest.approx(5)


def test_reports_after_the_end_are_ignored(gates):
    work = gates()
    work.released.set()
    job = run(JobRegistry(), work)
    work.progress(7, 9)
    assert (job.done, job.total) == (0, 0)


def test_get_finds_by_id():
    registry = JobRegistry()
    job = run(registry, lambda *_: 1)
    assert registry.get(job.id) is job
    assert registry.get("0" * 32) is None


def test_finished_jobs_expire_and_active_ones_do_not(clock, gates):
    registry, work = JobRegistry(keep_seconds=60, clock=clock), gates()
    done = run(registry, lambda *_: 1)
    active = registry.submit("active", "Job", work)
    work.wait_until_begun()
    clock.now += 61
    assert registry.get(done.id) is None
    assert registry.get(active.id) is active
    clock.now += 1000
    work.released.set()
    finish(active)
    assert registry.get(active.id) is active, "its time to be kept begins at its end"
    clock.now += 59
    assert registry.get(active.id) is active, "asking for it keeps it"
    clock.now += 59
    assert registry.get(active.id) is active
    clock.now += 61
    assert registry.get(active.id) is None
    assert len(registry) == 0


def test_cancelled_queued_jobs_expire_too(clock, gates):
    registry, work = JobRegistry(max_running=1, keep_seconds=60, clock=clock), gates()
    registry.submit("running", "Job", work)
    queued = registry.submit("queued", "Job", gates())
    queued.cancel()
    clock.now += 61
    assert registry.get(queued.id) is None
    assert len(registry) == 1


def test_beyond_max_kept_the_one_unused_for_longest_goes(clock):
    registry, seconds = JobRegistry(max_kept=2, clock=clock), count()
    jobs = []
    for key in "ab":
        clock.now += 1
        jobs.append(run(registry, lambda *_: next(seconds), key=key))
    clock.now += 1
    assert registry.get(jobs[0].id) is jobs[0]
    clock.now += 1
    newest = run(registry, lambda *_: next(seconds), key="c")
    assert registry.get(jobs[1].id) is None
    assert registry.get(jobs[0].id) is jobs[0]
    assert registry.get(newest.id) is newest
    assert run(registry, lambda *_: "again", key="b").result == "again"


def test_repr_tells_where_it_stands():
    job = run(JobRegistry(), lambda progress, _: progress(2, 3))
    assert repr(job) == f"<Job {job.id[:8]} 'Valuing wine': done, 2 of 3>"


@pytest.mark.parametrize("limits", [{"max_running": 0}, {"max_kept": 0}])
def test_limits_below_one_are_refused(limits):
    with pytest.raises(ValueError, match="at least 1"):
        JobRegistry(**limits)
