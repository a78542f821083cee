"""What goes along into the interpreter that runs a repository's tests.

The folder is put on that interpreter's ``PYTHONPATH``, so that its ``sitecustomize`` is imported
when it starts. Everything here imports the standard library and pytest alone.
"""
