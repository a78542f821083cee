"""What each stage of the pipeline does: one package per stage, its settings beside its code."""
