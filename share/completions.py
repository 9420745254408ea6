"""Writes completions for bash, zsh and fish, which need no Python in use: `python share/completions.py DIRECTORY`.

Commands, options and the choices of an option are completed; behind them, files, and programs where a command is expected.
"""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import Option, commands, options, parser_of, summary_of


def _all(name: str) -> list[Option]:
    return [option for _, members in options(parser_of(name)) for option in members if option.names]


def _names(name: str) -> str:
    return " ".join(name for option in _all(name) for name in option.names)


def bash() -> str:
    """A function for `complete -F`."""
    lines = [
        "# bash completion for aiospawn",
        "_aiospawn() {",
        '    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" word',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f"        case $word in {'|'.join(commands())}) command=$word; break;; esac",
        "    done",
        '    case "$command $previous" in',
    ]
    for name in commands():
        for option in _all(name):
            if option.choices:
                patterns = "|".join(f'"{name} {each}"' for each in option.names)
                choices = " ".join(option.choices)
                lines.append(f"        {patterns}) COMPREPLY=($(compgen -W '{choices}' -- \"$current\")); return;;")
    lines += ["    esac", "    case $command in"]
    lines.append(f"        '') COMPREPLY=($(compgen -W '{' '.join(commands())} {_names('')}' -- \"$current\")); return;;")
    for name in commands():
        lines.append(
            f"        {name}) [[ $current == -* ]] && COMPREPLY=($(compgen -W '{_names(name)}' -- \"$current\")) && return;;"
        )
    lines += [
        "    esac",
        '    [[ $command == @(run|map|sandbox) ]] && COMPREPLY=($(compgen -c -- "$current")) && return',
        '    COMPREPLY=($(compgen -f -- "$current"))',
        "}",
        "complete -o bashdefault -o default -F _aiospawn aiospawn",
    ]
    return "\n".join([*lines, ""])


def _zsh_text(text: str) -> str:
    for each in "\\'[]:":
        text = text.replace(each, "'\\''" if each == "'" else f"\\{each}")
    return text


def _zsh_option(option: Option) -> list[str]:
    value = ""
    if option.value:
        action = f"({' '.join(option.choices)})" if option.choices else "_files"
        value = f"{':' * (2 if option.optional_value else 1)}{_zsh_text(option.value)}:{action}"
    return [f"'{'' if option.optional_value else '*'}{name}[{_zsh_text(option.help)}]{value}'" for name in option.names]


def zsh() -> str:
    """A function for `_arguments`."""
    lines = ["#compdef aiospawn", "", "_aiospawn() {", "    local -a commands", "    commands=("]
    lines += [f"        '{name}:{_zsh_text(summary_of(name))}'" for name in commands()]
    lines += ["    )", "    if (( CURRENT == 2 )); then", "        _describe command commands"]
    lines += [f"        _arguments {' '.join(each for option in _all('') for each in _zsh_option(option))}"]
    lines += [
        "        return",
        "    fi",
        "    local command=$words[2]",
        "    shift words",
        "    (( CURRENT-- ))",
        "    case $command in",
    ]
    for name in commands():
        behind = "'*:::command:_normal'" if name in ("run", "map", "sandbox") else ""
        lines += [f"        {name})", "            _arguments -S \\"]
        lines += [f"                {each} \\" for option in _all(name) for each in _zsh_option(option)]
        lines += [f"                {behind or chr(39) + '*:file:_files' + chr(39)}", "            ;;"]
    return "\n".join([*lines, "    esac", "}", "", '_aiospawn "$@"', ""])


def _fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _fish_name(name: str) -> str:
    if name.startswith("--"):
        return f"-l {name[2:]}"
    return f"-s {name[1]}" if len(name) == 2 else f"-o {name[1:]}"


def fish() -> str:
    """A line for each option."""
    names = " ".join(commands())
    lines = ["# fish completion for aiospawn", "complete -c aiospawn -f"]
    nothing_yet = f"not __fish_seen_subcommand_from {names}"
    lines += [
        f"complete -c aiospawn -n '{nothing_yet}' -a {name} -d '{_fish_text(summary_of(name))}'" for name in commands()
    ]
    for name in ("", *commands()):
        seen = f"__fish_seen_subcommand_from {name}" if name else nothing_yet
        for option in _all(name):
            words = [f"complete -c aiospawn -n '{seen}'", *map(_fish_name, option.names)]
            if option.value and not option.optional_value:
                words.append(f"-x -a '{' '.join(option.choices)}'" if option.choices else "-r -F")
            lines.append(" ".join([*words, f"-d '{_fish_text(option.help)}'"]))
        if name in ("run", "map", "sandbox"):
            lines.append(f"complete -c aiospawn -n '{seen}' -a '(__fish_complete_command)'")
    return "\n".join([*lines, ""])


def main(directory: str) -> None:
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    for name, text in {"aiospawn": bash(), "_aiospawn": zsh(), "aiospawn.fish": fish()}.items():
        (place / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
