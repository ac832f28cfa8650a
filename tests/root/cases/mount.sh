# packages: busybox
#> tmpfs
#> bound
mkdir -p one two
mount -t tmpfs -o size=1m none one
echo bound >one/file
grep " $PWD/one " /proc/mounts | awk '{ print $3 }'
mount -o bind one two
cat two/file
umount two
umount one
test ! -e one/file
