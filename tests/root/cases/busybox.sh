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

# Times as Kubernetes writes them.
# date_is WANTED TIME
date_is() {
    got=$(TZ=CET-1 busybox date -d "$2" +%Y-%m-%dT%H:%M:%S%z) || got='an error'
    [ "$got" = "$1" ] || fail "date -d '$2' printed '$got', not '$1'"
}
date_is 2026-12-01T03:03:04+0100 2026-12-01T02:03:04Z
date_is 2026-12-01T03:03:00+0100 2026-12-01T02:03Z
date_is 2026-12-01T02:03:04+0100 2026-12-01T02:03:04.5+01:00
date_is 2026-12-01T08:33:04+0100 '2026-12-01 02:03:04 -0530'
date_is 2026-12-01T03:03:04+0100 '2026-12-01 02:03:04 UTC'
date_is 2026-12-01T02:03:04+0100 2026-12-01T02:03:04
date_is 2026-12-01T02:03:04+0100 '2026-12-01 02:03:04'
date_is 1999-01-02T04:04:05+0100 '1999-1-2 3:4:5Z'
date_is 1970-01-01T01:00:00+0100 @0
date_is 'an error' 2026-12-01T02:03:04Y
date_is 'an error' 2026-12-01T

# A file was written through a link of its name.
mkdir links
(cd links && echo new >name && tar -cf ../links.tar name && rm name && ln -s ../precious name)
echo old >precious
if tar -C links --overwrite -xf links.tar 2>said; then fail 'tar --overwrite wrote through a link'; fi
[ "$(cat precious)" = old ]
[ "$(tar -xvOf links.tar 2>said)" = new ] || fail 'tar -xvO put names among the data'
[ "$(cat said)" = name ]

# CVE-2024-58251 and the like: what a process calls itself went to the terminal as it is.
escape=$(printf 'a\033[31mb')
printf '#!%s sh\nread -r line\n' "$(command -v busybox)" >"$escape"
chmod +x "$escape"
mkfifo held
PATH=$PATH:. "$escape" <held &
exec 9>held
sleep 0.5
ps >processes
ps -o comm >names
exec 9>&-
wait
grep -q 'a?\[31mb' processes
if grep -q "$(printf '\033')" processes names; then fail 'ps printed an escape'; fi

# A last line without its end.
printf 'one\ntwo' >old
printf 'one\nthree' >new
diff -u old new >change || true
patch <change >said old
cmp old new
