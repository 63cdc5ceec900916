"""Full and slow disks, from etcd's metrics as text."""

from appliance.store.disk import LITTLE, DiskState, buckets_in, disk_complaints, slow_write

TEXT = """# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.064"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.128"} 98
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.256"} 100
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 100
etcd_disk_wal_fsync_duration_seconds_sum 3.1
"""
NOTHING = {0.064: 0, 0.128: 0, 0.256: 0, float("inf"): 0}


def test_metrics_are_read_by_operation_and_bound() -> None:
    assert buckets_in(TEXT) == {"wal_fsync": {0.064: 90, 0.128: 98, 0.256: 100, float("inf"): 100}}


def test_a_slow_write_is_the_worst_of_a_hundred_since_the_last_look() -> None:
    now = buckets_in(TEXT)["wal_fsync"]
    assert slow_write(NOTHING, now) == 0.128
    assert slow_write({**now, 0.128: 97}, now) == 0.0, "too few writes say nothing"


def test_a_slow_disk_is_complained_of_once_two_looks_can_be_compared() -> None:
    now = DiskState(free=10 * LITTLE, buckets=buckets_in(TEXT))
    assert disk_complaints(None, now) == ()
    before = DiskState(free=10 * LITTLE, buckets={"wal_fsync": NOTHING})
    assert [each.kind for each in disk_complaints(before, now)] == ["disk slow"]
    assert disk_complaints(now, now) == ()


def test_a_disk_without_room_is_complained_of() -> None:
    full = DiskState(free=LITTLE - 1, buckets={})
    assert [each.kind for each in disk_complaints(None, full)] == ["disk full"]
