# shellcheck shell=sh
# For scripts that get packages of Debian's, by `. apt.sh`: from whatever mirror this machine's apt uses, verified as
# apt verifies packages, by way of an apt state of its own, so that the machine's is left alone. What goes wrong is
# said by the script's `fail`.

# apt_state FOLDER ARCH SUITE: makes that state in FOLDER, with an index of SUITE for ARCH, which is Debian's name.
apt_state() {
    work=$1 debian=$2 suite=$3
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
