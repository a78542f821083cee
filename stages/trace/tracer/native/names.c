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
    names->class = PyUnicode_InternFromString("__class__");
    names->shape = PyUnicode_InternFromString("shape");
    names->bit_length = PyUnicode_InternFromString("bit_length");
    names->import = PyUnicode_InternFromString("__import__");
    names->sized_types = PyTuple_Pack(6, &PyList_Type, &PyDict_Type, &PySet_Type, &PyTuple_Type,
                                      &PyUnicode_Type, &PyBytes_Type);
    if (names->qualname == NULL || names->name == NULL || names->dict == NULL
        || names->repr == NULL || names->shape == NULL || names->class == NULL
        || names->bit_length == NULL || names->import == NULL || names->sized_types == NULL) {
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
    return 0;
}

/* Whether a class that the type inherits from, other than object, has a name: 1, 0 or -1. */
static int
inherits(const PyTypeObject *type, PyObject *name)
{
    PyObject *mro = Py_XNewRef(type->tp_mro); /* a key's __eq__ may give the type other bases */
    int found = 0;
    for (Py_ssize_t i = 0; found == 0 && mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (base->tp_dict == NULL || base == &PyBaseObject_Type) {
            continue; /* NULL: of a static type, from Python 3.12 on */
        }
        found = PyDict_Contains(base->tp_dict, name);
    }
    Py_XDECREF(mro);
    return found;
}

static int
find_facts(RenderNames *names, PyTypeObject *type, Facts *facts)
{
    int array = inherits(type, names->shape);
    int lies = array < 0 ? -1 : inherits(type, names->class);
    if (lies < 0) {
        return -1;
    }
    facts->may_be_array = array;
    facts->honest = !lies && type->tp_getattro == PyObject_GenericGetAttr;
    PyObject *repr = PyObject_GetAttr((PyObject *)type, names->repr);
    if (repr == NULL) {
        return -1;
    }
    bool has_length = (type->tp_as_sequence != NULL && type->tp_as_sequence->sq_length != NULL)
                      || (type->tp_as_mapping != NULL && type->tp_as_mapping->mp_length != NULL);
    facts->sized = has_length && Py_IS_TYPE(repr, &PyWrapperDescr_Type);
    facts->fields = PyFunction_Check(repr)
        ? PyObject_CallOneArg(names->generated_fields, (PyObject *)type)
        : Py_NewRef(Py_None);
    Py_DECREF(repr);
    if (facts->fields == NULL) {
        return -1;
    }
    facts->tag = PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG) ? type->tp_version_tag : 0;
    return 0;
}

int
trace_facts(RenderNames *names, PyTypeObject *type, Facts *facts)
{
    Facts *place = &names->facts[((size_t)type >> 4) % FACTS];
    if (place->tag == 0 || place->tag != type->tp_version_tag
        || !PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG)) {
        Facts found;
        if (find_facts(names, type, &found) < 0) {
            return -1;
        }
        PyObject *before = place->fields;
        *place = found;
        Py_XDECREF(before);
    }
    *facts = *place;
    Py_INCREF(facts->fields);
    return 0;
}

void
trace_render_forget(RenderNames *names)
{
    for (int i = 0; i < FACTS; i++) {
        names->facts[i].tag = 0;
        Py_CLEAR(names->facts[i].fields);
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
    Py_CLEAR(names->class);
    Py_CLEAR(names->bit_length);
    Py_CLEAR(names->import);
    Py_CLEAR(names->sized_types);
    Py_CLEAR(names->mapping);
    Py_CLEAR(names->scrub);
    Py_CLEAR(names->array_text);
    Py_CLEAR(names->slots_of);
    Py_CLEAR(names->generated_fields);
    Py_CLEAR(names->sink);
}
