#!/bin/bash
# Several hosts on one machine: runs a command where mpirun finds so many hosts, each a network
# namespace with a hostname and an address of its own. An agent takes the place of ssh.
#
#     tests/support/hosts.sh HOSTS SLOTS COMMAND [ARGUMENT...]
#
# The command finds mpirun's hostfile in $TRESTLE_HOSTFILE. Its exit code is the script's; 77 says, with
# the reason, that this machine cannot do it (no root, no `ip`, namespaces forbidden). At most 16 hosts.
#
# The bridge between the hosts is in a namespace too, where the command runs, so nothing of the
# machine's own network changes, and two of these may run at once. Everything that was made has this
# process's number in its name; it is removed at the end, however that comes, with all that still runs
# in it. (After a kill -9 it stays: `ip netns list` shows "trestle-PID-...".)
set -u
if (($# < 3)); then
  echo "usage: hosts.sh HOSTS SLOTS COMMAND [ARGUMENT...]" >&2
  exit 2
fi
hosts=$1 slots=$2
shift 2
if ! ((hosts >= 1 && hosts <= 16 && slots >= 1 && slots <= 64)); then
  echo "hosts.sh: 1 to 16 hosts of 1 to 64 slots" >&2
  exit 2
fi

cannot() {
  echo "hosts.sh: no simulated hosts here: $1"
  exit 77
}
((EUID == 0)) || cannot "root is needed to make network namespaces"
for program in ip unshare setsid mpirun; do
  command -v "$program" >/dev/null || cannot "there is no \`$program\`"
done

name=trestle-$$
folder=$(mktemp -d "${TMPDIR:-/tmp}/trestle_hosts_XXXXXX") || exit 5
child=
remove() {
  [[ -n $child ]] && kill -KILL "$child" 2>/dev/null
  for space in "$name-hub" $(seq -f "$name-%g" 0 $((hosts - 1))); do
    [[ -e /run/netns/$space ]] || continue
    for ((try = 0; try < 50; ++try)); do  # what is killed may have started another
      [[ $(ip netns pids "$space") ]] || break
      ip netns pids "$space" | xargs -r kill -KILL 2>/dev/null
      sleep 0.02
    done
    ip netns del "$space"
  done
  rm -rf "$folder"
}
trap remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make_hosts() {
  ip netns add "$name-hub" && ip -n "$name-hub" link set lo up &&
    ip -n "$name-hub" link add br0 type bridge && ip -n "$name-hub" addr add 10.77.0.1/24 dev br0 &&
    ip -n "$name-hub" link set br0 up || return
  for ((i = 0; i < hosts; ++i)); do
    ip netns add "$name-$i" && ip -n "$name-$i" link set lo up &&
      ip -n "$name-hub" link add "v$i" type veth peer name eth0 netns "$name-$i" &&
      ip -n "$name-hub" link set "v$i" master br0 up &&
      ip -n "$name-$i" addr add "10.77.0.$((10 + i))/24" dev eth0 &&
      ip -n "$name-$i" link set eth0 up || return
    echo "$name-$i slots=$slots" >>"$folder/hosts"
  done
}
make_hosts 2>"$folder/reason" || cannot "$(tail -n 1 "$folder/reason")"

# What mpirun calls instead of ssh: [options] HOST COMMAND...
cat >"$folder/agent" <<'AGENT'
#!/bin/bash
while [[ $1 == -* ]]; do shift; done
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; exec setsid sh -c '$*'"
AGENT
chmod +x "$folder/agent"

. "$(dirname "$0")/mpi_env.sh"
export TRESTLE_HOSTFILE=$folder/hosts
export OMPI_MCA_plm_rsh_agent=$folder/agent
export OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
export OMPI_MCA_btl_tcp_if_include=10.77.0.0/24
export OMPI_MCA_btl=tcp,vader,self
# In the background, so that a signal to this script is acted on at once.
ip netns exec "$name-hub" "$@" &
child=$!
wait "$child"
code=$?
child=
exit $code
