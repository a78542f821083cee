"""Write a line per input."""


def run(context):
    """Write the title and the numbers."""
    lines = [context.settings.title]
    for name, item in sorted(context.inputs.items()):
        lines.append(f"{name} {(item.path / 'number.txt').read_text().strip()}")
    (context.output / "table.txt").write_text("\n".join(lines) + "\n")
