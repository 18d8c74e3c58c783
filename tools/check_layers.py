#!/usr/bin/env python3
"""Fails when an #include breaks the layer rule of docs/architecture.md.

  include/weir/      may include include/weir and the standard library
  src/<folder>/      may include weir/*, itself and the folders below it in LAYERS
  connectors/<name>/ may include weir/*, base/, io/ and itself
Everywhere: every quoted include names an existing file, and no file includes itself through others.
Only quoted includes are looked at, plus angle includes of weir's own files, which are refused.
"""

import argparse
import pathlib
import re
import sys
import tempfile

# Highest folder first, as in the architecture page.
# Public headers that are there for one library: only who includes them needs it.
LIBRARY_HEADERS = {"include/weir/protobuf.h": "google"}
LAYERS = ["api", "graph", "operators", "runtime", "state_processor", "checkpoint", "state", "record", "io", "base"]
CONNECTOR_MAY_USE = {"base", "io"}
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".inc"}
CHECKED = ["include", "src", "connectors", "cli", "rest", "flink", "examples", "tests", "bench"]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)
BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RAW_STRING = re.compile(r'R"([^\s()\\]*)\(.*?\)\1"', re.DOTALL)


def blank(match):
    """Keeps the line numbers of what is blanked out."""
    return "\n" * match.group(0).count("\n")


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = sorted(
            path for top in CHECKED for path in (root / top).rglob("*")
            if path.suffix in SUFFIXES and path.is_file())
        self.problems = []
        self.edges = {}

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def resolve(self, source, target):
        """The file a quoted include means, searched like the build does; None if there is none."""
        for base in (source.parent, self.root / "include", self.root / "src",
                     self.root / "connectors", self.root / "tests"):
            candidate = base / target
            if candidate.is_file():
                return candidate.resolve()
        return None

    def check(self):
        for path in self.files:
            text = path.read_text(encoding="utf-8", errors="replace")
            text = RAW_STRING.sub(blank, BLOCK_COMMENT.sub(blank, text))
            self.edges[path.resolve()] = []
            for match in INCLUDE.finditer(text):
                line = text.count("\n", 0, match.start(2)) + 1
                self.check_include(path, line, match.group(1), match.group(2))
        self.find_cycles()
        return self.problems

    def check_include(self, path, line, quote, target):
        where = f"{self.name(path)}:{line}"
        is_public = self.name(path).startswith("include/weir/")
        if quote == "<":
            first = target.split("/")[0]
            own = first == "weir" or (first in LAYERS and (self.root / "src" / target).is_file())
            if own:
                self.problems.append(f'{where}: write #include "{target}" with quotes')
            elif LIBRARY_HEADERS.get(self.name(path)) == first:
                pass
            elif is_public and ("/" in target or target.endswith((".h", ".hpp"))):
                self.problems.append(
                    f"{where}: public headers include only weir/ and the standard library, "
                    f"not <{target}>")
            return
        found = self.resolve(path, target)
        if found is None:
            if not target.endswith(".pb.h"):  # made by the build
                self.problems.append(f'{where}: "{target}" does not exist')
            return
        self.edges[path.resolve()].append((found, where))
        why = self.refusal(self.owner(path.resolve()), self.owner(found))
        if why:
            self.problems.append(f'{where}: "{target}": {why}')

    def owner(self, path):
        """(kind, folder): ("public", ""), ("src", "state"), ("connectors", "kafka"), ("tests", "")..."""
        try:
            parts = path.relative_to(self.root.resolve()).parts
        except ValueError:
            return ("outside", "")
        if parts[0] == "include":
            return ("public", "")
        if parts[0] in ("src", "connectors"):
            return (parts[0], parts[1] if len(parts) > 2 else "")
        return (parts[0], "")

    def refusal(self, user, used):
        user_kind, user_folder = user
        used_kind, used_folder = used
        if used_kind == "outside":
            return "lies outside the repository"
        if user_kind == "src" and user_folder not in LAYERS:
            return f"src/{user_folder} is not a folder of the architecture page"
        if used_kind == "public" or user == used:
            return None
        if user_kind == "public":
            return "public headers include only weir/ and the standard library"
        if user_kind == "src":
            if used_kind != "src":
                return f"src may not include {used_kind}/"
            if used_folder not in LAYERS:
                return f"src/{used_folder} is not a folder of the architecture page"
            if LAYERS.index(used_folder) < LAYERS.index(user_folder):
                return f"{user_folder}/ lies below {used_folder}/ and may not include it"
            return None
        if user_kind == "connectors":
            if used_kind == "src" and used_folder in CONNECTOR_MAY_USE:
                return None
            return "connectors include only weir/, base/, io/ and themselves"
        if user_kind in ("examples",) and used_kind == "src":
            return "examples use public headers and connectors only"
        return None

    def find_cycles(self):
        """Depth first search with an explicit stack; reports each back edge once."""
        state = {}
        for start in self.edges:
            if start in state:
                continue
            state[start] = "open"
            trail = [(start, iter(self.edges[start]))]
            while trail:
                node, rest = trail[-1]
                step = next(rest, None)
                if step is None:
                    state[node] = "closed"
                    trail.pop()
                    continue
                target, where = step
                if state.get(target) == "open":
                    loop = [self.name(n) for n, _ in trail]
                    loop = loop[loop.index(self.name(target)):] + [self.name(target)]
                    self.problems.append(f"{where}: cycle: " + " -> ".join(loop))
                elif target not in state and target in self.edges:
                    state[target] = "open"
                    trail.append((target, iter(self.edges[target])))


