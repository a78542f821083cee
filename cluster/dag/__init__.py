"""The DAG kit: stages, the identity of a step, publishing its artifact, planning and running."""
