# Every program starts and says what it is, but for those that ask the kernel first.
# packages: busybox
#> done
# says PROGRAM OPTION TEXT
says() {
    command -v "$1" >/dev/null || return 0
    text=$("$1" "$2" 2>&1) || fail "$1 $2: $text"
    case $text in *"$3"*) echo "$1: $(echo "$text" | head -n 1)" ;; *) fail "$1 $2: $text" ;; esac
}
says find --version 'GNU findutils'
says xargs --version 'GNU findutils'
says sort --version 'GNU coreutils'
says ethtool --version 'ethtool version'
says fuse-overlayfs --version 'fuse-overlayfs'
says slirp4netns --version 'slirp4netns version'
says nsenter --version 'util-linux'
says blkid -V 'util-linux'
says losetup --version 'util-linux'
says pigz --version 'pigz'
says iptables-legacy --version '(legacy)'
says ebtables-legacy --version 'ebtables'
case $(busybox | head -n 1) in 'BusyBox v1.'*) ;; *) fail 'busybox does not say its version' ;; esac
echo 'done'
