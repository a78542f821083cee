/* Values whose text is the program's affair: objects, and what has a __repr__ of its own. */

#include "walk.h"

/* Append NAME=VALUE of the attributes. */
static int
append_attributes(Walk *walk, Items *items)
{
    Text *text = walk->text;
    for (Py_ssize_t i = 0;; i += 2) {
        if (i >= items->count && trace_items_take(items, i / 2 + 4) < 0) {
            return -1;
        }
        if (i >= items->count) {
            return 0;
        }
        if ((i > 0 && TEXT_LITERAL(text, ",") < 0) || TEXT_LITERAL(text, " ") < 0) {
            return -1;
        }
        if (walk->left <= 0) {
            return TEXT_LITERAL(text, "...");
        }
        if (!PyUnicode_CheckExact(items->all[i]) && trace_complete_items(walk) < 0) {
            return -1;
        }
        PyObject *shown = PyObject_Str(items->all[i]);
        if (shown == NULL) {
            return -1;
        }
        walk->left -= PyUnicode_GET_LENGTH(shown) + 3;
        if (trace_text_owned(text, shown) < 0 || TEXT_LITERAL(text, "=") < 0
            || trace_walk(walk, items->all[i + 1]) < 0) {
            return -1;
        }
    }
}

static int
append_type_name(Walk *walk, PyTypeObject *type)
{
    bool is_heap = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE);
    PyObject *own = is_heap ? ((PyHeapTypeObject *)type)->ht_qualname : NULL;
    if (Py_TYPE(type) == &PyType_Type && (own == NULL || PyUnicode_CheckExact(own))) { /* what __qualname__ gives there, without a look-up */
        if (own != NULL) {
            return trace_text_str(walk->text, own);
        }
        const char *dot = strrchr(type->tp_name, '.');
        return trace_text_c(walk->text, dot != NULL ? dot + 1 : type->tp_name);
    }
    return trace_text_attribute(walk->text, (PyObject *)type, walk->names->qualname);
}

/* What an asynchronous generator yields comes to a tracer in a type of its own. */
static bool
is_wrapped_yield(const PyTypeObject *type)
{
    return !PyType_HasFeature((PyTypeObject *)type, Py_TPFLAGS_HEAPTYPE)
           && strcmp(type->tp_name, "async_generator_wrapped_value") == 0;
}

static int
take_referent(PyObject *referent, void *place)
{
    *(PyObject **)place = referent;
    return 1;
}

static int
append_referent(Walk *walk, PyObject *value)
{
    PyObject *referent = NULL;
    Py_TYPE(value)->tp_traverse(value, take_referent, &referent);
    if (referent == NULL) {
        PyErr_SetString(PyExc_IndexError, "nothing is wrapped");
        return -1;
    }
    Py_INCREF(referent);
    int result = trace_walk(walk, referent);
    Py_DECREF(referent);
    return result;
}

/* Find an object's attributes, a new reference, or NULL when it has none. */
static int
attributes_of(Walk *walk, PyObject *value, PyObject **attributes)
{
    PyTypeObject *type = Py_TYPE(value);
    if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) && type->tp_dictoffset == 0
        && type->tp_getattro == PyObject_GenericGetAttr) {
        return 0; /* an AttributeError takes longer than all else here */
    }
    *attributes = PyObject_GetAttr(value, walk->names->dict);
    if (*attributes != NULL) {
        if (*attributes != Py_None) {
            return 0;
        }
        Py_CLEAR(*attributes);
    }
    else if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return -1;
    }
    PyErr_Clear();
    if (PyType_HasFeature(Py_TYPE(value), Py_TPFLAGS_HEAPTYPE)) {
        *attributes = PyObject_CallOneArg(walk->names->slots_of, value);
        return *attributes == NULL ? -1 : 0;
    }
    return 0;
}

