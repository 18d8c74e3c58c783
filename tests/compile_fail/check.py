#!/usr/bin/env python3
"""Compiles one snippet as it should be and as it is wrong, and reads the errors of the latter.

Without a snippet: precompiles pipeline.h, which all snippets include, into the directory --header.
"""
import argparse
import os
import re
import subprocess
import sys


def compile_with(arguments, extra):
    command = [arguments.compiler, "-std=c++20", "-I" + arguments.include]
    return subprocess.run(command + extra, capture_output=True, text=True)


def precompile(arguments):
    os.makedirs(arguments.header, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    header = os.path.join(arguments.header, "pipeline.h")
    with open(os.path.join(here, "pipeline.h"), encoding="utf-8") as source:
        text = source.read()
    with open(header, "w", encoding="utf-8") as copy:
        copy.write(text)
    built = compile_with(arguments, ["-Wno-pragma-once-outside-header", "-x", "c++-header", header,
                                     "-o", header + ".gch"])
    if built.returncode != 0:
        sys.exit("weir's headers do not compile:\n" + built.stderr)


def compile_snippet(arguments, defines):
    header = os.path.join(arguments.header, "pipeline.h")
    # The snippet's own #include finds nothing new: the header is guarded.
    return compile_with(arguments, ["-fsyntax-only", "-I" + arguments.header, "-include", header]
                        + defines + [arguments.snippet])


def check(arguments):
    with open(arguments.snippet, encoding="utf-8") as file:
        expected = re.findall(r"^// EXPECT: (.+)$", file.read(), re.MULTILINE)
    if not expected:
        sys.exit("the snippet has no line '// EXPECT: ...'")
    right = compile_snippet(arguments, [])
    if right.returncode != 0:
        sys.exit("the right form does not compile:\n" + right.stderr)
    wrong = compile_snippet(arguments, ["-DWEIR_WRONG"])
    if wrong.returncode == 0:
        sys.exit("the wrong form compiles")
    # The words must not be buried under pages of the compiler's own.
    errors = [line for line in wrong.stderr.splitlines() if "error:" in line]
    for text in expected:
        if not any(text in line for line in errors[:3]):
            sys.exit(f"not among the first three errors: {text}\n{wrong.stderr}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("--header", required=True)
    parser.add_argument("snippet", nargs="?")
    arguments = parser.parse_args()
    if arguments.snippet is None:
        precompile(arguments)
    else:
        check(arguments)


if __name__ == "__main__":
    main()
