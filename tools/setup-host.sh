#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that a step needs, only those whose command or file is missing.
# usage: setup-host.sh npm|build|check|test|browsers|engines ...
set -eu

missing=''
need() { # need PACKAGE COMMAND-OR-FILE
  case $2 in
    /*) [ -e "$2" ] && return 0 ;;
    *) command -v "$2" >/dev/null 2>&1 && return 0 ;;
  esac
  missing="$missing $1"
}

for step in "$@"; do
  case $step in
    npm)
      need npm npm
      ;;
    build)
      need gcc cc
      need make make
      need libc6-dev /usr/include/stdio.h
      need linux-libc-dev /usr/include/linux/types.h
      ;;
    check)
      need clang-format clang-format
      need linux-libc-dev /usr/include/linux/types.h
      ;;
    test)
      need gcc gcc
      need g++ g++
      need libc6-dev /usr/include/stdio.h
      need strace strace
      need busybox-static busybox
      need python3 /usr/bin/python3
      need libpython3.11-testsuite /usr/lib/python3.11/test/test_posix.py
      need sqlite3 sqlite3
      need perl perl
      need git git
      need xz-utils xz
      need bash bash
      need tmux tmux
      need vim-tiny vim.tiny
      need procps top
      need less less
      need bsdutils script
      need util-linux setpriv
      ;;
    browsers)
      # 110 MB to fetch and 360 on the disk: for the programs' tests alone, which skip without.
      need chromium chromium
      ;;
    engines)
      need runc runc
      need containerd containerd
      need docker.io dockerd
      need docker.io /usr/bin/docker
      need iptables iptables
      need iproute2 ip
      need busybox-static busybox
      need python3 /usr/bin/python3
      need util-linux setpriv
      ;;
    *)
      echo "setup-host.sh: no step '$step'" >&2
      exit 2
      ;;
  esac
done

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "setup-host: installing$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  # The engines' packages would start their daemons.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # A mirror may be away for a moment, and a new machine's own updates may hold the lock.
  options='-q -o Acquire::Retries=5 -o Acquire::http::Timeout=60 -o DPkg::Lock::Timeout=300'
  log=$(mktemp)
  # shellcheck disable=SC2086 # lists of words
  install() { apt-get $options install -y --no-install-recommends $missing >"$log" 2>&1; }
  for pause in 0 1 5 15 45 last; do
    install && break
    if [ "$pause" = last ]; then
      cat "$log" >&2
      exit 1
    fi
    sleep "$pause"
    # shellcheck disable=SC2086
    apt-get $options update >/dev/null || true
  done
  rm -f "$log"
else
  echo "setup-host: please install:$missing (on Debian: apt-get install$missing)" >&2
  exit 1
fi
