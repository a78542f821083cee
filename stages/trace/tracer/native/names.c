/* What the renderer needs of Python. */

#include "render.h"

static int
from_module(const char *module, const char *name, PyObject **place)
{
    PyObject *found = PyImport_ImportModule(module);
    if (found == NULL) {
        return -1;
    }
    *place = PyObject_GetAttrString(found, name);
    Py_DECREF(found);
    return *place == NULL ? -1 : 0;
}

int
trace_render_names(RenderNames *names)
{
    const char *rendering = "stages.trace.tracer.rendering";
    names->qualname = PyUnicode_InternFromString("__qualname__");
    names->name = PyUnicode_InternFromString("__name__");
    names->dict = PyUnicode_InternFromString("__dict__");
    names->repr = PyUnicode_InternFromString("__repr__");
    names->shape = PyUnicode_InternFromString("shape");
    names->bit_length = PyUnicode_InternFromString("bit_length");
    names->sized_types = PyTuple_Pack(6, &PyList_Type, &PyDict_Type, &PySet_Type, &PyTuple_Type,
                                      &PyUnicode_Type, &PyBytes_Type);
    if (names->qualname == NULL || names->name == NULL || names->dict == NULL
        || names->repr == NULL || names->shape == NULL || names->bit_length == NULL
        || names->sized_types == NULL) {
        return -1;
    }
    return from_module("collections.abc", "Mapping", &names->mapping) < 0
           || from_module(rendering, "scrub", &names->scrub) < 0
           || from_module(rendering, "array_text", &names->array_text) < 0
           || from_module(rendering, "slots_of", &names->slots_of) < 0
           || from_module(rendering, "generated_fields", &names->generated_fields) < 0
           || from_module(rendering, "SINK", &names->sink) < 0 ? -1 : 0;
}

int
trace_render_visit(RenderNames *names, visitproc visit, void *arg)
{
    Py_VISIT(names->sized_types);
    Py_VISIT(names->mapping);
    Py_VISIT(names->scrub);
    Py_VISIT(names->array_text);
    Py_VISIT(names->slots_of);
    Py_VISIT(names->generated_fields);
    Py_VISIT(names->sink);
    for (int i = 0; i < GENERATED; i++) {
        Py_VISIT(names->generated[i].repr);
    }
    return 0;
}

void
trace_render_forget(RenderNames *names)
{
    for (int i = 0; i < GENERATED; i++) {
        Py_CLEAR(names->generated[i].repr);
        Py_CLEAR(names->generated[i].fields);
    }
}

void
trace_render_clear(RenderNames *names)
{
    trace_render_forget(names);
    Py_CLEAR(names->qualname);
    Py_CLEAR(names->name);
    Py_CLEAR(names->dict);
    Py_CLEAR(names->repr);
    Py_CLEAR(names->shape);
    Py_CLEAR(names->bit_length);
    Py_CLEAR(names->sized_types);
    Py_CLEAR(names->mapping);
    Py_CLEAR(names->scrub);
    Py_CLEAR(names->array_text);
    Py_CLEAR(names->slots_of);
    Py_CLEAR(names->generated_fields);
    Py_CLEAR(names->sink);
}
