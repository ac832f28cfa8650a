# packages: coreutils
#> ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -
#> 1.9 1.10
#> 2 éwX
#> sort (GNU coreutils) 9.
printf 'abc' | sha256sum
printf '1.10\n1.9\n' | sort -V | tr '\n' ' '
echo
# CVE-2026-56391: `é` has two bytes, and was measured again in place of `w`, so that X and Y were compared as well.
printf '\303\251wX\n\303\251wY\n' | LC_ALL=C.UTF-8 uniq -c -w 2
timeout 5 readlink -f . >where
[ "$(stat -c %s where)" -gt 1 ]
mktemp -d ./XXXXXX >made
test -d "$(cat made)"
code=0
timeout 0.2 sleep 20 || code=$?
[ "$code" = 124 ]
sort --version | head -n 1
# A byte 0xFF is no end of the file, and what has come is folded before the rest does.
[ "$(printf 'a\377b\n' | fold -w 10 | wc -c)" = 4 ] || fail "fold stops at 0xFF"
mkfifo pipe
fold -w 60 <pipe >folded &
exec 3>pipe
seq 3000 >&3
sleep 1
[ -s folded ] || fail "fold waits for more than has come"
exec 3>&-
wait
# Half a float, where the compiler has it: configure could not run a program to find out.
case $(uname -m) in
x86_64 | aarch64) [ "$(printf '\000\074' | od -An -tfH | tr -d ' ')" = 1 ] ;;
esac
