#!/bin/bash
# Two hosts on one machine: two network namespaces, joined by a veth pair, with an address each (10.77.0.1 and 10.77.0.2).
#   two_hosts.sh FOLDER FIRST SECOND
# runs the shell command FIRST on the first host and SECOND on the second, each until both have ended; their output goes to FOLDER/host-0.log
# and host-1.log. The first host is called host-a, and as on Debian its own name leads to a loopback address on it. Needs root, or user
# namespaces; exits with 77 and the reason where it has neither. Nothing of it is left afterwards.
set -euo pipefail

if [[ ${TWO_HOSTS_INSIDE-} != yes ]]; then
  export TWO_HOSTS_INSIDE=yes
  for user in "" --map-root-user; do
    if problem=$(unshare $user --net --mount bash -c 'mount -t tmpfs none /run && ip link add probe-a type veth peer name probe-b' 2>&1); then
      exec unshare $user --net --mount "$0" "$@"
    fi
  done
  echo "no network namespaces can be made here: ${problem//$'\n'/; }"
  exit 77
fi

folder=$1 commands=("$2" "$3")
mount -t tmpfs none /run   # Where ip keeps the names of namespaces.
pids=()
for host in 0 1; do
  ip netns add "host-$host"
  ip -n "host-$host" link set lo up
done
ip -n host-0 link add veth0 type veth peer name veth0 netns host-1
for host in 0 1; do
  ip -n "host-$host" address add "10.77.0.$((host + 1))/24" dev veth0
  ip -n "host-$host" link set veth0 up
  name=$([[ $host == 0 ]] && echo 127.0.1.1 || echo 10.77.0.1)
  printf '127.0.0.1 localhost\n%s host-a\n10.77.0.2 host-b\n' "$name" >"$folder/hosts-$host"
done
for host in 0 1; do
  ip netns exec "host-$host" bash -c "mount --bind '$folder/hosts-$host' /etc/hosts && ${commands[$host]}" >"$folder/host-$host.log" 2>&1 &
  pids+=($!)
done
code=0
for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
exit "$code"
