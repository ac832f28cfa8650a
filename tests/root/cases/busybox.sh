# packages: busybox
#> b
#> x is 1
#> two
#> data
#> lsmod
#> 1
echo 'a b' | awk '{ print $2 }'
printf 'x=1\n' | sed 's/=/ is /'
printf 'one\ntwo\n' | grep tw
printf 'data' | gzip | zcat
echo
busybox --list | grep -x lsmod
free | grep -c Mem:
mkdir in out
echo packed >in/file
tar -c -f - in | tar -x -f - -C out
cmp in/file out/in/file
[ "$(echo 'un un' | tr u a)" = 'an an' ]
ps >processes
grep -q sh processes
