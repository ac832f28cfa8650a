# The shell: patterns and quotes as in dash and bash, recursion that ends.
# packages: busybox
#> patterns
#> names
#> recursion
#> variables
# is WANTED PATTERN STRING...: which of the strings match
is() {
    wanted=$1
    pattern=$2
    shift 2
    got=
    # shellcheck disable=SC2034 # eval reads it
    for string; do
        eval "case \$string in $pattern) got=\"\$got\$string \" ;; esac"
    done
    [ "$got" = "$wanted" ] || fail "of $*, $pattern matched '$got', not '$wanted'"
}
is '] ' '[\]]' ']' '\]' '\' a
is '] ' '[]]' ']' '[' a
is 'a ] ' '[a\]]' a ']' '\' 'a]'
is 'a - c ' '[a\-c]' a b - c '\'
is 'a b c ' '[\a-\c]' a b c - '\'
is '! a ' '[\!a]' '!' a b
is '^ a ' '[\^a]' '^' a b
is 'a \ ' '[!\]]' a '\' ']'
is '\ ' '[\\]' '\' a
is '\ ] ' '[\\\]]' '\' ']' a
is '] ' '["]"]' ']' '"'
is 'a - c ' '[a"-"c]' a b - c
is '! a ' '["!"a]' '!' a b
is 'a 5 ' '[[:alpha:]5]' a 5 :
is '[a ' '\[a' '[a' a
is '* ' '\*' '*' a
x='a]b]c'
[ "${x##*[\]]} ${x%%[\]]*} ${x#*"]"}" = 'c a b]c' ]
x='a-b-c'
[ "${x#*[x\-z]} ${x%[\-]*}" = 'b-c a-b' ]
p='[a\-c]'
# shellcheck disable=SC2254,SC2194
case - in $p) ;; *) fail 'a pattern from a variable lost its backslash' ;; esac
# shellcheck disable=SC2254,SC2194
case b in $p) fail 'a pattern from a variable lost its backslash' ;; esac
echo patterns

mkdir folder
touch 'folder/]' 'folder/a' 'folder/-' 'folder/b' 'folder/x[y]'
[ "$(cd folder && echo [\]] [a\-c] x[[]y[\]])" = '] - a x[y]' ]
[ "$(busybox find folder -name '[a\-c]' | sort)" = 'folder/-
folder/a' ]
echo names

# CVE-2026-38755: recursion ran into the end of the stack. What ends is no error.
# ends COMMAND...: with an error that says so
ends() {
    code=0
    "$@" 2>said || code=$?
    [ "$code" = 2 ] || fail "$* ended with $code"
    grep -q 'too much recursion' said || fail "$* said: $(cat said)"
}
ends sh -c 'f() { f; }; f'
# shellcheck disable=SC2016
ends sh -c 'e="eval \"\$e\""; eval "$e"'
printf '%200000s' '' | sed 's/ /{ /g' >braces
ends sh braces
{
    printf 'echo '
    printf '%60000s' '' | sed 's/ /${a:-/g'
    printf '%60000s' '' | tr ' ' '}'
} >defaults
ends sh defaults
# shellcheck disable=SC2016
sh -c 'f() { [ "$1" = 0 ] || f $(($1 - 1)); }; f 2000'
echo recursion

[ "$(env 'test/test=x' ok=y sh -c set | grep -c '^test$')" = 0 ]
[ "$(env 'test/test=x' ok=y sh -c 'export -p' | grep "ok=")" = "export ok='y'" ]
# shellcheck disable=SC3045,SC2162
[ "$(printf 'a\\bcd\n' | { read -n 3 x; echo "$x"; })" = abc ]
echo variables
