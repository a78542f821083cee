"""The mix of a stage as a tree, and what one of its steps sees, for a person to read."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from model.tokens import Tokenizer
from stages.training.data import cursor_at
from stages.training.mix import MANY_EPOCHS, entry_shares
from stages.training.rows import Rows
from stages.training.settings import MixEntry, TrainingSettings
from stages.training.source import Source


def show_mix(stage: str, settings: TrainingSettings, rows: Rows, console: Console) -> None:
    """Print groups and data sets with shares, tokens and epochs, and buckets with their steps."""
    tokens = settings.steps * settings.tokens_per_step * rows.fill
    tree = Tree(
        f"[bold]{stage}[/bold]: {settings.steps:,} steps x {settings.rows_per_step:,} rows x "
        f"{settings.row_tokens:,} tokens\n"
        f"[dim]{tokens:,.0f} tokens, padding {1 - rows.fill:.1%}[/dim]"
    )
    sources = {source.name: source for source in rows.sources}
    sizes = {name: source.tokens for name, source in sources.items()}
    weights = {group.name: group.weight for group in settings.groups}
    shares = entry_shares(settings.mix, settings.groups, sizes, tokens)
    for group, entries in groupby(shares, key=lambda share: share[0].group):
        node = tree.add(f"[bold]{group}[/bold] {weights[group]:.1%}") if group else tree
        for entry, share in sorted(entries, key=lambda share: -share[1]):
            node.add(_line(sources[entry.dataset], entry, share * tokens, share))
    console.print(tree)
    if settings.buckets:
        console.print(_buckets(rows))


def _line(source: Source, entry: MixEntry, tokens: float, share: float) -> str:
    epochs = tokens / source.tokens
    asked = f"epochs {entry.epochs:g}" if entry.epochs else f"weight {entry.weight:g}"
    mark = f" [red]more than {MANY_EPOCHS}[/red]" if epochs > MANY_EPOCHS else ""
    left_out = len(source.file) - source.documents
    return (
        f"[bold]{source.name}[/bold] {share:.1%} ({asked}): {tokens:,.0f} tokens, "
        f"{epochs:.2f} epochs{mark}\n"
        f"[dim]of {source.tokens:,} tokens in {source.documents:,} documents"
        + (f"; {left_out:,} are too long" if left_out else "")
        + "[/dim]"
    )


def _buckets(rows: Rows) -> Table:
    table = Table("bucket", "reach", "documents", "share of tokens", "share of steps", "padding")
    above = 0
    for bucket, steps, fill in zip(rows.buckets, rows.step_shares, rows.fills, strict=True):
        table.add_row(
            f"{above + 1:,} to {bucket.up_to:,}",
            f"{bucket.reach:,}" if bucket.reach else "all",
            f"{sum(source.documents for source in bucket.order.sources):,}",
            f"{bucket.share:.1%}",
            f"{steps:.1%}",
            f"{1 - fill:.1%}",
        )
        above = bucket.up_to
    return table


def show_step(
    settings: TrainingSettings, rows: Rows, step: int, tokenizer: Tokenizer, console: Console
) -> None:
    """Print the documents that step ``step`` (0, 1, …) sees; what no loss is taken of is dim."""
    taken, _ = rows.take(cursor_at(rows, step, settings.rows_per_step), settings.rows_per_step)
    keys = [file.keys for file in rows.files]
    for number, row in enumerate(taken):
        room = sum(row.lengths)
        reach = f", global layers reach {row.reach:,} tokens" if row.reach else ""
        console.rule(f"step {step}, row {number + 1}: {room:,} of {rows.row_tokens:,}{reach}")
        for source, start, end in zip(row.source, row.start, row.end, strict=True):
            file = rows.files[source]
            document = file.document_at(start)
            first = start - int(file.ends[document] - file.lengths[document])
            console.print(
                f"[bold]{rows.sources[source].name}[/bold] {escape(keys[source][document])}, "
                f"tokens {first:,} to {first + end - start:,} of {file.lengths[document]:,}"
            )
            console.print(_text(rows, source, start, end, tokenizer))


def _text(rows: Rows, source: int, start: int, end: int, tokenizer: Tokenizer) -> Text:
    file, text = rows.files[source], Text()
    tokens = zip(file.tokens[start:end].tolist(), file.loss[start:end].tolist(), strict=True)
    for is_masked, span in groupby(tokens, key=lambda token: token[1] == 0):
        text.append(tokenizer.decode([token for token, _ in span]), "dim" if is_masked else "")
    return text