/* An object without a __repr__ of its own shows its attributes, so that they count. */
static int
append_object(Walk *walk, PyObject *value, PyTypeObject *type)
{
    Text *text = walk->text;
    if (is_wrapped_yield(type)) {
        return append_referent(walk, value);
    }
    PyObject *attributes = NULL;
    if (walk->attributes && attributes_of(walk, value, &attributes) < 0) {
        return -1;
    }
    int any = 0;
    if (attributes != NULL) {
        any = PyDict_CheckExact(attributes)
              ? 1 : PyObject_IsInstance(attributes, walk->names->mapping);
        if (any > 0) {
            any = PyObject_IsTrue(attributes);
        }
    }
    int result = -1;
    if (any < 0 || TEXT_LITERAL(text, "<") < 0
        || append_type_name(walk, type) < 0 || TEXT_LITERAL(text, " object") < 0) {
        goto done;
    }
    if (any == 0) {
        result = TEXT_LITERAL(text, ">");
        goto done;
    }
    if (!trace_may_enter(walk, value)) {
        result = TEXT_LITERAL(text, " ...>");
        goto done;
    }
    Items items;
    int started = PyDict_CheckExact(attributes)
        ? trace_items_start(&items, attributes, PyDict_GET_SIZE(attributes), walk->left)
        : trace_items_of_mapping(&items, attributes, walk->left);
    if (started < 0) {
        goto done;
    }
    walk->items[walk->depth] = &items;
    walk->open[walk->depth++] = value;
    result = append_attributes(walk, &items);
    walk->depth--;
    trace_items_free(&items);
    if (result == 0) {
        result = TEXT_LITERAL(text, ">");
    }
done:
    Py_XDECREF(attributes);
    return result;
}

/* Whether the address is in it, in decimal or in hexadecimal, as ids and reprs have it. */
static bool
has_own_address(const Text *text, Py_ssize_t start, const PyObject *value)
{
    if (!trace_text_has_digits(text, start, 9)) {
        return false;
    }
    static const char *const formats[] = {"%zu", "%zx", "%zX"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(formats); i++) {
        char own[64];
        PyOS_snprintf(own, sizeof(own), formats[i], (size_t)value);
        if (trace_text_has(text, start, own)) {
            return true;
        }
    }
    return false;
}

/* Append a repr, which is let go of, without what tells where and when it was made. */
static int
append_scrubbed(Walk *walk, PyObject *repr, PyObject *value)
{
    Text *text = walk->text;
    Py_ssize_t start = text->length;
    if (repr == NULL || trace_text_str(text, repr) < 0) {
        Py_XDECREF(repr);
        return -1;
    }
    trace_text_drop_addresses(text, start);
    if (!trace_text_has(text, start, "started") && !trace_text_has(text, start, "stopped")
        && !has_own_address(text, start, value)) {
        Py_DECREF(repr);
        return 0;
    }
    PyObject *address = PyLong_FromVoidPtr(value);
    PyObject *without = address == NULL ? NULL
        : PyObject_CallFunctionObjArgs(walk->names->scrub, repr, address, NULL);
    Py_XDECREF(address);
    Py_DECREF(repr);
    trace_text_shorten(text, start);
    return trace_text_owned(text, without);
}

