#include "render.h"

#include <stdio.h>

enum {
    DEPTH = 6,
    BIG_INT_BITS = 14000,
    MANY_ITEMS = 1000,
    FEW = 64, /* items that are held on the stack */
};

typedef struct Items Items;

/* One walk over a nested value; left runs out, and then nothing more is looked at. */
typedef struct {
    const RenderNames *names;
    Text *text;
    Py_ssize_t left;
    PyObject *open[DEPTH]; /* the containers that the walk is in; only compared */
    Items *items[DEPTH];   /* and their items */
    Py_ssize_t looked_at;  /* how many items of the outermost container were */
    int depth;
} Walk;

static int walk_value(Walk *walk, PyObject *value);

bool
trace_is_changeless(PyTypeObject *type)
{
    return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyBool_Type
           || type == Py_TYPE(Py_None) || type == &PyFloat_Type || type == &PyBytes_Type
           || type == &PyRange_Type || type == &PyComplex_Type;
}

static int
append_owned(Text *text, PyObject *str)
{
    if (str == NULL) {
        return -1;
    }
    int result = trace_text_str(text, str);
    Py_DECREF(str);
    return result;
}

static int
append_format(Text *text, PyObject *value)
{
    return append_owned(text, PyObject_Format(value, NULL));
}

static int
append_attribute(Text *text, PyObject *value, PyObject *attribute)
{
    PyObject *found = PyObject_GetAttr(value, attribute);
    if (found == NULL) {
        return -1;
    }
    int result = append_format(text, found);
    Py_DECREF(found);
    return result;
}

static int
append_int(const RenderNames *names, Text *text, PyObject *value)
{
    int overflow;
    long small = PyLong_AsLongAndOverflow(value, &overflow);
    if (!overflow) {
        char digits[32], *first = digits + sizeof(digits);
        unsigned long rest = small < 0 ? 0UL - (unsigned long)small : (unsigned long)small;
        do {
            *--first = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest > 0);
        if (small < 0) {
            *--first = '-';
        }
        return trace_text_ascii(text, first, digits + sizeof(digits) - first);
    }
    PyObject *bits = PyObject_CallMethodNoArgs(value, names->bit_length);
    if (bits == NULL) {
        return -1;
    }
    long count = PyLong_AsLong(bits);
    if (count == -1 && PyErr_Occurred()) {
        Py_DECREF(bits);
        return -1;
    }
    int result = -1;
    PyObject *digits = count <= BIG_INT_BITS ? PyObject_Repr(value) : NULL;
    if (digits != NULL) {
        result = append_owned(text, digits);
    }
    else if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear(); /* a program may lower the limit of digits */
        result = TEXT_LITERAL(text, "<int ") < 0 || append_format(text, bits) < 0
                 ? -1 : TEXT_LITERAL(text, " bits>");
    }
    Py_DECREF(bits);
    return result;
}

/* Whether repr only puts single quotes around it. */
static bool
is_plain(PyObject *str)
{
    if (!PyUnicode_IS_ASCII(str)) {
        return false;
    }
    const Py_UCS1 *data = PyUnicode_1BYTE_DATA(str);
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(str); i++) {
        if (data[i] < ' ' || data[i] > '~' || data[i] == '\'' || data[i] == '\\') {
            return false;
        }
    }
    return true;
}

static int
append_str(Text *text, PyObject *value, Py_ssize_t budget)
{
    if (PyUnicode_GET_LENGTH(value) <= budget + 1 && is_plain(value)) {
        return TEXT_LITERAL(text, "'") < 0 || trace_text_str(text, value) < 0
               ? -1 : TEXT_LITERAL(text, "'");
    }
    PyObject *first = PyUnicode_Substring(value, 0, budget + 1);
    if (first == NULL) {
        return -1;
    }
    int result = append_owned(text, PyObject_Repr(first));
    Py_DECREF(first);
    return result;
}

static int
append_bytes(Text *text, PyObject *value, Py_ssize_t budget)
{
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    if (size <= budget + 1) {
        return append_owned(text, PyObject_Repr(value));
    }
    PyObject *first = PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), budget + 1);
    if (first == NULL) {
        return -1;
    }
    int result = append_owned(text, PyObject_Repr(first));
    Py_DECREF(first);
    return result;
}

