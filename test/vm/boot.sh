#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host as users have them: Debian's kernel, systemd as pid 1, the unified hierarchy of cgroup v2. Boots it in a virtual
# machine whose root is this machine's own file system, read by 9p under an overlay in memory (nothing is written to it),
# runs SCRIPT there as root, prints what it prints and ends with its exit code.
#   test/vm/boot.sh SCRIPT [ARGUMENT...]
# RUNTS_VM_DIR: where kernel and exchange directory are kept (default /var/tmp/runts-vm); RUNTS_VM_SECONDS: time limit (600).
# Needs qemu-system-x86, kmod, cpio, busybox-static, systemd-sysv, dbus and libpam-systemd of Debian, and KVM (without it: slow).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
dir=${RUNTS_VM_DIR:-/var/tmp/runts-vm}
script=$(realpath "$1"); shift
mkdir -p "$dir"

if ! ls "$dir"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
  mkdir -p "$dir/package" && chmod 777 "$dir/package"
  (cd "$dir/package" && apt-get download -qq "$package")
  dpkg-deb -x "$dir"/package/linux-image-*.deb "$dir/kernel"
  rm -r "$dir/package"
fi
kernel=$(ls "$dir"/kernel/boot/vmlinuz-* | tail -1)
release=${kernel##*/vmlinuz-}

# Built anew each time: it is small, and the scripts may have changed.
initrd=$(mktemp -d "$dir/initrd.XXXXXX")
exchange=$(mktemp -d "$dir/exchange.XXXXXX")
trap 'rm -rf "$initrd" "$initrd.cpio" "$exchange"' EXIT
mkdir -p "$initrd"/{bin,dev,proc,sys,host,writes,root,modules}
cp "$(command -v busybox)" "$initrd/bin/busybox"
cp "$here/init.sh" "$initrd/init"
chmod 755 "$initrd/init"
[ -e "$dir/kernel/lib/modules/$release/modules.dep" ] || depmod -b "$dir/kernel" "$release"
number=0
for module in virtio_pci 9pnet_virtio 9p overlay; do modprobe -d "$dir/kernel" -S "$release" --show-depends "$module"; done |
  awk '{ print $2 }' | awk '!seen[$0]++' | while read -r file; do
  number=$((number + 1))
  cp "$file" "$initrd/modules/$(printf %02d $number).ko"
done
(cd "$initrd" && find . | cpio -o -H newc --quiet) >"$initrd.cpio"

cat >"$exchange/job" <<JOB
cd $(printf %q "$tree")
export PATH=$(printf %q "$PATH") RUNTS_TREE=$(printf %q "$tree") RUNTS_VM_EXCHANGE=/run/exchange
exec bash $(printf '%q ' "$script" "$@")
JOB
mount_options=security_model=none,multidevs=remap
set +e
timeout -k 5 "${RUNTS_VM_SECONDS:-600}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
  -machine "q35,accel=${RUNTS_VM_ACCEL:-tcg}" -cpu max -smp "${RUNTS_VM_CPUS:-2}" -m "${RUNTS_VM_MEMORY:-4G}" \
  -kernel "$kernel" -initrd "$initrd.cpio" \
  -append "console=ttyS0 quiet loglevel=${RUNTS_VM_LOGLEVEL:-3} panic=-1 mitigations=off modules=$dir/kernel/lib/modules tree=$tree systemd.show_status=${RUNTS_VM_STATUS:-no}" \
  -serial "${RUNTS_VM_CONSOLE:-file:$dir/console.log}" -device virtio-rng-pci -nic none \
  -fsdev "local,id=host,path=/,readonly=on,$mount_options" -device virtio-9p-pci,fsdev=host,mount_tag=host \
  -fsdev "local,id=exchange,path=$exchange,$mount_options" -device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
  ${RUNTS_VM_QEMU:-} </dev/null &
vm=$!
tail -n +1 -F --pid=$vm "$exchange/output" 2>/dev/null
wait $vm
status=$(cat "$exchange/status" 2>/dev/null)
[ -n "$status" ] || { echo "test/vm: the machine ended before the script did; its console: $dir/console.log" >&2; tail -20 "$dir/console.log" >&2; }
exit "${status:-1}"
