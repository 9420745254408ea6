"""Replacement strings: what becomes of a command with them."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiospawn.cli._replace import Template, shown

arguments = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
paths = st.text(st.sampled_from("ab./ -'\n"), min_size=1).filter(lambda path: not path.startswith("-"))
strings = st.sampled_from(["{}", "{.}", "{/}", "{//}", "{/.}", "{#}"])


def filled(template: str, argument: str, number: int = 1) -> str:
    (word,) = Template([template], shell=False).command(argument, number)
    return word


@pytest.mark.parametrize(
    ("argument", "replaced"),
    [  # as GNU parallel 20221122 has them, for {} {.} {/} {//} {/.}
        ("a/b.c.tar.gz", "a/b.c.tar.gz|a/b.c.tar|b.c.tar.gz|a|b.c.tar"),
        ("x", "x|x|x|.|x"),
        ("/a/", "/a/|/a/||/|"),
        ("/", "/|/||/|"),
        (".hid", ".hid||.hid|.|"),
        ("d/.hid", "d/.hid|d/|.hid|d|"),
        ("a.b/c", "a.b/c|a.b/c|c|a.b|c"),
        ("q w", "q w|q w|q w|.|q w"),
        ("", "|||.|"),
        ("a.", "a.|a|a.|.|a"),
        ("a/b//c.d", "a/b//c.d|a/b//c|c.d|a/b|c"),
    ],
)
def test_like_parallel(argument: str, replaced: str) -> None:
    """Each is what GNU parallel makes of it."""
    assert filled("{}|{.}|{/}|{//}|{/.}", argument) == replaced


@given(paths)
def test_parts(path: str) -> None:
    """The parts of a path make up the path."""
    stem, last, last_stem = (filled(string, path) for string in ("{.}", "{/}", "{/.}"))
    assert re.fullmatch(r"(\.[^/.]*)?", path.removeprefix(stem)) is not None
    assert path.startswith(stem)
    assert "/" not in last
    assert path.endswith(f"/{last}") or path == last
    assert stem.endswith(last_stem)


@given(st.lists(paths, min_size=1, max_size=50))
@example(["//a", "/", "//", "a//b//"])
@settings(deadline=None, max_examples=20)
def test_directory(found: list[str]) -> None:
    """`{//}` is what dirname(1) says."""
    said = subprocess.run(["dirname", "-z", "--", *found], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert [filled("{//}", path) for path in found] == said


@given(st.lists(st.text(st.characters(exclude_characters="\0{}"))), arguments, st.lists(strings, min_size=1), st.integers(1))
def test_words_stay_words(words: list[str], argument: str, used: list[str], number: int) -> None:
    """Without a shell each word is one argument of the program, whatever it is replaced by."""
    template = Template(["program", *words, "".join(used)], shell=False)
    expected = "".join(str(number) if string == "{#}" else filled(string, argument) for string in used)
    assert template.command(argument, number) == ["program", *words, expected]


@given(arguments, strings)
def test_quoted_for_the_shell(argument: str, string: str) -> None:
    """With a shell, what is replaced is one word to it."""
    command = Template([f"program {string}", "after"], shell=True).command(argument, 7)
    assert isinstance(command, str)
    assert shlex.split(command) == ["program", "7" if string == "{#}" else filled(string, argument), "after"]


@given(st.lists(arguments, min_size=1, max_size=20))
@settings(deadline=None, max_examples=20)
def test_the_shell_agrees(given_arguments: list[str]) -> None:
    """As /bin/sh reads it."""
    script = "; ".join(str(Template(["printf '%s\\0'", "{}"], shell=True).command(each, 1)) for each in given_arguments)
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout
    assert output.split(b"\0")[:-1] == [each.encode() for each in given_arguments]


@pytest.mark.parametrize("shell", [False, True])
def test_added_at_the_end(shell: bool) -> None:
    """A command without a replacement string ends with the argument; `{#}` alone is one."""
    assert shown(Template(["echo", "x"], shell=shell).command("a b", 1)) == "echo x 'a b'"
    assert shown(Template(["echo", "{#}"], shell=shell).command("a b", 5)) == "echo 5"


@pytest.mark.parametrize("word", ["{", "}", "{x}", "{}}", "{{}", "{..}", "{///}", "{ }", "{1}"])
def test_what_is_none(word: str) -> None:
    """Other braces stay; a string among them is replaced."""
    assert filled(f"{word}{{#}}", "a", 3) == word.replace("{}", "a") + "3"


def test_without_a_command() -> None:
    """Arguments are commands themselves, split into words as a shell would, or left to the shell."""
    assert Template([], shell=False).command("echo 'a b'  c", 1) == ["echo", "a b", "c"]
    assert Template([], shell=True).command("echo 'a b' | wc", 1) == "echo 'a b' | wc"


@pytest.mark.parametrize("line", ["echo 'a", '"', "", "  ", "a \\"])
def test_command_that_is_none(line: str) -> None:
    """One that cannot be split is told."""
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        Template([], shell=False).command(line, 1)
