"""Recording runs in MLflow and walking back from a number to the files behind it.

``record`` is what the executor calls; ``lineage`` (``python -m cluster.tracking.lineage``) walks
the artifacts' own records; ``ui`` (``python -m cluster.tracking.ui``) serves the store's MLflow
pages on this machine.
"""
