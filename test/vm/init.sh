#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# First program of the virtual machine: the host's root by 9p below, a tmpfs above, then systemd.
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
b() { /bin/busybox "$@"; }
for module in /modules/*.ko; do b insmod $module; done
for word in $(b cat /proc/cmdline); do
  case $word in modules=*) modules=${word#modules=} ;; tree=*) tree=${word#tree=} ;; esac
done
options=trans=virtio,version=9p2000.L,msize=524288
b mount -t 9p -o ro,cache=loose,$options host /host || b sh
b mount -t tmpfs -o size=75% writes /writes
b mkdir /writes/upper /writes/work
b mount -t overlay -o lowerdir=/host,upperdir=/writes/upper,workdir=/writes/work root /root || b sh
cd /root
# Of the machine around, nothing that runs: its units, its engines' leavings, its users' sessions.
b rm -rf etc/systemd/system/*.wants etc/fstab etc/machine-id etc/resolv.conf run/* 2>/dev/null
b mkdir -p run var/lib/docker lib/modules
echo runts-vm >etc/hostname
echo 5f1e0c3a7b9d4e2f8a6c0d1b3e5f7a92 >etc/machine-id
b mount --bind /root/$modules /root/lib/modules
b mount -t tmpfs -o mode=755 run run
b mkdir run/exchange
b mount -t 9p -o cache=none,$options exchange run/exchange
for unit in tmp.mount systemd-resolved systemd-timesyncd systemd-networkd-wait-online systemd-firstboot systemd-update-utmp apt-daily.timer \
  apt-daily-upgrade.timer docker.service docker.socket containerd.service podman.service podman-auto-update.timer systemd-binfmt e2scrub_all.timer fstrim.timer \
  man-db.timer dpkg-db-backup.timer getty@tty1 serial-getty@ttyS0 systemd-random-seed systemd-tmpfiles-setup; do
  case $unit in *.*) ;; *) unit=$unit.service ;; esac
  b ln -sf /dev/null etc/systemd/system/$unit
done
b cat >etc/systemd/system/job.service <<UNIT
[Unit]
After=dbus.service systemd-user-sessions.service
Wants=dbus.service systemd-logind.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
Delegate=yes
ExecStart=/bin/bash -c '/bin/bash /run/exchange/job >/run/exchange/output 2>&1; echo \$\$? >/run/exchange/status; sync'
TimeoutStartSec=infinity
UNIT
b mkdir -p etc/systemd/system/multi-user.target.wants
b ln -sf /etc/systemd/system/job.service etc/systemd/system/default.target.wants/ 2>/dev/null
b ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
b mkdir -p etc/systemd/system/multi-user.target.wants
b ln -sf /etc/systemd/system/job.service etc/systemd/system/multi-user.target.wants/job.service
cd /
exec /bin/busybox switch_root /root /lib/systemd/systemd
