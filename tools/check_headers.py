#!/usr/bin/env python3
"""Fails when a header of include/weir, src or connectors does not compile alone.

Each header is compiled with -fsyntax-only, twice included (so a missing include guard shows too), with
the flags of compile_commands.json in the build folder: those of a translation unit of the same folder
where there is one. A header that passed is not compiled again until it, a header it includes, or the
flags change; the hashes are kept in <build>/check_headers.json.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HEADER_FOLDERS = ["include/weir", "src", "connectors"]
DROPPED_WITH_VALUE = {"-o", "-MF", "-MT", "-MQ"}
DROPPED = {"-c", "-MD", "-MMD", "-MP"}


def headers_of(root):
    return sorted(path for folder in HEADER_FOLDERS for path in (root / folder).rglob("*.h"))


def flags_from(entry):
    """The compiler and its flags of one compile_commands.json entry, without input and outputs."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    if pathlib.Path(words[0]).name == "ccache":
        words = words[1:]
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in DROPPED_WITH_VALUE:
            skip = True
        elif word not in DROPPED and word != entry["file"] and not word.startswith("-g"):
            kept.append(word)
    return kept


class Flags:
    """Which flags a header is compiled with."""

    def __init__(self, root, build, include_dirs):
        self.root = root
        self.fallback = [os.environ.get("CXX", "g++"), "-std=c++20"]
        self.fallback += [f"-I{folder}" for folder in include_dirs]
        self.by_folder = {}
        self.directory = root
        database = build / "compile_commands.json" if build else None
        if database and database.is_file():
            for entry in json.loads(database.read_text()):
                source = pathlib.Path(entry["directory"], entry["file"]).resolve()
                if root in source.parents and source.suffix == ".cpp":
                    self.by_folder.setdefault(source.parent, flags_from(entry))
                    self.directory = pathlib.Path(entry["directory"])

    def is_left_out(self, header):
        """Whether the header belongs to an optional connector that this build does without."""
        return (bool(self.by_folder) and header.relative_to(self.root).parts[0] == "connectors"
                and header.parent not in self.by_folder and any(header.parent.glob("*.cpp")))

    def of(self, header):
        if header.parent in self.by_folder:
            return self.by_folder[header.parent]
        # Any folder of the same kind, since all of them share warnings and include paths; then src.
        # Public headers promise to need the standard library only.
        kind = header.relative_to(self.root).parts[0]
        for wanted in (kind, "src"):
            for folder, flags in sorted(self.by_folder.items()):
                if folder.relative_to(self.root).parts[:1] == (wanted,):
                    return flags
        return self.fallback


