# Goes before every case.

# lacks: the packages that the root was built without.
lacks=" ${lacks-} "

# skip REASON: this machine cannot run the case. A booted kernel of Debian's has everything, so there it is a failure.
skip() {
    echo "SKIPPED: $*"
    if [ "$strict" ]; then exit 1; fi
    exit 77
}

# fail REASON
fail() {
    echo "$*" >&2
    exit 1
}

# part WHAT COMMAND...: runs a command that takes WHAT of the kernel. Where the kernel says that it lacks that, this
# says so and is false; anything else that goes wrong fails the case.
part() {
    what=$1
    shift
    if "$@" 2>part.errors; then return 0; fi
    cat part.errors >&2
    if [ "$strict" ] || ! grep -qE "$lacking" part.errors || grep -qF "Couldn't load" part.errors; then
        fail "failed: $*"
    fi
    echo "WITHOUT $what: $(grep -E "$lacking" part.errors | tail -n 1)"
    return 1
}
lacking='No such file or directory|Operation not supported|: Not supported|Protocol not supported'
lacking="$lacking|Protocol not available"
lacking="$lacking|do you need to insmod|missing kernel module|No chain/target/match by that name"
lacking="$lacking|cache initialization failed: Invalid argument|rule set generation id: Invalid argument"
lacking="$lacking|Can't open handler|doesn't support the ebtables|set type not supported|Cannot open session to kernel"

# needs WHAT COMMAND...: a part without which there is no use in going on.
needs() {
    part "$@" >/dev/null || skip "the kernel has no $1"
}

# apart COMMAND...: starts a process in a network namespace of its own; its id is $apart. The tarball has nothing but
# `ip` that makes one, and `ip` wants to write to /run, so the machine's unshare comes first.
apart() {
    if [ -x /usr/bin/unshare ]; then
        /usr/bin/unshare --net "$@" &
    else
        ip netns add "apart-$$"
        ip netns exec "apart-$$" "$@" &
    fi
    apart=$!
    trap 'kill $apart' EXIT
    until [ "$(readlink "/proc/$apart/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
}

# xtables_copy: puts a copy of the xtables names on PATH, with links that may be changed.
xtables_copy() {
    mkdir copy
    cp -a "$(dirname "$(command -v iptables-detect.sh)")" copy/aux
    ln -s "$(command -v busybox)" copy/busybox
    PATH=$PWD/copy/aux:$PATH
}
