/* The engine as Python sees it, and the module. */

#include "tracer.h"

#include "sources.h"

/* -- the engine, as Python sees it ----------------------------------------------------------- */

static int
engine_traverse(Engine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->targets);
    Py_VISIT(self->begin);
    Py_VISIT(self->close);
    Py_VISIT(self->files);
    Py_VISIT(self->stopped);
    Py_VISIT(self->asked);
    Py_VISIT(self->steps);
    for (Py_ssize_t i = 0; i < self->open_count; i++) {
        Py_VISIT(self->open[i].frame);
    }
    return 0;
}

static int
engine_clear(Engine *self)
{
    Py_CLEAR(self->targets);
    Py_CLEAR(self->begin);
    Py_CLEAR(self->close);
    Py_CLEAR(self->files);
    Py_CLEAR(self->stopped);
    Py_CLEAR(self->asked);
    Py_CLEAR(self->steps);
    trace_clear(self);
    trace_known_clear(self);
    return 0;
}

static void
engine_dealloc(Engine *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    engine_clear(self);
    Py_CLEAR(self->leaving);
    Py_CLEAR(self->yielding);
    Py_CLEAR(self->ends_a_loop);
    Py_CLEAR(self->file);
    Py_CLEAR(self->raised);
    Py_CLEAR(self->yielded);
    trace_sources_free(self);
    PyMem_Free(self->open);
    PyMem_Free(self->made);
    PyMem_Free(self->texts);
    trace_text_free(&self->buffer);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
engine_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {
        "targets", "begin", "close", "files", "any_entry", "stopped", "leaving", "yielding",
        "ends_a_loop", "resume", "events", "bytes", "value_chars", "calls", "depth", "attributes",
        "go_on", NULL,
    };
    PyObject *targets, *begin, *close, *files, *stopped, *leaving, *yielding, *ends_a_loop;
    Py_ssize_t events, bytes, value_chars, calls, depth;
    int any_entry, resume, attributes, go_on;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "$O!OOOpOSSSinnnnnpp:Engine", names, &PyDict_Type, &targets, &begin,
            &close, &files, &any_entry, &stopped, &leaving, &yielding, &ends_a_loop, &resume,
            &events, &bytes, &value_chars, &calls, &depth, &attributes, &go_on)) {
        return NULL;
    }
    if (value_chars < 0) {
        PyErr_SetString(PyExc_ValueError, "value_chars: 0 or more");
        return NULL;
    }
    Engine *self = (Engine *)type->tp_alloc(type, 0); /* zeroed */
    if (self == NULL) {
        return NULL;
    }
    self->state = PyType_GetModuleState(type);
    self->asked = PyDict_New();
    if (self->asked == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->files = Py_NewRef(files);
    self->any_entry = any_entry;
    self->go_on = go_on;
    self->resume = resume;
    self->max_depth = depth;
    self->targets = Py_NewRef(targets);
    self->begin = Py_NewRef(begin);
    self->close = Py_NewRef(close);
    self->stopped = Py_NewRef(stopped);
    self->leaving = Py_NewRef(leaving);
    self->yielding = Py_NewRef(yielding);
    self->ends_a_loop = Py_NewRef(ends_a_loop);
    self->max_events = events;
    self->max_bytes = bytes;
    self->max_calls = calls;
    self->render = (RenderLimits){.chars = value_chars, .attributes = attributes};
    return (PyObject *)self;
}

static PyObject *
engine_start(PyObject *engine, PyObject *Py_UNUSED(ignored))
{
    ((Engine *)engine)->calls = 0;
    ((Engine *)engine)->tracing = true;
    PyEval_SetTrace(trace_on_event, engine);
    Py_RETURN_NONE;
}

