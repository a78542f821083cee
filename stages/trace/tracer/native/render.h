/* Values as text: what rendering.py says, character for character. */

#ifndef TRACE_RENDER_H
#define TRACE_RENDER_H

#include "text.h"

/* What the renderer needs of Python, owned by the module. */
typedef struct {
    PyObject *qualname, *name, *dict, *bit_length; /* attribute names */
    PyObject *sized_types;    /* tuple: built-in types whose subclasses may be long */
    PyObject *mapping;        /* collections.abc.Mapping */
    PyObject *drop_idents;    /* rendering.drop_idents */
} RenderNames;

int trace_render_names(RenderNames *names);
int trace_render_visit(RenderNames *names, visitproc visit, void *arg);
void trace_render_clear(RenderNames *names);

/* Whether instances of exactly this type never change: the same object has the same text. */
bool trace_is_changeless(PyTypeObject *type);

/* Append the text of value in at most about budget characters. Gives the number of items that were
   looked at when value is exactly a list or tuple, else 0; -1 with an exception set. */
Py_ssize_t trace_render(
    const RenderNames *names, Text *text, PyObject *value, Py_ssize_t budget);

#endif
