"""Writes completions for bash, zsh and fish, which need no Python in use: `python share/completions.py DIRECTORY`.

Commands, options and the choices of an option are completed; behind them, files, and programs where a command is expected.
"""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import Option, commands, options, parser_of, summary_of

_LAUNCHERS = ("run", "map", "sandbox")  # commands behind whose options a program is named


def _all(name: str) -> list[Option]:
    return [option for _, members in options(parser_of(name)) for option in members if option.names]


def _names(name: str) -> str:
    return " ".join(name for option in _all(name) for name in option.names)


def _valued(name: str) -> str:
    """Options whose value is the next word."""
    return " ".join(name for option in _all(name) if option.value and not option.optional_value for name in option.names)


# Readline cuts words at `=` and `:`. What is not in COMPREPLY is readline's to complete, by files.
_BASH = """\
# bash completion for aiospawn
_aiospawn() {
    local current=${COMP_WORDS[COMP_CWORD]} command="" action="" option="" program="" end="" names="" valued="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ! $command ]]; then
            case $word in
@COMMANDS@
            esac
        elif [[ $program ]]; then break
        elif [[ $word == = && ! $end ]]; then option=${COMP_WORDS[i-1]}
        elif [[ $option ]]; then option=""
        elif [[ $word == -- ]]; then end=1
        elif [[ $word == -* && ! $end ]]; then [[ " $valued " == *" $word "* ]] && option=$word
        elif [[ $command == sandbox && ! $action ]]; then action=$word
        else program=$word
        fi
    done
    [[ $current == = && ! $program$end ]] && { option=${COMP_WORDS[COMP_CWORD-1]}; current=""; }
    COMPREPLY=()
    case "$command $option" in
@CHOICES@
    esac
    if [[ $option ]]; then
        COMPREPLY=($(compgen -W "$names" -- "$option=$current")); COMPREPLY=("${COMPREPLY[@]#"$option="}")
    elif [[ ! $command ]]; then COMPREPLY=($(compgen -W '@NAMES@' -- "$current"))
    elif [[ $program ]]; then :
    elif [[ $current == -* && ! $end ]]; then COMPREPLY=($(compgen -W "$names" -- "$current"))
    elif [[ $command == sandbox && ! $action ]]; then COMPREPLY=($(compgen -W trace -- "$current"))
    elif [[ $command == @(@LAUNCHERS@) && $current != */* ]]; then COMPREPLY=($(compgen -c -- "$current"))
    fi
}
complete -o bashdefault -o default -F _aiospawn aiospawn
"""


def bash() -> str:
    """A function for `complete -F`."""
    known, choices = [], []
    for name in commands():
        known.append(f"                {name}) command={name} names='{_names(name)}' valued='{_valued(name)}';;")
        for option in _all(name):
            if option.choices:
                patterns = "|".join(f'"{name} {each}"' for each in option.names)
                words = " ".join(option.choices)
                choices.append(f"        {patterns}) COMPREPLY=($(compgen -W '{words}' -- \"$current\")); return;;")
    parts = {
        "@COMMANDS@": "\n".join(known),
        "@CHOICES@": "\n".join(choices),
        "@NAMES@": f"{' '.join(commands())} {_names('')}",
        "@LAUNCHERS@": "|".join(_LAUNCHERS),
    }
    text = _BASH
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _zsh_text(text: str) -> str:
    for each in "\\'[]:":
        text = text.replace(each, "'\\''" if each == "'" else f"\\{each}")
    return text


def _zsh_option(option: Option) -> list[str]:
    value = ""
    if option.value:
        action = f"({' '.join(option.choices)})" if option.choices else "_files"
        value = f"{':' * (2 if option.optional_value else 1)}{_zsh_text(option.value)}:{action}"
    times = "" if option.optional_value else "*"
    names = [f"{name}=" if value and name.startswith("--") else name for name in option.names]
    return [f"'{times}{name}[{_zsh_text(option.help)}]{value}'" for name in names]


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
        behind = "'*:::command:_normal'" if name in _LAUNCHERS else ""
        lines += [f"        {name})", "            _arguments -S \\"]
        lines += ["                '1:action:(trace)' \\"] if name == "sandbox" else []
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
        if name == "sandbox":
            seen += "; and not __fish_seen_subcommand_from trace"
            lines.append(f"complete -c aiospawn -n '{seen}' -a trace")
            seen = "__fish_seen_subcommand_from trace"
        if name in _LAUNCHERS:
            skipped = 3 if name == "sandbox" else 2
            # The dash: long options in front are taken for the function's own.
            behind = f"(__fish_complete_subcommand --fcs-skip={skipped} - {_valued(name)})"
            lines.append(f"complete -c aiospawn -n '{seen}' -a '{behind}'")
    return "\n".join([*lines, ""])


def main(directory: str) -> None:
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    for name, text in {"aiospawn": bash(), "_aiospawn": zsh(), "aiospawn.fish": fish()}.items():
        (place / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
