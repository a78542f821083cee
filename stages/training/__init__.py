"""What pretrain, midtrain and sft share: data order, packing, schedule, settings and the loop.

From token files to a step of training::

    TokenFile ──▶ Source (pieces of at most one context) ──▶ Order (which piece comes when)
                                                               │ a pure function of seed, position
                                                               ▼
    batch ◀── this rank's rows ◀── Rows (whole pieces, packed best-fit into rows of row_tokens)

Nothing here is imported when a pipeline is only planned, except `settings` and `estimate`.
"""
