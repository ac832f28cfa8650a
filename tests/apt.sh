# shellcheck shell=sh
# For scripts that get packages of Debian's, by `. apt.sh`: from whatever mirror this machine's apt uses, verified as
# apt verifies packages, by way of an apt state of its own, so that the machine's is left alone. What goes wrong is
# said by the script's `fail`.

# kept ARCH NAME FILE: what is got for ARCH is kept in `NAME` in k3sroot's cache. If FILE is there already, prints where it
# is and ends the script. Sets $arch, $cache to the folder, $work to one that goes when the script ends, and $debian to
# Debian's name for the arch.
kept() {
    arch=$1 cache=${K3SROOT_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/k3sroot}/$2
    case $arch in
        amd64 | arm64 | riscv64) debian=$arch ;;
        arm) debian=armhf ;;
        *) fail "the arch is one of amd64, arm64, arm and riscv64, not '$arch'" ;;
    esac
    if [ -e "$cache/$arch/$3" ]; then
        echo "$cache/$arch/$3"
        exit
    fi
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.$arch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
}

# keep FOLDER FILE: keeps FOLDER as what was got, and prints where FILE is in it. Whoever is first wins; both are the same.
keep() {
    mv -T "$1" "$cache/$arch" 2>/dev/null || [ -e "$cache/$arch/$2" ] || fail "cannot write $cache/$arch"
    echo "$cache/$arch/$2"
}

# apt_state SUITE: makes that state in $work, with an index of SUITE for $debian.
apt_state() {
    suite=$1
    for program in apt-get apt-cache dpkg-deb tar; do
        command -v "$program" >/dev/null || fail "this machine has no $program"
    done
    targets=$(apt-get indextargets --no-release-info --format "\$(REPO_URI)" \
        'Created-By: Packages' 'Component: main') ||
        fail "apt-get does not say what mirrors it is set up with"
    mirrors=$(echo "$targets" | grep '/debian/*$' | sort -u)
    [ "$mirrors" ] || fail "apt is not set up with a mirror of Debian"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    : >"$work/status"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    signed=
    if [ -e "$keyring" ]; then signed="[signed-by=$keyring]"; fi
    for mirror in $mirrors; do
        echo "deb $signed $mirror $suite main"
    done >"$work/sources"
    apt apt-get update >"$work/log" 2>&1 || fail "apt cannot read the index of $suite: $(said)"
}

# apt COMMAND...: apt-get or apt-cache with that state. The machine's proxies, passwords and the like hold.
apt() {
    program=$1
    shift
    "$program" -q -o Dir::State="$work" -o Dir::State::Status="$work/status" -o Dir::State::Lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o Dir::Etc::SourceList="$work/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User= \
        -o APT::Architecture="$debian" -o APT::Architectures="$debian" -o Acquire::Languages=none \
        -o APT::Update::Error-Mode=any "$@"
}

# said: the first that apt complained of.
said() {
    grep '^[EW]:' "$work/log" | head -n 1
}
