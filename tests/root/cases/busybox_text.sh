# What awk, sed and grep make of text: as gawk, GNU sed and GNU grep do.
# packages: busybox
#> awk
#> sed
#> grep
# is WANTED COMMAND...
is() {
    wanted=$1
    shift
    got=$("$@") || got="$got, exit status $?"
    [ "$got" = "$wanted" ] || fail "$* printed '$got', not '$wanted'"
}
# gsub WANTED TEXT PATTERN REPLACEMENT
gsub() {
    is "$1" awk "BEGIN { s = \"$2\"; n = gsub(/$3/, \"$4\", s); print n, s }"
}
gsub '1 abc' abc '\<b*' ''
gsub '3 [f]oo [b]ar [b]az' 'foo bar baz' '\<.' '[&]'
gsub '3 foo> bar> baz>' 'foo bar baz' '\>' '>'
gsub '4 f|o|o b|a|r' 'foo bar' '\B' '|'
gsub '1 Xfoo' foofoo '^foo' X
gsub '3 XbXcX' baaac 'a*' X
gsub '4 xhxexox' hello 'l*' x
gsub '1 a\/b' a/b '\/' '\\/'
gsub '1 a\qb' aXb X '\\q'
gsub '1 a&b' aXb X '\\&'
gsub '1 a\Xb' aXb X '\\\\&'
is abc awk 'BEGIN { print gensub(/\<b*/, "", "g", "abc") }'
is '3 "" "x" "xxb"' awk 'BEGIN { n = split("xxaxxb", a, /^x|a/); printf "%d \"%s\" \"%s\" \"%s\"\n", n, a[1], a[2], a[3] }'
is '2147483648 -3000000000 1000000000000000000' awk 'BEGIN { printf "%d %d %i\n", 2147483648, -3000000000, 1e18 }'
is '100000000 40000000000 4294967296' awk 'BEGIN { printf "%x %o %u\n", 4294967296, 4294967296, 4294967296 }'
is 'ffffffffffffffff 340282366920938463463374607431768211456' awk 'BEGIN { printf "%x %d\n", -1, 340282366920938463463374607431768211456 }'
is '   42|42   |3.14|   007' awk 'BEGIN { printf "%*d|%-*d|%.*f|%6.3d\n", 5, 42, 5, 42, 2, 3.14159, 7 }'
is '%W5' awk 'BEGIN { printf "%W%d\n", 5 }'
is '5 6 50%' awk 'BEGIN { printf "%ld %lld 50%%\n", 5, 6 }'

# CVE-2026-38752: recursion ran into the end of the stack. What ends is no error.
code=0
awk 'function f(n) { return f(n + 1) } BEGIN { f(1) }' 2>said || code=$?
[ "$code" = 1 ] || fail "endless recursion ended with $code"
grep -q 'Too much recursion' said || fail "awk said: $(cat said)"
is 2000 awk 'function f(n) { return n ? 1 + f(n - 1) : 0 } BEGIN { print f(2000) }'
{
    printf 'BEGIN { print '
    printf '%100000s' '' | tr ' ' '('
} >deep
code=0
awk -f deep 2>said || code=$?
[ "$code" = 1 ] || fail "too many brackets ended with $code"

# CVE-2026-38753: what an argument was made of is freed by another one.
printf '%s\n' \
    'function f(  i) { r = "b"; for (i = 0; i < 50; i++) k[i] = "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ" i; return 1 }' \
    'function a() { return r = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }' \
    'BEGIN { a(); s = "1"; sub(f(), r, s); print substr(s, 1, 4)' \
    'a(); print substr(r, f(), 3)' 'a(); print match(r, "Z" substr(f(), 2))' 'a(); print split(r, p, "Z" substr(f(), 2)) }' >freed
is 'AAAA
AAA
0
1' awk -f freed
echo awk

# sub TEXT COMMAND WANTED
sub() {
    got=$(printf '%s\n' "$1" | sed "$2")
    [ "$got" = "$3" ] || fail "sed '$2' made '$got' of '$1', not '$3'"
}
sub 'foo bar' 's/\<./[&]/g' '[f]oo [b]ar'
sub abc 's/\<b*//g' abc
sub 'bbb bb' 's/b\>/B/g' 'bbB bB'
sub 'foo bar' 's/\b/|/g' '|foo| |bar|'
sub 'abab' 's/\<\(a\|b\)/X/g' Xbab
sub foofoo 's/^foo/X/2' foofoo
sub baaac 's/a*/X/g' XbXcX
sub baaac 's/b*/X/2' baXaac
sub 'bbb bb' 's/b*/X/2' 'bbb X'
sub '' 's/b*/X/2' ''
sub foofoo 's/o/0/3g' foof00
sub foofoo 's/o/0/2' fo0foo
echo sed

# finds TEXT WANTED OPTION...: WANTED is what `grep -o` prints, on one line.
finds() {
    text=$1
    wanted=$2
    shift 2
    got=$(printf '%s\n' "$text" | grep -o "$@" | tr '\n' ' ') || true
    [ "$got" = "$wanted" ] || fail "grep -o $* found '$got' in '$text', not '$wanted'"
}
finds 'foo bar' 'f b ' '\<.'
finds 'foofoo' 'foo ' '^foo'
finds 'foobar foo' 'foo ' -w foo
finds 'xfoo foo foox foo' 'foo foo ' -w foo
finds 'foo bar baz' 'b a b a ' -e a -e b
finds 'foobar foo' 'foo bar foo ' -F -e foo -e bar
finds 'FOO foo' 'FOO foo ' -F -i foo
finds 'abc' 'abc ' -x 'a.c'
if echo foobar | grep -qw foo; then fail 'grep -w took a part of a word'; fi
echo 'xfoo foo' | grep -qw foo
if echo foo | grep -qw '^'; then fail 'grep -w took a place for a word'; fi
echo grep
