/* Written by `python stages/trace/tracer/build.py`. */

#ifndef TRACE_SOURCES
#define TRACE_SOURCES "f4a7bfdbfb95184f"
#endif
