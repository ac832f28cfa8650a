# packages: fuse-overlayfs busybox coreutils
# needs: /dev/fuse
#> below
#> above
#> below
mkdir lower upper work merged
echo below >lower/old
fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work merged
cat merged/old
echo above >merged/new
rm merged/old
cat upper/new
test ! -e merged/old
cat lower/old
# As an image's layers are stacked, with a folder that hides the one below.
mkdir -p lower/d
touch lower/d/hidden
umount merged
rm -rf upper/* work/*
fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work merged
rm -r merged/d
mkdir merged/d
[ -z "$(ls merged/d)" ]
umount merged

# A new folder has nothing of the one that was moved away from there.
mkdir -p lower/one/two/moved
touch lower/one/two/moved/file
fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work merged 2>errors
mv merged/one/two/moved merged/one/two/away
cp -r merged/one/two/away merged/one/two/moved
umount merged
[ ! -s errors ] || fail "said: $(cat errors)"

# Colons in the names of folders, escaped as for the kernel's overlay, and as older versions want it.
mkdir a:b up:per wo:rk
echo colon >a:b/file
for colon in '\:' '\\:'; do
    fuse-overlayfs -o "lowerdir=lower:a${colon}b,upperdir=up${colon}per,workdir=wo${colon}rk" merged
    [ "$(cat merged/file merged/old)" = "$(printf 'colon\nbelow')" ] || fail "$colon: $(ls merged)"
    touch merged/new
    umount merged
    rm up:per/new
done

# The kernel keeps what a first reader lists, and asks for the rest when another one comes. In between names are looked
# up from the last one on, so that they come into the table in another order. `head` stops the first reader in the middle.
rest=$(printf '%0180d' 0)
mkdir many
for folder in 1 2 3 4 5 6 7 8 9 10 11 12; do
    mkdir many/$folder
    for number in $(seq 350); do : >"many/$folder/$folder-$number-$rest"; done
done
fuse-overlayfs -o lowerdir=many,upperdir=upper,workdir=work merged
for folder in 1 2 3 4 5 6 7 8 9 10 11 12; do
    ls -U merged/$folder 2>/dev/null | head -n 1 >first
    for number in $(seq 350 -1 1); do test -e "merged/$folder/$folder-$number-$rest"; done
    ls merged/$folder >all
    [ "$(ls merged/$folder | uniq | wc -l)" = 350 ] || fail "names of folder $folder are missing"
done
umount merged
