#!/bin/sh
# Installs the Debian packages that a step needs, only those whose command or file is missing.
# usage: setup-host.sh build|check|test ...
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
  # shellcheck disable=SC2086 # a list of words
  if ! apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1; then
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing >/dev/null
  fi
else
  echo "setup-host: please install:$missing (on Debian: apt-get install$missing)" >&2
  exit 1
fi
