#!/bin/bash
# Two hosts on one machine: network namespaces with names of their own, joined by a cable of 10.9.0.0/24. Runs a command on one rank of each, as on two machines; in the
# place of ssh stands a script that enters the other namespace. Needs root, iproute2 and Open MPI.
#
#   two-hosts.sh PROGRAM evaluate --tasks tasks.jsonl --json
set -euo pipefail
work=$(mktemp -d)
hosts=(alpha beta)
finish() {
    for host in "${hosts[@]}"; do ip netns del $host 2>/dev/null || true; rm -rf /etc/netns/$host; done
    rm -rf "$work"
}
trap finish EXIT
for host in "${hosts[@]}"; do
    ip netns add $host
    ip -n $host link set lo up
    mkdir -p /etc/netns/$host
    printf '127.0.0.1 localhost\n10.9.0.1 alpha\n10.9.0.2 beta\n' > /etc/netns/$host/hosts
done
ip link add cable-a netns alpha type veth peer name cable-b netns beta
ip -n alpha addr add 10.9.0.1/24 dev cable-a
ip -n beta addr add 10.9.0.2/24 dev cable-b
ip -n alpha link set cable-a up
ip -n beta link set cable-b up
# Open MPI calls it as it would call ssh: HOST COMMAND…
cat > "$work/enter" <<'SCRIPT'
#!/bin/bash
host=$1
shift
exec ip netns exec $host unshare --uts bash -c "hostname $host; $*"
SCRIPT
chmod +x "$work/enter"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_plm_rsh_agent="$work/enter" OMPI_MCA_btl_tcp_if_include=10.9.0.0/24 OMPI_MCA_oob_tcp_if_include=10.9.0.0/24
ip netns exec alpha unshare --uts bash -c 'hostname alpha; exec "$@"' two-hosts mpirun.openmpi --host alpha:1,beta:1 --bind-to none "$@"
