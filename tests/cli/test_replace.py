"""Replacement strings: what becomes of a command with them."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiospawn.cli._errors import UsageError
from aiospawn.cli._replace import Template, shown

arguments = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
paths = st.text(st.sampled_from("ab./ -'\n"), min_size=1).filter(lambda path: not path.startswith("-"))
strings = st.sampled_from(["{}", "{.}", "{/}", "{//}", "{/.}", "{#}"])


def filled(template: str, argument: str, number: int = 1) -> str:
    (word,) = Template([template], shell=False).command((argument,), number)
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
    assert template.command((argument,), number) == ["program", *words, expected]


@given(arguments, strings)
def test_quoted_for_the_shell(argument: str, string: str) -> None:
    """With a shell, what is replaced is one word to it."""
    command = Template([f"program {string}", "after"], shell=True).command((argument,), 7)
    assert isinstance(command, str)
    assert shlex.split(command) == ["program", "7" if string == "{#}" else filled(string, argument), "after"]


@given(st.lists(arguments, min_size=1, max_size=20))
@settings(deadline=None, max_examples=20)
def test_the_shell_agrees(given_arguments: list[str]) -> None:
    """As /bin/sh reads it."""
    script = "; ".join(str(Template(["printf '%s\\0'", "{}"], shell=True).command((each,), 1)) for each in given_arguments)
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout
    assert output.split(b"\0")[:-1] == [each.encode() for each in given_arguments]


@pytest.mark.parametrize("shell", [False, True])
def test_added_at_the_end(shell: bool) -> None:
    """A command without a replacement string ends with the argument; `{#}` alone is one."""
    assert shown(Template(["echo", "x"], shell=shell).command(("a b",), 1)) == "echo x 'a b'"
    assert shown(Template(["echo", "{#}"], shell=shell).command(("a b",), 5)) == "echo 5"


@pytest.mark.parametrize(
    "word",
    [
        "{",
        "}",
        "{x}",
        "{}}",
        "{{}",
        "{..}",
        "{///}",
        "{ }",
        "{0}",
        "{01}",
        "{-}",
        "{1 }",
        "{1#}",
        "{#.}",
        f"{{{'9' * 5000}}}",
    ],
)
def test_what_is_none(word: str) -> None:
    """Other braces stay; a string among them is replaced."""
    assert filled(f"{word}{{#}}", "a", 3) == word.replace("{}", "a") + "3"


def test_without_a_command() -> None:
    """Arguments are commands themselves, split into words as a shell would, or left to the shell."""
    assert Template([], shell=False).command(("echo 'a b'  c",), 1) == ["echo", "a b", "c"]
    assert Template([], shell=True).command(("echo 'a b' | wc",), 1) == "echo 'a b' | wc"
    assert Template([], shell=False, width=2).command(("echo 'a b'", "c  d"), 1) == ["echo", "a b", "c", "d"]
    assert Template([], shell=True, width=2).command(("echo 'a b' |", "wc"), 1) == "echo 'a b' | wc"


@pytest.mark.parametrize("line", ["echo 'a", '"', "", "  ", "a \\"])
def test_command_that_is_none(line: str) -> None:
    """One that cannot be split is an error."""
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        Template([], shell=False).command((line,), 1)


# ---- several arguments ------------------------------------------------------------------------------------------------

# Texts, and replacement strings as (place or None for all, kind); `#` and `%` are kinds as well.
texts = st.text(st.sampled_from("ab-=/."), min_size=1)
fields = st.tuples(st.none() | st.integers(-4, 4).filter(bool), st.sampled_from(["", ".", "/", "//", "/."]))
tokens = texts | fields | st.sampled_from([(None, "#"), (None, "%")])
Token = str | tuple[int | None, str]


def written(token: Token) -> str:
    if isinstance(token, str):
        return token
    place, kind = token
    return f"{{{'' if place is None else place}{kind}}}"


def values(token: Token, job: tuple[tuple[str, ...], int, int]) -> list[str]:
    """What a token stands for, by what `{}` and the like are in a job of one argument."""
    arguments, number, slot = job
    if isinstance(token, str):
        return [token]
    place, kind = token
    if kind in ("#", "%"):
        return [str(number if kind == "#" else slot)]
    places = dict(enumerate(arguments, 1)) | dict(enumerate(arguments, -len(arguments)))
    chosen = arguments if place is None else [places[place]] if place in places else []
    return [filled(f"{{{kind}}}", argument) for argument in chosen]


jobs = st.tuples(st.lists(arguments, min_size=1, max_size=4).map(tuple), st.integers(1), st.integers(1, 99))


@given(st.lists(st.lists(tokens, min_size=1, max_size=3), min_size=1, max_size=4), jobs)
def test_several_arguments(words: list[list[Token]], job: tuple[tuple[str, ...], int, int]) -> None:
    """A word that is one string becomes its values; in a longer one, spaces are between them."""
    given_words = ["program", "{#}", *("".join(map(written, word)) for word in words)]
    expected = ["program", str(job[1])]
    for word in words:
        if len(word) == 1:
            expected += values(word[0], job)
        else:
            expected.append("".join(" ".join(values(token, job)) for token in word))
    assert Template(given_words, shell=False, width=None).command(*job) == expected


@given(st.lists(fields | st.sampled_from([(None, "#"), (None, "%")]), min_size=1), jobs)
def test_several_arguments_for_the_shell(words: list[Token], job: tuple[tuple[str, ...], int, int]) -> None:
    """Each argument is one word to it."""
    command = Template(["program", *map(written, words)], shell=True, width=None).command(*job)
    assert isinstance(command, str)
    assert shlex.split(command) == ["program", *(value for word in words for value in values(word, job))]


def test_all_are_added() -> None:
    """A command without a replacement string ends with all arguments, a word each; where jobs have none, with none."""
    assert Template(["echo"], shell=False, width=2).command(("a b", "c"), 1) == ["echo", "a b", "c"]
    assert Template(["echo"], shell=True, width=2).command(("a b", "c"), 1) == "echo 'a b' c"
    assert Template(["echo"], shell=False, width=0).command((), 1) == ["echo"]
    assert Template(["echo", "{}", "[{}]"], shell=False, width=0).command((), 1) == ["echo", "[]"]


@pytest.mark.parametrize(("string", "width"), [("{2}", 1), ("{3}", 2), ("{-3/.}", 2), ("{1}", 0), ("{99.}", 98)])
def test_place_that_no_job_has(string: str, width: int) -> None:
    """It is refused; where a job may have any number of arguments, it is not."""
    with pytest.raises(UsageError, match=re.escape(string) + f": a job has {width or 'no'} argument"):
        Template(["echo", f"a{string}b"], shell=False, width=width)
    assert Template(["echo", string, f"[{string}]"], shell=False, width=None).command((), 1) == ["echo", "[]"]


def test_slot() -> None:
    """Whether there is one in it."""
    assert Template(["echo", "a{%}{1}"], shell=False).has_slot
    assert not Template(["echo", "{#}%"], shell=False).has_slot
    assert Template(["echo", "{%}"], shell=False).command(("a",), 5, 3) == ["echo", "3"]
