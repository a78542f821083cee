/* Recordings: when one begins, what is kept of its frames, and how it ends. */

#include "tracer.h"

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

int
trace_push(Engine *self, PyFrameObject *frame, Scope *scope)
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
        PyTuple_SET_ITEM(locals, i, Py_NewRef(self->texts[step->locals + i]));
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
        else if (step->shown > 0 && shared[step->locals] != NULL) {
            locals = Py_NewRef(shared[step->locals]);
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
            shared[step->locals] = locals; /* borrowed: the list has it */
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
    Py_XINCREF(value);
    int collects = PyGC_Disable(); /* nothing that is made here can be garbage */
    int result = steps_append(self, steps);
    if (collects) {
        PyGC_Enable();
    }
    Py_DECREF(steps);
    trace_clear(self);
    trace_known_clear(self);
    trace_render_forget(&self->state->names);
    PyObject *done = result < 0 ? NULL
        : value == NULL ? PyObject_CallFunction(self->close, "ssn", outcome, "", self->calls)
                        : PyObject_CallFunction(self->close, "sOn", outcome, value, self->calls);
    Py_XDECREF(value);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

int
trace_stop(Engine *self, const char *outcome)
{
    if (trace_close(self, outcome, NULL) < 0) {
        return -1;
    }
    if (self->go_on) {
        trace_untrace(self);
        return 1;
    }
    PyErr_SetString(self->stopped, outcome);
    return -1;
}

void
trace_untrace(Engine *self)
{
    self->tracing = false;
    PyEval_SetTrace(NULL, NULL);
}

int
trace_leave_waiting(Engine *self)
{
    return self->steps != NULL && self->depth == 0 ? trace_close(self, "return", self->yielded) : 0;
}

int
trace_may_begin(Engine *self, PyCodeObject *code, PyObject **target, Source **source)
{
    *target = NULL;
    *source = NULL;
    PyObject *key = PyLong_FromVoidPtr(code);
    if (key == NULL) {
        return -1;
    }
    *target = PyDict_GetItemWithError(self->targets, key);
    Py_DECREF(key);
    if (*target != NULL) {
        PyObject *shown = PyObject_GetAttr(*target, self->state->shown);
        *source = shown == NULL ? NULL : trace_source_of(self, shown);
        Py_XDECREF(shown);
    }
    else if (!PyErr_Occurred() && self->any_entry) {
        *source = trace_source_of_file(self, code->co_filename);
        if (*source != NULL
            && trace_at_line(*source, (*source)->numbers, code->co_firstlineno) == 0) {
            *source = NULL;
        }
    }
    return PyErr_Occurred() ? -1 : *source != NULL;
}

int
trace_begin(Engine *self, PyFrameObject *frame, PyCodeObject *code)
{
    PyObject *target;
    Source *source;
    int may = trace_may_begin(self, code, &target, &source);
    if (may <= 0) {
        return may;
    }
    PyObject *recording = PyObject_CallFunctionObjArgs(
        self->begin, target != NULL ? target : Py_None, frame, NULL);
    if (recording == NULL) {
        return -1;
    }
    if (recording == Py_None) {
        Py_DECREF(recording);
        return 0;
    }
    PyObject *steps = PyObject_GetAttr(recording, self->state->steps);
    Py_DECREF(recording);
    if (steps == NULL || !PyList_CheckExact(steps)) {
        if (steps != NULL) {
            PyErr_SetString(PyExc_TypeError, "a recording's steps are a list");
        }
        Py_XDECREF(steps);
        return -1;
    }
    self->steps = steps;
    self->source = source;
    self->recording = ++self->state->recordings;
    self->depth = self->bytes = 0;
    Py_CLEAR(self->raised);
    Py_CLEAR(self->yielded);
    Py_XSETREF(self->file, Py_NewRef(code->co_filename));
    return 1;
}

int
trace_record(Engine *self, const Scope *scope, Event event, PyObject *value, bool unwinding,
             Py_ssize_t size)
{
    if (self->steps == NULL) { /* a signal handler, while a value was rendered, has ended it */
        return 1;
    }
    PyObject *text = scope->source->text;
    if (scope->line > PySequence_Fast_GET_SIZE(text)
        || !PyUnicode_Check(PySequence_Fast_GET_ITEM(text, scope->line - 1))) {
        PyErr_SetString(PyExc_ValueError, "a line is beyond the text");
        return -1;
    }
    self->bytes += size + 24 + PyUnicode_GET_LENGTH(PySequence_Fast_GET_ITEM(text, scope->line - 1));
    if (self->made_count >= self->max_events) {
        return trace_stop(self, "event-budget");
    }
    if (self->bytes > self->max_bytes) {
        return trace_stop(self, "byte-budget");
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
        .locals = scope->locals,
        .shown = scope->shown,
        .value = Py_XNewRef(value),
    };
    return 0;
}
