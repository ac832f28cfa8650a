# packages: busybox
#> b
#> x is 1
#> two
#> data
#> lsmod
#> 1
#> unpacked within
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

# CVE-2023-42366: a program that ends within a pattern was read on behind its end, where the next argument is.
if awk '/\' / 2>said; then fail "awk took half a pattern"; fi
grep -q 'Unexpected end of string' said || fail "awk said: $(cat said)"

# CVE-2023-39810: members of an archive led out of the folder: by name, by a hard link to such a name, as the folder above.
# member INODE MODE LINKS NAME DATA: the name has two bytes, or a multiple of four more, and the data four or none.
member() {
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0\0\0\0%s' \
        "$1" "$2" 0 0 "$3" 0 "${#5}" 0 0 0 0 $((${#4} + 4)) 0 "$4" "$5"
}
{
    member 1 0100644 1 ../outside data
    member 2 0100644 2 ../another data
    member 2 0100644 2 linked ''
    member 3 0040777 2 .. ''
    member 0 0 1 'TRAILER!!!' ''
} >archive
mkdir within
echo mine >another
chmod 700 .
(cd within && cpio -iu <../archive)
[ ! -e outside ]
[ "$(cat another within/outside within/another within/linked)" = "mine
datadatadata" ]
find . -prune -perm 0700 | grep -x .
echo unpacked within
