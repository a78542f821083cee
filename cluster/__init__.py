"""Where and how the pipeline runs: the DAG kit, tracking, the sandbox, and Ray, DeepSpeed and Beam."""
