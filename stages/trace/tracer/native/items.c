/* Items of containers as they were before any of them was rendered. */

#include "walk.h"

bool
trace_may_enter(const Walk *walk, const PyObject *value)
{
    for (int i = 0; i < walk->depth; i++) {
        if (walk->open[i] == value) {
            return false;
        }
    }
    return walk->depth < DEPTH;
}

void
trace_items_free(Items *items)
{
    for (Py_ssize_t i = 0; i < items->count; i++) {
        Py_DECREF(items->all[i]);
    }
    if (items->all != items->few) {
        PyMem_Free(items->all);
    }
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

/* Take what may be shown of a set. Up to Python 3.11 the iterator that is made may start a
   collection of garbage, and that finalisers: the set is as they left it. */
static int
take_set(Items *items)
{
    PyObject *iterator = PyObject_GetIter(items->container);
    int result = iterator == NULL ? -1 : items_room(items, items->most);
    while (result == 0 && items->count < items->most) {
        PyObject *item = PyIter_Next(iterator);
        if (item == NULL) {
            result = PyErr_Occurred() ? -1 : 0;
            break;
        }
        items->all[items->count++] = item;
    }
    items->most = items->count; /* nothing is left to take */
    Py_XDECREF(iterator);
    if (result < 0) {
        trace_items_free(items);
    }
    return result;
}

/* Take items until there are upto, or as many as may be shown. */
int
trace_items_take(Items *items, Py_ssize_t upto)
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
    PyObject **from = PySequence_Fast_ITEMS(items->container);
    Py_ssize_t size = PySequence_Fast_GET_SIZE(items->container);
    for (; items->count < end && items->count < size; items->count++) {
        items->all[items->count] = Py_NewRef(from[items->count]);
    }
    return 0;
}

/* Prepare a container of built-in type of that size. Every further item takes two characters or
   more: more of them than that cannot be shown. */
int
trace_items_start(Items *items, PyObject *container, Py_ssize_t size, Py_ssize_t left)
{
    Py_ssize_t most = (left > 0 ? left : 0) / 2 + 2;
    items->all = items->few;
    items->count = items->place = items->shown = 0;
    items->room = FEW;
    items->most = size < most ? size : most;
    items->container = container;
    items->width = PyDict_CheckExact(container) ? 2 : 1;
    return PyAnySet_CheckExact(container) ? take_set(items) : 0;
}

/* Take the first keys and values of a mapping that is no plain dict. */
int
trace_items_of_mapping(Items *items, PyObject *mapping, Py_ssize_t left)
{
    PyObject *view = PyMapping_Items(mapping);
    if (view == NULL) {
        return -1;
    }
    int result = trace_items_start(items, view, PyList_GET_SIZE(view), left);
    if (result == 0) {
        result = items_room(items, 2 * items->most);
    }
    for (Py_ssize_t i = 0; result == 0 && i < items->most; i++) {
        PyObject *pair = PyList_GET_ITEM(view, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "a mapping has items that are no pairs");
            trace_items_free(items);
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

/* Take all items of what the walk is in: what comes next may run code of the program. */
int
trace_complete_items(Walk *walk)
{
    walk->ran_code = true;
    for (int i = 0; i < walk->depth; i++) {
        if (walk->items[i] != NULL && trace_items_take(walk->items[i], PY_SSIZE_T_MAX / 4) < 0) {
            return -1;
        }
    }
    return 0;
}
