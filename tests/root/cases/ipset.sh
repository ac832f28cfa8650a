# packages: ipset
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> Name: ips
#> 192.0.2.1
#> saved and restored
needs 'ip sets' ipset create ips hash:ip
ipset add ips 192.0.2.1
ipset test ips 192.0.2.1
! ipset test ips 192.0.2.2 || fail 'an address that was not added'
ipset list ips

# kind NAME TYPE ENTRY [OPTION...]
kind() {
    name=$1 type=$2 entry=$3
    shift 3
    part "$type" ipset create "$name" "$type" "$@" || return 0
    ipset add "$name" "$entry"
    ipset list "$name" | grep -xF "$entry" || ipset list "$name" | grep -F "$entry timeout"
}
kind nets hash:net 198.51.100.0/24
kind ports hash:ip,port 192.0.2.1,tcp:80
kind triples hash:ip,port,ip 192.0.2.1,tcp:80,192.0.2.2
kind subnets hash:ip,port,net 192.0.2.1,udp:53,198.51.100.0/24
kind nodeports bitmap:port 30000 range 30000-32767
kind pods6 hash:ip 2001:db8::1 family inet6
kind nets6 hash:net 2001:db8::/64 family inet6
kind short hash:ip 192.0.2.9 timeout 300
kind sets list:set ips

# What kube-router does at every change: a new set, and then the two change places.
ipset create new hash:ip
ipset add new 192.0.2.3
ipset swap new ips
ipset test ips 192.0.2.3
ipset destroy new

ipset save | grep -v timeout | sort >saved
ipset save >whole
# What is in a list cannot be destroyed.
ipset flush
ipset destroy
ipset list -name >left
[ ! -s left ] || fail 'sets are left'
ipset restore <whole
ipset save | grep -v timeout | sort | cmp - saved
echo 'saved and restored'
ipset --version
