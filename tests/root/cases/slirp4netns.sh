# A namespace gets a device with an address, and reaches through it what listens here.
# packages: slirp4netns util-linux busybox
# packages when booted: iproute2
# needs: /dev/net/tun
#> mtu 65520
#> inet 10.0.2.100/24
#> through the tap device
apart sleep 600
busybox ip link set lo up
mkfifo ready
slirp4netns --configure --mtu=65520 --ready-fd=3 "$apart" tap0 3>ready >log 2>&1 &
slirp=$!
cat >server <<'END'
#!/bin/sh
while read -r line && [ "${#line}" -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\nthrough the tap device\n'
END
echo "8080 stream tcp nowait root $(command -v busybox) busybox sh $PWD/server" >inetd.conf
inetd -f inetd.conf &
inetd=$!
trap 'kill $slirp $inetd $apart; cat log >&2' EXIT
timeout 60 head -c 1 ready >is-ready
nsenter --target "$apart" --net busybox ip addr show dev tap0
nsenter --target "$apart" --net busybox wget -q -O - http://10.0.2.2:8080/