def compile_alone(header, flags, directory):
    """Returns (diagnostics or None, files it includes)."""
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as unit, \
            tempfile.NamedTemporaryFile("r", suffix=".d") as depends:
        unit.write(f'#include "{header}"\n#include "{header}"\n')
        unit.flush()
        command = flags + ["-fsyntax-only", "-MMD", "-MF", depends.name, unit.name]
        if "g++" in pathlib.Path(flags[0]).name and "clang" not in flags[0]:
            # GCC writes no dependency file with -fsyntax-only unless asked to preprocess as well.
            command = flags + ["-fsyntax-only", unit.name]
            listing = subprocess.run(flags + ["-MM", unit.name], cwd=directory, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            result = subprocess.run(command, cwd=directory, text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, check=False)
            rule = listing.stdout
        else:
            result = subprocess.run(command, cwd=directory, text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, check=False)
            rule = depends.read()
        files = rule.replace("\\\n", " ").partition(":")[2].split()
        included = sorted({str(pathlib.Path(directory, name).resolve()) for name in files
                           if name != unit.name})
    return (result.stdout or "failed without a word") if result.returncode else None, included


def digest(flags, files):
    """Hash of flags and contents; None when a file is gone."""
    sum_ = hashlib.sha256("\0".join(flags).encode())
    for name in files:
        try:
            sum_.update(name.encode() + b"\0" + pathlib.Path(name).read_bytes())
        except OSError:
            return None
    return sum_.hexdigest()


def check(root, build, include_dirs, jobs):
    """Returns (number of headers, number compiled, list of diagnostics)."""
    flags = Flags(root, build, include_dirs)
    cache_file = build / "check_headers.json" if build else None
    cache = {}
    if cache_file and cache_file.is_file():
        try:
            cache = json.loads(cache_file.read_text())
        except ValueError:
            cache = {}
    headers = [header for header in headers_of(root) if not flags.is_left_out(header)]
    stale, fresh = [], {}
    for header in headers:
        known = cache.get(str(header))
        if known and known["digest"] == digest(flags.of(header), known["files"]):
            fresh[str(header)] = known
        else:
            stale.append(header)

    def one(header):
        return header, *compile_alone(header, flags.of(header), flags.directory)

    problems = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for header, diagnostics, files in pool.map(one, stale):
            if diagnostics and header.is_file():  # Renamed meanwhile is no failure.
                problems.append(f"{header.relative_to(root)} does not compile alone:\n{diagnostics}")
            elif files and not diagnostics:
                fresh[str(header)] = {"files": files, "digest": digest(flags.of(header), files)}
    if cache_file and build.is_dir():
        # Renamed into place: two runs may overlap.
        with tempfile.NamedTemporaryFile("w", dir=build, delete=False) as scratch:
            json.dump(fresh, scratch)
        os.replace(scratch.name, cache_file)
    return len(headers), len(stale), problems


def self_test():
    """A header that needs another one first must be refused; the cache must see a changed include."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        print("check_headers self-test: no compiler")
        return 1
    os.environ["CXX"] = compiler
    failures = []

    def expect(title, value):
        if not value:
            failures.append(title)

    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "tree").resolve()
        build = pathlib.Path(scratch, "build").resolve()
        folder = root / "src" / "base"
        folder.mkdir(parents=True)
        build.mkdir()

        def run():
            return check(root, build, [root / "src"], 2)

        (folder / "good.h").write_text("#pragma once\n#include <string>\nstd::string name();\n")
        (folder / "user.h").write_text('#pragma once\n#include "base/good.h"\nstd::string other();\n')
        expect("good headers pass", run()[2] == [])
        expect("a second run compiles nothing", run()[1] == 0)
        (folder / "good.h").write_text("#pragma once\n#include <string>\nint name();\n")
        expect("a changed include is noticed", run()[1] == 2)
        (folder / "needy.h").write_text("#pragma once\nstd::vector<int> numbers();\n")
        problems = run()[2]
        expect("a header that needs others fails", len(problems) == 1 and "needy.h" in problems[0])
        expect("a failure is never cached", len(run()[2]) == 1)
        (folder / "needy.h").write_text("struct Twice {};\n")
        expect("a header without a guard fails", len(run()[2]) == 1)
        # Flags come from compile_commands.json when there is one.
        (folder / "needy.h").write_text("#pragma once\nWANTED value();\n")
        (build / "compile_commands.json").write_text(json.dumps([{
            "directory": str(build), "file": str(folder / "a.cpp"),
            "command": f"ccache {compiler} -DWANTED=int -I{root}/src -std=c++20 -o a.o -c "
                       f"{folder}/a.cpp"}]))
        expect("flags of compile_commands.json are used", run()[2] == [])
    for failure in failures:
        print(f"not so: {failure}", file=sys.stderr)
    print(f"check_headers self-test: {7 - len(failures)} of 7 passed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--build", type=pathlib.Path, help="folder with compile_commands.json")
    parser.add_argument("--include", action="append", default=[], help="include folder (no --build)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    root = arguments.root.resolve()
    build = arguments.build.resolve() if arguments.build else None
    include_dirs = arguments.include or [root / "include", root / "src", root / "connectors"]
    total, compiled, problems = check(root, build, include_dirs, arguments.jobs)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"check_headers: {total} headers, {compiled} compiled, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
