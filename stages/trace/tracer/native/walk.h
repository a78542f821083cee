/* A walk over a nested value: what render.c, items.c, objects.c and atoms.c share. */

#ifndef TRACE_WALK_H
#define TRACE_WALK_H

#include "render.h"

enum {
    DEPTH = 6,
    MANY_ITEMS = 1000,
    FEW = 64, /* items that are held on the stack */
};

/* Items as they were before any of them was rendered: a repr may change the container. They are
   taken a few at a time, for most are never shown, and all before code of the program runs. */
typedef struct {
    PyObject *few[FEW];
    PyObject **all;
    Py_ssize_t count, room, most;
    PyObject *container; /* borrowed: whoever shows it holds it */
    Py_ssize_t place;    /* in a dict */
    Py_ssize_t shown;    /* how many were rendered */
    int width;           /* 2 where keys and values come in turn */
} Items;

/* One walk over a nested value; left runs out, and then nothing more is looked at. */
typedef struct {
    RenderNames *names;
    Text *text;
    Py_ssize_t left;
    bool attributes;       /* whether plain objects show theirs */
    PyObject *open[DEPTH]; /* the containers that the walk is in; only compared */
    Items *items[DEPTH];   /* and their items; NULL for those that have none */
    Py_ssize_t looked_at;  /* how many items of the outermost container were */
    bool ran_code;         /* whether code of the program may have run */
    int depth;
} Walk;

/* Append str, which is let go of; -1 when it is NULL. */
int trace_text_owned(Text *text, PyObject *str);

/* Append what format() makes of an attribute. */
int trace_text_attribute(Text *text, PyObject *value, PyObject *attribute);

/* Append an instance of exactly a changeless type, whose repr runs no code of the program. */
int trace_text_atom(const RenderNames *names, Text *text, PyObject *value, Py_ssize_t budget);

static inline int
trace_text_c(Text *text, const char *ascii)
{
    return trace_text_ascii(text, ascii, (Py_ssize_t)strlen(ascii));
}

int trace_walk(Walk *walk, PyObject *value);
int trace_walk_other(Walk *walk, PyObject *value);

/* Whether a container is none of those that the walk is in, nor too deep. */
bool trace_may_enter(const Walk *walk, const PyObject *value);

/* Prepare a container of built-in type of that size. Every further item takes two characters or
   more: more of them than that cannot be shown. */
int trace_items_start(Items *items, PyObject *container, Py_ssize_t size, Py_ssize_t left);

/* Take the first keys and values of a mapping that is no plain dict. */
int trace_items_of_mapping(Items *items, PyObject *mapping, Py_ssize_t left);

/* Take items until there are upto, or as many as may be shown. */
int trace_items_take(Items *items, Py_ssize_t upto);

void trace_items_free(Items *items);

/* Take all items of what the walk is in: what comes next may run code of the program. */
int trace_complete_items(Walk *walk);

#endif
