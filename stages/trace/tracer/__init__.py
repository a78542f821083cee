"""The tracer: what a function did, line by line.

tracer.py      calls of functions as recordings, one execution at a time
locks.py       what a traced program may not do, and what happens when it tries
engine.py      which engine follows the program
native/        the engine in C, built with the package
build.py       where the engine in C is, and how it comes there
reference.py   the same in Python, by ``sys.settrace``
recording.py   a trace in the making, and its budgets
rendering.py   values as text, bounded
arguments.py   a call's arguments as source
source.py      which lines a trace shows
alarm.py       the end of what takes too long
whole_program.py   a program given as source, traced whole

Nothing here imports more than the standard library: the tracer goes along into sandboxes, and into
other interpreters.
"""

from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.tracer import Target, Tracer
from stages.trace.tracer.whole_program import trace_source

__all__ = ["Recording", "Target", "TraceLimits", "TraceStopped", "Tracer", "trace_source"]
