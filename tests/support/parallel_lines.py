"""Command lines that GNU parallel and `aiospawn map` run alike, one for each behaviour of the options that both have.

Each is a shell's line with PARALLEL in it. What they print is compared byte for byte. Where it says `shell`, aiospawn gets
`--shell`: GNU parallel's commands are always a shell's. `status`: the exit statuses are compared as well.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FILES", "LINES", "Line"]

FILES = {
    "ten": "".join(f"{number}\n" for number in range(1, 11)),
    "letters": "a\nb\nc\n",
    "blanks": "a\n\n b \n\t\nc\n",
    "columns": "1:x y: one \n2:z:two\n",
    "tabs": "size\tcolour\nS\tred\nM\tblue\n",
    "commas": "size,colour\nS,red\nM,light blue\n",
    "nuls": "a b\0c\nd\0",
    "commands": "echo one\necho two\n",
    "records": ">a\nx\n>b\ny\n>c\n",
    "semicolons": "a;b;c;d",
    "continued": "a \nb\nc\n",
    "unfinished": "a\nb",
}


class Line(NamedTuple):
    """One of them."""

    text: str
    shell: bool = False
    status: bool = True


def _lines(text: str, *, shell: bool = False, status: bool = True) -> list[Line]:
    return [Line(line, shell, status) for line in text.strip().splitlines() if line and not line.startswith("# ")]


LINES = [
    *_lines(r"""
