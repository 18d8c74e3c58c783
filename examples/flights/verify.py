#!/usr/bin/env python3
"""Runs the flights example against a broker of its own and compares its output with SQLite.

Once with a bound that makes nothing late, killed and started again on the way; once with a small
bound, where windows and late rows together must add up to everything and every late row must
really have been late. Exit status 3: no broker or no data set here.
"""

import argparse
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "servers"))
import kafka  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "us-flights-2001.csv.zst"


def load_database(rows, limit):
    """All flights in feed order, with how far each is behind the latest one of its partition."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE flight (position INTEGER PRIMARY KEY, scheduled TEXT, delay INTEGER,"
               " distance INTEGER, origin TEXT, destination TEXT)")
    lines = (line.split(",") for line in rows.splitlines()[1:limit + 1])
    db.executemany("INSERT INTO flight (scheduled, delay, distance, origin, destination)"
                   " VALUES (?, ?, ?, ?, ?)", lines)
    return db


def expected_hours(db):
    return {
        (origin, hour): (count, mean, maximum)
        for origin, hour, count, mean, maximum in db.execute(
            "SELECT origin, substr(scheduled, 1, 13) || ':00', count(*), avg(delay), max(delay)"
            " FROM flight GROUP BY 1, 2")
    }


def max_disorder_ms(db):
    """Greatest distance of a flight behind the latest scheduled one before it in the feed."""
    worst = db.execute(
        "SELECT max(strftime('%s', latest) - strftime('%s', scheduled)) FROM (SELECT scheduled,"
        " max(scheduled) OVER (ORDER BY position) AS latest FROM flight)").fetchone()[0]
    return worst * 1000


class Run:
    """One topic set-up and its job."""

    def __init__(self, program, broker, directory):
        self.program = program
        self.broker = broker
        self.directory = directory

    def start(self, bound, name):
        return subprocess.Popen(
            [self.program, "run", self.broker.bootstrap, bound,
             "-D", "execution.checkpointing.interval=500 ms",
             "-D", f"execution.checkpointing.dir={self.directory}/{name}",
             "-D", f"weir.job-id=flights-{name}", "-D", "parallelism.default=2"],
            stderr=subprocess.PIPE, text=True)

    def run_to_end(self, bound, name, kills):
        for _ in range(kills):
            job = self.start(bound, name)
            try:
                job.communicate(timeout=random.uniform(1.0, 3.0))
                break  # finished before it could be killed
            except subprocess.TimeoutExpired:
                job.send_signal(signal.SIGKILL)
                job.communicate()
                print(f"flights: killed {name}", flush=True)
        job = self.start(bound, name)
        _, errors = job.communicate(timeout=400)
        if job.returncode != 0:
            sys.exit(f"flights: the job failed: {errors}")

    def dump(self, topic):
        return subprocess.run([self.program, "dump", self.broker.bootstrap, topic], check=True,
                              capture_output=True, text=True).stdout.splitlines()


def read_hours(rows):
    hours = {}
    for row in rows:
        origin, hour, count, mean, maximum = row.split(",")
        if (origin, hour) in hours:
            sys.exit(f"flights: two results for {origin} {hour}")
        hours[(origin, hour)] = (int(count), float(mean), int(maximum))
    return hours


def check_equal(hours, expected):
    if hours.keys() != expected.keys():
        missing = len(expected.keys() - hours.keys())
        sys.exit(f"flights: {missing} of {len(expected)} results missing")
    for key, (count, mean, maximum) in expected.items():
        got = hours[key]
        if got[0] != count or abs(got[1] - mean) > 1e-5 or got[2] != maximum:
            sys.exit(f"flights: {key}: expected {(count, mean, maximum)}, got {got}")


def check_with_late(db, hours, late_rows, expected, bound_ms):
    """On-time and late flights add up to all, and only flights behind the bound are late."""
    db.execute("CREATE TABLE late (scheduled TEXT, delay INTEGER, distance INTEGER, origin TEXT,"
               " destination TEXT)")
    db.executemany("INSERT INTO late VALUES (?, ?, ?, ?, ?)", (row.split(",") for row in late_rows))
    late = {
        (origin, hour): (count, total, maximum)
        for origin, hour, count, total, maximum in db.execute(
            "SELECT origin, substr(scheduled, 1, 13) || ':00', count(*), sum(delay), max(delay)"
            " FROM late GROUP BY 1, 2")
    }
    for key, (count, mean, maximum) in expected.items():
        on_time = hours.get(key, (0, 0.0, -10**9))
        behind = late.pop(key, (0, 0, -10**9))
        total = on_time[0] * on_time[1] + behind[1]
        if (on_time[0] + behind[0] != count or abs(total - mean * count) > 1e-2 * count
                or max(on_time[2], behind[2]) != maximum):
            sys.exit(f"flights: {key}: {on_time} on time and {behind} late are not all {count}")
    if late:
        sys.exit(f"flights: late flights that do not exist: {list(late)[:3]}")
    too_early = db.execute(
        "SELECT count(*) FROM late WHERE NOT EXISTS (SELECT 1 FROM disorder d WHERE"
        " d.scheduled = late.scheduled AND d.origin = late.origin AND d.delay = late.delay"
        " AND d.destination = late.destination AND d.behind_ms > ?)", (bound_ms,)).fetchone()[0]
    if too_early:
        sys.exit(f"flights: {too_early} flights within the bound were called late")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    if not DATA.exists():
        print(f"flights: no data set at {DATA}", file=sys.stderr)
        sys.exit(3)
    raw = subprocess.run(["zstd", "-dc", str(DATA)], check=True, capture_output=True).stdout
    rows = raw.decode()
    with tempfile.TemporaryDirectory() as directory:
        try:
            broker = kafka.Broker.start(f"{directory}/broker", owner=os.getpid())
        except kafka.KafkaError as reason:
            print(f"flights: {reason}", file=sys.stderr)
            sys.exit(1 if os.environ.get("WEIR_REQUIRE_KAFKA") == "1" else reason.code)
        try:
            for topic, partitions in (("flights", 2), ("flights-hourly", 2), ("flights-late", 1)):
                broker.create_topic(topic, partitions)
            wanted = "\n".join(rows.splitlines()[:options.rows + 1]) + "\n"
            subprocess.run([options.program, "load", broker.bootstrap, "flights"], check=True,
                           input=wanted, text=True)
            db = load_database(rows, options.rows)
            verify(options, Run(options.program, broker, directory), broker, db)
        finally:
            broker.kill()


def verify(options, run, broker, db):
    expected = expected_hours(db)
    worst_ms = max_disorder_ms(db)
    started = time.time()
    run.run_to_end(f"{worst_ms + 60_000} ms", "complete", options.kills)
    check_equal(read_hours(run.dump("flights-hourly")), expected)
    if run.dump("flights-late"):
        sys.exit("flights: late rows although the bound covers all disorder")
    print(f"flights: {len(expected)} results equal SQLite's, nothing late"
          f" ({time.time() - started:.1f} s)", flush=True)

    for topic, partitions in (("flights-hourly", 2), ("flights-late", 1)):
        broker.delete_topic(topic)
        broker.create_topic(topic, partitions)
    bound_ms = 60 * 60 * 1000
    db.execute("CREATE TABLE disorder AS SELECT scheduled, origin, delay, destination,"
               " (strftime('%s', max(scheduled) OVER (ORDER BY position))"
               " - strftime('%s', scheduled)) * 1000 AS behind_ms FROM flight")
    db.execute("CREATE INDEX disorder_key ON disorder (scheduled, origin, delay, destination)")
    run.run_to_end(f"{bound_ms} ms", "late", options.kills)
    late = run.dump("flights-late")
    check_with_late(db, read_hours(run.dump("flights-hourly")), late, expected, bound_ms)
    print(f"flights: with a bound of one hour {len(late)} rows are late, and on-time and late rows"
          " add up to all", flush=True)


if __name__ == "__main__":
    main()
