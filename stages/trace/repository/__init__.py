"""Traces of a repository's own tests, as pytest runs them, without touching the repository.

::

    repository ─ tree_at ─→ export ─→ three sessions in sandboxes ─→ rows
                                        untraced, traced, traced again

settings.py     what is traced of a repository, and its budgets
tree.py         its files at a revision, read from git's objects or a folder
history.py      earlier commits, and those that may fix something
licence.py      its licence
environment.py  the interpreter of its tests: one that exists, or one made from wheels
inside/         what goes along into that interpreter      (in the sandbox)
session.py      one pytest session, watched                (in the sandbox)
runs.py         the three sessions, compared
context.py      the source that a trace needs, gathered and compressed
rows.py         rows
fixes.py        a fix's tests, traced before and after
shard.py        all of it as shards of the trace stage
snapshot.py     what lies there now, for the identity
errors.py       what can be wrong
__main__.py     ``python -m stages.trace.repository PATH``
"""
