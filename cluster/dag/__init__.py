"""The DAG kit: what a stage is, what identifies a step, how its artifact is published, planned and run."""
