/* Written by `python stages/trace/tracer/build.py`. */

#ifndef TRACE_SOURCES
#define TRACE_SOURCES "6f535bded24255b0"
#endif
