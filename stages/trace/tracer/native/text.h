/* A text that grows: ASCII bytes for as long as that is enough, then four bytes a character. */

#ifndef TRACE_TEXT_H
#define TRACE_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
    void *data;
    size_t size;       /* bytes of data */
    Py_ssize_t length; /* characters used */
    bool wide;         /* four bytes a character */
} Text;

/* Functions that return int give -1 with an exception set when memory runs out. */
int trace_text_append(Text *text, const char *characters, Py_ssize_t length);
int trace_text_str(Text *text, PyObject *str);

/* Make the characters from start on at most budget, the last three then an ellipsis. */
int trace_text_cut(Text *text, Py_ssize_t start, Py_ssize_t budget);

/* Take " at 0x…" out of the characters from start on. */
void trace_text_drop_addresses(Text *text, Py_ssize_t start);

/* Whether there are so many hexadecimal digits in a row. */
bool trace_text_has_digits(const Text *text, Py_ssize_t start, int count);

bool trace_text_has(const Text *text, Py_ssize_t start, const char *ascii);
void trace_text_shorten(Text *text, Py_ssize_t length);
void trace_text_free(Text *text);

/* A new str of the characters from start on. */
PyObject *trace_text_object(const Text *text, Py_ssize_t start);

/* 1 when the whole text is that str, else 0. */
int trace_text_is(const Text *text, PyObject *str);

/* Append ASCII characters. Nearly all text is made of short ones that fit. */
static inline int
trace_text_ascii(Text *text, const char *characters, Py_ssize_t length)
{
    if (text->wide || (size_t)(text->length + length) > text->size) {
        return trace_text_append(text, characters, length);
    }
    memcpy((char *)text->data + text->length, characters, (size_t)length);
    text->length += length;
    return 0;
}

#define TEXT_LITERAL(text, literal) \
    trace_text_ascii((text), "" literal, (Py_ssize_t)sizeof(literal) - 1)

#endif
