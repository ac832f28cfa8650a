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