static int
append_float(Text *text, PyObject *value)
{
    char *digits = PyOS_double_to_string(
        PyFloat_AS_DOUBLE(value), 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL) {
        return -1;
    }
    int result = trace_text_ascii(text, digits, (Py_ssize_t)strlen(digits));
    PyMem_Free(digits);
    return result;
}

/* Append an instance of exactly a changeless type, whose repr runs no code of the program. */
static int
append_changeless(const RenderNames *names, Text *text, PyObject *value, Py_ssize_t budget)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyLong_Type) {
        return append_int(names, text, value);
    }
    if (type == &PyUnicode_Type) {
        return append_str(text, value, budget);
    }
    if (type == &PyBytes_Type) {
        return append_bytes(text, value, budget);
    }
    if (type == &PyFloat_Type) {
        return append_float(text, value);
    }
    if (value == Py_None) {
        return TEXT_LITERAL(text, "None");
    }
    if (type == &PyBool_Type) {
        return value == Py_True ? TEXT_LITERAL(text, "True") : TEXT_LITERAL(text, "False");
    }
    return append_owned(text, PyObject_Repr(value));
}

static bool
may_enter(const Walk *walk, const PyObject *value)
{
    for (int i = 0; i < walk->depth; i++) {
        if (walk->open[i] == value) {
            return false;
        }
    }
    return walk->depth < DEPTH;
}

/* Items as they were before any of them was rendered: a repr may change the container. They are
   taken a few at a time, for most are never shown, and all before code of the program runs. */
struct Items {
    PyObject *few[FEW];
    PyObject **all;
    Py_ssize_t count, room, most;
    PyObject *container; /* borrowed: whoever shows it holds it */
    PyObject *iterator;  /* of a set, else NULL */
    Py_ssize_t place;    /* in a dict */
    Py_ssize_t shown;    /* how many were rendered */
    int width;           /* 2 where keys and values come in turn */
};

static void
items_free(Items *items)
{
    for (Py_ssize_t i = 0; i < items->count; i++) {
        Py_DECREF(items->all[i]);
    }
    if (items->all != items->few) {
        PyMem_Free(items->all);
    }
    Py_XDECREF(items->iterator);
}

static int
items_room(Items *items, Py_ssize_t room)
{
    if (room <= items->room) {
        return 0;
    }
    PyObject **all = PyMem_New(PyObject *, room);
    if (all == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(all, items->all, (size_t)items->count * sizeof(PyObject *));
    if (items->all != items->few) {
        PyMem_Free(items->all);
    }
    items->all = all;
    items->room = room;
    return 0;
}

/* Take items until there are upto, or as many as may be shown. */
static int
items_take(Items *items, Py_ssize_t upto)
{
    Py_ssize_t end = (upto < items->most ? upto : items->most) * items->width;
    if (items->count >= end) {
        return 0;
    }
    if (items_room(items, end) < 0) {
        return -1;
    }
    if (items->width == 2) {
        PyObject *key, *value;
        while (items->count < end
               && PyDict_Next(items->container, &items->place, &key, &value)) {
            items->all[items->count++] = Py_NewRef(key);
            items->all[items->count++] = Py_NewRef(value);
        }
        return 0;
    }
    if (items->iterator != NULL) {
        while (items->count < end) {
            PyObject *item = PyIter_Next(items->iterator);
            if (item == NULL) {
                return PyErr_Occurred() ? -1 : 0;
            }
            items->all[items->count++] = item;
        }
        return 0;
    }
    PyObject **from = PySequence_Fast_ITEMS(items->container);
    for (; items->count < end; items->count++) {
        items->all[items->count] = Py_NewRef(from[items->count]);
    }
    return 0;
}

/* Prepare a container of built-in type of that size. Every further item takes two characters or
   more: more of them than that cannot be shown. */
static int
items_start(Items *items, PyObject *container, Py_ssize_t size, Py_ssize_t left)
{
    Py_ssize_t most = (left > 0 ? left : 0) / 2 + 2;
    items->all = items->few;
    items->count = items->place = items->shown = 0;
    items->room = FEW;
    items->most = size < most ? size : most;
    items->container = container;
    items->width = PyDict_CheckExact(container) ? 2 : 1;
    items->iterator = NULL;
    if (PyAnySet_CheckExact(container)) {
        items->iterator = PyObject_GetIter(container);
        return items->iterator == NULL ? -1 : 0;
    }
    return 0;
}

/* Take the first keys and values of a mapping that is no plain dict. */
static int
items_of_mapping(Items *items, PyObject *mapping, Py_ssize_t left)
{
    PyObject *view = PyMapping_Items(mapping);
    if (view == NULL) {
        return -1;
    }
    int result = items_start(items, view, PyList_GET_SIZE(view), left);
    if (result == 0) {
        result = items_room(items, 2 * items->most);
    }
    for (Py_ssize_t i = 0; result == 0 && i < items->most; i++) {
        PyObject *pair = PyList_GET_ITEM(view, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "a mapping has items that are no pairs");
            items_free(items);
            result = -1;
            break;
        }
        items->all[items->count++] = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
        items->all[items->count++] = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    }
    items->width = 2;
    items->most = items->count / 2; /* nothing is left to take */
    Py_DECREF(view);
    return result;
}

