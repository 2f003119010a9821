#!/bin/bash
# Builds the tiny test guest from Debian packages only. No debootstrap, no mount, no root needed
# (dpkg-deb -x, mke2fs -d). Idempotent: a stamp of this script + package versions in $CACHE/stamp.
# Out: $CACHE/{vmlinuz,initrd.gz,root.qcow2,data.qcow2}   Env: CACHE (required), DATA_SIZE (1G), EXTRA_BINS
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
: "${CACHE:?set CACHE}"; DATA_SIZE=${DATA_SIZE:-1G}; EXTRA_BINS=${EXTRA_BINS:-}
mkdir -p "$CACHE"; exec 9>"$CACHE/.lock"; flock 9
kimg=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-6/{print $2; exit}')
[ -n "$kimg" ] || { echo "no kernel found: run apt-get update once" >&2; exit 1; }
pkgs="$kimg qemu-guest-agent busybox-static liburing2"
ver=$(apt-cache policy $pkgs | awk '/^[^ ]/{sub(":","");p=$1} /Candidate/{print p"="$2}')
want=$(printf '%s\n' "$ver" "$DATA_SIZE" "$EXTRA_BINS" "$(sha256sum < "${BASH_SOURCE[0]}")" | sha256sum | cut -d' ' -f1)
if [ -f "$CACHE/stamp" ] && [ "$(cat "$CACHE/stamp")" = "$want" ]; then echo "guest is up to date"; exit 0; fi
rm -f "$CACHE/stamp"
w=$(mktemp -d "$CACHE/build.XXXXXX"); trap 'rm -rf "$w"' EXIT
mkdir -p "$CACHE/debs" "$w/x" "$w/root" "$w/ird"
(cd "$CACHE/debs"; for v in $ver; do p=${v%%=*}; vv=${v#*=}; f="${p}_${vv//:/%3a}_amd64.deb"; [ -s "$f" ] || apt-get download -qq -o APT::Sandbox::User=root "$v"; [ -s "$f" ] || { echo "missing $f" >&2; exit 1; }; done)
for v in $ver; do p=${v%%=*}; vv=${v#*=}; dpkg-deb -x "$CACHE/debs/${p}_${vv//:/%3a}_amd64.deb" "$w/x"; done
x=$w/x; kv=${kimg#linux-image-}
# --- initrd: busybox + modules (ext4 is built in) ---
i=$w/ird; mkdir -p "$i"/{bin,proc,sys,dev,newroot,m}
cp "$x/bin/busybox" "$i/bin/"
# load order from each module's own depends= line: it changed inside the 6.1 series (virtio now needs virtio_ring first)
declare -A seen=(); list=""
need() { local m=$1 f d; [ -z "${seen[$m]:-}" ] || return 0; seen[$m]=1
  f=$(find "$x/lib/modules/$kv/kernel" -name "$m.ko" | head -1); [ -n "$f" ] || return 0
  for d in $(tr '\0' '\n' < "$f" | sed -n 's/^depends=//p' | head -1 | tr , ' '); do need "$d"; done
  cp "$f" "$i/m/"; list="$list $m"; }
for m in virtio_pci virtio_blk virtio_console virtio_net af_packet; do need $m; done
cat > "$i/init" <<E2
#!/bin/busybox sh
export PATH=/bin
/bin/busybox mount -t proc p /proc; /bin/busybox mount -t sysfs s /sys; /bin/busybox mount -t devtmpfs d /dev
for m in $list; do /bin/busybox insmod /m/\$m.ko || echo "insmod \$m failed"; done
n=0; while [ ! -b /dev/vda ] && [ \$n -lt 100 ]; do /bin/busybox usleep 50000; n=\$((n+1)); done
/bin/busybox mount -t ext4 /dev/vda /newroot || exec /bin/busybox sh
/bin/busybox umount /proc; /bin/busybox umount /sys
/bin/busybox mount --move /dev /newroot/dev
exec /bin/busybox switch_root /newroot /sbin/init
E2
chmod 755 "$i/init"
(cd "$i" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -6n > "$w/initrd.gz")
# --- root ---
r=$w/root; mkdir -p "$r"/{bin,sbin,etc/qemu,proc,sys,dev,run,tmp,data,root,usr/sbin,usr/bin,usr/share/udhcpc,lib64,var/log}
cp "$x/bin/busybox" "$r/bin/"
"$x/bin/busybox" --list | while read -r a; do [ "$a" = busybox ] || ln -sf /bin/busybox "$r/bin/$a"; done
rm -f "$r/bin/init"
cp "$x/usr/sbin/qemu-ga" "$r/usr/sbin/"
for b in $EXTRA_BINS; do cp "$b" "$r/usr/bin/"; done
# libraries of the host (same Debian release); liburing2 from its own package
for b in "$x/usr/sbin/qemu-ga" $EXTRA_BINS; do
  LD_LIBRARY_PATH="$x/usr/lib/x86_64-linux-gnu" ldd "$b"; done | awk '/=> \//{print $3} /^[[:space:]]*\/lib64/{print $1}' | sort -u |
while read -r l; do cp -L "$l" "$r/lib64/"; done
ln -s /run "$r/var/run"; echo /lib64 > "$r/etc/ld.so.conf"
echo 'root:x:0:0:root:/root:/bin/sh' > "$r/etc/passwd"; echo 'root:x:0:' > "$r/etc/group"; echo guest > "$r/etc/hostname"
cat > "$r/sbin/init" <<'E2'
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin LD_LIBRARY_PATH=/lib64 HOME=/root
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run; mount -o remount,rw /; hostname -F /etc/hostname
ln -sf /proc/mounts /etc/mtab
[ -b /dev/vdb ] && mount -t ext4 /dev/vdb /data
ip link set lo up
for d in /sys/class/virtio-ports/*; do
  [ "$(cat $d/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && port=/dev/${d##*/}
  [ "$(cat $d/name 2>/dev/null)" = tintype.lab.0 ] && lab=/dev/${d##*/}
  [ "$(cat $d/name 2>/dev/null)" = tintype.numbers.0 ] && numbers=/dev/${d##*/}
done
# An agent of the test's own: the other's socket takes one program at a time.
[ -n "$lab" ] && mkdir -p /run/lab && qemu-ga -d -m virtio-serial -p $lab -t /run/lab -f /run/lab/pid
# Numbers from the host: each is on the disk before it is answered.
[ -n "$numbers" ] && ( while :; do exec 3<>$numbers; while read -r n <&3; do
  echo $n > /data/number.new; sync -d /data/number.new; mv /data/number.new /data/number; echo $n >&3
done; exec 3>&-; usleep 50000; done ) &
hook=; grep -q hook=1 /proc/cmdline && hook="-F/etc/qemu/fsfreeze-hook"
[ -n "$port" ] && qemu-ga -d -m virtio-serial -p $port -t /run -l /run/qemu-ga.log $hook
if [ -e /sys/class/net/eth0 ]; then ip link set eth0 up; udhcpc -i eth0 -b -S -s /usr/share/udhcpc/default.script >/run/dhcp.log 2>&1; fi
# writer: one line per step, synced; a copy is right when seq.log has no hole
grep -q nowriter /proc/cmdline || ( n=$(tail -n1 /data/seq.log 2>/dev/null || echo 0); n=${n:-0}
 while :; do n=$((n+1)); echo $n >> /data/seq.log; sync -d /data/seq.log; echo $n > /last; usleep 50000; done ) &
echo GUEST-UP > /dev/console
while :; do sleep 3600; done
E2
cat > "$r/sbin/shutdown" <<'E2'
#!/bin/sh
sync; umount /data 2>/dev/null; mount -o remount,ro / 2>/dev/null; case "$*" in *-r*) reboot -f;; *) poweroff -f;; esac
E2
cat > "$r/etc/qemu/fsfreeze-hook" <<'E2'
#!/bin/sh
echo "$1 $(cut -d' ' -f1 /proc/uptime)" >> /run/hook.log
E2
cat > "$r/usr/share/udhcpc/default.script" <<'E2'
#!/bin/sh
[ "$1" = bound ] && { ip addr flush dev $interface; ip addr add $ip/${mask:-24} dev $interface; [ -n "$router" ] && ip route add default via $router; }
exit 0
E2
chmod 755 "$r/sbin/init" "$r/sbin/shutdown" "$r/etc/qemu/fsfreeze-hook" "$r/usr/share/udhcpc/default.script"
truncate -s 64M "$w/root.raw"
mke2fs -q -t ext4 -E root_owner=0:0,lazy_itable_init=0 -d "$r" "$w/root.raw"
mkdir "$w/data"; echo hello-from-build > "$w/data/readme.txt"; mkdir -p "$w/data/dir/sub"; seq 1 20000 > "$w/data/dir/sub/numbers.txt"
truncate -s "$DATA_SIZE" "$w/data.raw"
mke2fs -q -t ext4 -E root_owner=0:0,lazy_itable_init=0 -d "$w/data" "$w/data.raw"
qemu-img convert -O qcow2 "$w/root.raw" "$w/root.qcow2"
qemu-img convert -O qcow2 "$w/data.raw" "$w/data.qcow2"
cp "$x/boot/vmlinuz-$kv" "$w/vmlinuz"
for f in vmlinuz initrd.gz root.qcow2 data.qcow2; do mv -f "$w/$f" "$CACHE/$f"; done
echo "$want" > "$CACHE/stamp"; echo "built $kv"; ls -l "$CACHE"/{vmlinuz,initrd.gz,root.qcow2,data.qcow2} | awk '{print $5, $NF}' | sed "s#$CACHE/##"
