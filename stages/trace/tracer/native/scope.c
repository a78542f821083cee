/* Scopes, and what they show of the locals of a frame. */

#include "tracer.h"

/* -- scopes ---------------------------------------------------------------------------------- */

/* Find room for more elements in an array; -1 with an exception set when there is none. */
int
trace_array_room(void **array, Py_ssize_t *room, Py_ssize_t needed, size_t width)
{
    if (needed <= *room) {
        return 0;
    }
    Py_ssize_t wanted = needed + needed / 2 + 16;
    void *larger = PyMem_Realloc(*array, (size_t)wanted * width);
    if (larger == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *array = larger;
    *room = wanted;
    return 0;
}

static void
slot_forget(Slot *slot)
{
    slot->sequence = NULL;
    while (slot->count > 0) {
        Py_DECREF(slot->items[--slot->count]);
    }
}

/* Keep the first items of a sequence that was rendered, if its text depends on nothing else. */
static int
slot_remember(Slot *slot, PyObject *sequence, Py_ssize_t looked_at)
{
    slot_forget(slot);
    if (looked_at == 0 || looked_at > PySequence_Fast_GET_SIZE(sequence)) {
        return 0;
    }
    PyObject **items = PySequence_Fast_ITEMS(sequence);
    for (Py_ssize_t i = 0; i < looked_at; i++) {
        if (!trace_is_changeless(Py_TYPE(items[i]))) {
            return 0;
        }
    }
    if (trace_array_room((void **)&slot->items, &slot->room, looked_at, sizeof(PyObject *)) < 0) {
        return -1;
    }
    for (; slot->count < looked_at; slot->count++) {
        slot->items[slot->count] = Py_NewRef(items[slot->count]);
    }
    slot->sequence = Py_TYPE(sequence);
    slot->more = PySequence_Fast_GET_SIZE(sequence) > looked_at;
    return 0;
}

/* Whether a value is known, by what cannot change, to have the text that the slot has. */
static bool
slot_knows(const Slot *slot, PyObject *value)
{
    if (slot->value == value) {
        return true;
    }
    if (slot->sequence == NULL || slot->sequence != Py_TYPE(value)) {
        return false;
    }
    Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
    return size >= slot->count && (size > slot->count) == slot->more
           && memcmp(PySequence_Fast_ITEMS(value), slot->items,
                     (size_t)slot->count * sizeof(PyObject *)) == 0;
}

static void
scope_dealloc(Scope *scope)
{
    PyTypeObject *type = Py_TYPE(scope);
    for (Py_ssize_t i = 0; i < scope->count; i++) {
        slot_forget(&scope->slots[i]);
        PyMem_Free(scope->slots[i].items);
        Py_DECREF(scope->slots[i].name);
        Py_XDECREF(scope->slots[i].value);
        Py_DECREF(scope->slots[i].text);
    }
    PyMem_Free(scope->slots);
    PyObject_Free(scope);
    Py_DECREF(type);
}

static PyType_Slot scope_slots[] = {
    {Py_tp_dealloc, scope_dealloc},
    {0, NULL},
};

PyType_Spec trace_scope_spec = {
    .name = "stages.trace.tracer._native.Scope",
    .basicsize = sizeof(Scope),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = scope_slots,
};

Scope *
trace_scope_new(Engine *self, const Source *source, const PyCodeObject *code, bool is_entry)
{
    Scope *scope = PyObject_New(Scope, self->state->scope_type);
    if (scope == NULL) {
        return NULL;
    }
    scope->recording = self->recording;
    scope->source = source;
    scope->first = code->co_firstlineno;
    scope->flags = code->co_flags;
    scope->is_entry = is_entry;
    scope->depth = 0;
    scope->line = trace_at_line(source, source->numbers, scope->first);
    scope->raised_at = -1;
    scope->slots = NULL;
    scope->count = scope->room = 0;
    scope->locals = scope->shown = -1;
    scope->complete = false;
    return scope;
}

/* The slot of a name, at first at the place where the frame before had it; -1 when it has none. */
static Py_ssize_t
scope_find(const Scope *scope, PyObject *name, Py_ssize_t expected)
{
    if (expected < scope->count && scope->slots[expected].name == name) {
        return expected;
    }
    for (Py_ssize_t i = 0; i < scope->count; i++) {
        if (scope->slots[i].name == name) {
            return i;
        }
    }
    for (Py_ssize_t i = 0; i < scope->count; i++) { /* not interned: written by hand */
        if (PyUnicode_Compare(scope->slots[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static int
scope_add(Scope *scope, PyObject *name, PyObject *text)
{
    if (trace_array_room((void **)&scope->slots, &scope->room, scope->count + 1, sizeof(Slot)) < 0) {
        return -1;
    }
    scope->slots[scope->count++] = (Slot){.name = Py_NewRef(name), .text = Py_NewRef(text)};
    return 0;
}

/* -- the locals of a frame ------------------------------------------------------------------- */

/* Names and values in turn, all owned. */
typedef struct {
    PyObject *few[64];
    PyObject **all;
    Py_ssize_t count;
} Variables;

static int
variables_room(Variables *variables, Py_ssize_t most)
{
    variables->count = 0;
    variables->all = variables->few;
    if (most > (Py_ssize_t)Py_ARRAY_LENGTH(variables->few)) {
        variables->all = PyMem_New(PyObject *, most);
        if (variables->all == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

static void
variables_free(Variables *variables)
{
    for (Py_ssize_t i = 0; i < variables->count; i++) {
        Py_DECREF(variables->all[i]);
    }
    if (variables->all != variables->few) {
        PyMem_Free(variables->all);
    }
}

static int
is_hidden(ModuleState *state, PyObject *name, bool in_class)
{
    if (!PyUnicode_CheckExact(name)) {
        return 1; /* a class body may write such into its namespace */
    }
    if (PyUnicode_GET_LENGTH(name) == 0) {
        return 0;
    }
    Py_UCS4 start = PyUnicode_READ_CHAR(name, 0);
    if (start != '_' || PyUnicode_GET_LENGTH(name) < 2 || PyUnicode_READ_CHAR(name, 1) != '_') {
        return start == '@'; /* what pytest makes of an assert */
    }
    return in_class || PyUnicode_Compare(name, state->dunder_class) == 0;
}

static int
variables_of_dict(ModuleState *state, Variables *variables, PyObject *dict, bool in_class)
{
    if (variables_room(variables, 2 * PyDict_GET_SIZE(dict)) < 0) {
        return -1;
    }
    PyObject *name, *value;
    for (Py_ssize_t place = 0; PyDict_Next(dict, &place, &name, &value);) {
        if (!is_hidden(state, name, in_class)) {
            variables->all[variables->count++] = Py_NewRef(name);
            variables->all[variables->count++] = Py_NewRef(value);
        }
    }
#if PY_VERSION_HEX < 0x030D0000
    /* The frame keeps this dict until it is asked again. What it holds would outlive its last name
       and be finalised at the next event, unseen. Where nobody else has the dict it lets go. */
    if (!in_class && Py_REFCNT(dict) == 2) {
        for (Py_ssize_t i = 0; i < variables->count; i += 2) {
            if (!trace_is_changeless(Py_TYPE(variables->all[i + 1]))
                && PyDict_SetItem(dict, variables->all[i], Py_None) < 0) {
                variables_free(variables);
                return -1;
            }
        }
    }
#endif
    return 0;
}

/* A name that is free and the variable of a comprehension too comes twice: that one hides it. */
static bool
is_taken(const Variables *variables, PyObject *name)
{
    for (Py_ssize_t i = 0; i < variables->count; i += 2) {
        if (variables->all[i] == name) {
            return true;
        }
    }
    return false;
}

static int
variables_of_mapping(ModuleState *state, Variables *variables, PyObject *mapping, bool in_class)
{
    PyObject *items = PyMapping_Items(mapping);
    if (items == NULL) {
        return -1;
    }
    if (variables_room(variables, 2 * PyList_GET_SIZE(items)) < 0) {
        Py_DECREF(items);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "a namespace has items that are no pairs");
            variables_free(variables);
            Py_DECREF(items);
            return -1;
        }
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        if (!is_hidden(state, name, in_class) && (in_class || !is_taken(variables, name))) {
            variables->all[variables->count++] = Py_NewRef(name);
            variables->all[variables->count++] = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
        }
    }
    Py_DECREF(items);
    return 0;
}

#if PY_VERSION_HEX >= 0x030D0000
/* Take the variables that the last frame showed, if they are all there are: 1, 0 or -1. The locals
   of a function are a proxy from 3.13 on, whose items are made anew each time. */
static int
variables_again(
    const Engine *self, Variables *variables, const Scope *scope, PyFrameObject *frame,
    PyObject *locals)
{
    if (!scope->complete || PyObject_Size(locals) != scope->shown) {
        return 0;
    }
    if (variables_room(variables, 2 * scope->shown) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < scope->shown; i++) {
        PyObject *name = self->texts[scope->locals + 2 * i];
        PyObject *value = PyFrame_GetVar(frame, name);
        if (value == NULL) { /* unbound since, and another is bound */
            PyErr_Clear();
            variables_free(variables);
            return 0;
        }
        variables->all[variables->count++] = Py_NewRef(name);
        variables->all[variables->count++] = value;
    }
    return 1;
}
#endif

static int
variables_take(Engine *self, Variables *variables, Scope *scope, PyFrameObject *frame)
{
    bool in_class = !(scope->flags & CO_OPTIMIZED);
    PyObject *locals = PyFrame_GetLocals(frame);
    if (locals == NULL) {
        return -1;
    }
#if PY_VERSION_HEX >= 0x030D0000
    int again = variables_again(self, variables, scope, frame, locals);
    if (again != 0) {
        Py_DECREF(locals);
        return again < 0 ? -1 : 0;
    }
#endif
    int result = PyDict_CheckExact(locals)
                 ? variables_of_dict(self->state, variables, locals, in_class)
                 : variables_of_mapping(self->state, variables, locals, in_class);
#if PY_VERSION_HEX >= 0x030D0000
    scope->complete = result == 0 && !in_class && PyObject_Size(locals) == variables->count / 2;
#endif
    Py_DECREF(locals);
    return result;
}

/* Before 3.13 the order of a frame's locals is that in which they were met by those who asked for
   them; the trampoline of sys.settrace asks at every event. */
int
trace_locals_meet(PyFrameObject *frame)
{
#if PY_VERSION_HEX < 0x030D0000
    PyObject *locals = PyFrame_GetLocals(frame);
    if (locals == NULL) {
        return -1;
    }
    Py_DECREF(locals);
#else
    (void)frame;
#endif
    return 0;
}

/* Bring a slot up to date with its variable's value; add to size what showing the change takes. */
static Py_ssize_t
slot_update(Engine *self, Scope *scope, PyObject *name, PyObject *value, Py_ssize_t expected,
            Py_ssize_t *size)
{
    Py_ssize_t place = scope_find(scope, name, expected);
    *size += PyUnicode_GET_LENGTH(name) + 6;
    if (place >= 0 && slot_knows(&scope->slots[place], value)) {
        *size += 2;
        return place;
    }
    Text *buffer = &self->buffer;
    trace_text_shorten(buffer, 0);
    Py_ssize_t looked_at = trace_render(&self->state->names, buffer, value, &self->render);
    if (looked_at < 0) {
        return -1;
    }
    if (place >= 0 && trace_text_is(buffer, scope->slots[place].text)) {
        *size += 2;
    }
    else {
        *size += buffer->length;
        PyObject *text = trace_text_object(buffer, 0);
        if (text == NULL) {
            return -1;
        }
        if (place >= 0) {
            Py_SETREF(scope->slots[place].text, text);
        }
        else {
            int result = scope_add(scope, name, text);
            Py_DECREF(text);
            if (result < 0) {
                return -1;
            }
            place = scope->count - 1;
        }
    }
    Slot *slot = &scope->slots[place];
    Py_XSETREF(slot->value, trace_is_changeless(Py_TYPE(value)) ? Py_NewRef(value) : NULL);
    return slot_remember(slot, value, looked_at) < 0 ? -1 : place;
}

/* Show the slots at these places: nothing is written if the frame before showed the same. */
static int
scope_show(Engine *self, Scope *scope, const Py_ssize_t *places, Py_ssize_t count)
{
    bool same = scope->shown == count;
    PyObject **before = same ? self->texts + scope->locals : NULL;
    for (Py_ssize_t i = 0; same && i < count; i++) {
        const Slot *slot = &scope->slots[places[i]];
        same = before[2 * i] == slot->name && before[2 * i + 1] == slot->text;
    }
    if (same) {
        return 0;
    }
    if (trace_array_room((void **)&self->texts, &self->text_room, self->text_count + 2 * count,
                   sizeof(PyObject *)) < 0) {
        return -1;
    }
    scope->locals = self->text_count;
    scope->shown = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        const Slot *slot = &scope->slots[places[i]];
        self->texts[self->text_count++] = Py_NewRef(slot->name);
        self->texts[self->text_count++] = Py_NewRef(slot->text);
    }
    return 0;
}

int
trace_snapshot(Engine *self, Scope *scope, PyFrameObject *frame, Py_ssize_t *size)
{
    Variables variables;
    if (variables_take(self, &variables, scope, frame) < 0) {
        return -1;
    }
    int result = -1;
    Py_ssize_t few[32], *places = few, count = variables.count / 2;
    if (count > (Py_ssize_t)Py_ARRAY_LENGTH(few)) {
        places = PyMem_New(Py_ssize_t, count);
        if (places == NULL) {
            PyErr_NoMemory();
            goto done;
        }
    }
    Py_ssize_t place = -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        place = slot_update(
            self, scope, variables.all[2 * i], variables.all[2 * i + 1], place + 1, size);
        if (place < 0) {
            goto done;
        }
        places[i] = place;
    }
    result = self->steps == NULL ? 0 : scope_show(self, scope, places, count);
done:
    if (places != few) {
        PyMem_Free(places);
    }
    variables_free(&variables);
    return result;
}
