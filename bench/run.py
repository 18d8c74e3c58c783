#!/usr/bin/env python3
"""weir's benchmarks, side by side with hand-written peers, in one run.

  run.py [--quick] [--only NAME ...] [--blocks N] [--bin DIR]

Variants of one benchmark alternate (A B B A, `--blocks` times), so that what else the machine does
hits all of them; quoted are medians of the ratios of neighbours. CPU seconds are user + system of
all threads, start and end of the process included. Variants whose outputs differ fail the run.

Every single run is a line in build/bench-results.jsonl; the summary is a table on standard output
and, unless the run was a quick one, this benchmark's section of docs/performance.md. Benchmarks: see
BENCHMARKS below.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench-results.jsonl"
DOCS = ROOT / "docs" / "performance.md"
BEGIN = "<!-- measured: written by bench/run.py -->"
END = "<!-- /measured -->"


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


class Goal:
    """What a figure is held against. Below `must` it is a defect, `target` is what is aimed at."""

    def __init__(self, value, must=None, target=None, at_least=False, unit=""):
        self.value, self.must, self.target = value, must, target
        self.at_least, self.unit = at_least, unit

    def reaches(self, limit):
        return self.value >= limit if self.at_least else self.value <= limit

    def level(self):
        """0: misses what it must reach, 1: reaches that, 2: reaches the target, too."""
        if self.must is not None and not self.reaches(self.must):
            return 0
        if self.target is None:
            return 2
        return 2 if self.reaches(self.target) else (0 if self.must is None else 1)

    def __str__(self):
        sign = ">=" if self.at_least else "<="
        limits = [f"{self.must:g}{self.unit} (must)"] if self.must is not None else []
        limits += [f"{self.target:g}{self.unit}"] if self.target is not None else []
        return f"{sign} " + ", ".join(limits)


VERDICTS = ("**missed**", "must", "met")


def verdict(goals):
    return VERDICTS[min(goal.level() for goal in goals)] if goals else ""


# ------------------------------------------------------------------------------------------- facts

def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_kb = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    return f"{os.cpu_count()} x {model}, {memory_kb / 1048576:.0f} GiB, Linux {platform.release()}"


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True,
                              check=False).stdout.strip()
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + dirty


def stolen_seconds():
    return int(pathlib.Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------------ runner

class Bench:
    """What all benchmarks of one run share."""

    def __init__(self, options):
        self.quick = options.quick
        self.blocks = 1 if options.quick else options.blocks
        self.bin = pathlib.Path(options.bin)
        self.facts = {"machine": machine(), "commit": commit(),
                      "date": datetime.datetime.now().isoformat(timespec="seconds")}
        self.rows = []      # of one benchmark: (name, measured, goals)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-", dir=ROOT / "build"))
        RESULTS.parent.mkdir(exist_ok=True)

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def run(self, benchmark, variant, command, record=True):
        """Runs one program. Returns what it printed, with wall_s, cpu_s and rss_mb."""
        program = self.bin / command[0]
        if not program.is_file():
            raise Failure(f"{program} is not built")
        words = [str(program)] + [str(word) for word in command[1:]]
        stolen = stolen_seconds()
        with tempfile.TemporaryFile("w+") as errors:
            started_ns = time.monotonic_ns()
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = (time.monotonic_ns() - started_ns) / 1e9
            process.returncode = status
            if status != 0:
                errors.seek(0)
                raise Failure(f"{shlex.join(words)}\nended with {status}:\n{errors.read()[-2000:]}")
        result = json.loads(printed)
        result.update(wall_s=round(wall_s, 4), cpu_user_s=round(usage.ru_utime, 4),
                      cpu_sys_s=round(usage.ru_stime, 4),
                      cpu_s=round(usage.ru_utime + usage.ru_stime, 4),
                      rss_mb=usage.ru_maxrss // 1024, started_ns=started_ns)
        if record:
            line = {"benchmark": benchmark, "variant": variant, **self.facts,
                    "command": shlex.join(words), **result,
                    "load": os.getloadavg()[0], "steal_s": round(stolen_seconds() - stolen, 2)}
            with RESULTS.open("a") as out:
                out.write(json.dumps(line) + "\n")
        return result

    def interleave(self, benchmark, variants, prepare=None, check=None):
        """Runs {name: command} A B .. B A. Returns {name: [result of each round]}."""
        names = list(variants)
        results = {name: [] for name in names}
        for _ in range(self.blocks):
            for name in names + names[::-1]:
                command = variants[name]
                if prepare is not None:
                    command = prepare(name, command)
                print(f"  {benchmark}: {name} ...", file=sys.stderr, flush=True)
                results[name].append(self.run(benchmark, name, command))
                if check is not None:
                    results[name][-1].update(check(name))
        return results

    def add(self, name, measured, *goals):
        self.rows.append((name, measured, goals))


def agree(benchmark, results):
    """All outputs of all variants are the same multiset of rows."""
    outputs = {(run["rows"], run["hash"]) for runs in results.values() for run in runs}
    if len(outputs) != 1:
        lines = [f"    {name}: {run['rows']} rows, hash {run['hash']}"
                 for name, runs in results.items() for run in runs]
        raise Failure(f"{benchmark}: the outputs differ:\n" + "\n".join(lines))


def ratio(results, a, b, what="cpu_s"):
    """Median over the rounds of a / b."""
    return statistics.median(x[what] / y[what] for x, y in zip(results[a], results[b]))


def median(results, name, what):
    return statistics.median(run[what] for run in results[name])


# -------------------------------------------------------------------------------------- benchmarks

def window(bench, label, users, window_events, events, target):
    """filter -> map -> key_by -> tumbling count, one core, against the hand-written loop; the same
    with 1-second exactly-once checkpoints; the same with the default two threads."""
    name = f"window-{label.lower()}"
    if bench.quick:
        events //= 10
        window_events = min(window_events, events // 2)
    workload = ["--users", users, "--ids", "dense", "--window-events", window_events,
                "--events", events]
    one = ["bench_window_weir", *workload, "-D", "weir.workers=1"]
    directory = bench.scratch / "checkpoints"
    checkpoints = ["-D", "execution.checkpointing.interval=1s",
                   "-D", f"execution.checkpointing.dir={directory}"]
    variants = {"hand": ["bench_window_hand", *workload], "weir": one,
                "weir, checkpoints": one + checkpoints,
                "weir, 2 threads": ["bench_window_weir", *workload, "-D", "weir.workers=2"]}

    def prepare(_, command):
        shutil.rmtree(directory, ignore_errors=True)  # or the job would be finished already
        return command

    results = bench.interleave(name, variants, prepare)
    agree(name, results)
    for variant in variants:
        cpu, wall = median(results, variant, "cpu_s"), median(results, variant, "wall_s")
        text = (f"{events / wall / 1e6:.1f} M events/s, {cpu / events * 1e9:.1f} ns CPU/event, "
                f"{median(results, variant, 'rss_mb'):.0f} MB")
        if variant == "weir, checkpoints":
            last = results[variant][-1]
            text += (f"; {last['checkpoints']} checkpoints, at most "
                     f"{last['checkpoint_ms_max']} ms and {last['checkpoint_bytes_max'] / 1e6:.1f} MB")
        bench.add(f"{label} keys, {variant}", text)
    share = ratio(results, "hand", "weir")
    bench.add(f"{label} keys: weir on one core / hand loop (CPU)", f"{share:.2f}",
              Goal(share, must=0.35, target=target, at_least=True))
    cost = ratio(results, "weir, checkpoints", "weir") - 1
    slower = 1 - ratio(results, "weir", "weir, checkpoints", "wall_s")
    bench.add(f"{label} keys: 1 s checkpoints, CPU", f"{100 * cost:+.1f} %",
              Goal(100 * cost, target=10, unit=" %"))
    bench.add(f"{label} keys: 1 s checkpoints, throughput", f"{-100 * slower:+.1f} %",
              Goal(-100 * slower, target=-10, unit=" %", at_least=True))


def spread(bench, label, users, window_events, events):
    """The window job with user ids that are spread over 64 bits instead of 0, 1, 2, ..."""
    name = f"window-{label.lower()}-spread"
    if bench.quick:
        events //= 10
        window_events = min(window_events, events // 2)
    workload = ["--users", users, "--ids", "spread", "--window-events", window_events,
                "--events", events]
    results = bench.interleave(name, {
        "hand": ["bench_window_hand", *workload],
        "weir": ["bench_window_weir", *workload, "-D", "weir.workers=1"]})
    agree(name, results)
    bench.add(f"{label} keys, ids spread: weir on one core / hand loop (CPU)",
              f"{ratio(results, 'hand', 'weir'):.2f} "
              f"({median(results, 'weir', 'cpu_s') / events * 1e9:.1f} ns / "
              f"{median(results, 'hand', 'cpu_s') / events * 1e9:.1f} ns CPU/event)")


def cold_start(bench):
    """exec to the first row at the sink: the window job with 1 K keys and small windows. Watermarks
    every 20 ms, because with the default of 200 ms nothing else would be measured."""
    command = ["bench_window_weir", "--users", 1000, "--ids", "dense", "--window-events", 4096,
               "--events", 2_000_000,
               "-D", "pipeline.auto-watermark-interval=20ms"]
    times = []
    for _ in range(5 if bench.quick else 15):
        result = bench.run("cold-start", "weir", command)
        times.append((result["first_row_ns"] - result["started_ns"]) / 1e6)
    middle = statistics.median(times)
    bench.add("cold start: exec to first row", f"{middle:.0f} ms (of {len(times)}: {min(times):.0f} "
              f"to {max(times):.0f})", Goal(middle, target=100, unit=" ms"))


def memory(bench):
    """Resident memory per key of 8 bytes with 16 bytes of state, end minus beginning of the input."""
    for label, keys in (("1M", 1_000_000), ("10M", 10_000_000), ("100M", 100_000_000)):
        if bench.quick and keys > 1_000_000:
            continue
        result = bench.run("memory", label, ["bench_state_memory", "--keys", keys,
                                             "-D", "weir.workers=1"])
        per_key = (result["after_bytes"] - result["before_bytes"]) / keys
        bench.add(f"C12: memory per key, {label} keys, 16 B of state", f"{per_key:.1f} B",
                  Goal(per_key, must=60, target=45, unit=" B"))


def keyed(bench):
    """Read-modify-write of 16 bytes on the heap by a key of 8, every key once before; the hand loop's
    table prefetches blocks of 64. With 1 s checkpoints: incremental, exactly once; long enough that the
    first one, which holds everything, is one of several."""
    runs = (("1K", 1_000, 100_000_000), ("1M", 1_000_000, 50_000_000),
            ("10M", 10_000_000, 200_000_000), ("100M", 100_000_000, 30_000_000))
    for label, keys, updates in runs:
        if bench.quick and keys > 1_000_000:
            continue
        for spread in ("zipf", "uniform"):
            words = ["--keys", keys, "--updates", updates, "--spread", spread]
            weir = ["bench_keyed_weir", *words, "-D", "weir.workers=1"]
            variants = {"hand": ["bench_keyed_hand", *words], "weir": weir}
            if keys == 10_000_000:
                variants["checkpoints"] = [
                    *weir, "-D", f"execution.checkpointing.dir={bench.scratch / 'keyed'}",
                    "-D", "execution.checkpointing.interval=1s",
                    "-D", "execution.checkpointing.incremental=true"]

            def prepare(_, command):
                shutil.rmtree(bench.scratch / "keyed", ignore_errors=True)
                return command

            results = bench.interleave(f"keyed-{label}-{spread}", variants, prepare=prepare)
            agree("keyed", results)
            share = ratio(results, "hand", "weir", "cpu_ns")
            bench.add(f"W5: heap, {label} keys, {spread}: hand loop / weir (CPU)",
                      f"{share:.2f} ({median(results, 'hand', 'cpu_ns'):.1f} ns / "
                      f"{median(results, 'weir', 'cpu_ns'):.1f} ns per update)",
                      Goal(share, must=0.4, target=0.6, at_least=True))
            if "checkpoints" in variants:
                lost = 100 * (1 - ratio(results, "weir", "checkpoints", "ns"))
                more = ratio(results, "checkpoints", "weir", "ns") - 1
                must, target = (10, 6) if spread == "zipf" else (20, 15)
                bench.add(f"C1: {label} keys, {spread}: throughput lost to 1 s checkpoints",
                          f"{lost:.1f} % at {1e3 / median(results, 'weir', 'ns'):.0f} M updates/s, "
                          f"{more * median(results, 'weir', 'ns'):.1f} ns per update",
                          Goal(lost, must=must, target=target, unit=" %"))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def checkpoint_times(bench):
    """Durations of checkpoints, from trigger to published manifest, and of restores. The first ones,
    while the job fills its queues, do not count."""
    directory = bench.scratch / "checkpoint-times"

    def run(variant, graph, count, settings, more=(), is_new=True):
        if is_new:
            shutil.rmtree(directory, ignore_errors=True)
        command = ["bench_checkpoint_times", "--graph", graph, "--checkpoints", count, *more]
        for setting in [*settings, f"execution.checkpointing.dir={directory}"]:
            command += ["-D", setting]
        return bench.run("checkpoints", variant, command)

    def column(result, name):
        runs = result["checkpoints"]
        return [run[name] for run in runs[len(runs) // 5:]]

    interval = "execution.checkpointing.interval="
    few = 10 if bench.quick else 60
    unaligned = run("unaligned", "backpressure", few, [
        interval + "200ms", "execution.checkpointing.unaligned.enabled=true"])
    times = column(unaligned, "duration_ms")
    p50, p99 = statistics.median(times), percentile(times, 0.99)
    bench.add("C4: checkpoint at full back-pressure, unaligned", f"p50 {p50:.0f} ms, p99 {p99:.0f} "
              f"ms, {statistics.median(column(unaligned, 'size_bytes')) / 1e6:.1f} MB",
              Goal(p50, must=30, target=10, unit=" ms"), Goal(p99, must=60, target=25, unit=" ms"))
    times = column(run("aligned", "backpressure", few, [interval + "200ms"]), "duration_ms")
    bench.add("C5: checkpoint at full back-pressure, aligned",
              f"p50 {statistics.median(times):.0f} ms, p99 {percentile(times, 0.99):.0f} ms")
    for label, count in (("100 ms", 5 * few), ("10 ms", 10 * few)):
        result = run(f"every {label}", "small", count, [
            interval + label.replace(" ", ""), "execution.checkpointing.min-pause=0 ms"])
        times = column(result, "duration_ms")
        p99 = percentile(times, 0.99)
        bench.add(f"C14: checkpoint of 20 K keys every {label}",
                  f"p50 {statistics.median(times):.0f} ms, p99 {p99:.0f} ms",
                  Goal(p99, must=60, target=30, unit=" ms"))
        if label == "100 ms":
            stall = percentile(column(result, "alignment_us"), 0.99)
            bench.add("C2: alignment without back-pressure", f"p99 {stall:.0f} us",
                      Goal(stall, must=1000, target=300, unit=" us"))
    dirty_times(bench, run, column, interval)
    upload_ratios(bench, run, column, interval)
    for label, keys in (("10 MB", 300_000), ("100 MB", 3_000_000), ("1 GB", 30_000_000),
                        ("4 GB", 120_000_000)):
        if bench.quick and keys > 3_000_000:
            continue
        state_times(bench, run, column, interval, label, keys)


def dirty_times(bench, run, column, interval):
    """Incremental checkpoints of a large state of which little changes."""
    keys, label = (3_000_000, "100 MB") if bench.quick else (36_000_000, "1 GB")
    count = 20 if bench.quick else 100
    result = run(f"dirty {label}", "dirty", count, [
        interval + "1s", "execution.checkpointing.min-pause=0 ms",
        "execution.checkpointing.incremental=true"], ["--keys", keys, "--changed", 1, "--rate", 4_000_000])
    times, sizes = column(result, "duration_ms"), column(result, "size_bytes")
    p99 = percentile(times, 0.99)
    bench.add(f"C7: incremental checkpoint, {label} of state, 1 % changed",
              f"p50 {statistics.median(times):.0f} ms, p99 {p99:.0f} ms, max {max(times)} ms, "
              f"p50 {statistics.median(sizes) / 1e6:.1f} MB", Goal(p99, must=150, target=50, unit=" ms"))


def upload_ratios(bench, run, column, interval):
    """Bytes that incremental checkpoints store per byte of changed rows, renewed parts included."""
    keys, count = (1_000_000, 20) if bench.quick else (10_000_000, 100)
    row_bytes = 24
    first = 10  # of those before, one holds everything
    for percent in (1, 10):
        changed = keys * percent // 100
        for label, more in (("", []),
                            (", compressed", ["execution.checkpointing.snapshot-compression=true"])):
            # Fast enough to reach nearly every one of them between two checkpoints.
            result = run(f"upload {percent} %{label}", "dirty", first + count, [
                interval + "1s", "execution.checkpointing.min-pause=0 ms",
                "execution.checkpointing.incremental=true", *more],
                ["--keys", keys, "--changed", percent, "--rate", 5 * changed])
            stored = statistics.mean(column(result, "size_bytes")[first:]) / (changed * row_bytes)
            bench.add(f"C6: heap, {keys // 1_000_000}M keys, {percent} % changed{label}: bytes "
                      "stored / changed", f"{stored:.2f}", Goal(stored, must=1.2, target=0.7))


def state_times(bench, run, column, interval, label, keys):
    """One size of state: pause at the barrier, whole duration, restore at the same and at another
    parallelism."""
    count = 5 if keys > 10_000_000 else 20
    size = ["--keys", keys]
    result = run(f"state {label}", "state", count, [interval + "100ms"], size)
    pauses = column(result, "sync_us")
    p99 = percentile(pauses, 0.99)
    bench.add(f"C3: pause at the barrier, {label} of state", f"p99 {p99} us, max {max(pauses)} us",
              Goal(p99, must=200, target=50, unit=" us"),
              Goal(max(pauses), must=5000, target=2000, unit=" us"))
    size_gb = column(result, "size_bytes")[-1] / 1e9
    bench.add(f"checkpoint of {label} of state (all of it)",
              f"median {statistics.median(column(result, 'duration_ms')):.0f} ms, {size_gb:.2f} GB")
    for parallelism, what in ((2, "C8: restore"), (3, "C10: rescale 2 -> 3")):
        times = []
        for _ in range(3):
            restored = run(f"restore {label}", "state", count,
                           [interval + "1h", f"parallelism.default={parallelism}"], size, False)
            times.append((restored["first_result_ns"] - restored["started_ns"]) / 1e9)
        per_gb = statistics.median(times) / size_gb
        bench.add(f"{what}, {label} of state",
                  f"{per_gb:.2f} s/GB ({statistics.median(times):.2f} s)",
                  Goal(per_gb, must=2.5, target=1.2, unit=" s/GB"))


def rocksdb(bench):
    """The RocksDB backend, read-modify-write of 16 bytes by a key of 8, against the get+put loop one
    would write on RocksDB itself with the same options and memory; then checkpoints and restores."""
    memory = 512
    runs = (("1K", 1_000, 3_000_000), ("1M", 1_000_000, 2_000_000), ("10M", 10_000_000, 1_000_000))
    for label, keys, updates in runs:
        if bench.quick and keys > 1_000_000:
            continue
        for spread in ("zipf", "uniform"):
            results = bench.interleave(f"rocksdb-{label}-{spread}", {
                "hand": ["bench_rocksdb_hand", keys, updates, spread, memory],
                "batches": ["bench_rocksdb_state", "update", keys, updates, spread, memory],
                "key by key": ["bench_rocksdb_state", "process", keys, updates, spread, memory]})
            agree("rocksdb", results)
            for variant in ("batches", "key by key"):
                times = ratio(results, "hand", variant, "cpu_ns")
                bench.add(f"W5: RocksDB, {label} keys, {spread}, {variant}: get+put loop / weir (CPU)",
                          f"{times:.1f} ({median(results, 'hand', 'cpu_ns'):.0f} ns / "
                          f"{median(results, variant, 'cpu_ns'):.0f} ns per update)",
                          Goal(times, must=1.3, at_least=True))
    for label, changed, checkpoints in (("1 %", 100_000, 100), ("10 %", 1_000_000, 20)):
        keys, pause_ms = 10_000_000, 1000
        if bench.quick:
            keys, changed, checkpoints, pause_ms = keys // 10, changed // 10, 10, 100
        result = bench.run("rocksdb-upload", label, [
            "bench_rocksdb_state", "upload", keys, changed, checkpoints, pause_ms, memory])
        bench.add(f"C6: RocksDB, 10M keys, {label} changed: bytes stored / changed",
                  f"{result['ratio']:.2f}, checkpoints at most {result['space']:.2f} of the rows",
                  Goal(result["ratio"], must=3, target=1.6),
                  Goal(result["space"], must=1.5))
        bench.add(f"C3: RocksDB, pause at the barrier, {label} changed",
                  f"p50 {result['barrier_ms_p50']} ms, max {result['barrier_ms_max']} ms; checkpoint "
                  f"p50 {result['duration_ms_p50']} ms, max {result['duration_ms_max']} ms",
                  Goal(result["barrier_ms_max"], must=10, target=5, unit=" ms"))
    for label, keys in (("1M", 1_000_000), ("20M", 20_000_000)):
        if bench.quick and keys > 1_000_000:
            continue
        results = [bench.run("rocksdb-restore", label, ["bench_rocksdb_state", "restore", keys,
                                                        memory]) for _ in range(3)]
        result = {key: statistics.median(one[key] for one in results)
                  for key, value in results[0].items() if isinstance(value, (int, float))}
        size = f"{result['state_mb']:.0f} MB"
        bench.add(f"C9: RocksDB, reopening a subtask, {size} in two",
                  f"{result['reopen_ms']:.0f} ms, {result['of_that_verify_ms']:.0f} ms of it to "
                  "verify the files", Goal(result["reopen_ms"], must=500, target=150, unit=" ms"))
        for what in ("2_3", "3_2"):
            per_gb = result[f"rescale_{what}_s_per_gb"]
            bench.add(f"C10: RocksDB, rescale {what.replace('_', ' -> ')}, {size}",
                      f"{per_gb:.2f} s/GB", Goal(per_gb, must=2, target=1, unit=" s/GB"))


def kafka(bench):
    """Kafka to Kafka exactly once (transactions, 1 s checkpoints) against librdkafka alone: a bare
    consume-and-produce loop, and one with a transaction per second. One broker, 4 partitions."""
    if not (bench.bin / "bench_kafka_weir").is_file():
        raise Skipped("the Kafka connector is not built")
    sys.path.insert(0, str(ROOT / "tools" / "servers"))
    from kafka import Broker, KafkaError
    try:
        broker = Broker.start(bench.scratch / "kafka", owner=os.getpid())
    except KafkaError as error:
        raise Skipped(f"no broker: {error}") from None
    try:
        kafka_on(bench, broker)
    finally:
        broker.stop()


def kafka_on(bench, broker):
    messages = 200_000 if bench.quick else 3_000_000
    at = ["--bootstrap", broker.bootstrap]
    broker.create_topic("input", partitions=4)
    bench.run("kafka", "fill", ["bench_kafka_hand", "--mode", "fill", *at, "--to", "input",
                                "--messages", messages, "--bytes", 100], record=False)
    expected = bench.run("kafka", "count", ["bench_kafka_hand", "--mode", "count", *at, "--from",
                                            "input"], record=False)
    settings = ["--linger-ms", 5, "--batch-bytes", 524288]
    directory = bench.scratch / "kafka-checkpoints"
    copy = [*at, "--from", "input", *settings]
    variants = {
        "librdkafka": ["bench_kafka_hand", "--mode", "copy", *copy],
        "librdkafka, transactional": ["bench_kafka_hand", "--mode", "copy-transactional", *copy],
        "weir": ["bench_kafka_weir", *copy, "-D", "execution.checkpointing.interval=1s",
                 "-D", f"execution.checkpointing.dir={directory}"],
    }
    rounds = [0]

    def prepare(_, command):
        shutil.rmtree(directory, ignore_errors=True)
        rounds[0] += 1
        broker.create_topic(f"output-{rounds[0]}", partitions=4)
        return command + ["--to", f"output-{rounds[0]}"] + (
            ["-D", f"weir.job-id=bench-{rounds[0]}"] if "weir" in command[0] else [])

    def check(name):
        topic = f"output-{rounds[0]}"
        seen = bench.run("kafka", "count", ["bench_kafka_hand", "--mode", "count", *at, "--from",
                                            topic], record=False)
        broker.delete_topic(topic)
        if (seen["rows"], seen["hash"]) != (expected["rows"], expected["hash"]):
            raise Failure(f"kafka: {name} wrote {seen['rows']} rows instead of {expected['rows']}, "
                          "or others")
        return {}

    results = bench.interleave("kafka", variants, prepare, check)
    for variant in variants:
        cpu, wall = median(results, variant, "cpu_s"), median(results, variant, "wall_s")
        bench.add(f"kafka, {variant}", f"{messages / wall / 1e3:.0f} K messages/s, "
                  f"{cpu / messages * 1e9:.0f} ns CPU/message, "
                  f"{median(results, variant, 'rss_mb'):.0f} MB")
    bare = ratio(results, "librdkafka", "weir", "wall_s")
    bench.add("kafka: weir / bare loop (throughput)", f"{bare:.2f}",
              Goal(bare, target=0.6, at_least=True))
    bench.add("kafka: weir / bare loop (CPU)",
              f"{ratio(results, 'librdkafka', 'weir'):.2f}")
    bench.add("kafka: weir / transactional loop (throughput)",
              f"{ratio(results, 'librdkafka, transactional', 'weir', 'wall_s'):.2f}")
    bench.add("kafka: weir / transactional loop (CPU)",
              f"{ratio(results, 'librdkafka, transactional', 'weir'):.2f}")


# Each window sees every key several times (10M keys: 3.5 times), and a run several windows.
BENCHMARKS = {
    "window-1k": lambda bench: window(bench, "1K", 1000, 1 << 20, 400_000_000, 0.4),
    "window-100k": lambda bench: window(bench, "100K", 100_000, 1 << 22, 300_000_000, 0.4),
    "window-10m": lambda bench: window(bench, "10M", 10_000_000, 40_000_000, 160_000_000, 0.5),
    "window-100k-spread": lambda bench: spread(bench, "100K", 100_000, 1 << 22, 200_000_000),
    "window-10m-spread": lambda bench: spread(bench, "10M", 10_000_000, 40_000_000, 160_000_000),
    "rocksdb": rocksdb,
    "cold-start": cold_start,
    "memory": memory,
    "keyed": keyed,
    "checkpoints": checkpoint_times,
    "kafka": kafka,
}


# ----------------------------------------------------------------------------------------- summary

def print_table(rows):
    width = max(len(row[0]) for row in rows)
    for name, measured, goals in rows:
        held = f"   {verdict(goals)}: {'; '.join(map(str, goals))}" if goals else ""
        print(f"{name:<{width}}  {measured}{held}")


def section_of(name, bench, command):
    lines = [f"### {name}", "",
             f"{bench.facts['date']} at {bench.facts['commit']} on {bench.facts['machine']}, "
             f"`{command}`.", "", "| what | measured | goal | |", "|---|---|---|---|"]
    for what, measured, goals in bench.rows:
        lines.append(f"| {what} | {measured} | {'; '.join(map(str, goals))} | {verdict(goals)} |")
    return "\n".join(lines + [""])


def write_docs(name, section):
    """Replaces a benchmark's section in the measured part of docs/performance.md."""
    text = DOCS.read_text()
    if BEGIN not in text or END not in text:
        print(f"{DOCS} has no measured part to fill in", file=sys.stderr)
        return
    head, rest = text.split(BEGIN, 1)
    measured, tail = rest.split(END, 1)
    sections = {part.split("\n", 1)[0].strip(): "### " + part.strip() + "\n"
                for part in measured.split("### ")[1:]}
    sections[name] = section
    ordered = [sections[each] for each in BENCHMARKS if each in sections]
    DOCS.write_text(head + BEGIN + "\n\n" + "\n".join(ordered) + "\n" + END + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of all, under 2 minutes")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="one of: " + ", ".join(BENCHMARKS) + " (may be repeated)")
    parser.add_argument("--blocks", type=int, default=2, help="A B B A blocks (default 2)")
    parser.add_argument("--bin", default=ROOT / "build" / "release" / "bin", help="the programs")
    options = parser.parse_args()
    for name in options.only:
        if name not in BENCHMARKS:
            parser.error(f"--only {name}: there are {', '.join(BENCHMARKS)}")
    bench = Bench(options)
    more = "".join(f" {word}" for word in (["--blocks", options.blocks] if options.blocks != 2 else []))
    status = 0
    print(f"{bench.facts['machine']}; commit {bench.facts['commit']}; {bench.facts['date']}")
    try:
        for name in options.only or BENCHMARKS:
            bench.rows = []
            try:
                BENCHMARKS[name](bench)
            except Skipped as reason:
                print(f"\n{name}: skipped: {reason}")
                continue
            except Failure as failure:
                print(f"bench: {name}: {failure}", file=sys.stderr)
                status = 1
                continue
            print(f"\n{name}")
            print_table(bench.rows)
            sys.stdout.flush()
            if not options.quick:
                write_docs(name, section_of(name, bench, f"./run bench --only {name}{more}"))
    finally:
        bench.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