/* Whether a dict's item is what exec puts into a namespace: 1, 0 or -1. */
static int
is_builtins(PyObject *key, PyObject *value)
{
    if (!PyUnicode_CheckExact(key) || PyUnicode_CompareWithASCIIString(key, "__builtins__") != 0) {
        return 0;
    }
    if (PyModule_Check(value)) {
        return 1;
    }
    if (!PyDict_Check(value)) {
        return 0;
    }
    return PyDict_GetItemString(value, "__import__") != NULL;
}

static int
append_parts(Walk *walk, Items *items)
{
    bool first = true, is_dict = items->width == 2;
    for (Py_ssize_t i = 0;; i += items->width) {
        if (i >= items->count && items_take(items, i / items->width + 4) < 0) {
            return -1;
        }
        if (i >= items->count) {
            return 0;
        }
        bool enough = walk->left <= 0;
        if (!enough && is_dict) {
            int skipped = is_builtins(items->all[i], items->all[i + 1]);
            if (skipped < 0) {
                return -1;
            }
            if (skipped) {
                continue;
            }
        }
        if (!first && TEXT_LITERAL(walk->text, ", ") < 0) {
            return -1;
        }
        if (enough) {
            return TEXT_LITERAL(walk->text, "...");
        }
        first = false;
        if (walk_value(walk, items->all[i]) < 0) {
            return -1;
        }
        if (is_dict && (TEXT_LITERAL(walk->text, ": ") < 0
                        || walk_value(walk, items->all[i + 1]) < 0)) {
            return -1;
        }
        walk->left -= 2;
        items->shown++;
    }
}

typedef struct {
    const char *start, *end, *empty;
} Brackets;

static const Brackets LIST = {"[", "]", "[]"}, TUPLE = {"(", ")", "()"}, DICT = {"{", "}", "{}"},
                      SET = {"{", "}", "set()"}, FROZENSET = {"frozenset({", "})", "frozenset()"};

static int
append_c(Text *text, const char *ascii)
{
    return trace_text_ascii(text, ascii, (Py_ssize_t)strlen(ascii));
}

static int
append_container(Walk *walk, PyObject *value, const Brackets *brackets)
{
    Text *text = walk->text;
    if (!may_enter(walk, value)) {
        return append_c(text, brackets->start) < 0 || TEXT_LITERAL(text, "...") < 0
               ? -1 : append_c(text, brackets->end);
    }
    Py_ssize_t size = PyDict_CheckExact(value) ? PyDict_GET_SIZE(value)
                      : PyAnySet_CheckExact(value) ? PySet_GET_SIZE(value) : Py_SIZE(value);
    if (size == 0) {
        return append_c(text, brackets->empty);
    }
    walk->left -= (Py_ssize_t)(strlen(brackets->start) + strlen(brackets->end));
    Items items;
    if (append_c(text, brackets->start) < 0
        || items_start(&items, value, size, walk->left) < 0) {
        return -1;
    }
    walk->items[walk->depth] = &items;
    walk->open[walk->depth++] = value;
    int result = append_parts(walk, &items);
    walk->depth--;
    if (walk->depth == 0) {
        walk->looked_at = items.shown;
    }
    items_free(&items);
    if (result == 0 && size == 1 && PyTuple_CheckExact(value)) {
        result = TEXT_LITERAL(text, ",");
    }
    return result < 0 ? -1 : append_c(text, brackets->end);
}

