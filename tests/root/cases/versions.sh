# Every program starts and says what it is.
# packages: busybox
#> done
# in_root PACKAGE PROGRAM: whether the program is there, as it has to be if the root has its package.
in_root() {
    case $lacks in *" $1 "*) return 1 ;; esac
    command -v "$2" >/dev/null || fail "no $2"
}

# says PACKAGE TEXT PROGRAM ARGUMENT...
says() {
    package=$1 text=$2
    shift 2
    in_root "$package" "$1" || return 0
    said=$("$@" 2>&1) || fail "$*: $said"
    case $said in *"$text"*) echo "$1: $(echo "$said" | head -n 1)" ;; *) fail "$*: $said" ;; esac
}

# asks PACKAGE TEXT PROGRAM ARGUMENT...: one that asks the kernel first, and where that lacks netfilter says so.
asks() {
    in_root "$1" "$3" || return 0
    package=$1 text=$2
    shift 2
    if part "netfilter" "$@" >asked; then says "$package" "$text" "$@"; fi
    cat asked
}
says findutils 'GNU findutils' find --version
says findutils 'GNU findutils' xargs --version
says coreutils 'GNU coreutils' sort --version
says ethtool 'ethtool version' ethtool --version
says fuse-overlayfs 'fuse-overlayfs: version' fuse-overlayfs --version
says slirp4netns 'slirp4netns version' slirp4netns --version
says util-linux 'util-linux' nsenter --version
says util-linux 'util-linux' blkid -V
says util-linux 'util-linux' losetup --version
says pigz 'pigz' pigz --version
says iptables '(legacy)' iptables-legacy --version
says ebtables 'ebtables' ebtables-legacy --version
asks nftables 'nftables v' nft --version
asks conntrack-tools 'conntrack v' conntrack --version
asks ipset 'ipset v' ipset --version
asks iptables '(nf_tables)' xtables-nft-multi iptables --version
case $(busybox | head -n 1) in 'BusyBox v1.'*) ;; *) fail 'busybox does not say its version' ;; esac
echo 'done'
