# packages: util-linux coreutils
# needs: root /dev/loop-control
#> from the file
#> 1
truncate -s 1M disk
printf 'from the file' | dd of=disk conv=notrunc 2>dd.log
device=$(losetup --find --show disk)
trap 'losetup --detach $device' EXIT
head -c 13 "$device"
echo
losetup --noheadings --output BACK-FILE "$device" | grep -c disk