/* The repr; what it prints gets nowhere. */
static PyObject *
unheard_repr(const RenderNames *names, PyObject *value)
{
    PyObject *out = Py_XNewRef(PySys_GetObject("stdout"));
    PyObject *err = Py_XNewRef(PySys_GetObject("stderr"));
    PyObject *repr = NULL;
    if (PySys_SetObject("stdout", names->sink) == 0 && PySys_SetObject("stderr", names->sink) == 0) {
        repr = PyObject_Repr(value);
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PySys_SetObject("stdout", out);
    PySys_SetObject("stderr", err);
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
    Py_XDECREF(out);
    Py_XDECREF(err);
    return repr;
}

static int
append_each_field(Walk *walk, PyObject *value, PyObject *fields)
{
    Text *text = walk->text;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++) {
        PyObject *name = PyTuple_GET_ITEM(fields, i);
        if (i > 0 && TEXT_LITERAL(text, ", ") < 0) {
            return -1;
        }
        if (walk->left <= 0) {
            return TEXT_LITERAL(text, "...");
        }
        walk->left -= PyUnicode_GET_LENGTH(name) + 3;
        PyObject *field = PyObject_GetAttr(value, name);
        if (field == NULL) {
            return -1;
        }
        int result = trace_text_str(text, name) < 0 || TEXT_LITERAL(text, "=") < 0
                     ? -1 : trace_walk(walk, field);
        Py_DECREF(field);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

/* A dataclass, as its generated __repr__ has it. */
static int
append_fields(Walk *walk, PyObject *value, PyTypeObject *type, PyObject *fields)
{
    Text *text = walk->text;
    if (!trace_may_enter(walk, value)) {
        return TEXT_LITERAL(text, "...");
    }
    if (append_type_name(walk, type) < 0 || TEXT_LITERAL(text, "(") < 0) {
        return -1;
    }
    walk->items[walk->depth] = NULL;
    walk->open[walk->depth++] = value;
    int result = append_each_field(walk, value, fields);
    walk->depth--;
    return result < 0 ? -1 : TEXT_LITERAL(text, ")");
}

/* What repr says of a generator or coroutine, without its address. */
static int
append_suspended(Walk *walk, PyObject *value)
{
    Text *text = walk->text;
    const char *start = PyGen_CheckExact(value) ? "<generator object " : "<coroutine object ";
    return trace_text_c(text, start) < 0
           || trace_text_attribute(text, value, walk->names->qualname) < 0
           ? -1 : TEXT_LITERAL(text, ">");
}

static const unsigned long SIZED =
    Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_DICT_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS
    | Py_TPFLAGS_UNICODE_SUBCLASS | Py_TPFLAGS_BYTES_SUBCLASS;

/* What isinstance says; flags tell it of types that tell no lies, but for sets. */
static int
is_instance(PyObject *value, PyObject *types, bool honest, unsigned long flags)
{
    if (PyType_HasFeature(Py_TYPE(value), flags)) {
        return 1;
    }
    if (honest) {
        return flags == SIZED && PySet_Check(value) && !PyFrozenSet_Check(value);
    }
    return PyObject_IsInstance(value, types);
}

/* Append an instance of a type that tells what is shown of it. */
static int
append_instance(Walk *walk, PyObject *value, PyTypeObject *type, const Facts *facts)
{
    Text *text = walk->text;
    if (type->tp_repr == PyBaseObject_Type.tp_repr) {
        int is_type = is_instance(
            value, (PyObject *)&PyType_Type, facts->honest, Py_TPFLAGS_TYPE_SUBCLASS);
        if (is_type < 0) {
            return -1;
        }
        if (!is_type) {
            return append_object(walk, value, type);
        }
    }
    if (facts->fields != Py_None) {
        return append_fields(walk, value, type, facts->fields);
    }
    if (facts->may_be_array) {
        PyObject *array = PyObject_CallOneArg(walk->names->array_text, value);
        if (array == NULL || array != Py_None) {
            return append_scrubbed(walk, array, value);
        }
        Py_DECREF(array);
    }
    int sized = facts->sized ? 1
                : is_instance(value, walk->names->sized_types, facts->honest, SIZED);
    if (sized < 0) {
        return -1;
    }
    if (sized) {
        Py_ssize_t length = PyObject_Size(value);
        if (length < 0) {
            return -1;
        }
        if (length > MANY_ITEMS) {
            char count[48];
            PyOS_snprintf(count, sizeof(count), " of %zd items>", length);
            return TEXT_LITERAL(text, "<") < 0
                   || trace_text_attribute(text, (PyObject *)type, walk->names->name) < 0
                   ? -1 : trace_text_c(text, count);
        }
    }
    return append_scrubbed(walk, unheard_repr(walk->names, value), value);
}

static int
append_fallible(Walk *walk, PyObject *value, PyTypeObject *type)
{
    Text *text = walk->text;
    if (type == &PyModule_Type) {
        PyObject *name = PyObject_GetAttr(value, walk->names->name);
        if (name == NULL) {
            return -1;
        }
        int result = TEXT_LITERAL(text, "<module ") < 0
                     || trace_text_owned(text, PyObject_Repr(name)) < 0 ? -1 : TEXT_LITERAL(text, ">");
        Py_DECREF(name);
        return result;
    }
    if (type == &PyFunction_Type || type == &PyCFunction_Type || type == &PyMethod_Type) {
        if (TEXT_LITERAL(text, "<function ") < 0) {
            return -1;
        }
        if (trace_text_attribute(text, value, walk->names->qualname) < 0) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                return -1;
            }
            PyErr_Clear();
            if (TEXT_LITERAL(text, "?") < 0) {
                return -1;
            }
        }
        return TEXT_LITERAL(text, ">");
    }
    if (PyGen_CheckExact(value) || PyCoro_CheckExact(value)) {
        return append_suspended(walk, value);
    }
    Facts facts;
    if (trace_facts(walk->names, type, &facts) < 0) {
        return -1;
    }
    int result = append_instance(walk, value, type, &facts);
    Py_DECREF(facts.fields);
    return result;
}

/* Append what may run the program's own code, or its name where that fails. */
int
trace_walk_other(Walk *walk, PyObject *value)
{
    Py_ssize_t start = walk->text->length;
    int depth = walk->depth;
    if (trace_complete_items(walk) < 0) {
        return -1;
    }
    PyTypeObject *type = (PyTypeObject *)Py_NewRef(Py_TYPE(value)); /* it may change its class */
    int result = append_fallible(walk, value, type);
    if (result < 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        walk->depth = depth;
        trace_text_shorten(walk->text, start);
        result = TEXT_LITERAL(walk->text, "<unrepr ") < 0
                 || trace_text_attribute(walk->text, (PyObject *)type, walk->names->name) < 0
                 ? -1 : TEXT_LITERAL(walk->text, ">");
    }
    Py_DECREF(type);
    return result;
}
