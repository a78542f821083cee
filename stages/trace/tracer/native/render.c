/* Values as text: containers of built-in types, and what is in them. */

#include "walk.h"

/* Whether a dict's item is what exec puts into a namespace: 1, 0 or -1. */
static int
is_builtins(Walk *walk, PyObject *key, PyObject *value)
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
    return trace_complete_items(walk) < 0 ? -1 : PySequence_Contains(value, walk->names->import);
}

static int
append_parts(Walk *walk, Items *items)
{
    bool first = true, is_dict = items->width == 2;
    for (Py_ssize_t i = 0;; i += items->width) {
        if (i >= items->count && trace_items_take(items, i / items->width + 4) < 0) {
            return -1;
        }
        if (i >= items->count) {
            return 0;
        }
        bool enough = walk->left <= 0;
        if (!enough && is_dict) {
            int skipped = is_builtins(walk, items->all[i], items->all[i + 1]);
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
        if (trace_walk(walk, items->all[i]) < 0) {
            return -1;
        }
        if (is_dict && (TEXT_LITERAL(walk->text, ": ") < 0
                        || trace_walk(walk, items->all[i + 1]) < 0)) {
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
append_container(Walk *walk, PyObject *value, const Brackets *brackets)
{
    Text *text = walk->text;
    if (!trace_may_enter(walk, value)) {
        return trace_text_c(text, brackets->start) < 0 || TEXT_LITERAL(text, "...") < 0
               ? -1 : trace_text_c(text, brackets->end);
    }
    Py_ssize_t size = PyDict_CheckExact(value) ? PyDict_GET_SIZE(value)
                      : PyAnySet_CheckExact(value) ? PySet_GET_SIZE(value) : Py_SIZE(value);
    if (size == 0) {
        return trace_text_c(text, brackets->empty);
    }
    walk->left -= (Py_ssize_t)(strlen(brackets->start) + strlen(brackets->end));
    Items items;
    if (trace_text_c(text, brackets->start) < 0
        || trace_items_start(&items, value, size, walk->left) < 0) {
        return -1;
    }
    walk->items[walk->depth] = &items;
    walk->open[walk->depth++] = value;
    int result = append_parts(walk, &items);
    walk->depth--;
    if (walk->depth == 0) {
        walk->looked_at = items.shown;
    }
    trace_items_free(&items);
    if (result == 0 && size == 1 && PyTuple_CheckExact(value)) {
        result = TEXT_LITERAL(text, ",");
    }
    return result < 0 ? -1 : trace_text_c(text, brackets->end);
}

int
trace_walk(Walk *walk, PyObject *value)
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
            result = trace_text_atom(walk->names, walk->text, value, walk->left) < 0
                     ? -1 : trace_text_cut(walk->text, start, walk->left);
        }
    }
    else if (trace_is_changeless(type)) {
        result = trace_text_atom(walk->names, walk->text, value, walk->left);
    }
    else {
        result = trace_walk_other(walk, value);
    }
    walk->left -= walk->text->length - start;
    return result;
}

Py_ssize_t
trace_render(RenderNames *names, Text *text, PyObject *value, const RenderLimits *limits)
{
    Py_ssize_t start = text->length, looked_at = 0;
    int result;
    if (trace_is_changeless(Py_TYPE(value))) {
        result = trace_text_atom(names, text, value, limits->chars);
    }
    else {
        Walk walk;
        walk.names = names;
        walk.text = text;
        walk.left = limits->chars;
        walk.attributes = limits->attributes;
        walk.looked_at = 0;
        walk.ran_code = false;
        walk.depth = 0;
        result = trace_walk(&walk, value);
        if (!walk.ran_code && (PyList_CheckExact(value) || PyTuple_CheckExact(value))) {
            looked_at = walk.looked_at;
        }
    }
    return result < 0 || trace_text_cut(text, start, limits->chars) < 0 ? -1 : looked_at;
}
