# packages: coreutils
#> ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -
#> 1.9 1.10
#> sort (GNU coreutils) 9.
printf 'abc' | sha256sum
printf '1.10\n1.9\n' | sort -V | tr '\n' ' '
echo
timeout 5 readlink -f . >where
[ "$(stat -c %s where)" -gt 1 ]
mktemp -d ./XXXXXX >made
test -d "$(cat made)"
code=0
timeout 0.2 sleep 20 || code=$?
[ "$code" = 124 ]
sort --version | head -n 1
