/* Values of types whose instances never change, as text. */

#include "walk.h"

enum { BIG_INT_BITS = 14000 };

bool
trace_is_changeless(PyTypeObject *type)
{
    return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyBool_Type
           || type == Py_TYPE(Py_None) || type == &PyFloat_Type || type == &PyBytes_Type
           || type == &PyRange_Type || type == &PyComplex_Type;
}

int
trace_text_owned(Text *text, PyObject *str)
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
    return trace_text_owned(text, PyObject_Format(value, NULL));
}

int
trace_text_attribute(Text *text, PyObject *value, PyObject *attribute)
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
        result = trace_text_owned(text, digits);
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
    int result = trace_text_owned(text, PyObject_Repr(first));
    Py_DECREF(first);
    return result;
}

static int
append_bytes(Text *text, PyObject *value, Py_ssize_t budget)
{
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    if (size <= budget + 1) {
        return trace_text_owned(text, PyObject_Repr(value));
    }
    PyObject *first = PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), budget + 1);
    if (first == NULL) {
        return -1;
    }
    int result = trace_text_owned(text, PyObject_Repr(first));
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
int
trace_text_atom(const RenderNames *names, Text *text, PyObject *value, Py_ssize_t budget)
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
    return trace_text_owned(text, PyObject_Repr(value));
}
