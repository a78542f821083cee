/* Written by `python stages/trace/tracer/build.py`. */

#ifndef TRACE_SOURCES
#define TRACE_SOURCES "39ac07c9186f7367"
#endif
