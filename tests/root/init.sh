#!/bin/sh
# The first process of the machine that qemu boots: runs every case and reports over the serial line, where the kernel
# may also write. `@` begins a report; what a case printed is between the reports, after `1|` or `2|`.
export PATH=/k3s/bin:/k3s/bin/aux LC_ALL=C HOME=/root
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t tmpfs tmpfs /tmp
busybox mount -t tmpfs tmpfs /run
# These make devices; whatever else is needed the kernel asks modprobe for.
for module in tun fuse loop; do
    busybox modprobe $module
done
echo "@ booted"

while read -r name where; do
    echo "@ begin $name"
    mkdir "/tmp/$name"
    cd "/tmp/$name" || continue
    set -- busybox sh -eu "/cases/$name"
    if command -v timeout >/dev/null; then set -- timeout -k 10 300 "$@"; fi
    # The machine's own network is good enough where the root has no iproute2.
    if [ "$where" = apart ] && ip netns add "$name" 2>/dev/null; then set -- ip netns exec "$name" "$@"; fi
    "$@" >"/tmp/$name.1" 2>"/tmp/$name.2" </dev/null
    code=$?
    for output in 1 2; do
        busybox sed "s/^/$output|/" "/tmp/$name.$output"
        echo
    done
    echo "@ end $name $code"
done </cases/list
echo "@ done"
busybox poweroff -f
