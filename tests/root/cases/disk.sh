# A file system made, attached, recognised, mounted, written to and read back.
# packages: busybox util-linux coreutils
# not native user: only the machine's own root may mount disks, and everybody would see it
# needs: root /dev/loop-control
#> vfat
#> written
truncate -s 8M image
mkdosfs -n K3SROOT image >made
device=$(losetup --find --show image)
blkid -p -s TYPE -o value "$device"
mkdir disk
mount -t vfat "$device" disk
echo written >disk/file
umount disk
mount -t vfat -o ro "$device" disk
cat disk/file
umount disk
losetup --detach "$device"
