/* Values as text: what rendering.py says, character for character. */

#ifndef TRACE_RENDER_H
#define TRACE_RENDER_H

#include "text.h"

enum { FACTS = 64 };

/* What is known of a type for as long as it has this version tag, which no other type ever has. */
typedef struct {
    unsigned int tag;
    bool honest;       /* type(value) and value.__class__ are the same */
    bool may_be_array; /* a class that it inherits from has a "shape" */
    bool sized;        /* has a length, and a __repr__ in C: that shows all there is */
    PyObject *fields;  /* what the generated __repr__ of a dataclass shows; else None */
} Facts;

/* What the renderer needs of Python, owned by the module. */
typedef struct {
    PyObject *qualname, *name, *dict, *bit_length; /* attribute names */
    PyObject *import; /* a key of what __builtins__ may be */
    PyObject *sized_types;    /* tuple: built-in types whose subclasses may be long */
    PyObject *mapping;        /* collections.abc.Mapping */
    PyObject *repr, *shape, *class; /* attribute names */
    /* of rendering.py: */
    PyObject *scrub, *array_text, *slots_of, *generated_fields, *sink;
    Facts facts[FACTS];
} RenderNames;

typedef struct {
    Py_ssize_t chars; /* of one value */
    bool attributes;  /* whether plain objects show theirs */
} RenderLimits;

int trace_render_names(RenderNames *names);
int trace_render_visit(RenderNames *names, visitproc visit, void *arg);
void trace_render_clear(RenderNames *names);

/* Whether instances of exactly this type never change: the same object has the same text. */
bool trace_is_changeless(PyTypeObject *type);

/* Find what is known of a type; its fields are a new reference. */
int trace_facts(RenderNames *names, PyTypeObject *type, Facts *facts);

/* Let go of what was kept of the program's types. */
void trace_render_forget(RenderNames *names);

/* Append the text of value in at most about limits->chars characters. Gives the number of items that were
   looked at when value is exactly a list or tuple and no code of the program ran, else 0; -1 with an
   exception set. */
Py_ssize_t trace_render(
    RenderNames *names, Text *text, PyObject *value, const RenderLimits *limits);

#endif
