# Sourced on every node of the cluster before anything runs (ray_cluster.yaml does it): one place for
# where the store is, which preset runs when none is named, and what must be the same on all nodes.
export CWM_SHARED="${CWM_SHARED:-/mnt/cwm}"
export CWM_STORE="${CWM_STORE:-$CWM_SHARED/store}"
export CWM_PRESET="${CWM_PRESET:-cwm_32b}"
export PATH="$HOME/venv/bin:$PATH"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export MLFLOW_DISABLE_TELEMETRY=true RAY_USAGE_STATS_ENABLED=0
mkdir -p "$CWM_STORE" 2>/dev/null || echo "open-cwm: cannot write $CWM_STORE; mount the shared file system there or set CWM_SHARED" >&2
