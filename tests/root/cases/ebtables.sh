# packages: ebtables busybox
# not user: qemu-user does not translate what netfilter's programs ask of the kernel
#> ebtables v2.0.11
#> -j ACCEPT
#> -j CONTINUE
ebtables-legacy --version
needs ebtables ebtables-legacy -A FORWARD -p 0x0800 -j ACCEPT
ebtables-legacy -L FORWARD

# The daemon holds the table while ebtablesu changes it, and says on stdout what it did not like.
ebtablesd >daemon.log &
daemon=$!
folder=/tmp/ebtables-v2.0.11
trap 'kill $daemon; rm -r $folder' EXIT
until [ -p $folder/ebtablesd_pipe ]; do sleep 0.1; done
ebtablesu open filter
ebtablesu -A FORWARD -p 0x0806 -j CONTINUE
ebtablesu commit filter
until ebtables-legacy -L FORWARD | grep -e '-j CONTINUE'; do
    [ ! -s daemon.log ] || fail "$(cat daemon.log)"
    sleep 0.1
done
