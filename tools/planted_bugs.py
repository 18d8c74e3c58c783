#!/usr/bin/env python3
"""Shows that tests can fail: plants one deliberate bug after the other and runs the test that must catch it.

  planted_bugs.py [--bin DIR] [id ...]   all bugs, or these; exit status 1 when one is not caught
  planted_bugs.py --targets              the programs to build first

Needs a build with -DWEIR_PLANTED_BUGS=ON (preset `planted`; `./run planted` makes it). Each test is
run without the bug, when it must pass, and with it (WEIR_PLANTED_BUG=<id>), when it must fail. The bugs
are the calls of planted_bug() in the sources; those that the simulator catches are in
tests/simulator/planted_bugs_test.cpp and run in every test run.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS_MAX = 120

# id (of the bug catalogue), what is planted, program, test
BUGS = [
    ("C6", "commits that came to nothing are not counted",
     "weir_recovery_test", "CheckpointSettingsTest.C6_ASinkThatTakesNothingShows"),
    ("C9", "a prepared file that is gone is passed over",
     "weir_connector_file_test", "FileSinkTest.C9_AVanishedFileIsLostAndNoPartOfItsEpochAppears"),
    ("E9", "local files of a process that was killed stay",
     "weir_state_rocksdb_test", "RocksDbBackendTest.E9_WhatKilledProcessesLeftIsRemoved"),
    ("M4", "state that no operator claims is dropped silently",
     "weir_recovery_test", "RecoveryTest.E10_StateThatNoOperatorClaimsIsRefusedUnlessTheUserDropsIt"),
    ("F2", "a snapshot that belongs to somebody else is deleted when it is subsumed",
     "weir_recovery_test",
     "ChosenSnapshotTest.F2_WithNoClaimTheSnapshotStaysAndNothingDependsOnItAfterACheckpoint"),
    ("G6", "live inputs are read before what was under way is replayed",
     "weir_runtime_test", "InputGate.G6_LiveInputsWaitForTheReplaySoThatNoRestoredRecordIsLate"),
    ("H8", "a split that arrives behind a barrier is in two places of its checkpoint",
     "weir_runtime_test", "TaskSplitsTest.H8_ASplitThatArrivesBehindABarrierIsNotInItsCheckpoint"),
    ("I1", "a read that brings fewer bytes than asked for is taken for the end of the file",
     "weir_io_test", "ShortTransfers.I1_EveryReadGoesOnUntilItHasItsBytes"),
    ("I4", "event-time and processing-time timers share a queue",
     "weir_state_test", "HeapTimerQueue.I4_EventAndProcessingTimersReturnToTheirOwnQueues"),
    ("J5", "a reader without splits holds up the watermark where idleness is asked for",
     "weir_runtime_test", "SourceDriverTest.J5_AReaderWithoutSplitsIsIdleOnlyWhereIdlenessIsAskedFor"),
    ("J6", "when all splits turn idle the watermark stays where it was",
     "weir_runtime_test", "SourceDriverTest.J6_WhenAllSplitsAreIdleTheHighestIsEmittedAndSoIsTheStatus"),
    ("M1", "a stop with a savepoint ends the input",
     "weir_recovery_test", "SavepointTest.M1AStopWithSavepointFiresNothingAndGoesOnWithoutADuplicate"),
    # Keyed state: not of the catalogue; each is for the models of src/state.
    ("S1", "an entry is written without keeping what it was at the barrier",
     "weir_state_test", "HeapBackendModel.EightByteKeysWithPlainValues"),
    ("S2", "a delta begins an epoch too late",
     "weir_state_test", "HeapBackendModel.DeltasOfEightByteKeys"),
    ("S3", "a delta forgets that keys were erased",
     "weir_state_test", "HeapBackendModel.DeltasOfFewKeysInOneTable"),
    ("S4", "a delta forgets that a namespace was dropped",
     "weir_state_test", "HeapBackendModel.DeltasOfEightByteKeys"),
    ("S5", "a delta is said to be whole in a key group that it is not whole in",
     "weir_state_test", "HeapBackendModel.DeltasOfEightByteKeys"),
    ("S6", "restored state that nobody opened is not in the next snapshot",
     "weir_state_test", "HeapBackendModel.LaterVersionsOfTheJobTakeChainsOver"),
    ("S7", "the cache in front of RocksDB evicts what is not written yet",
     "weir_state_rocksdb_test", "RocksDbBackendModel.OddMaxParallelism"),
    ("S8", "what is written down between two barriers is lost",
     "weir_state_rocksdb_test", "RocksDbBackendModel.OddMaxParallelism"),
    ("S9", "a file of RocksDB is taken for one of an earlier checkpoint by its name alone",
     "weir_state_rocksdb_test", "RocksDbBackendTest.FilesAreNamedAgainOnlyIfTheirContentIsTheSame"),
    ("S10", "an entry that was erased is still found by prefetched()",
     "weir_state_test", "HeapBackendModel.EightByteKeysWithPlainValues"),
    ("S11", "an entry is found by prefetched() where it was before its table grew",
     "weir_state_test", "HeapBackendModel.OddMaxParallelism"),
    ("S12", "prefetched() does not notice a barrier",
     "weir_state_test", "HeapBackendModel.OddMaxParallelism"),
    ("S13", "the entries of a map keep one byte of the length of a key",
     "weir_state_rocksdb_test", "RocksDbTypedModel.StringKeys"),
    ("S14", "a delta leaves out the first of the slots that are marked as written",
     "weir_state_test", "HeapBackendModel.DeltasOfEightByteKeys"),
]


def run(program, test, bug):
    """Returns (passed, first complaint)."""
    environment = {**os.environ, "WEIR_PLANTED_BUG": bug}
    try:
        done = subprocess.run([program, f"--gtest_filter={test}", "--gtest_color=no"], cwd=ROOT,
                              env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
                              check=False, errors="replace")
    except subprocess.TimeoutExpired:
        return False, f"did not end within {SECONDS_MAX} s"
    text = done.stdout + done.stderr
    if done.returncode == 0:
        if "[       OK ] " + test not in text:
            sys.exit(f"planted_bugs: {program} has no test {test}, or skipped it")
        return True, ""
    complaint = re.search(r"^\S*?([\w.]+:\d+): Failure\n(.*)", text, re.MULTILINE)
    return False, ": ".join(complaint.groups()) if complaint else f"exit status {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("ids", nargs="*", metavar="id", help=", ".join(bug[0] for bug in BUGS))
    parser.add_argument("--bin", default=ROOT / "build" / "planted" / "bin", help="the programs")
    parser.add_argument("--targets", action="store_true", help="print what is to be built")
    options = parser.parse_args()
    if options.targets:
        print("\n".join(sorted({bug[2] for bug in BUGS})))
        return 0
    for chosen in options.ids:
        if chosen not in [bug[0] for bug in BUGS]:
            parser.error(f"no bug {chosen}; there are {', '.join(bug[0] for bug in BUGS)}")
    failures = 0
    print("| id | planted | caught by | which says |\n|---|---|---|---|")
    for bug, what, target, test in BUGS:
        if options.ids and bug not in options.ids:
            continue
        program = str(pathlib.Path(options.bin).resolve() / target)
        passed, complaint = run(program, test, "")
        if not passed:
            print(f"planted_bugs: {test} fails without any bug: {complaint}", file=sys.stderr)
            failures += 1
            continue
        passed, complaint = run(program, test, bug)
        failures += passed
        print(f"| {bug} | {what} | `{test}` | "
              f"{'**nothing: not caught**' if passed else complaint} |", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
