#!/usr/bin/env python3
"""Fails when README.md's program is not examples/01_word_count.cpp, when code that a page says is from
an example (<!-- from examples/NN_name.cpp --> above it) is not in it, or a relative link leads nowhere."""

import argparse
import pathlib
import re
import sys
import tempfile

def broken_links(page):
    """Links of one page that lead nowhere."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (page.parent / target).exists():
            yield f"{page.name}: link to {target} leads nowhere"


def quotes_that_differ(root, page):
    """Code of one page that is not, or not any more, in the example it is said to be from."""
    quote = r"<!-- from (examples/\S+) -->\n```\w*\n(.*?)```"
    for name, code in re.findall(quote, page.read_text(), flags=re.S):
        example = root / name
        if not example.exists() or code.strip() not in example.read_text():
            yield f"{page.name}: its code is not the one in {name}"


def readme_program_differs(root):
    shown = re.search(r"```cpp\n(.*?)```", (root / "README.md").read_text(), flags=re.S)
    program = (root / "examples" / "01_word_count.cpp").read_text()
    if shown is None or shown.group(1).strip() not in program:
        yield "README.md: its program is not the one in examples/01_word_count.cpp"


def check(root):
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")]
    problems = [problem for page in pages
                for problem in [*broken_links(page), *quotes_that_differ(root, page)]]
    return len(pages), problems + list(readme_program_differs(root))


def self_test():
    """A page with a dead link, another program and a quote that is none must be reported."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "examples").mkdir()
        (root / "examples" / "01_word_count.cpp").write_text("int main() {}\n")
        (root / "README.md").write_text(
            "[x](nowhere.md)\n```cpp\nint other() {}\n```\n"
            "<!-- from examples/01_word_count.cpp -->\n```cpp\nint main() {}\n```\n"
            "<!-- from examples/01_word_count.cpp -->\n```cpp\nint mine() {}\n```\n")
        _, problems = check(root)
        return 0 if len(problems) == 3 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument("--build", help="unused; all checks are called alike")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    count, problems = check(options.root)
    print("\n".join(problems) or f"check_docs: {count} pages, 0 problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
