# packages: util-linux busybox coreutils
#> LABEL=K3SROOT
#> TYPE=vfat
truncate -s 4M image
mkdosfs -n K3SROOT image >made
blkid -p -o export image | sort