static PyObject *
engine_stop(PyObject *engine, PyObject *Py_UNUSED(ignored))
{
    trace_untrace((Engine *)engine);
    if (trace_leave_waiting((Engine *)engine) < 0) {
        return NULL;
    }
    if (trace_close((Engine *)engine, "lost", NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
engine_name(PyObject *Py_UNUSED(engine), void *Py_UNUSED(closure))
{
    return PyUnicode_FromString("native");
}

static PyObject *
engine_hook(PyObject *engine, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Engine *)engine)->tracing ? engine : Py_None);
}

static PyMethodDef engine_methods[] = {
    {"start", engine_start, METH_NOARGS, "Trace this thread from here on."},
    {"stop", engine_stop, METH_NOARGS, "Trace no more; what is still open is lost."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_getset[] = {
    {"name", engine_name, NULL, "Which engine it is.", NULL},
    {"hook", engine_hook, NULL, "What sys.gettrace says while it traces.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "Follows one thread between start and stop; see stages.trace.tracer.engine."},
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_traverse, engine_traverse},
    {Py_tp_clear, engine_clear},
    {Py_tp_methods, engine_methods},
    {Py_tp_getset, engine_getset},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "stages.trace.tracer._native.Engine",
    .basicsize = sizeof(Engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = engine_slots,
};

/* -- the module ------------------------------------------------------------------------------ */

static PyObject *
module_render(PyObject *module, PyObject *args)
{
    PyObject *value;
    Py_ssize_t budget;
    int attributes = 1;
    if (!PyArg_ParseTuple(args, "On|p:render", &value, &budget, &attributes)) {
        return NULL;
    }
    RenderLimits limits = {.chars = budget > 0 ? budget : 0, .attributes = attributes};
    ModuleState *state = PyModule_GetState(module);
    Text text = {0};
    PyObject *str = NULL;
    if (trace_render(&state->names, &text, value, &limits) >= 0) {
        str = trace_text_object(&text, 0);
    }
    trace_text_free(&text);
    return str;
}

static PyMethodDef module_methods[] = {
    {"render", module_render, METH_VARARGS,
     "render(value, budget, attributes=True, /)\n--\n\nReturn what stages.trace.tracer.rendering.render returns."},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    const struct {
        PyObject **place;
        const char *name;
    } strings[] = {
        {&state->events[CALL], "call"},
        {&state->events[LINE], "line"},
        {&state->events[RETURN], "return"},
        {&state->events[EXCEPTION], "exception"},
        {&state->steps, "steps"},
        {&state->shown, "shown"},
        {&state->text, "text"},
        {&state->numbers, "numbers"},
        {&state->definitions, "definitions"},
        {&state->f_trace, "f_trace"},
        {&state->dunder_class, "__class__"},
        {&state->module, "<module>"},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(strings); i++) {
        *strings[i].place = PyUnicode_InternFromString(strings[i].name);
        if (*strings[i].place == NULL) {
            return -1;
        }
    }
    if (trace_render_names(&state->names) < 0
        || PyModule_AddStringConstant(module, "SOURCES", TRACE_SOURCES) < 0) {
        return -1;
    }
    state->scope_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &trace_scope_spec, NULL);
    if (state->scope_type == NULL) {
        return -1;
    }
    PyObject *engine = PyType_FromModuleAndSpec(module, &engine_spec, NULL);
    if (engine == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)engine);
    Py_DECREF(engine);
    return result;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ModuleState *state = PyModule_GetState(module);
    Py_VISIT(state->scope_type);
    return trace_render_visit(&state->names, visit, arg);
}

static int
module_clear(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    Py_CLEAR(state->scope_type);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(state->events); i++) {
        Py_CLEAR(state->events[i]);
    }
    Py_CLEAR(state->steps);
    Py_CLEAR(state->shown);
    Py_CLEAR(state->text);
    Py_CLEAR(state->numbers);
    Py_CLEAR(state->definitions);
    Py_CLEAR(state->f_trace);
    Py_CLEAR(state->dunder_class);
    Py_CLEAR(state->module);
    trace_render_clear(&state->names);
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stages.trace.tracer._native",
    .m_doc = "The tracing engine in C.",
    .m_size = sizeof(ModuleState),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&module_def);
}
