"""Mutations of argument lists: literal, different, and the same every time."""

import ast

from stages.trace.inputs.mutate import mutations


def test_mutations_are_literal_different_and_repeatable():
    for arguments in ("1, 'ab', [1, 2]", "x={'a': (1, True)}", "-1.5, None"):
        found = mutations(arguments, 5, "seed")
        assert found == mutations(arguments, 5, "seed")
        assert found and arguments not in found and len(set(found)) == len(found)
        for text in found:
            call = ast.parse(f"f({text})", mode="eval").body
            for each in [*call.args, *(keyword.value for keyword in call.keywords)]:
                ast.literal_eval(each)
    assert mutations("", 5, "seed") == []
