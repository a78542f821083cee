/* What an engine holds, and its parts in C: scopes in scope.c, recordings in recording.c, events
   in tracer.c, the Python type in module.c. */

#ifndef TRACE_TRACER_H
#define TRACE_TRACER_H

#include "render.h"

enum { KNOWN = 1024 }; /* a power of two */

typedef enum { CALL, LINE, RETURN, EXCEPTION } Event;

typedef struct {
    PyTypeObject *scope_type;
    PyObject *events[4]; /* their names, by Event */
    PyObject *steps, *shown, *text, *numbers, *definitions, *f_trace; /* names of attributes */
    PyObject *module; /* "<module>" */
    PyObject *dunder_class;
    unsigned long long recordings; /* of all engines: a frame keeps its scope for longer than one */
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

/* The lines of a file that are shown. */
typedef struct {
    PyObject *shown, *text;     /* the ShownSource, and its tuple or growing list of lines */
    int *numbers, *definitions; /* by line of the file; 0 where there is none */
    Py_ssize_t lines;
} Source;

/* What is known of a code object while a recording is open. */
typedef struct {
    PyCodeObject *code; /* NULL: a free place */
    Source *source;     /* NULL: it is stepped over */
} Known;

typedef struct {
    PyObject_HEAD
    const Source *source;
    int first, flags; /* of the code: its first line and its flags */
    bool is_entry;
    unsigned long long recording; /* the serial number of the one that it belongs to */
    Py_ssize_t depth;
    int line;      /* the line shown last */
    int raised_at; /* f_lasti of an exception that nothing has followed yet, or -1 */
    Slot *slots;
    Py_ssize_t count, room;
    Py_ssize_t locals, shown; /* place and number of the locals of its last frame, -1 at first */
    bool complete; /* whether those were all there are, of a function */
} Scope;

/* A frame as recorded. It becomes a tuple when the recording is closed: until then nothing is made
   that the garbage collector counts, so that it runs when it would without a tracer. */
typedef struct {
    Event event;
    bool unwinding;
    int line;
    Py_ssize_t depth;
    Py_ssize_t locals, shown; /* place and number of its locals */
    PyObject *value;         /* NULL where there are locals */
} Step;

typedef struct {
    PyFrameObject *frame;
    Scope *scope;
} Open;

typedef struct {
    PyObject_HEAD
    ModuleState *state;
    PyObject *targets, *begin, *close, *files, *stopped;
    PyObject *leaving, *yielding, *ends_a_loop; /* bytes: a flag for each opcode */
    int resume;                                 /* the opcode */
    Py_ssize_t max_events, max_bytes, max_calls, max_depth;
    RenderLimits render;
    bool any_entry, go_on, tracing;
    bool busy; /* with an event: what runs meanwhile is not seen */

    /* sources, kept from one recording to the next */
    PyObject *asked; /* {file name: None or the place in sources} */
    Source **sources;
    Py_ssize_t source_count, source_room;

    /* the recording in the making: steps is NULL when there is none */
    PyObject *steps, *file, *raised, *yielded;
    Source *source; /* of the file that the entry is in */
    Known known[KNOWN];
    Py_ssize_t known_count;
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

Scope *trace_scope_new(
    Engine *engine, const Source *source, const PyCodeObject *code, bool is_entry);

/* Let the scope show the frame's locals, and add to size what a line that shows the changes takes. */
int trace_snapshot(Engine *engine, Scope *scope, PyFrameObject *frame, Py_ssize_t *size);

/* -- sources: source.c */

/* The line's number in the text, or where its definition is; 0 when it has none. */
static inline int
trace_at_line(const Source *source, const int *lines, int line)
{
    return line > 0 && line < source->lines ? lines[line] : 0;
}

/* The Source of a ShownSource, NULL with an exception set. */
Source *trace_source_of(Engine *engine, PyObject *shown);

/* What is shown of a file that the open entry is not in; NULL: nothing, or with an exception set. */
Source *trace_source_of_file(Engine *engine, PyObject *file);

/* The source that shows a code's first line while a recording is open; NULL: it is stepped over, or
   with an exception set. */
Source *trace_source_of_code(Engine *engine, PyCodeObject *code);

void trace_known_clear(Engine *engine);
void trace_sources_free(Engine *engine);

/* Note names that are new in a frame whose locals are not shown now. */
int trace_locals_meet(PyFrameObject *frame);

/* -- recordings: recording.c */

/* What a recording that begins with a call of this code would show: a target and its source, or
   just the source of its file: 1, 0 or -1. Neither: it begins none. */
int trace_may_begin(Engine *engine, PyCodeObject *code, PyObject **target, Source **source);

/* Open a recording if this is a call of a target that is wanted: 1, 0 or -1. */
int trace_begin(Engine *engine, PyFrameObject *frame, PyCodeObject *code);

/* Put a scope on the stack of those that are open. */
int trace_push(Engine *engine, PyFrameObject *frame, Scope *scope);

/* Record a frame: value is its text, NULL for the locals that the scope shows and that take size.
   1 when the recording has ended. */
int trace_record(Engine *engine, const Scope *scope, Event event, PyObject *value, bool unwinding,
                 Py_ssize_t size);

/* End the recording, a budget being spent: -1 when that ends the program too, else 1. */
int trace_stop(Engine *engine, const char *outcome);

/* End the recording of an entry that waits at a yield, if there is one. */
int trace_leave_waiting(Engine *engine);

/* End the recording in the making, if there is one; result is a str or NULL for "". */
int trace_close(Engine *engine, const char *outcome, PyObject *result);

/* Let go of the frames and scopes that are open, and of what was recorded. */
void trace_clear(Engine *engine);

/* Take the trace function away. */
void trace_untrace(Engine *engine);

/* The Py_tracefunc. */
int trace_on_event(PyObject *engine, PyFrameObject *frame, int what, PyObject *arg);

#endif
