#!/bin/bash
# A libvirtd of its own, in namespaces of its own, so that nothing of the host changes and all of it
# ends together. $1: its directory, $2: cache. Three things make libvirt slow or break it on machines
# without a real init or a usable KVM, each with its remedy: orphans are collected late (here the
# first process of the namespace does nothing else), /dev/kvm in sight makes it probe QEMU again and
# again (an empty file lies over it), and QEMU's own mount namespace fails with that (switched off).
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
place=$1 cache=$2
mkdir -p "$place"/{run,lib,log,etc} "$cache"
chmod 755 "$place" "$place"/*
cp -a /etc/libvirt/. "$place/etc/"
rm -rf "$place/etc/qemu" "$place/etc/storage"
mkdir -p "$place/etc/qemu/networks"
printf 'namespaces = []\n' > "$place/etc/qemu.conf"
printf 'unix_sock_group = "root"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n' > "$place/etc/libvirtd.conf"
: > "$place/nokvm"
chmod 0 "$place/nokvm"
mkdir -p /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
export place cache
exec unshare --net --mount --pid --fork --kill-child --mount-proc bash -c '
ip link set lo up
if [ -e /dev/kvm ]; then mount --bind "$place/nokvm" /dev/kvm; fi
mount --bind "$place/run" /run/libvirt
mount --bind "$place/etc" /etc/libvirt
mount --bind "$place/lib" /var/lib/libvirt
mount --bind "$place/log" /var/log/libvirt
mount --bind "$cache" /var/cache/libvirt
virtlogd -f "$place/etc/virtlogd.conf" -p "$place/virtlogd.pid" &
libvirtd -f "$place/etc/libvirtd.conf" -p "$place/libvirtd.pid" &
while true; do wait -n || sleep 0.05; done
'
