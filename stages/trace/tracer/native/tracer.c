/* The tracing engine in C; stages/trace/tracer/reference.py says the same in Python, and why.
 *
 * CPython calls on_event at every event of the thread. An open scope is a frame within the shown
 * source between its call and its return; they form a stack, so that the frame of an event is
 * compared with the top only. The scope of a generator that yields is kept on its frame, as f_trace,
 * until the frame goes on or ends: no table of frames could tell a suspended one from another that
 * was given its memory.
 */

#include "tracer.h"

static void
place_scope(Scope *scope, int line)
{
    const Source *source = scope->source;
    if (line == scope->first) {
        int definition = trace_at_line(source, source->definitions, line);
        line = definition > 0 ? definition : line;
    }
    int number = trace_at_line(source, source->numbers, line);
    if (number > 0) {
        scope->line = number;
    }
}

static int
record_locals(Engine *self, Scope *scope, PyFrameObject *frame, Event event, int line)
{
    place_scope(scope, line);
    Py_ssize_t size = 0;
    if (trace_snapshot(self, scope, frame, &size) < 0) {
        return -1;
    }
    return trace_record(self, scope, event, NULL, false, size);
}

/* Record a value and return its text. */
static PyObject *
record_value(Engine *self, Scope *scope, PyFrameObject *frame, Event event, PyObject *value,
             bool unwinding)
{
    place_scope(scope, PyFrame_GetLineNumber(frame));
    Text *buffer = &self->buffer;
    trace_text_shorten(buffer, 0);
    if (trace_render(&self->state->names, buffer, value, &self->render) < 0) {
        return NULL;
    }
    PyObject *text = trace_text_object(buffer, 0);
    if (text == NULL) {
        return NULL;
    }
    if (trace_record(self, scope, event, text, unwinding, PyUnicode_GET_LENGTH(text)) < 0) {
        Py_DECREF(text);
        return NULL;
    }
    return text;
}

static bool
has_opcode(PyObject *flags, int opcode)
{
    return opcode < PyBytes_GET_SIZE(flags) && PyBytes_AS_STRING(flags)[opcode] != 0;
}

/* The opcode at which a frame stands, or -1. From Python 3.13 on a frame that leaves at a yield
   stands behind it already. */
static int
operation(const Engine *self, PyFrameObject *frame, bool leaves)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *bytes = PyCode_GetCode(code);
    Py_DECREF(code);
    if (bytes == NULL) {
        return -1;
    }
    int place = PyFrame_GetLasti(frame), found = 0;
    if (place >= 0 && place < PyBytes_GET_SIZE(bytes)) {
        const unsigned char *code = (const unsigned char *)PyBytes_AS_STRING(bytes);
        found = code[place];
        if (leaves && place >= 2 && found == self->resume
            && has_opcode(self->yielding, code[place - 2])) {
            found = code[place - 2];
        }
    }
    Py_DECREF(bytes);
    return found;
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

enum { RESUMABLE = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR };

/* Whether a call is stepped into, as an entry or from one: 1, 0 or -1. */
static int
is_stepped_into(Engine *self, PyFrameObject *frame, PyCodeObject *code, const Scope *kept)
{
    if (self->steps != NULL && self->depth == 0 && (kept == NULL || !kept->is_entry)) {
        PyObject *target;
        Source *source;
        int may = trace_may_begin(self, code, &target, &source);
        if (may <= 0 || trace_leave_waiting(self) < 0) {
            return may <= 0 ? may : -1;
        }
    }
    if (self->steps == NULL) {
        return trace_begin(self, frame, code);
    }
    if (self->max_depth > 0 && self->depth >= self->max_depth) {
        return 0;
    }
    return PyUnicode_Compare(code->co_name, self->state->module) != 0;
}

static int
enter(Engine *self, PyFrameObject *frame, PyCodeObject *code, Source *source, Scope *scope,
      bool is_entry)
{
    if (scope == NULL || scope->recording != self->recording) {
        scope = trace_scope_new(self, source, code, is_entry);
        if (scope == NULL) {
            return -1;
        }
    }
    else {
        Py_INCREF(scope);
    }
    scope->depth = self->depth++;
    scope->raised_at = -1;
    int result = trace_push(self, frame, scope);
    if (result == 0) {
        result = record_locals(self, scope, frame, CALL, PyFrame_GetLineNumber(frame));
    }
    Py_DECREF(scope);
    return result;
}

/* A call while a recording is open, or that may open one. */
static int
on_known_call(Engine *self, PyFrameObject *frame, PyCodeObject *code)
{
    Scope *kept = NULL;
    if (self->steps != NULL && code->co_flags & RESUMABLE) {
        kept = kept_scope(self, frame);
        if (kept == NULL && PyErr_Occurred()) {
            return -1;
        }
    }
    bool was_open = self->steps != NULL && self->depth > 0;
    Source *source = NULL;
    int result = 0;
    if (was_open) { /* nearly always it is the source that says no */
        source = trace_source_of_code(self, code);
        result = source == NULL && PyErr_Occurred() ? -1 : 0;
    }
    if (!was_open || source != NULL) {
        unsigned long long before = self->recording;
        result = is_stepped_into(self, frame, code, kept);
        if (result > 0 && source == NULL) {
            source = trace_source_of_code(self, code);
            result = source != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
        }
        if (result > 0) {
            result = enter(self, frame, code, source, kept, self->recording != before);
        }
    }
    Py_XDECREF(kept);
    return result;
}

static int
on_call(Engine *self, PyFrameObject *frame)
{
    if (++self->calls > self->max_calls) {
        return trace_stop(self, "call-budget");
    }
    PyCodeObject *code = PyFrame_GetCode(frame);
    int result = on_known_call(self, frame, code);
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
    int flags = code->co_flags;
    Source *source = trace_source_of_code(self, code);
    Py_DECREF(code);
    if (source == NULL) {
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
    if (trace_at_line(scope->source, scope->source->numbers, line) == 0) {
        return trace_locals_meet(frame);
    }
    scope->raised_at = -1;
    return record_locals(self, scope, frame, LINE, line);
}

static int
on_exception(Engine *self, Scope *scope, PyFrameObject *frame, PyObject *arg)
{
    if (trace_locals_meet(frame) < 0) {
        return -1;
    }
    PyObject *type = PyTuple_GET_ITEM(arg, 0);
    if (PyErr_GivenExceptionMatches(type, PyExc_StopIteration)) {
        int opcode = operation(self, frame, false);
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
    int opcode = operation(self, frame, true);
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
    if (!(scope->flags & RESUMABLE)) {
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
    int result = self->steps == NULL ? 0 : leave(self, scope, frame);
    if (result == 0 && self->steps != NULL && --self->depth == 0) {
        int yields = !unwinding && scope->flags & RESUMABLE ? operation(self, frame, true) : 0;
        if (yields > 0 && has_opcode(self->yielding, yields)) {
            Py_XSETREF(self->yielded, Py_NewRef(text));
        }
        else {
            result = yields < 0 ? -1
                     : unwinding ? trace_close(self, "exception", self->raised)
                                 : trace_close(self, "return", text);
        }
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
    Engine *self = (Engine *)engine;
    if (self->busy || !self->tracing) { /* sys.call_tracing, or an audit hook that keeps us */
        return 0;
    }
    Py_INCREF(self); /* the program may take the trace function away */
    self->busy = true;
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
        trace_untrace(self);
        PyErr_Restore(type, value, traceback);
    }
    self->busy = false;
    Py_DECREF(self);
    return result < 0 ? -1 : 0;
}
