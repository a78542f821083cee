/* The source that a trace shows: which lines of which file. */

#include "tracer.h"

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

static void
source_free(Source *source)
{
    Py_XDECREF(source->shown);
    Py_XDECREF(source->text);
    PyMem_Free(source->numbers);
    PyMem_Free(source->definitions);
    PyMem_Free(source);
}

void
trace_sources_free(Engine *self)
{
    while (self->source_count > 0) {
        source_free(self->sources[--self->source_count]);
    }
    PyMem_Free(self->sources);
    self->sources = NULL;
    self->source_room = 0;
}

/* Read the lines of a ShownSource. */
static int
source_read(ModuleState *state, Source *source, PyObject *shown)
{
    int result = -1;
    PyObject *by_line = PyObject_GetAttr(shown, state->numbers);
    PyObject *decorated = PyObject_GetAttr(shown, state->definitions);
    source->text = PyObject_GetAttr(shown, state->text);
    if (source->text == NULL || by_line == NULL || decorated == NULL) {
        goto done;
    }
    if (!(PyTuple_Check(source->text) || PyList_Check(source->text)) || !PyDict_Check(by_line)
        || !PyDict_Check(decorated)) {
        PyErr_SetString(PyExc_TypeError, "a ShownSource has a tuple or list, and two dicts");
        goto done;
    }
    Py_ssize_t length = greatest_line(by_line);
    if (length++ < 0) {
        goto done;
    }
    source->numbers = PyMem_Calloc((size_t)length, sizeof(int));
    source->definitions = PyMem_Calloc((size_t)length, sizeof(int));
    if (source->numbers == NULL || source->definitions == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    source->lines = length;
    if (read_lines(by_line, source->numbers, length) < 0
        || read_lines(decorated, source->definitions, length) < 0) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (source->numbers[i] > PySequence_Fast_GET_SIZE(source->text)) {
            PyErr_SetString(PyExc_ValueError, "a line is beyond the text");
            goto done;
        }
    }
    source->shown = Py_NewRef(shown);
    result = 0;
done:
    Py_XDECREF(by_line);
    Py_XDECREF(decorated);
    return result;
}

Source *
trace_source_of(Engine *self, PyObject *shown)
{
    for (Py_ssize_t i = self->source_count - 1; i >= 0; i--) {
        if (self->sources[i]->shown == shown) {
            return self->sources[i];
        }
    }
    if (trace_array_room((void **)&self->sources, &self->source_room, self->source_count + 1,
                   sizeof(Source *)) < 0) {
        return NULL;
    }
    Source *source = PyMem_Calloc(1, sizeof(Source));
    if (source == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (source_read(self->state, source, shown) < 0) {
        source_free(source);
        return NULL;
    }
    return self->sources[self->source_count++] = source;
}

Source *
trace_source_of_file(Engine *self, PyObject *file)
{
    if (self->files == Py_None) {
        return NULL;
    }
    PyObject *shown = PyDict_GetItemWithError(self->asked, file);
    if (shown == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (shown == NULL) {
        shown = PyObject_CallOneArg(self->files, file);
        if (shown == NULL) {
            return NULL;
        }
        int result = PyDict_SetItem(self->asked, file, shown);
        Py_DECREF(shown); /* the dict has it */
        if (result < 0) {
            return NULL;
        }
    }
    return shown == Py_None ? NULL : trace_source_of(self, shown);
}

void
trace_known_clear(Engine *self)
{
    for (int i = 0; self->known_count > 0 && i < KNOWN; i++) {
        if (self->known[i].code != NULL) {
            Py_CLEAR(self->known[i].code);
            self->known_count--;
        }
    }
}

Source *
trace_source_of_code(Engine *self, PyCodeObject *code)
{
    size_t place = ((size_t)code >> 4) % KNOWN;
    while (self->known[place].code != NULL) {
        if (self->known[place].code == code) {
            return self->known[place].source;
        }
        place = (place + 1) % KNOWN;
    }
    int is_entrys = PyObject_RichCompareBool(code->co_filename, self->file, Py_EQ);
    if (is_entrys < 0) {
        return NULL;
    }
    Source *source = is_entrys ? self->source : trace_source_of_file(self, code->co_filename);
    if (source == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (source != NULL && trace_at_line(source, source->numbers, code->co_firstlineno) == 0) {
        source = NULL;
    }
    if (self->known_count >= KNOWN / 2) { /* a program may make code without end */
        trace_known_clear(self);
        place = ((size_t)code >> 4) % KNOWN;
    }
    self->known[place] = (Known){(PyCodeObject *)Py_NewRef(code), source};
    self->known_count++;
    return source;
}
