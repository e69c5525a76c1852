"""The daily upload quota: exact under concurrency, kept beyond a restart, and kept where the disk is not."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from ecoval_core.workspace.uploads import UploadQuota

from ecoval_core.workspace import uploads


def test_the_file_that_crosses_the_limit_is_refused_in_words_and_the_next_at_the_door(tmp_path):
    quota = UploadQuota(tmp_path / "user", limit=3 * 2**20)
    assert quota.admit(2 * 2**20)
    quota.check()
    assert quota.admit(2 * 2**20)
    with pytest.raises(ValueError, match=r"uploaded the 3 MB .* midnight"):
        quota.check()
    assert not quota.admit(1)
    assert quota.used() == 4 * 2**20


def test_a_restart_forgets_nothing_and_midnight_everything(tmp_path, monkeypatch):
    assert UploadQuota(tmp_path, limit=10).admit(10)
    again = UploadQuota(tmp_path, limit=10)
    assert again.used() == 10
    assert not again.admit(1)
    monkeypatch.setattr(UploadQuota, "_today", staticmethod(lambda: "9999-01-01"))
    assert again.used() == 0
    assert again.admit(10)
    assert not again.admit(1)


def test_users_do_not_share_a_quota(tmp_path):
    ada, bob = UploadQuota(tmp_path / "ada", limit=10), UploadQuota(tmp_path / "bob", limit=10)
    assert ada.admit(10)
    assert not ada.admit(1)
    assert bob.admit(10)


def test_files_that_arrive_at_once_are_counted_one_by_one(tmp_path):
    # One object each, as two servers on one folder have.
    quotas = [UploadQuota(tmp_path, limit=10) for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(lambda quota: quota.admit(1), quotas))
    assert sum(admitted) == 10
    assert quotas[0].used() == 10


def test_where_nothing_can_be_written_the_count_is_kept_in_memory(tmp_path):
    (tmp_path / "user").write_text("a file where the folder should be")
    quota = UploadQuota(tmp_path / "user", limit=10)
    assert quota.admit(6)
    assert quota.admit(6)
    assert quota.used() == 12
    assert not quota.admit(1)
    with pytest.raises(ValueError, match="uploaded"):
        quota.check()


def test_what_is_on_disk_counts_where_it_can_be_read_but_not_written(tmp_path, monkeypatch):
    quota = UploadQuota(tmp_path, limit=10)
    assert quota.admit(9)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.Path, "mkdir", full)
    assert quota.admit(5)
    assert not quota.admit(1)


def test_the_limit_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv(uploads.ENVIRONMENT, raising=False)
    assert uploads.daily_bytes() == 2_000 * 2**20
    monkeypatch.setenv(uploads.ENVIRONMENT, "0.5")
    assert uploads.daily_bytes() == 2**19
    for wrong in ("many", "0", "-3", "nan", "inf"):
        monkeypatch.setenv(uploads.ENVIRONMENT, wrong)
        with pytest.raises(ValueError, match=uploads.ENVIRONMENT):
            uploads.daily_bytes()
