"""Where and how the pipeline runs: the DAG kit, tracking, the sandbox, Ray, DeepSpeed and Beam."""
