#!/bin/sh
# The first and only process of the guest: mounts what the host serves, and does the main job on
# each mount. `RESULT <mount> ok` is what the host looks for.
export PATH=/bin LD_LIBRARY_PATH=/lib64 HOME=/tmp
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs t /tmp
for module in virtio_pci virtio_net nfsv4 cifs; do modprobe $module; done
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
read -r nfs_port smb_port < /ports
mkdir -p /mnt/nfs /mnt/smb /tmp/source/sub
dd if=/dev/urandom of=/tmp/source/large bs=1M count=6 2>/dev/null
seq 1 20000 > /tmp/source/sub/numbers

main_job() {
    mount=$1 repository=/mnt/$1/repository target=/tmp/target-$1 sheet=/tmp/sheet-$1
    # A passphrase costs seconds of argon2 on an emulated processor.
    on="--no-progress --recovery-key-file $sheet --repository $repository"
    mkdir "/mnt/$mount/probe" && tintype repo probe --repository "/mnt/$mount/probe" &&
        TINTYPE_PASSWORD=not-used-again tintype repo init --no-probe --no-progress \
            --repository "$repository" --recovery-key-out "$sheet" > /dev/null &&
        tintype repo snapshot $on /tmp/source || return 1
    date > "/tmp/source/changed-for-$mount"
    # Two writers at once, and then what they left is one.
    tintype repo snapshot $on /tmp/source & other=$!
    tintype repo snapshot $on /tmp/source && wait $other &&
        tintype repo restore $on latest --to "$target" --verify || return 1
    for file in large sub/numbers "changed-for-$mount"; do
        cmp "/tmp/source/$file" "$target/source/$file" || return 1
    done
    tintype repo prune $on --keep-last 1 --gc --yes && tintype repo verify $on --all
}

mount -t nfs4 -o "addr=10.0.2.2,clientaddr=10.0.2.15,port=$nfs_port,vers=4.1,proto=tcp" \
    10.0.2.2:/export /mnt/nfs && main_job nfs && echo "RESULT nfs ok"
mount -t cifs -o "ip=10.0.2.2,port=$smb_port,username=root,password=guest,vers=3.1.1" \
    //10.0.2.2/export /mnt/smb && main_job smb && echo "RESULT smb ok"
poweroff -f
