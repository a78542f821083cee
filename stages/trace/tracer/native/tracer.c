/* The tracing engine in C; stages/trace/tracer/reference.py says the same in Python, and why.
 *
 * CPython calls on_event at every event of the thread. An open scope is a frame within the shown
 * source between its call and its return; they form a stack, so that the frame of an event is
 * compared with the top only. The scope of a generator that yields is kept on its frame, as f_trace,
 * until the frame goes on or ends: no table of frames could tell a suspended one from another that
 * was given its memory.
 */

#include "tracer.h"

/* -- recordings ------------------------------------------------------------------------------ */

static void
scopes_clear(Engine *self)
{
    while (self->open_count > 0) {
        Open *top = &self->open[--self->open_count];
        PyFrameObject *frame = top->frame;
        Scope *scope = top->scope;
        Py_DECREF(scope);
        Py_DECREF(frame);
    }
}

static int
scopes_push(Engine *self, PyFrameObject *frame, Scope *scope)
{
    if (trace_array_room((void **)&self->open, &self->open_room, self->open_count + 1,
                   sizeof(Open)) < 0) {
        return -1;
    }
    self->open[self->open_count++] = (Open){
        (PyFrameObject *)Py_NewRef(frame), (Scope *)Py_NewRef(scope)};
    return 0;
}

void
trace_clear(Engine *self)
{
    scopes_clear(self);
    while (self->made_count > 0) {
        Py_XDECREF(self->made[--self->made_count].value);
    }
    while (self->text_count > 0) {
        Py_DECREF(self->texts[--self->text_count]);
    }
}

static PyObject *
locals_tuple(const Engine *self, const Step *step)
{
    PyObject *locals = PyTuple_New(2 * step->shown);
    for (Py_ssize_t i = 0; locals != NULL && i < 2 * step->shown; i++) {
        PyTuple_SET_ITEM(locals, i, Py_NewRef(self->texts[step->first + i]));
    }
    if (locals != NULL && step->shown > 0) { /* the empty one is shared */
        PyObject_GC_UnTrack(locals); /* of str only: it is in no cycle, and there are many */
    }
    return locals;
}

/* Make (event, line, locals, value, unwinding, depth); locals is stolen. */
static PyObject *
step_tuple(const Engine *self, const Step *step, PyObject *locals)
{
    PyObject *line = PyLong_FromLong(step->line), *depth = PyLong_FromSsize_t(step->depth);
    PyObject *tuple = line == NULL || depth == NULL ? NULL : PyTuple_New(6);
    if (tuple == NULL) {
        Py_XDECREF(line);
        Py_XDECREF(depth);
        Py_DECREF(locals);
        return NULL;
    }
    PyTuple_SET_ITEM(tuple, 0, Py_NewRef(self->state->events[step->event]));
    PyTuple_SET_ITEM(tuple, 1, line);
    PyTuple_SET_ITEM(tuple, 2, locals);
    PyTuple_SET_ITEM(tuple, 3, Py_NewRef(step->value != NULL ? step->value : Py_None));
    PyTuple_SET_ITEM(tuple, 4, PyBool_FromLong(step->unwinding));
    PyTuple_SET_ITEM(tuple, 5, depth);
    PyObject_GC_UnTrack(tuple);
    return tuple;
}

/* Append what was recorded to the list; frames with the same locals share a tuple. */
static int
steps_append(const Engine *self, PyObject *steps)
{
    PyObject **shared = PyMem_Calloc((size_t)self->text_count + 1, sizeof(PyObject *));
    if (shared == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < self->made_count; i++) {
        const Step *step = &self->made[i];
        PyObject *locals;
        if (step->value != NULL) {
            locals = Py_NewRef(Py_None);
        }
        else if (step->shown > 0 && shared[step->first] != NULL) {
            locals = Py_NewRef(shared[step->first]);
        }
        else {
            locals = locals_tuple(self, step);
        }
        PyObject *tuple = locals == NULL ? NULL : step_tuple(self, step, locals);
        if (tuple == NULL) {
            result = -1;
            break;
        }
        if (step->value == NULL && step->shown > 0) {
            shared[step->first] = locals; /* borrowed: the list has it */
        }
        result = PyList_Append(steps, tuple);
        Py_DECREF(tuple);
    }
    PyMem_Free(shared);
    return result;
}

