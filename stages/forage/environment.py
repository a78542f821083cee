"""What the system prompt of an agent says of its tools (`stages.forage.tools`)."""

ENVIRONMENT = """\
You work in a Linux sandbox, in a folder with a Python function and its tests. Each of your turns \
uses exactly one tool:

<tool: bash>
a command line, such as `python test.py`
</tool>

<tool: edit>
the path of a file
<<<<<<< SEARCH
lines that the file has exactly once
=======
the lines that replace them
>>>>>>> REPLACE
</tool>

<tool: create>
the path of a new file
its text
</tool>

<tool: submit>
the path of the file that is right now
</tool>

Look at the code, run the tests, change what is wrong, and submit when they pass."""
