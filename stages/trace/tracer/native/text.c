#include "text.h"

/* Find room for more characters at the current width. */
static int
reserve(Text *text, Py_ssize_t more)
{
    size_t width = text->wide ? sizeof(Py_UCS4) : 1;
    if (more > PY_SSIZE_T_MAX / 8 - text->length) {
        PyErr_NoMemory();
        return -1;
    }
    size_t needed = (size_t)(text->length + more) * width;
    if (needed <= text->size) {
        return 0;
    }
    size_t size = needed + needed / 2 + 256;
    void *data = PyMem_Realloc(text->data, size);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    text->data = data;
    text->size = size;
    return 0;
}

static int
widen(Text *text)
{
    size_t size = ((size_t)text->length + 256) * sizeof(Py_UCS4);
    Py_UCS4 *data = PyMem_Malloc(size);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    const unsigned char *from = text->data;
    for (Py_ssize_t i = 0; i < text->length; i++) {
        data[i] = from[i];
    }
    PyMem_Free(text->data);
    text->data = data;
    text->size = size;
    text->wide = true;
    return 0;
}

static inline Py_UCS4
character(const Text *text, Py_ssize_t place)
{
    return text->wide ? ((Py_UCS4 *)text->data)[place] : ((unsigned char *)text->data)[place];
}

static inline void
put(Text *text, Py_ssize_t place, Py_UCS4 character)
{
    if (text->wide) {
        ((Py_UCS4 *)text->data)[place] = character;
    }
    else {
        ((unsigned char *)text->data)[place] = (unsigned char)character;
    }
}

int
trace_text_append(Text *text, const char *characters, Py_ssize_t length)
{
    if (reserve(text, length) < 0) {
        return -1;
    }
    if (!text->wide) {
        memcpy((char *)text->data + text->length, characters, (size_t)length);
    }
    else {
        for (Py_ssize_t i = 0; i < length; i++) {
            put(text, text->length + i, (unsigned char)characters[i]);
        }
    }
    text->length += length;
    return 0;
}

int
trace_text_str(Text *text, PyObject *str)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(str);
    if (PyUnicode_IS_ASCII(str)) {
        return trace_text_ascii(text, (const char *)PyUnicode_1BYTE_DATA(str), length);
    }
    if ((!text->wide && widen(text) < 0) || reserve(text, length) < 0) {
        return -1;
    }
    int kind = PyUnicode_KIND(str);
    const void *data = PyUnicode_DATA(str);
    for (Py_ssize_t i = 0; i < length; i++) {
        put(text, text->length + i, PyUnicode_READ(kind, data, i));
    }
    text->length += length;
    return 0;
}

int
trace_text_cut(Text *text, Py_ssize_t start, Py_ssize_t budget)
{
    if (text->length - start <= budget) {
        return 0;
    }
    trace_text_shorten(text, start + (budget > 3 ? budget - 3 : 0));
    return TEXT_LITERAL(text, "...");
}

static bool
is_hexadecimal(Py_UCS4 c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
starts_with(const Text *text, Py_ssize_t place, const char *ascii)
{
    for (; *ascii != '\0'; ascii++, place++) {
        if (place >= text->length || character(text, place) != (unsigned char)*ascii) {
            return false;
        }
    }
    return true;
}

void
trace_text_drop_addresses(Text *text, Py_ssize_t start)
{
    Py_ssize_t to = start;
    for (Py_ssize_t from = start; from < text->length;) {
        if (character(text, from) == ' ' && starts_with(text, from, " at 0x")) {
            Py_ssize_t end = from + 6;
            while (end < text->length && is_hexadecimal(character(text, end))) {
                end++;
            }
            if (end > from + 6) {
                from = end;
                continue;
            }
        }
        put(text, to++, character(text, from++));
    }
    trace_text_shorten(text, to);
}

bool
trace_text_has_digits(const Text *text, Py_ssize_t start, int count)
{
    int row = 0;
    for (Py_ssize_t place = start; place < text->length; place++) {
        row = is_hexadecimal(character(text, place)) ? row + 1 : 0;
        if (row >= count) {
            return true;
        }
    }
    return false;
}

bool
trace_text_has(const Text *text, Py_ssize_t start, const char *ascii)
{
    for (Py_ssize_t place = start; place < text->length; place++) {
        if (character(text, place) == (unsigned char)*ascii && starts_with(text, place, ascii)) {
            return true;
        }
    }
    return false;
}

void
trace_text_shorten(Text *text, Py_ssize_t length)
{
    text->length = length;
    if (length == 0) {
        text->wide = false;
    }
}

void
trace_text_free(Text *text)
{
    PyMem_Free(text->data);
    *text = (Text){0};
}

PyObject *
trace_text_object(const Text *text, Py_ssize_t start)
{
    Py_ssize_t length = text->length - start;
    if (text->wide) {
        return PyUnicode_FromKindAndData(
            PyUnicode_4BYTE_KIND, (Py_UCS4 *)text->data + start, length);
    }
    PyObject *str = PyUnicode_New(length, 127);
    if (str != NULL && length > 0) {
        memcpy(PyUnicode_1BYTE_DATA(str), (char *)text->data + start, (size_t)length);
    }
    return str;
}

int
trace_text_is(const Text *text, PyObject *str)
{
    if (PyUnicode_GET_LENGTH(str) != text->length) {
        return 0;
    }
    if (!text->wide) {
        return PyUnicode_IS_ASCII(str)
               && memcmp(PyUnicode_1BYTE_DATA(str), text->data, (size_t)text->length) == 0;
    }
    int kind = PyUnicode_KIND(str);
    const void *data = PyUnicode_DATA(str);
    for (Py_ssize_t i = 0; i < text->length; i++) {
        if (PyUnicode_READ(kind, data, i) != character(text, i)) {
            return 0;
        }
    }
    return 1;
}
