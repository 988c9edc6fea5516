# SPDX-License-Identifier: Apache-2.0
# Functions for the shell cases of test/oci. RT: runtime (name for docker, path for ctr), C: a container
# name of this case alone, G: cgroup parent, W: an empty directory of this case.
docker() { command /usr/bin/docker "$@"; }
# What run, up and made have in common.
options=(--runtime "$RT" --network none --cgroup-parent "$G" --label "case=$C")
run() { docker run --rm "${options[@]}" "$@"; }
# A container that stays: up [OPTION...] IMAGE COMMAND...
up() { docker run -d --name "$C" "${options[@]}" "$@" >/dev/null; }
inspect() { docker inspect -f "$1" "${2:-$C}"; }
# until COMMAND...: polls; a minute and a half is a failure.
until_() { local end=$((SECONDS + 90)); while ((SECONDS < end)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done; echo "never: $*"; return 1; }
# logged WORD [CONTAINER]: until the container's log has it.
logged() { until_ eval "docker logs ${2:-$C} 2>&1 | grep -q -- '$1'"; }
# ended [CONTAINER]: waits and tells the exit code.
ended() { timeout 120 /usr/bin/docker wait "${1:-$C}"; }
cleanup() { docker ps -aq --filter "label=case=$C" | xargs -r /usr/bin/docker rm -fv >/dev/null 2>&1; }
trap cleanup EXIT
cd "$W" || exit 99
