"""The kinds of artifact that stages exchange: each names its check and the digest of its content.

What each directory holds, and which stage makes it::

    documents    documents/ dropped/                       crawl (rows: DOCUMENTS, DROPPED)
    corpus       train/ heldout/ dropped/                  curate (rows: DOCUMENTS, DROPPED)
    traces       train/ heldout/ dropped/                  trace (rows: TRACES, DROPPED)
    trajectories train/ heldout/ dropped/                  forage (rows: TRAJECTORIES, DROPPED)
    tasks        train.jsonl heldout.jsonl                 tasks (see stages.tasks.task)
    tokenizer    tokenizer.json tokenizer_config.json …    tokenizer
    tokens       tokens.bin loss.bin ends.npy keys.txt meta.json heldout/   tokenize
    checkpoint   config.json model*.safetensors tokenizer files training.json [optimizer/]
                                                            pretrain, midtrain, sft, rl, imported
    evaluation   results.json examples.jsonl               evaluate
    report       index.html                                report, compare
    questions    programs.jsonl patches.jsonl trajectories.jsonl code.jsonl   questions
    items        items.jsonl                               probe

Here are their names alone, so that declaring a stage imports nothing heavy; the functions are in
`stages.kind_checks`.
"""

from cluster.dag.stage import Kind

HISTORY = "training.json"
"""File in a checkpoint that says how it was trained, for the stage that goes on from it."""
IMPORT = "import.json"
"""File in an imported artifact that says where it is from: origin, licence, digests of files."""
OPTIMIZER = "optimizer"
"""Folder in a checkpoint with the optimizer's state, for mid-training."""

_CHECKS = "stages.kind_checks"
DOCUMENTS = Kind(
    name="documents", check=f"{_CHECKS}:check_documents", digest=f"{_CHECKS}:digest_documents"
)
CORPUS = Kind(name="corpus", check=f"{_CHECKS}:check_corpus", digest=f"{_CHECKS}:digest_splits")
TRACES = Kind(name="traces", check=f"{_CHECKS}:check_traces", digest=f"{_CHECKS}:digest_splits")
TRAJECTORIES = Kind(
    name="trajectories", check=f"{_CHECKS}:check_trajectories", digest=f"{_CHECKS}:digest_splits"
)
TASKS = Kind(name="tasks", check=f"{_CHECKS}:check_tasks", digest=f"{_CHECKS}:digest_tasks")
TOKENIZER = Kind(
    name="tokenizer", check=f"{_CHECKS}:check_tokenizer", digest=f"{_CHECKS}:digest_tokenizer"
)
TOKENS = Kind(name="tokens", check=f"{_CHECKS}:check_tokens", digest=f"{_CHECKS}:digest_tokens")
CHECKPOINT = Kind(
    name="checkpoint", check=f"{_CHECKS}:check_checkpoint", digest=f"{_CHECKS}:digest_checkpoint"
)
EVALUATION = Kind(
    name="evaluation", check=f"{_CHECKS}:check_evaluation", digest=f"{_CHECKS}:digest_evaluation"
)
REPORT = Kind(name="report", check=f"{_CHECKS}:check_report")
QUESTIONS = Kind(name="questions", check=f"{_CHECKS}:check_questions")
ITEMS = Kind(name="items", check=f"{_CHECKS}:check_items")
