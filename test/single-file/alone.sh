# SPDX-License-Identifier: Apache-2.0
# Runs a command where there is nothing but dist/runts, the libraries that it names, and busybox: in a mount namespace
# of its own, with a root of its own. The host's kernel files (/proc, /dev) are there, as on any machine.
# usage: unshare -m sh alone.sh EXECUTABLE COMMAND...
set -eu
executable=$1
shift
root=$(mktemp -d)
mount --make-rprivate /
mount -t tmpfs runts "$root"
cd "$root"
mkdir -p usr/local/bin bin proc dev tmp etc old
cp "$executable" usr/local/bin/runts
cp "$(command -v busybox)" bin/busybox
for name in sh true uname ls env echo cat; do ln -s busybox "bin/$name"; done
for library in $(ldd "$executable" | grep -o '/[^ ]*'); do
  mkdir -p ".${library%/*}"
  cp -L "$library" ".$library"
done
mount --rbind /proc proc
mount --rbind /dev dev
pivot_root . old
exec /bin/busybox chroot . /bin/busybox sh -c 'busybox umount -l /old && rmdir /old && exec "$@"' sh "$@"
