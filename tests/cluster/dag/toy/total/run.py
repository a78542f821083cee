"""Add up."""


def run(context):
    """Write the sum."""
    lines = (context.inputs["numbers"].path / "lines.txt").read_text().split()
    total = sum(map(int, lines)) * context.settings.factor
    (context.output / "number.txt").write_text(f"{total}\n")