# arguments, and where they come from
PARALLEL -k echo ::: a b c
PARALLEL -k echo ::: 'a  b' 'c;d' "it's" '' '$x' '\' '*' '"q"'
PARALLEL -k echo < letters
PARALLEL -k echo < unfinished
PARALLEL -k echo < blanks
cat letters | PARALLEL -k echo {} {}
PARALLEL -k echo :::: letters
PARALLEL -k -a letters echo
PARALLEL -k --arg-file letters echo {}
PARALLEL -k -a letters -a ten echo
PARALLEL -k echo :::: letters unfinished
PARALLEL -k echo ::: 1 2 :::: letters
PARALLEL -k echo ::: 1 2 ::: a b
PARALLEL -k echo ::: 1 2 ::: a b ::: x y
PARALLEL -k echo ::: 1 2 3 :::+ a b c
PARALLEL -k echo ::: 1 2 3 :::+ a b
PARALLEL -k echo ::: 1 2 :::+ a b ::: x y
PARALLEL -k echo ::: x y ::: 1 2 :::+ a b
PARALLEL -k echo :::: letters ::::+ unfinished
PARALLEL -k echo ::: 1 2 ::::+ letters
PARALLEL -k --link echo ::: 1 2 3 ::: a b
PARALLEL -k --xapply echo ::: 1 2 ::: a b c d
PARALLEL -k --link echo {1}-{2} ::: 1 2 3 :::: letters
cat letters | PARALLEL -k echo :::: -
cat letters | PARALLEL -k -a - echo
cat letters | PARALLEL -k --link echo :::: - ::: 1 2 3
PARALLEL -k -0 echo '[{}]' < nuls
PARALLEL -k --null echo '[{}]' :::: nuls
PARALLEL -k -d ';' echo '[{}]' < semicolons
PARALLEL -k -d , echo '[{}]' ::: a,b c
printf 'axxbxxc' | PARALLEL -k -d xx echo
printf 'a\tb\tc' | PARALLEL -k -d '\t' echo
printf 'a0b' | PARALLEL -k -d '\060' echo
printf 'a;b;' | PARALLEL -k -d ';' echo '[{}]'
PARALLEL -k -E c echo ::: a b c d
PARALLEL -k -E b echo < letters
PARALLEL -k -E b echo ::: 1 2 :::: letters
PARALLEL -k -r echo '[{}]' < blanks
PARALLEL -k --no-run-if-empty echo '[{}]' < blanks
PARALLEL -r echo x < /dev/null
PARALLEL echo x < /dev/null
printf '\n' | PARALLEL -r echo x
PARALLEL -k --trim n echo '[{}]' ::: ' a ' 'b '
PARALLEL -k --trim l echo '[{}]' ::: ' a ' 'b '
PARALLEL -k --trim r echo '[{}]' ::: ' a ' 'b '
PARALLEL -k --trim lr echo '[{}]' ::: ' a ' 'b '
PARALLEL -k --trim rl echo '[{}]' ::: ' a ' 'b '
PARALLEL --arg-sep ,, -k echo ,, a b
PARALLEL --arg-sep ,, -k echo {} ::: x ,, a b
PARALLEL --arg-file-sep ,, -k echo ,, letters
# values that begin with dashes
PARALLEL -k -d -- echo ::: a--b-c
PARALLEL -kd -x echo ::: a-xb
PARALLEL -k -E -- echo ::: a -- b
PARALLEL -k --arg-sep -- echo -- a b
PARALLEL -k -I -- echo x--y {} ::: a
PARALLEL -k --tagstring --tag echo ::: a
PARALLEL -k --tagstring -- -j1 -- echo ::: a
PARALLEL -k -j -1 echo ::: a b
PARALLEL -kN 2 echo ::: a b c
PARALLEL -j1 --halt -1 test -e ::: /nowhere ten letters 2>/dev/null
PARALLEL -k --joblog -log -j1 echo ::: a; cut -f 1,7,8,9 ./-log
# replacement strings
PARALLEL -k echo {} {.} {/} {//} {/.} ::: a/b.c.d x /a/b .x a.b/c
PARALLEL -k echo '{1} {2} {1.} {2/} {1//} {2/.}' ::: d/a.x ::: e/b.y
PARALLEL -k echo {2} {1} ::: 1 2 ::: a b
PARALLEL -k echo {-1} {-2} ::: 1 2 ::: a b
PARALLEL -k echo {#} {} ::: a b c
PARALLEL -k -j1 echo {%} {} ::: a b c
PARALLEL -k echo {}{} x{}y ::: a b
PARALLEL -k echo '{foo} { } {}' ::: a
PARALLEL -k -I ,, echo ,, {} ::: a b
PARALLEL -k -I@ echo x@y ::: a
PARALLEL -k --extensionreplace EE echo EE {} ::: a.b
PARALLEL -k --er EE echo EE {.} ::: a.b
PARALLEL -k --basenamereplace BB echo BB ::: a/b.c
PARALLEL -k --bnr BB echo BB {/} ::: a/b.c
PARALLEL -k --dirnamereplace DD echo DD ::: a/b.c
PARALLEL -k --dnr DD echo DD ::: a/b.c
PARALLEL -k --basenameextensionreplace BE echo BE ::: a/b.c
PARALLEL -k --bner BE echo BE ::: a/b.c
PARALLEL -k --seqreplace NN echo NN {#} {} ::: a b
PARALLEL -k -j1 --slotreplace SS echo SS {} ::: a b
# columns and headers
PARALLEL -k --colsep : echo '{1}-{2}-{3}' < columns
PARALLEL -k -C : echo {2} {1} :::: columns
PARALLEL -k --colsep : echo {3} '{4}' ::: a:b:c
PARALLEL -k --colsep - echo {4} {3} {2} {1} ::: A-B C-D ::: e-f g-h
PARALLEL -k --colsep : --trim n echo '[{2}][{3}]' < columns
PARALLEL -k --colsep '[:;]' echo {1}{2}{3} ::: 'a:b;c'
PARALLEL -k --colsep , echo {1.} {2/} ::: a.b,c/d
PARALLEL -k --header : echo {name} {age} ::: name ada bob ::: age 1 2
PARALLEL -k --header : echo {file.} {file/} {file//} {file/.} ::: file a/b.c d.e
PARALLEL -k --header : echo {size} in {colour} :::: tabs
PARALLEL -k --header : --colsep , echo {size} in {colour} {1} :::: commas
PARALLEL -k --header '.*\n' --colsep , echo {colour} {unknown} :::: commas
PARALLEL -k --header : echo {a}{b} ::: a 1 2 :::+ b 3 4
PARALLEL -k --header : --link echo {a}{b} ::: a 1 2 ::: b 3 4
PARALLEL -k --header : echo ::: a 1 2
# how many arguments
PARALLEL -k -n 2 echo ::: a b c
PARALLEL -k -n2 echo x{}y ::: a b c
PARALLEL -k --max-args 3 echo ::: a b c d
PARALLEL -k -N2 echo x{}y ::: a b c
PARALLEL -k -N2 echo {2} {1} ::: a b c
PARALLEL -k --max-replace-args 2 echo {1}-{2} ::: a b c d
PARALLEL -k -N 2 echo {1.} {2/} {#} ::: a.b c/d e.f
PARALLEL -k -n 0 echo x ::: a b
PARALLEL -k -N0 echo x {#} ::: a b
PARALLEL -k -n 2 echo ::: a b ::: 1 2
PARALLEL -k -L 2 echo ::: a b c
PARALLEL -k -L2 echo < ten
PARALLEL -k -L1 echo < continued
PARALLEL -k --max-lines=2 echo < letters
PARALLEL -k -j2 -X echo pre{}post ::: a b c d e
PARALLEL -k -j3 -X echo < ten
PARALLEL -k -j1 -X echo {} {#} < ten
PARALLEL -k -j4 -X echo a{}b{.}c ::: 1.x 2.y 3.z
PARALLEL -k -j2 -X -n2 echo ::: a b c d e
PARALLEL -k -j2 -m echo pre{}post ::: a b c d e
PARALLEL -k -j3 -m echo < ten
PARALLEL -k -j1 -m echo {} {} < letters
PARALLEL -k -j2 -m -n2 echo x{}y ::: a b c
PARALLEL -k -j2 --xargs echo pre{}post ::: a b c d e
PARALLEL -k -j2 --xargs echo < ten
PARALLEL -k -j2 --xargs -n 3 echo < ten
PARALLEL -k -j3 -X -s 20 echo < ten
PARALLEL -k -j1 -X -s 16 echo a{} {}b ::: 1 2 3 4
PARALLEL -k -j1 -m -s 15 echo x{}y ::: 1 2 3 4 5 6
PARALLEL -k --xargs -s 12 echo < ten
PARALLEL -k -j1 -X --max-chars 14 echo ::: aa bb 'c c' dd
# output
PARALLEL -k --tag echo ::: 'a b' c
PARALLEL -k --tag echo ::: a b ::: 1 2
PARALLEL -k --tag cat ::: letters unfinished
PARALLEL -k --tagstring '{#}:' echo ::: a b
PARALLEL -k --tagstring '{1}-{2}' echo ::: a b ::: 1 2
PARALLEL -k --tagstring x cat ::: letters
PARALLEL -j1 -u echo ::: a b c
PARALLEL -j1 --ungroup echo ::: a b
PARALLEL -j1 --no-keep-order echo ::: a b
PARALLEL -j1 -k --no-keep-order echo ::: a b
PARALLEL --keep-order echo ::: a b
PARALLEL -k --line-buffer echo ::: a b c
PARALLEL -k --lb --tag cat ::: letters ten
PARALLEL -k -v echo ::: 'a b' c
PARALLEL -k -v --silent echo ::: a
PARALLEL -k -t echo ::: 'a b' c 2>&1 >/dev/null
PARALLEL -k --verbose echo ::: a 2>&1 >/dev/null
PARALLEL -k --dry-run echo {} ::: 'a b' "it's" '*' '' x
PARALLEL -k --dry-run gzip {} {.} ::: a.b
PARALLEL -k cat ::: letters ten
PARALLEL -k -j2 cat ::: nuls commands
# what becomes of jobs
PARALLEL true ::: a b
PARALLEL false ::: a b c
PARALLEL -j1 test -e ::: letters /nowhere ten
PARALLEL -k --retries 2 test -e ::: letters /nowhere
PARALLEL -j1 --halt now,fail=1 test -e ::: letters /nowhere ten 2>/dev/null
PARALLEL -j1 --halt soon,fail=1 test -e ::: /nowhere ten 2>/dev/null
PARALLEL -j1 --halt 2 test -e ::: letters /nowhere ten 2>/dev/null
PARALLEL -j1 --halt now,success=1 test -e ::: /nowhere ten letters 2>/dev/null
PARALLEL -j1 --halt-on-error never test -e ::: /nowhere ten 2>/dev/null
PARALLEL -j1 --halt 0 test -e ::: /nowhere ten 2>/dev/null
PARALLEL --delay 0.01 -k echo ::: a b
PARALLEL -k --timeout 10 echo ::: a
PARALLEL -k --timeout 0.5m1s echo ::: a
PARALLEL -k -P 2 echo ::: a b
PARALLEL -k --jobs 50% echo ::: a
PARALLEL -k --max-procs +1 echo ::: a b
PARALLEL -k --load 1000 echo ::: a
PARALLEL -k --memfree 1k echo ::: a
PARALLEL --wd / pwd ::: ''
PARALLEL --workdir /tmp -n0 pwd ::: a
PARALLEL -k --env HOME echo ::: a
PARALLEL --joblog log -j1 test -e ::: letters /nowhere; cut -f 1,7,8,9 log
PARALLEL --jl log -j1 true ::: a; PARALLEL --jl +log -j1 true ::: b; cut -f 1,7,8,9 log
PARALLEL --joblog log -j1 true ::: a; PARALLEL --joblog log --resume -k -v true ::: a b
PARALLEL --jl log -j1 test -e ::: letters /no; PARALLEL --jl log -j1 --resume-failed -v test -e ::: letters /no ten
PARALLEL --results out echo ::: a 'b c' /d > /dev/null; find out -type f | sort | xargs -d '\n' tail
PARALLEL --res out echo {1} {2} ::: a b ::: 1 > /dev/null; find out -type f | sort | xargs tail
PARALLEL --header : --results out echo {x} ::: x 1 2 > /dev/null; find out -type f | sort | xargs tail
PARALLEL --results out true ::: a >/dev/null; PARALLEL --results out --resume touch {}.new ::: a b >/dev/null; ls *.new
PARALLEL --shuf echo < ten | sort -n
PARALLEL -k --filter '{1} < {2}' echo ::: 1 2 3 ::: 1 2 3; true
PARALLEL -k --filter '{1} % 2 == 0' echo < ten; true
# each option once more, in odder shapes
printf 'a\0b\nc\0' | PARALLEL -k --null -n2 echo
printf 'a\0b\0' | PARALLEL -k -0 echo {1}{2} :::: - ::: x y
PARALLEL -k -0 echo ::: a b
printf 'x/a b.c\0' | PARALLEL -k -0 echo {/} {.} {/.} {//}
PARALLEL -k --arg-sep ,, echo x ,, a ,, 1 2
PARALLEL -k --arg-sep , --arg-file-sep ,, echo , a ,, letters
PARALLEL -k --arg-sep ,, echo ,, 1 2 ,,+ a b
PARALLEL -k --arg-file-sep ,, echo ,, letters ,,+ unfinished
PARALLEL -k --arg-file-sep ,, echo {} :::: letters ,, unfinished
PARALLEL -k --arg-sep ,, echo ::: < letters
PARALLEL -k --arg-sep ,, echo ,, a :::: letters
PARALLEL -k --bnr ,, echo ,, x,,y {/} ::: a/b.c
PARALLEL -k --bner ,, echo ,, {/.} ::: a/b.c
PARALLEL -k --er @ echo x@y ::: a.b c
PARALLEL -k --dnr @ echo @ {//} ::: a/b /c d
PARALLEL -k -I % echo % %% ::: a
PARALLEL -k -I xx echo axxb xx ::: 1 2
PARALLEL -k -I X -I Y echo X Y ::: a
PARALLEL -k -I @ echo {1} @ ::: a ::: b
PARALLEL -k -I @ echo {.} {#} {/} ::: a/b.c
PARALLEL -k --seqreplace @ echo @{}@ ::: a b
PARALLEL -k --seqreplace @ echo {} ::: a b
PARALLEL -k -j1 --slotreplace @ echo @ {%} ::: a b
PARALLEL -k --er EE --bnr BB --dnr DD --bner NN echo EE BB DD NN ::: a/b.c
PARALLEL -k -X -j1 --er @ echo x@ ::: a.b c.d
printf 'a.b|c' | PARALLEL -k -d . echo
printf 'a.b|c' | PARALLEL -k -d '|' echo
printf 'a\\nb\nc' | PARALLEL -k -d '\n' echo
printf 'a\rb\rc' | PARALLEL -k -d '\r' echo
PARALLEL -k -d , echo ::: a,b ::: 1,2
printf 'a\0b' | PARALLEL -k -d '\0' echo
printf 'a;b;c\n' | PARALLEL -k --delimiter ';' -n 2 echo
printf 'a\nEND\nb\n' | PARALLEL -k -E END echo
printf 'a\nENDX\nb\n' | PARALLEL -k -E END echo
printf 'END\nb\n' | PARALLEL -k -E END echo x
PARALLEL -k -E b echo ::: a b c ::: 1 2
PARALLEL -k -E b --link echo ::: a b c ::: 1 2 3
PARALLEL -k -E '' echo ::: a '' b
PARALLEL -k -E b -n 2 echo ::: a c b d
PARALLEL -k -E b --colsep , echo ::: a,b b c
PARALLEL -k -E b -X -j1 echo ::: a c b d
PARALLEL -j1 --no-keep-order -k echo ::: a b
printf 'a\nb\0c' | PARALLEL -k -0 echo '[{}]'
printf '\0a\0\0' | PARALLEL -k -0 echo '[{}]'
printf 'a,b,,c,' | PARALLEL -k -d , echo '[{}]'
printf 'a\nb,c\n' | PARALLEL -k -d , echo '[{}]'
printf 'a  b c' | PARALLEL -k -d ' ' echo '[{}]'
printf 'a, b' | PARALLEL -k -d ', ' echo '[{}]'
PARALLEL -k -d , echo '[{}]' ::: a, ,b
PARALLEL -k -d , -a letters echo '[{}]'
PARALLEL -k -d , echo '[{}]' ::: a,, ,
printf 'a\\b\n' | PARALLEL -k echo '[{}]'
PARALLEL -k --link echo ::: a b c ::: 1 2 ::: x
PARALLEL -k --link -n2 echo {1} {2} {3} {4} ::: a b c d ::: 1 2 3 4
PARALLEL -k --link echo ::: a b :::+ 1 2 3 ::: x y z
PARALLEL -k --xapply --tag echo ::: a b ::: 1 2
PARALLEL -k echo ::: a b :::+ 1 2 :::+ x y
PARALLEL -k echo ::: a b c :::+ 1 2 3 ::: X Y :::+ 11 22
PARALLEL -k echo :::: letters :::+ 1 2
PARALLEL -k echo ::: 1 2 :::: letters unfinished
PARALLEL -k -a letters echo ::: 1 2 :::: unfinished
PARALLEL -k -n 3 echo {2} ::: a b c d
PARALLEL -k -n 2 echo {} and {} ::: a b c
PARALLEL -k -n 2 echo {/} {.} ::: a/b.c d/e.f g
PARALLEL -k -n 2 echo {-1} ::: a b c
PARALLEL -k -n 1k echo < ten
PARALLEL -k -n 0 echo {} {#} ::: a b
PARALLEL -k -n 2 --colsep , echo ::: a,b c,d
PARALLEL -k -N 2 echo {/} {.} ::: a/b.c d/e.f g
PARALLEL -k -N 2 echo x{}y{} ::: a b c
PARALLEL -k -N 2 echo x{}y{1} ::: a b c
PARALLEL -k -N 2 echo {2}{1} {} ::: a b c
PARALLEL -k -N 3 echo {3} {2} {1} ::: a b c d
PARALLEL -k -N 2 echo ::: a b c ::: 1 2
PARALLEL -k -N 2 -j1 -X echo x{} ::: a b c
PARALLEL -k -N 2 -m echo x{} ::: a b c
PARALLEL -k -N 2 --xargs echo x{} ::: a b c
PARALLEL -k -N 2 --tag echo ::: a b c
PARALLEL -k -N 2 --tagstring {2} echo ::: a b c
PARALLEL -k -N 0 --tag echo x ::: a b
PARALLEL -k -N 2 --trim lr echo '[{}]' ::: ' a' 'b '
printf ' \na\n\n' | PARALLEL -k -r echo '[{}]'
PARALLEL -k -r echo '[{}]' ::: '' a ' '
PARALLEL -k -r echo ::: a '' ::: 1 ''
PARALLEL -k -r -n2 echo '[{}]' ::: '' '' a b
PARALLEL -k -r echo '[{#}]' ::: '' a ' ' b
PARALLEL -r -k -X -j1 echo ::: '' a ''
PARALLEL -r -k --colsep , echo '{1}{2}' ::: , a,b
printf '\n\n' | PARALLEL -r echo x
PARALLEL --shuf -j1 echo '{#}' ::: a b c
PARALLEL --shuf -j1 echo ::: a b ::: 1 2 | sort
PARALLEL --shuf -N2 -j1 echo < ten | wc -l
PARALLEL -k -t --silent echo ::: a 2>&1
PARALLEL -k --silent -v echo ::: a
PARALLEL -k -t --tag echo ::: a b 2>&1 >/dev/null
PARALLEL -k -v --tag echo ::: a b
PARALLEL -k -v --lb echo ::: a b
PARALLEL -k -v --dry-run echo ::: a b
PARALLEL -k --tag echo x ::: 'a	b' ''
PARALLEL -k --tag printf ::: 'x\n\ny' a
PARALLEL -k --tag cat ::: unfinished blanks
PARALLEL -k --tagstring '' echo ::: a
PARALLEL -k --tagstring 'a\tb' echo ::: a
PARALLEL -k --tagstring 'a\nb' echo ::: a
PARALLEL -k --tagstring '{/.}' echo ::: a/b.c 'd e.f'
PARALLEL -k --tagstring '{}-{}' echo ::: 'a b'
PARALLEL -k --tagstring '$x;' echo ::: 'a'
PARALLEL -k --tag --header : echo ::: x a b
PARALLEL -k --tagstring '{x}' --header : echo ::: x a b
PARALLEL -k --tag --colsep , echo {2} ::: a,b c,d
PARALLEL -k --tagstring '{2}' --colsep , echo {1} ::: a,b c,d
PARALLEL -k --tag --lb cat ::: unfinished letters
PARALLEL -k --lb --tagstring {#} cat ::: blanks unfinished
PARALLEL -k --tag -X -j1 echo ::: a b c
PARALLEL -k --tagstring {} -X -j1 echo ::: a b c
PARALLEL -k --total-jobs 5 echo ::: a b
PARALLEL -k --trim lr echo '[{}]' ::: '  a  b ' '	x	'
PARALLEL -k --trim lr echo '[{1}{2}]' ::: ' a ' ::: ' b '
PARALLEL -k --trim l --colsep , echo '[{1}{2}]' ::: ' a , b '
printf ' a\t\n b\n' | PARALLEL -k --trim rl echo '[{}]'
PARALLEL -k --trim lr -E b echo ::: ' a ' ' b ' c
PARALLEL -k --trim lr -r echo ::: ' a ' '  ' c
PARALLEL -k --trim lr --tag echo ::: ' a '
PARALLEL -k -x -n 2 -s 30 echo ::: a b c
PARALLEL -k -x -j1 -X -s 12 echo ::: a b c d
PARALLEL -k -I '{x}' echo '{x} {1x} {1}' ::: a b
PARALLEL -k --er '{e}' echo '{e} {1e} {1.}' ::: a.b
PARALLEL -k --dry-run --tag echo ::: a
PARALLEL -k --dry-run --tagstring {#} echo ::: a b
PARALLEL -k -r --link echo ::: a '' b ::: 1 2 3
PARALLEL -k -r echo ::: a '' b :::+ 1 2 3
PARALLEL -k --trim lr --colsep , echo '[{1}{2}]' ::: ' a , b '
PARALLEL -k --trim r --colsep , echo '[{1}{2}]' ::: ' a , b '
PARALLEL -k --seqreplace '{n}' echo '{n} {#}' ::: a
PARALLEL -k --dnr '{d}' echo '{2d} {2//}' ::: a/b ::: c/d
"""),
    *_lines(r"""
# commands of a shell
PARALLEL -k < commands
PARALLEL -k ::: 'echo a' 'echo b; echo c'
PARALLEL -k 'echo {} | tr a-z A-Z' ::: a "it's"
PARALLEL -k 'echo "{#}"; echo {}' ::: 'a  b' '$HOME'
PARALLEL -k 'exit {}' ::: 0 3 4
PARALLEL -j1 --halt now,fail=1 'exit {}' ::: 0 3 4 2>/dev/null
PARALLEL -j1 --halt now,fail=2 'exit {}' ::: 0 3 4 5 2>/dev/null
PARALLEL -j1 --halt now,done=2 'exit {}' ::: 0 3 4 2>/dev/null
PARALLEL -k --tag 'echo {}; echo err >&2' ::: a b 2>&1
PARALLEL -k --dry-run 'echo {} > {.}.out' ::: 'a b.c'
PARALLEL -k -q echo 'a;b' '$HOME' {} ::: '*'
PARALLEL -k --quote echo "it's" {} ::: a
PARALLEL -k -q perl -e 'print "@ARGV\n"' ::: 'a b' c
PARALLEL -k 'echo {1} {2}' ::: a b ::: 1 2
PARALLEL -k -N2 'echo {1} and {2}' ::: a b c d
PARALLEL -k 'echo {}; false' ::: a b
PARALLEL -k --retries 3 'echo x >>{}.tried; false' ::: a; cat a.tried
f() { echo "f $1"; }; export -f f; PARALLEL -k f ::: a 'b c'
f() { echo "$1-$2"; }; export -f f; PARALLEL -k f {2} {1} ::: a b ::: 1
X=y PARALLEL -k 'echo $X {}' ::: a
PARALLEL -k -n2 'echo {} | wc -w' ::: a b c
PARALLEL -k -j1 -X 'echo {} | wc -w' ::: a b c
PARALLEL -k --colsep , 'echo {2}; echo {1}' ::: a,b
PARALLEL -k --header : 'echo {a}; echo {a/}' ::: a x/y
PARALLEL -k 'printf "%s\n" {}' ::: 'a b' 'c
d'
PARALLEL -k 'cat {} | head -n 1' ::: letters ten
PARALLEL -k 'sh -c "exit {}"' ::: 1 2
PARALLEL --joblog log -j1 'exit {}' ::: 0 2; cut -f 1,7,8,9 log
# standard input in blocks
PARALLEL -k --pipe -N3 'cat; echo =' < ten
PARALLEL -k --pipe --block 10 'cat; echo =' < ten
PARALLEL -k --pipe --block-size 7 'cat; echo =' < ten
PARALLEL -k --spreadstdin 'cat; echo =' < ten
seq 100000 | PARALLEL -k --pipe --block 100k 'wc -c; md5sum </dev/null'
seq 300000 | PARALLEL -k --pipe wc -l
printf 'aaaaaa\n%.0s' 1 2 3 4 5 | PARALLEL -k --pipe --block 10 wc -c
PARALLEL -k --pipe --recend ';' -N1 'cat; echo' < semicolons
PARALLEL -k --pipe --recend ';' --block 4 'cat; echo' < semicolons
printf 'a--b--c--' | PARALLEL -k --pipe --recend=-- -N1 'cat; echo'
printf 'a--b--c--' | PARALLEL -k --pipe --recend -- -N1 'cat; echo'
printf -- '--a--b--c' | PARALLEL -k --pipe --recstart -- -N1 'cat; echo'
printf 'a-r b-r c' | PARALLEL -k --pipe -N 1 --rrs --recend '-r ' 'cat; echo'
printf 'a--b--c--' | PARALLEL -k --pipe --recend=-- --rrs -N2 'cat; echo'
PARALLEL -k --pipe --recstart '>' -N1 'cat; echo =' < records
PARALLEL -k --pipe --recstart '>' --block 8 'cat; echo =' < records
PARALLEL -k --pipe --recend '\n' --recstart '>' -N2 'cat; echo =' < records
PARALLEL -k --pipe --recend '\n' --recstart '>' --rrs -N1 'cat; echo =' < records
PARALLEL -k --pipe --recend '\n' --recstart '>' --remove-rec-sep -N2 'cat; echo =' < records
printf 'a==b==c' | PARALLEL -k --pipe --recend == --rrs -N2 'cat; echo'
PARALLEL -k --pipe --recend '' --block 3 'cat; echo =' < ten
PARALLEL -k --pipe --regexp --recend '[24]\n' -N1 'cat; echo =' < ten
PARALLEL -k --pipe -L2 -N2 'cat; echo =' < ten
PARALLEL -k --pipe -L2 --block 6 'cat; echo =' < ten
PARALLEL -k --pipe --header : -N2 'cat; echo =' < tabs
PARALLEL -k --pipe --header 2 -N3 'cat; echo =' < ten
PARALLEL -k --pipe -N4 'cat; echo {#}' < ten
PARALLEL -k --pipe -N4 --tag 'cat; echo {#}' < ten
PARALLEL -k --pipe -N4 'cat; exit 3' < ten
PARALLEL --pipe 'cat; echo x' < /dev/null
printf ' \n' | PARALLEL -r --pipe 'cat; echo x'
PARALLEL -k --pipe -N4 --joblog log wc -l < ten; cut -f 1,5,7,8 log
# each option once more, in odder shapes
PARALLEL -k --lb 'echo -n {}' ::: a b
PARALLEL -k --lb 'echo {}; echo {} >&2' ::: a b 2>/dev/null
PARALLEL -k 'echo {}; echo {} >&2' ::: a b 2>&1 >/dev/null
PARALLEL -k -v 'echo {} | cat' ::: 'a b' c
PARALLEL -k -t 'echo {} | cat' ::: 'a b' c 2>&1 >/dev/null
PARALLEL -k --tag 'echo; echo {}; echo' ::: a b
PARALLEL -k --tag 'printf a' ::: a b
PARALLEL -k --tag 'cat' ::: a < letters
PARALLEL -k --tagstring '{}' 'echo x; echo y >&2' ::: a 2>&1
PARALLEL -k -n 2 'echo {1}; echo {2}' ::: 'a b' c d
PARALLEL -k -N 2 'echo x{}' ::: 'a b' c d
PARALLEL -k -I @ 'echo @ | tr a b' ::: a
PARALLEL -k --tag ::: 'echo a' 'echo b'
PARALLEL -k -v ::: 'echo a; echo c' 'echo b'
PARALLEL -k --joblog log ::: 'echo a; false' true; cut -f 1,7,8,9 log
PARALLEL -k -d ';' < semicolons ; true
PARALLEL -k {} ::: 'echo a b' 'echo c'
PARALLEL -k '{} x' ::: 'echo a' 'echo c'
PARALLEL -k {1} {2} ::: echo printf ::: a b
PARALLEL -k echo '"{}"' ::: a 'b c'
PARALLEL -k echo "'{}'" ::: a 'b c'
PARALLEL -k 'echo {}' ::: "it's" 'a"b' 'a$b' 'a\b' '~' 'a!b' '#' 'é' '-n' '=' 'a{b,c}' ''
PARALLEL -k 'echo a{}b{.}c{/}' ::: 'x y/z w.e'
PARALLEL -k 'echo {};' 'echo x' ::: a
PARALLEL -k echo {} \; echo x ::: a b
PARALLEL -k echo {} \> {}.out ::: a b ; cat a.out b.out
PARALLEL -k echo '   x   y' {} ::: a
PARALLEL -k 'kill -TERM $$' ::: a
PARALLEL -j1 --joblog log 'kill -TERM $$' ::: a; cut -f 1,7,8 log
PARALLEL nosuchcommand ::: a
PARALLEL /nosuch/command ::: a
PARALLEL -k -j1 --halt soon,fail=50% 'exit {}' ::: 0 1 0 1 0 0
PARALLEL -k -j1 --halt now,success=2 'echo {}; exit {}' ::: 0 1 0 1 0 0
PARALLEL -k -j1 --halt soon,fail=2 'echo {}; exit {}' ::: 0 1 0 1 0 0
PARALLEL -k '{} {}' ::: 'echo a'
PARALLEL -k ' {} x' ::: 'echo a'
PARALLEL -k {}x ::: 'echo a; echo b'
PARALLEL -k {.} x ::: 'echo a.b'
PARALLEL -k '{#} x' ::: 'echo a.b'
PARALLEL -k {} ::: 'echo "a  b"' 'for i in 1 2; do echo $i; done'
PARALLEL -k -X -j1 {} ::: 'echo a' b
PARALLEL -k -n2 {} ::: 'echo a' 'b c'
PARALLEL -k -q {} ::: 'echo a'
PARALLEL -k --tag {} ::: 'echo a'
PARALLEL -k --pipe --block 10 --recend '' 'cat; echo =' < ten
PARALLEL -k --pipe --block 3 'cat; echo =' < unfinished
PARALLEL -k --pipe -N1 'cat; echo =' < unfinished
PARALLEL -k --pipe -N1 --rrs --recend ';' 'cat; echo' < semicolons
PARALLEL -k --pipe -N3 --rrs --recend ';' 'cat; echo' < semicolons
PARALLEL -k --pipe --rrs --recend ';' --block 4 'cat; echo' < semicolons
PARALLEL -k --pipe --recstart b --recend a -N1 'cat; echo' <<< aababab
PARALLEL -k --pipe --recstart a -N1 'cat; echo =' <<< xabacad
PARALLEL -k --pipe --recstart a --rrs -N1 'cat; echo =' <<< xabacad
PARALLEL -k --pipe --recstart a --rrs -N2 'cat; echo =' <<< xabacad
PARALLEL -k --pipe --recstart '>' --recend '\n' --block 6 'cat; echo =' < records
PARALLEL -k --pipe --recend '\n\n' -N1 'cat; echo =' < blanks
PARALLEL -k --pipe --recend '\t' -N1 'cat; echo =' < tabs
PARALLEL -k --pipe --recend '\0' -N1 'tr "\0" x; echo =' < nuls
PARALLEL -k --pipe --regexp --recend '[,;]' -N1 'cat; echo' < semicolons
PARALLEL -k --pipe --regexp --recstart '[bd]' -N1 'cat; echo' < semicolons
PARALLEL -k --pipe --regexp --rrs --recend '[,;]' -N2 'cat; echo' < semicolons
PARALLEL -k --pipe --regexp --recend '\d\n' --block 4 'cat; echo =' < ten
PARALLEL -k --pipe -L3 'cat; echo =' < ten
PARALLEL -k --pipe --max-lines 3 -N2 'cat; echo =' < ten
PARALLEL -k --pipe --header : 'cat; echo =' < tabs
PARALLEL -k --pipe --header : -N1 'cat; echo =' < commas
PARALLEL -k --pipe --header : -N1 cat < /dev/null
PARALLEL -r --pipe 'cat; echo x' < /dev/null
PARALLEL -k --pipe --tag -N5 cat < ten
PARALLEL -k --pipe --tagstring '{#}' -N5 cat < ten
PARALLEL -k --pipe -v -N5 cat < ten
PARALLEL -k --pipe --dry-run -N5 cat < ten
PARALLEL -k --pipe -N5 --retries 2 'cat; false' < ten
PARALLEL -k --pipe -j1 --halt now,fail=1 -N5 'cat; false' < ten
PARALLEL -k -a records --pipe-part --recstart '>' --block 5 'cat; echo ='
PARALLEL -k --pipe -N2 --env HOME 'cat; echo $HOME | wc -l' < letters
# on a terminal
script -qec "PARALLEL --tty 'tty < /dev/tty > /dev/null; test -t 0; echo st \$?' ::: a b" /dev/null
script -qec "PARALLEL -k -o 'test -t 0; echo \$?; test -t 1; echo \$?' ::: a" /dev/null
script -qec "PARALLEL -k --open-tty 'test -t 0; echo \$?' ::: a" /dev/null
script -qec "PARALLEL --tty -j2 -k 'test -t 1; echo \$?' ::: a" /dev/null
script -qec "PARALLEL --tty --group -k 'test -t 1; echo \$?' ::: a" /dev/null
""", shell=True),
]  # fmt: skip