int
trace_close(Engine *self, const char *outcome, PyObject *value)
{
    if (self->steps == NULL) {
        return 0;
    }
    PyObject *steps = self->steps;
    self->steps = NULL;
    int collects = PyGC_Disable(); /* nothing that is made here can be garbage */
    int result = steps_append(self, steps);
    if (collects) {
        PyGC_Enable();
    }
    Py_DECREF(steps);
    trace_clear(self);
    if (result < 0) {
        return -1;
    }
    PyObject *done = value == NULL
        ? PyObject_CallFunction(self->close, "ssn", outcome, "", self->calls)
        : PyObject_CallFunction(self->close, "sOn", outcome, value, self->calls);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* End the recording and the program: a budget is spent. Always -1. */
static int
stop_tracing(Engine *self, const char *outcome)
{
    if (trace_close(self, outcome, NULL) == 0) {
        PyErr_SetString(self->stopped, outcome);
    }
    return -1;
}

/* Read {line: number} into an array of the given length; those that are beyond it are left out. */
static int
read_lines(PyObject *mapping, int *lines, Py_ssize_t length)
{
    PyObject *key, *value;
    for (Py_ssize_t place = 0; PyDict_Next(mapping, &place, &key, &value);) {
        long line = PyLong_AsLong(key), number = PyLong_AsLong(value);
        if (PyErr_Occurred()) {
            return -1;
        }
        if (line < 0 || number < 1 || number > INT_MAX) {
            PyErr_SetString(PyExc_ValueError, "lines are numbered from 1");
            return -1;
        }
        if (line < length) {
            lines[line] = (int)number;
        }
    }
    return 0;
}

static Py_ssize_t
greatest_line(PyObject *mapping)
{
    PyObject *key;
    Py_ssize_t greatest = 0;
    for (Py_ssize_t place = 0; PyDict_Next(mapping, &place, &key, NULL);) {
        Py_ssize_t line = PyLong_AsSsize_t(key);
        greatest = line > greatest ? line : greatest;
    }
    return PyErr_Occurred() ? -1 : greatest;
}

static int
show_source(Engine *self, PyObject *shown)
{
    if (self->shown == shown) {
        return 0;
    }
    ModuleState *state = self->state;
    int result = -1, *numbers = NULL, *definitions = NULL;
    PyObject *text = PyObject_GetAttr(shown, state->text);
    PyObject *by_line = PyObject_GetAttr(shown, state->numbers);
    PyObject *decorated = PyObject_GetAttr(shown, state->definitions);
    if (text == NULL || by_line == NULL || decorated == NULL) {
        goto done;
    }
    if (!PyTuple_Check(text) || !PyDict_Check(by_line) || !PyDict_Check(decorated)) {
        PyErr_SetString(PyExc_TypeError, "a ShownSource has a tuple and two dicts");
        goto done;
    }
    Py_ssize_t length = greatest_line(by_line);
    if (length++ < 0) {
        goto done;
    }
    numbers = PyMem_Calloc((size_t)length, sizeof(int));
    definitions = PyMem_Calloc((size_t)length, sizeof(int));
    if (numbers == NULL || definitions == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (read_lines(by_line, numbers, length) < 0 || read_lines(decorated, definitions, length) < 0) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (numbers[i] > PyTuple_GET_SIZE(text)) {
            PyErr_SetString(PyExc_ValueError, "a line is beyond the text");
            goto done;
        }
    }
    Py_XSETREF(self->shown, Py_NewRef(shown));
    Py_XSETREF(self->text, Py_NewRef(text));
    PyMem_Free(self->numbers);
    PyMem_Free(self->definitions);
    self->numbers = numbers;
    self->definitions = definitions;
    self->lines = length;
    numbers = definitions = NULL;
    result = 0;
done:
    PyMem_Free(numbers);
    PyMem_Free(definitions);
    Py_XDECREF(text);
    Py_XDECREF(by_line);
    Py_XDECREF(decorated);
    return result;
}

static int
at_line(const Engine *self, const int *lines, int line)
{
    return line > 0 && line < self->lines ? lines[line] : 0;
}

/* Open a recording if this is a call of a target that is wanted: 1, 0 or -1. */
static int
recording_begin(Engine *self, PyFrameObject *frame, PyCodeObject *code)
{
    PyObject *key = PyLong_FromVoidPtr(code);
    if (key == NULL) {
        return -1;
    }
    PyObject *target = PyDict_GetItemWithError(self->targets, key);
    Py_DECREF(key);
    if (target == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *recording = PyObject_CallFunctionObjArgs(self->begin, target, frame, NULL);
    if (recording == NULL) {
        return -1;
    }
    if (recording == Py_None) {
        Py_DECREF(recording);
        return 0;
    }
    PyObject *steps = PyObject_GetAttr(recording, self->state->steps);
    Py_DECREF(recording);
    PyObject *shown = steps == NULL ? NULL : PyObject_GetAttr(target, self->state->shown);
    int result = -1;
    if (shown != NULL && !PyList_CheckExact(steps)) {
        PyErr_SetString(PyExc_TypeError, "a recording's steps are a list");
    }
    else if (shown != NULL && show_source(self, shown) == 0) {
        self->steps = Py_NewRef(steps);
        self->recording++;
        self->depth = self->bytes = 0;
        Py_CLEAR(self->raised);
        Py_XSETREF(self->file, Py_NewRef(code->co_filename));
        result = 1;
    }
    Py_XDECREF(steps);
    Py_XDECREF(shown);
    return result;
}

/* Record a frame: value is its text, NULL for the locals that the scope shows and that take size. */
static int
record(Engine *self, const Scope *scope, Event event, PyObject *value, bool unwinding,
       Py_ssize_t size)
{
    PyObject *source = PyTuple_GET_ITEM(self->text, scope->line - 1);
    self->bytes += size + 24 + PyUnicode_GET_LENGTH(source);
    if (self->made_count >= self->max_events) {
        return stop_tracing(self, "event-budget");
    }
    if (self->bytes > self->max_bytes) {
        return stop_tracing(self, "byte-budget");
    }
    if (trace_array_room((void **)&self->made, &self->made_room, self->made_count + 1,
                   sizeof(Step)) < 0) {
        return -1;
    }
    self->made[self->made_count++] = (Step){
        .event = event,
        .unwinding = unwinding,
        .line = scope->line,
        .depth = scope->depth,
        .first = scope->first,
        .shown = scope->shown,
        .value = Py_XNewRef(value),
    };
    return 0;
}

static void
place_scope(const Engine *self, Scope *scope, int line)
{
    int number = at_line(self, self->numbers, line);
    if (number > 0) {
        scope->line = number;
    }
}

static int
record_locals(Engine *self, Scope *scope, PyFrameObject *frame, int flags, Event event, int line)
{
    place_scope(self, scope, line);
    Py_ssize_t size = 0;
    if (trace_snapshot(self, scope, frame, flags, &size) < 0) {
        return -1;
    }
    return record(self, scope, event, NULL, false, size);
}

/* Record a value and return its text. */
static PyObject *
record_value(Engine *self, Scope *scope, PyFrameObject *frame, Event event, PyObject *value,
             bool unwinding)
{
    place_scope(self, scope, PyFrame_GetLineNumber(frame));
    Text *buffer = &self->buffer;
    trace_text_shorten(buffer, 0);
    if (trace_render(&self->state->names, buffer, value, self->value_chars) < 0) {
        return NULL;
    }
    PyObject *text = trace_text_object(buffer, 0);
    if (text == NULL) {
        return NULL;
    }
    if (record(self, scope, event, text, unwinding, PyUnicode_GET_LENGTH(text)) < 0) {
        Py_DECREF(text);
        return NULL;
    }
    return text;
}

/* -- events ---------------------------------------------------------------------------------- */

/* The opcode at which a frame stands, or -1. */
static int
operation(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *bytes = PyCode_GetCode(code);
    Py_DECREF(code);
    if (bytes == NULL) {
        return -1;
    }
    int place = PyFrame_GetLasti(frame), found = 0;
    if (place >= 0 && place < PyBytes_GET_SIZE(bytes)) {
        found = (unsigned char)PyBytes_AS_STRING(bytes)[place];
    }
    Py_DECREF(bytes);
    return found;
}

static bool
has_opcode(PyObject *flags, int opcode)
{
    return opcode < PyBytes_GET_SIZE(flags) && PyBytes_AS_STRING(flags)[opcode] != 0;
}

/* The scope that a suspended generator's frame kept, a new reference; NULL when it has none of
   this recording, or with an exception set. */
static Scope *
kept_scope(Engine *self, PyFrameObject *frame)
{
    PyObject *found = PyObject_GetAttr((PyObject *)frame, self->state->f_trace);
    if (found == NULL) {
        return NULL;
    }
    if (Py_IS_TYPE(found, self->state->scope_type)
        && ((Scope *)found)->recording == self->recording) {
        return (Scope *)found;
    }
    Py_DECREF(found);
    return NULL;
}

/* Whether a frame's code is within the shown source: 1, 0 or -1. */
static int
is_shown(const Engine *self, const PyCodeObject *code)
{
    if (at_line(self, self->numbers, code->co_firstlineno) == 0) {
        return 0;
    }
    return PyObject_RichCompareBool(code->co_filename, self->file, Py_EQ);
}

enum { RESUMABLE = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR };

static int
enter(Engine *self, PyFrameObject *frame, PyCodeObject *code)
{
    Scope *scope = NULL;
    if (code->co_flags & RESUMABLE) {
        scope = kept_scope(self, frame);
        if (scope == NULL && PyErr_Occurred()) {
            return -1;
        }
    }
    if (scope == NULL) {
        scope = trace_scope_new(self);
        if (scope == NULL) {
            return -1;
        }
    }
    scope->depth = self->depth++;
    scope->raised_at = -1;
    int line = PyFrame_GetLineNumber(frame);
    if (line == code->co_firstlineno) {
        int definition = at_line(self, self->definitions, line);
        line = definition > 0 ? definition : line;
    }
    int result = scopes_push(self, frame, scope);
    if (result == 0) {
        result = record_locals(self, scope, frame, code->co_flags, CALL, line);
    }
    Py_DECREF(scope);
    return result;
}

static int
on_call(Engine *self, PyFrameObject *frame)
{
    if (++self->calls > self->max_calls) {
        return stop_tracing(self, "call-budget");
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    int go_on = self->steps != NULL ? 1 : recording_begin(self, frame, code);
    if (go_on > 0) {
        go_on = is_shown(self, code);
    }
    int result = go_on > 0 ? enter(self, frame, code) : go_on;
    Py_DECREF(code);
    return result;
}

/* The open scope of a frame, a new reference; NULL when it has none, or with an exception set. */
static Scope *
scope_of(Engine *self, PyFrameObject *frame)
{
    if (self->steps == NULL || self->open_count == 0) {
        return NULL;
    }
    Open *top = &self->open[self->open_count - 1];
    if (top->frame == frame) {
        return (Scope *)Py_NewRef(top->scope);
    }
    /* Code that is stepped over, as a rule. But CPython 3.12 can resume a generator, or leave a
       frame, without saying so. */
    PyCodeObject *code = PyFrame_GetCode(frame);
    int shown = is_shown(self, code), flags = code->co_flags;
    Py_DECREF(code);
    if (shown <= 0) {
        return NULL;
    }
    for (Py_ssize_t i = self->open_count - 1; i >= 0; i--) {
        if (self->open[i].frame == frame) {
            return (Scope *)Py_NewRef(self->open[i].scope);
        }
    }
    return flags & RESUMABLE ? kept_scope(self, frame) : NULL;
}

static int
on_line(Engine *self, Scope *scope, PyFrameObject *frame)
{
    int line = PyFrame_GetLineNumber(frame);
    if (at_line(self, self->numbers, line) == 0) {
        return trace_locals_meet(frame);
    }
    scope->raised_at = -1;
    PyCodeObject *code = PyFrame_GetCode(frame);
    int flags = code->co_flags;
    Py_DECREF(code);
    return record_locals(self, scope, frame, flags, LINE, line);
}

static int
on_exception(Engine *self, Scope *scope, PyFrameObject *frame, PyObject *arg)
{
    if (trace_locals_meet(frame) < 0) {
        return -1;
    }
    PyObject *type = PyTuple_GET_ITEM(arg, 0);
    if (PyErr_GivenExceptionMatches(type, PyExc_StopIteration)) {
        int opcode = operation(frame);
        if (opcode < 0) {
            return -1;
        }
        if (has_opcode(self->ends_a_loop, opcode)) {
            return 0;
        }
    }
    scope->raised_at = PyFrame_GetLasti(frame);
    PyObject *text = record_value(
        self, scope, frame, EXCEPTION, PyTuple_GET_ITEM(arg, 1), false);
    if (text == NULL) {
        return -1;
    }
    Py_XSETREF(self->raised, text);
    return 0;
}

/* Whether a return of None is an exception on its way out: 1, 0 or -1. */
static int
is_unwinding(const Engine *self, const Scope *scope, PyFrameObject *frame)
{
    int opcode = operation(frame);
    if (opcode < 0 || !has_opcode(self->leaving, opcode)) {
        return opcode < 0 ? -1 : 1;
    }
    /* what is thrown into a generator is raised by its yield */
    return has_opcode(self->yielding, opcode) && scope->raised_at == PyFrame_GetLasti(frame);
}

/* Take the scope off the stack, and put that of a generator on its frame. */
static int
leave(Engine *self, Scope *scope, PyFrameObject *frame)
{
    for (Py_ssize_t i = self->open_count - 1; i >= 0; i--) {
        if (self->open[i].frame == frame) {
            while (self->open_count > i) {
                Open last = self->open[--self->open_count];
                Py_DECREF(last.scope);
                Py_DECREF(last.frame);
            }
            break;
        }
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    int flags = code->co_flags;
    Py_DECREF(code);
    if (!(flags & RESUMABLE)) {
        return 0;
    }
    return PyObject_SetAttr((PyObject *)frame, self->state->f_trace, (PyObject *)scope);
}

static int
on_return(Engine *self, Scope *scope, PyFrameObject *frame, PyObject *arg)
{
    PyObject *value = arg == NULL ? Py_None : arg;
    int unwinding = value == Py_None ? is_unwinding(self, scope, frame) : 0;
    if (unwinding < 0) {
        return -1;
    }
    PyObject *text = record_value(
        self, scope, frame, RETURN, value, unwinding > 0);
    if (text == NULL) {
        return -1;
    }
    int result = leave(self, scope, frame);
    if (result == 0 && --self->depth == 0) {
        result = unwinding ? trace_close(self, "exception", self->raised)
                           : trace_close(self, "return", text);
    }
    Py_DECREF(text);
    return result;
}

static int
in_scope(Engine *self, PyFrameObject *frame, int what, PyObject *arg)
{
    Scope *scope = scope_of(self, frame);
    if (scope == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int result = what == PyTrace_LINE ? on_line(self, scope, frame)
                 : what == PyTrace_RETURN ? on_return(self, scope, frame, arg)
                 : on_exception(self, scope, frame, arg);
    Py_DECREF(scope);
    return result;
}

int
trace_on_event(PyObject *engine, PyFrameObject *frame, int what, PyObject *arg)
{
    Engine *self = (Engine *)Py_NewRef(engine); /* the program may take the trace function away */
    int result = 0;
    switch (what) {
    case PyTrace_CALL:
        result = on_call(self, frame);
        break;
    case PyTrace_LINE:
    case PyTrace_RETURN:
    case PyTrace_EXCEPTION:
        result = in_scope(self, frame, what, arg);
        break;
    default:
        break;
    }
    if (result < 0) { /* as sys.settrace does with a trace function that fails */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyEval_SetTrace(NULL, NULL);
        PyErr_Restore(type, value, traceback);
    }
    Py_DECREF(self);
    return result;
}
