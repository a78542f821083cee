/* What an engine holds, and its parts in C: scopes in scope.c, events in tracer.c, the Python type
   in module.c. */

#ifndef TRACE_TRACER_H
#define TRACE_TRACER_H

#include "render.h"

typedef enum { CALL, LINE, RETURN, EXCEPTION } Event;

typedef struct {
    PyTypeObject *scope_type;
    PyObject *events[4]; /* their names, by Event */
    PyObject *steps, *shown, *text, *numbers, *definitions, *f_trace; /* names of attributes */
    PyObject *dunder_class;
    RenderNames names;
} ModuleState;

/* One local of a scope: its last text, and the value if it is one that never changes. Of a list or
   tuple the items that its text shows, if they never change: another with the same items at its
   beginning, and as certainly more or none behind them, has the same text. */
typedef struct {
    PyObject *name, *value, *text;
    PyTypeObject *sequence; /* &PyList_Type, &PyTuple_Type or NULL */
    PyObject **items;
    Py_ssize_t count, room;
    bool more;
} Slot;

typedef struct {
    PyObject_HEAD
    unsigned long long recording; /* the serial number of the one that it belongs to */
    Py_ssize_t depth;
    int line;      /* the line shown last */
    int raised_at; /* f_lasti of an exception that nothing has followed yet, or -1 */
    Slot *slots;
    Py_ssize_t count, room;
    Py_ssize_t first, shown; /* place and number of the locals of its last frame, -1 at first */
} Scope;

/* A frame as recorded. It becomes a tuple when the recording is closed: until then nothing is made
   that the garbage collector counts, so that it runs when it would without a tracer. */
typedef struct {
    Event event;
    bool unwinding;
    int line;
    Py_ssize_t depth;
    Py_ssize_t first, shown; /* place and number of its locals */
    PyObject *value;         /* NULL where there are locals */
} Step;

typedef struct {
    PyFrameObject *frame;
    Scope *scope;
} Open;

typedef struct {
    PyObject_HEAD
    ModuleState *state;
    PyObject *targets, *begin, *close, *stopped;
    PyObject *leaving, *yielding, *ends_a_loop; /* bytes: a flag for each opcode */
    Py_ssize_t max_events, max_bytes, max_calls, value_chars;

    /* the source that is shown, kept from one recording to the next */
    PyObject *shown, *text;
    int *numbers, *definitions; /* by line of the file; 0 where there is none */
    Py_ssize_t lines;

    /* the recording in the making: steps is NULL when there is none */
    PyObject *steps, *file, *raised;
    Step *made;
    Py_ssize_t made_count, made_room;
    PyObject **texts; /* names and texts in turn */
    Py_ssize_t text_count, text_room;
    unsigned long long recording;
    Py_ssize_t depth, bytes, calls;
    Open *open;
    Py_ssize_t open_count, open_room;
    Text buffer;
} Engine;

extern PyType_Spec trace_scope_spec;

/* Find room for more elements in an array; -1 with an exception set when there is none. */
int trace_array_room(void **array, Py_ssize_t *room, Py_ssize_t needed, size_t width);

Scope *trace_scope_new(Engine *engine);

/* Let the scope show the frame's locals, and add to size what a line that shows the changes takes;
   flags are the code's. */
int trace_snapshot(
    Engine *engine, Scope *scope, PyFrameObject *frame, int flags, Py_ssize_t *size);

/* Note names that are new in a frame whose locals are not shown now. */
int trace_locals_meet(PyFrameObject *frame);

/* The Py_tracefunc. */
int trace_on_event(PyObject *engine, PyFrameObject *frame, int what, PyObject *arg);

/* End the recording in the making, if there is one; result is a str or NULL for "". */
int trace_close(Engine *engine, const char *outcome, PyObject *result);

/* Let go of the frames and scopes that are open, and of what was recorded. */
void trace_clear(Engine *engine);

#endif
