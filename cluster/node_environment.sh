# Sourced on every node of the cluster before anything runs (ray_cluster.yaml does it): one place for
# where the store is, which preset runs when none is named, and what must be the same on all nodes.
# CWM_NFS is the export (HOST:/PATH; EFS, NFS) that is mounted at CWM_SHARED unless something is already.
export CWM_NFS="${CWM_NFS:-}"
export CWM_SHARED="${CWM_SHARED:-/mnt/cwm}"
export CWM_STORE="${CWM_STORE:-$CWM_SHARED/store}"
export CWM_PRESET="${CWM_PRESET:-cwm_32b}"
export PATH="$HOME/venv/bin:$PATH"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export MLFLOW_DISABLE_TELEMETRY=true RAY_USAGE_STATS_ENABLED=0
[ -w "$CWM_STORE" ] || echo "open-cwm: cannot write $CWM_STORE: set CWM_NFS, or mount the shared file system at $CWM_SHARED" >&2