def self_test():
    """Each bad tree must be refused for its own reason, and the good one accepted."""
    good = {
        "include/weir/result.h": "#include <string>\n#include <vector>\n",
        "include/weir/batch.h": '#include "weir/result.h"\n',
        "src/base/crc.h": '#include "weir/result.h"\n#include <fmt/format.h>\n',
        "src/state/heap.h": '#include "base/crc.h"\n// #include "graph/plan.h"\n',
        "src/state/heap.cpp": '#include "state/heap.h"\nauto s = R"(\n#include "api/x.h"\n)";\n',
        "src/graph/plan.h": '#include "state/heap.h"\n',
        "connectors/kafka/source.h": '#include "weir/batch.h"\n#include "base/crc.h"\n',
        "connectors/kafka/source.cpp": '#include "kafka/source.h"\n#include <librdkafka/rdkafka.h>\n',
        "include/weir/protobuf.h": "#include <google/protobuf/message.h>\n",
        "examples/01_a.cpp": '#include "weir/batch.h"\n#include "kafka/source.h"\n',
    }
    bad = [
        ("up the list", {"src/state/a.h": '#include "graph/plan.h"\n'}, "may not include it"),
        ("public to engine", {"include/weir/a.h": '#include "base/crc.h"\n'}, "public headers"),
        ("public to library", {"include/weir/a.h": "#include <fmt/format.h>\n"}, "public headers"),
        ("another library", {"include/weir/protobuf.h": "#include <fmt/format.h>\n"},
         "public headers"),
        ("connector to engine", {"connectors/kafka/a.h": '#include "state/heap.h"\n'}, "connectors"),
        ("connector to another", {"connectors/file/a.h": '#include "kafka/source.h"\n'},
         "connectors"),
        ("engine to connector", {"src/api/a.h": '#include "kafka/source.h"\n'}, "src may not"),
        ("missing file", {"src/api/a.h": '#include "state/none.h"\n'}, "does not exist"),
        ("cycle", {"src/io/a.h": '#include "io/b.h"\n', "src/io/b.h": '#include "io/a.h"\n'},
         "cycle"),
        ("unknown folder", {"src/utils/a.h": '#include "base/crc.h"\n'}, "not a folder"),
        ("angle brackets", {"src/io/a.h": "#include <weir/result.h>\n"}, "with quotes"),
        ("example to engine", {"examples/02_b.cpp": '#include "state/heap.h"\n'}, "examples use"),
    ]
    failures = []
    for title, extra, expected in [("good tree", {}, None)] + bad:
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            for name, text in {**good, **extra}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            problems = Tree(root).check()
        if expected is None and problems:
            failures.append(f"{title}: refused: {problems}")
        elif expected is not None and not (len(problems) == 1 and expected in problems[0]):
            failures.append(f"{title}: wanted one problem with '{expected}', got {problems}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"check_layers self-test: {len(bad) + 1 - len(failures)} of {len(bad) + 1} passed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--build", help="accepted for symmetry with check_headers.py, not used")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    tree = Tree(arguments.root.resolve())
    problems = tree.check()
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"check_layers: {len(tree.files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