/* Take all items of what the walk is in: what comes next may run code of the program. */
static int
complete_items(Walk *walk)
{
    for (int i = 0; i < walk->depth; i++) {
        if (items_take(walk->items[i], PY_SSIZE_T_MAX / 4) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Append NAME=VALUE of the attributes. */
static int
append_attributes(Walk *walk, Items *items)
{
    Text *text = walk->text;
    for (Py_ssize_t i = 0;; i += 2) {
        if (i >= items->count && items_take(items, i / 2 + 4) < 0) {
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
        if (!PyUnicode_CheckExact(items->all[i]) && complete_items(walk) < 0) {
            return -1;
        }
        PyObject *shown = PyObject_Str(items->all[i]);
        if (shown == NULL) {
            return -1;
        }
        walk->left -= PyUnicode_GET_LENGTH(shown) + 3;
        if (append_owned(text, shown) < 0 || TEXT_LITERAL(text, "=") < 0
            || walk_value(walk, items->all[i + 1]) < 0) {
            return -1;
        }
    }
}

/* An object without a __repr__ of its own shows its attributes, so that they count. */
static int
append_object(Walk *walk, PyObject *value)
{
    Text *text = walk->text;
    PyObject *attributes = PyObject_GetAttr(value, walk->names->dict);
    if (attributes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
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
        || append_attribute(text, (PyObject *)Py_TYPE(value), walk->names->qualname) < 0
        || TEXT_LITERAL(text, " object") < 0) {
        goto done;
    }
    if (any == 0) {
        result = TEXT_LITERAL(text, ">");
        goto done;
    }
    if (!may_enter(walk, value)) {
        result = TEXT_LITERAL(text, " ...>");
        goto done;
    }
    Items items;
    int started = PyDict_CheckExact(attributes)
        ? items_start(&items, attributes, PyDict_GET_SIZE(attributes), walk->left)
        : items_of_mapping(&items, attributes, walk->left);
    if (started < 0) {
        goto done;
    }
    walk->items[walk->depth] = &items;
    walk->open[walk->depth++] = value;
    result = append_attributes(walk, &items);
    walk->depth--;
    items_free(&items);
    if (result == 0) {
        result = TEXT_LITERAL(text, ">");
    }
done:
    Py_XDECREF(attributes);
    return result;
}

/* Append a repr without what tells where and when it was made. */
static int
append_scrubbed(Walk *walk, PyObject *repr)
{
    Text *text = walk->text;
    Py_ssize_t start = text->length;
    if (trace_text_str(text, repr) < 0) {
        return -1;
    }
    trace_text_drop_addresses(text, start);
    if (!trace_text_has(text, start, "started ") && !trace_text_has(text, start, "stopped ")) {
        return 0;
    }
    PyObject *shown = trace_text_object(text, start);
    if (shown == NULL) {
        return -1;
    }
    PyObject *without = PyObject_CallOneArg(walk->names->drop_idents, shown);
    Py_DECREF(shown);
    if (without == NULL) {
        return -1;
    }
    trace_text_shorten(text, start);
    return append_owned(text, without);
}

static int
append_fallible(Walk *walk, PyObject *value)
{
    Text *text = walk->text;
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyModule_Type) {
        PyObject *name = PyObject_GetAttr(value, walk->names->name);
        if (name == NULL) {
            return -1;
        }
        int result = TEXT_LITERAL(text, "<module ") < 0
                     || append_owned(text, PyObject_Repr(name)) < 0 ? -1 : TEXT_LITERAL(text, ">");
        Py_DECREF(name);
        return result;
    }
    if (type == &PyFunction_Type || type == &PyCFunction_Type || type == &PyMethod_Type) {
        if (TEXT_LITERAL(text, "<function ") < 0) {
            return -1;
        }
        if (append_attribute(text, value, walk->names->qualname) < 0) {
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
    if (type->tp_repr == PyBaseObject_Type.tp_repr) {
        int is_type = PyObject_IsInstance(value, (PyObject *)&PyType_Type);
        if (is_type < 0) {
            return -1;
        }
        if (!is_type) {
            return append_object(walk, value);
        }
    }
    int sized = PyObject_IsInstance(value, walk->names->sized_types);
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
                   || append_attribute(text, (PyObject *)type, walk->names->name) < 0
                   ? -1 : append_c(text, count);
        }
    }
    PyObject *repr = PyObject_Repr(value);
    if (repr == NULL) {
        return -1;
    }
    int result = append_scrubbed(walk, repr);
    Py_DECREF(repr);
    return result;
}

/* Append what may run the program's own code, or its name where that fails. */
static int
append_other(Walk *walk, PyObject *value)
{
    Py_ssize_t start = walk->text->length;
    int depth = walk->depth;
    if (complete_items(walk) < 0) {
        return -1;
    }
    if (append_fallible(walk, value) == 0) {
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyErr_Clear();
    walk->depth = depth;
    trace_text_shorten(walk->text, start);
    return TEXT_LITERAL(walk->text, "<unrepr ") < 0
           || append_attribute(walk->text, (PyObject *)Py_TYPE(value), walk->names->name) < 0
           ? -1 : TEXT_LITERAL(walk->text, ">");
}

static int
walk_value(Walk *walk, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    const Brackets *brackets = type == &PyList_Type ? &LIST
                               : type == &PyTuple_Type ? &TUPLE
                               : type == &PyDict_Type ? &DICT
                               : type == &PySet_Type ? &SET
                               : type == &PyFrozenSet_Type ? &FROZENSET : NULL;
    if (brackets != NULL) {
        return append_container(walk, value, brackets);
    }
    Py_ssize_t start = walk->text->length;
    int result;
    if (type == &PyLong_Type || type == &PyUnicode_Type || type == &PyBytes_Type) {
        if (walk->left <= 0) {
            result = TEXT_LITERAL(walk->text, "...");
        }
        else {
            result = append_changeless(walk->names, walk->text, value, walk->left) < 0
                     ? -1 : trace_text_cut(walk->text, start, walk->left);
        }
    }
    else if (trace_is_changeless(type)) {
        result = append_changeless(walk->names, walk->text, value, walk->left);
    }
    else {
        result = append_other(walk, value);
    }
    walk->left -= walk->text->length - start;
    return result;
}

Py_ssize_t
trace_render(const RenderNames *names, Text *text, PyObject *value, Py_ssize_t budget)
{
    Py_ssize_t start = text->length, looked_at = 0;
    int result;
    if (trace_is_changeless(Py_TYPE(value))) {
        result = append_changeless(names, text, value, budget);
    }
    else {
        Walk walk = {.names = names, .text = text, .left = budget};
        result = walk_value(&walk, value);
        if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
            looked_at = walk.looked_at;
        }
    }
    return result < 0 || trace_text_cut(text, start, budget) < 0 ? -1 : looked_at;
}

int
trace_render_names(RenderNames *names)
{
    names->qualname = PyUnicode_InternFromString("__qualname__");
    names->name = PyUnicode_InternFromString("__name__");
    names->dict = PyUnicode_InternFromString("__dict__");
    names->bit_length = PyUnicode_InternFromString("bit_length");
    names->sized_types = PyTuple_Pack(6, &PyList_Type, &PyDict_Type, &PySet_Type, &PyTuple_Type,
                                      &PyUnicode_Type, &PyBytes_Type);
    if (names->qualname == NULL || names->name == NULL || names->dict == NULL
        || names->bit_length == NULL || names->sized_types == NULL) {
        return -1;
    }
    PyObject *abc = PyImport_ImportModule("collections.abc");
    if (abc == NULL) {
        return -1;
    }
    names->mapping = PyObject_GetAttrString(abc, "Mapping");
    Py_DECREF(abc);
    PyObject *rendering = PyImport_ImportModule("stages.trace.tracer.rendering");
    if (rendering == NULL) {
        return -1;
    }
    names->drop_idents = PyObject_GetAttrString(rendering, "drop_idents");
    Py_DECREF(rendering);
    return names->mapping == NULL || names->drop_idents == NULL ? -1 : 0;
}

int
trace_render_visit(RenderNames *names, visitproc visit, void *arg)
{
    Py_VISIT(names->sized_types);
    Py_VISIT(names->mapping);
    Py_VISIT(names->drop_idents);
    return 0;
}

void
trace_render_clear(RenderNames *names)
{
    Py_CLEAR(names->qualname);
    Py_CLEAR(names->name);
    Py_CLEAR(names->dict);
    Py_CLEAR(names->bit_length);
    Py_CLEAR(names->sized_types);
    Py_CLEAR(names->mapping);
    Py_CLEAR(names->drop_idents);
}
