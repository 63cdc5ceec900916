#!/bin/sh
# Becomes the first process of a lab host: it is started inside the host's network, mount, PID, UTS and cgroup
# namespaces, gives them their contents, says "ready" and then only reaps orphans. Killing it kills the host.
#
# boot.sh NAME ETC ROOT CGROUPS
#   ETC      folder with the host's own `hosts`, `resolv.conf` and, where it has a clock of its own, `ld.so.preload`
#   ROOT     "/" for a host that shares the machine's files, or the folder that becomes its whole file system
#   CGROUPS  lines "PATH KIND OPTIONS" of the hierarchies to mount
set -eu
name=$1 etc=$2 root=${3%/} cgroups=$4

if [ -z "$root" ]; then
    # The machine's unmounts arrive here, so that no other lab's mount is held; nothing goes the other way.
    mount --make-rslave /
    mount --make-rshared /
    # Container shims leave their sockets here whatever the engine is told, and a reboot would remove them.
    mkdir -p /run/containerd
    mount -t tmpfs -o mode=711 tmpfs /run/containerd
else
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
fi
hostname "$name"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ "${cgroups%% *}" != /sys/fs/cgroup ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
fi
echo "$cgroups" | while read -r path kind options; do
    mkdir -p "$root$path"
    mount -t "$kind" ${options:+-o "$options"} "$kind" "$root$path"
done
for file in hosts resolv.conf ld.so.preload; do
    [ -e "$etc/$file" ] || continue
    touch "$root/etc/$file"
    mount --bind "$etc/$file" "$root/etc/$file"
done
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1

reap='sleep 2147483647 & echo ready; while :; do wait; done'
if [ -n "$root" ]; then
    cd "$root"
    mkdir -p .machine
    pivot_root . .machine
    exec /bin/busybox sh -c "umount -l /.machine; rmdir /.machine; mount --make-rshared /; $reap"
fi
exec sh -c "$reap"
