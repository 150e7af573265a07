#!/bin/bash
# A Slurm of one machine, of Debian's packages slurm-wlm and munge, for as long as one command takes.
#   slurm_machine.sh FOLDER COMMAND...
# Ends with the command's exit code, or with 77 and the reason where Slurm is not installed or does not run. FOLDER takes keys, logs and
# state; nothing outside it is read or written, and no running Slurm is touched.
set -euo pipefail
folder=$1
shift

skip() { echo "$1"; exit 77; }
PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd srun sbatch; do
  command -v "$program" >/dev/null || skip "$program is not installed (Debian: slurm-wlm and munge)"
done

mkdir -p "$folder"/{run,spool,state}
chmod 755 "$folder" "$folder/run"
(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
port=$((20000 + $$ % 10000))
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=valbench
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.sock
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END

pids=()
stop() {
  [[ ${#pids[@]} == 0 ]] || kill "${pids[@]}" 2>/dev/null || true
  wait
  if [[ -s $folder/run/munged.pid ]]; then kill "$(<"$folder/run/munged.pid")" 2>/dev/null || true; fi
}
trap stop EXIT
# munged returns when its socket is open. The clients of slurmctld wait for it themselves.
munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.sock" --pid-file="$folder/run/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/run/munge.seed" || skip "munged does not run here: $(tail -n 1 "$folder/munged.log")"
slurmctld -D >/dev/null 2>&1 &
pids+=($!)
slurmd -D -N "$host" >/dev/null 2>&1 &
pids+=($!)
said=$(timeout 120 srun --ntasks 1 true 2>&1) ||
  skip "slurmd does not run here: $said; $(tail -n 1 "$folder/slurmctld.log"); $(tail -n 1 "$folder/slurmd.log")"
"$@"
