/* Written by `python stages/trace/tracer/build.py`. */

#ifndef TRACE_SOURCES
#define TRACE_SOURCES "59cffe72ebf342aa"
#endif
