"""Values to try, by kind, and what a parameter's name, text or use says about its kind."""

from __future__ import annotations

import re

from stages.trace.inputs.drivers import IMPORTS

VALUES: dict[str, tuple[str, ...]] = {
    "integer": ("3", "0", "12", "1", "-2", "7", "100", "5"),
    "float": ("2.5", "0.5", "1.0", "-1.5", "100.0"),
    "boolean": ("True", "False"),
    "string": ("'hello world'", "'abc'", "'12'", "'a-b_c'", "''", "'Title Case'", "'x'", "'a=1'"),
    "text": (
        "'one two\\nthree\\n\\nfour five six\\n'",
        "'a,b,c\\n1,2,3\\n'",
        "'# title\\nkey: value\\n'",
        "'def f(x):\\n    return x + 1\\n'",
    ),
    "code": ("'x = 1\\nprint(x)\\n'", "'def f(a, b=2):\\n    return a\\n'", "'1 + 2'"),
    "bytes": ("b'hello world'", "b'\\x00\\x01\\x02\\xff'", "b'a\\r\\nb'", "b''"),
    "numbers": ("[3, 1, 2]", "[1, 2, 2, 5, 9]", "[0.5, 1.5, 4.0]", "[7]", "[]"),
    "strings": ("['b', 'a', 'c']", "['one', 'two', 'one']", "['-v', 'name']", "[]"),
    "pairs": ("[(1, 2), (3, 4)]", "[('a', 1), ('b', 2)]", "[(0, 1), (1, 2), (2, 0)]"),
    "matrix": ("[[1, 2], [3, 4]]", "[[2.0, 0.0], [1.0, 3.0]]", "[[1, 2, 3], [4, 5, 6]]"),
    "tuple": ("(1, 2, 3)", "(2, 3)", "('a', 'b')", "(1, 2, 3, 4)", "()"),
    "dictionary": (
        "{'a': 1, 'b': 2}",
        "{'name': 'x', 'value': 'y'}",
        "{1: [2, 3], 2: [3], 3: []}",
        "{'a': {'b': 1}}",
        "{}",
    ),
    "set": ("{1, 2, 3}", "{'a', 'b'}", "{5}"),
    "path": ("'a/b/c.txt'", "'/tmp/name.tar.gz'", "'.'", "'/usr/lib/../lib'", "'name.py'"),
    "url": (
        "'http://user@host.org:80/a/b?c=1&d=2#e'",
        "'https://example.org/'",
        "'mailto:a@b.c'",
    ),
    "date": ("'2024-02-29T12:30:00'", "'2023-01-31'", "'Mon, 20 Nov 1995 19:12:08 -0500'"),
    "pattern": ("'a+b*'", "'*.py'", "'[a-c]x?'", "'(\\\\d+)-(\\\\w+)'"),
    "format": ("'%s'", "'{}'", "'%Y-%m-%d'"),
    "encoding": ("'utf-8'", "'latin-1'", "'ascii'"),
    "version": ("'1.2.3'", "'2.0rc1'", "'1!1.0.post2+local'"),
    "none": ("None",),
    "callable": (
        "lambda *values: values[0]",
        "str",
        "lambda x: x > 1",
        "lambda x, y: x + y",
        "len",
        "lambda *values: None",
        "lambda *values: False",
    ),
    "type": ("int", "list", "dict", "ValueError"),
    "iterator": ("iter([1, 2, 3, 4])", "iter('abcd')", "zip('ab', [1, 2])"),
    "range": ("range(5)", "range(2, 10, 3)"),
    "complex": ("1 + 2j",),
    "exception": ("ValueError('bad value')", "KeyError('name')"),
    "file": (
        "io.StringIO('a b\\nc d\\n')",
        "io.BytesIO(b'a b\\nc d\\n')",
        "io.StringIO('[section]\\nkey = 1\\n')",
    ),
    "object": ("types.SimpleNamespace(name='x', value=1, a=2)", "object()"),
    "module": ("math", "types"),
    "regex": ("re.compile('a+')", "re.compile(r'\\w+')"),
    "datetime": ("datetime.datetime(2024, 2, 29, 12, 30)", "datetime.date(2023, 1, 31)"),
    "duration": ("datetime.timedelta(days=1, seconds=30)",),
    "fraction": ("fractions.Fraction(3, 4)", "decimal.Decimal('1.25')"),
    "purepath": ("pathlib.PurePosixPath('a/b.txt')", "pathlib.Path('.')"),
    "tree": ("ast.parse('x = f(1) + 2')", "ast.parse('a.b[1]', mode='eval').body"),
    "graph": (
        "networkx.path_graph(4)",
        "networkx.complete_graph(4)",
        "networkx.DiGraph([(0, 1), (1, 2), (0, 2)])",
        "networkx.complete_bipartite_graph(2, 3)",
        "networkx.Graph([(0, 1), (1, 2), (2, 0), (2, 3)])",
        "networkx.Graph([(0, 1, {'weight': 2}), (1, 2, {'weight': 1})])",
    ),
    "array": ("numpy.array([1.0, 2.0, 3.0])", "numpy.eye(2)", "numpy.arange(6).reshape(2, 3)"),
    "symbol": ("sympy.Symbol('x')", "sympy.Symbol('y')"),
    "expression": (
        "sympy.Symbol('x')**2 - 1",
        "sympy.sin(sympy.Symbol('x'))",
        "sympy.Integer(12)",
        "(sympy.Symbol('x') + 1)*(sympy.Symbol('x') - 2)",
    ),
    "polynomial": ("sympy.Poly(sympy.Symbol('x')**2 - 1)", "[1, 0, -1]"),
    "symbolic matrix": ("sympy.Matrix([[1, 2], [3, 4]])",),
}
"""Python source by kind, the most ordinary first."""

LIBRARIES = {
    "graph": "networkx", "array": "numpy", "symbol": "sympy", "expression": "sympy",
    "polynomial": "sympy", "symbolic matrix": "sympy",
}  # fmt: skip
"""Kinds that are there for modules of these distributions, or that import them."""

STANDARD = tuple(each for each in IMPORTS if each not in LIBRARIES.values())
"""Modules that values may name anywhere."""

ORDER = (
    "string", "integer", "numbers", "dictionary", "strings", "callable", "tuple", "pairs",
    "object", "bytes", "file", "float", "set", "iterator", "text", "matrix", "type",
    "path", "exception", "datetime", "tree", "none", "regex", "module", "boolean",
    "purepath",
)  # fmt: skip
"""Kinds for a parameter of which nothing is known, the likeliest first."""

_NAMES = (
    (r"n|k|m|i|j|r|d|num|number|count|size|length|width|height|depth|level|limit|index|idx|pos(ition)?"
     r"|offset|start|stop|end|step|maxsplit|times|degree|order|precision|digits|year|month|day|hour"
     r"|minute|port|code|level|axis|base|bits|seed|window_size|chunk(_?size)?|mode|flags?|lineno"
     r"|max\w*|min\w*|n_\w+|num_\w+|\w+_(size|count|len(gth)?|index|width|level|num)", "integer"),
    (r"x|y|z|a|b|c|value|val|v|t|p|q|alpha|beta|gamma|theta|ratio|scale|rate|weight|tol\w*|eps\w*"
     r"|prob\w*|fraction|seconds|timeout|delay|mu|sigma|mean|variance|stddev|std|temperature",
     "integer float"),
    (r"s|str\d?|string|text|txt|msg|message|title|label|word|name|key|sub|sep\w*|delim\w*|prefix"
     r"|suffix|char|ch|token|value|line|content|title|description|arg|option|command|cmd|line"
     r"|tag|attr\w*|fieldname|symbol|identifier|\w*_?name|\w+_(str(ing)?|text|key)|term|query|s\d"
     r"|kind|method|header|word|phrase", "string"),
    (r"text|txt|doc\w*|source|src|body|lines?|contents?|markup|html|xml|csv|json|s|input|template"
     r"|markdown|block|paragraph", "text"),
    (r"code|source|src|program|script|stmt|expr\w*", "code tree"),
    (r"data|buf\w*|b|bytes?|raw|payload|octets?|chunk|byte_string|bytestring|digest", "bytes"),
    (r"seq\w*|l|lst|list\w*|items?|values?|elements?|iterable\w*|it|data|array|arr|xs|ys|nums|numbers"
     r"|args|population|samples?|coll(ection)?|sequence\d?|points?|vec(tor)?|weights|\w+_list|iter"
     r"|heap|a|x|y|s1|s2|first|second|left|right|dataset|partition|objs?|counts|shape|sizes|indices"
     r"|nodes|nbunch|sources|targets|coeffs|f|g", "numbers"),
    (r"words|names|keys|lines|args|argv|strings|tokens|fields|columns|headers|parts|paths|labels"
     r"|\w+_names|choices|options|tags|files|filenames|urls|patterns|extensions", "strings"),
    (r"pairs|edges|ebunch\w*|items|points|intervals|ranges|headers|tuples|edge_list|edgelist|kvs",
     "pairs"),
    (r"matrix|mat|m|grid|table|rows?|board|arr|array|A|B|M|K|iterables|lists|sequences|xss|a|seqs|vecs"
     , "matrix"),
    (r"tuple|t|shape|pair|edge|dims|bounds|interval|point|size|coord\w*|version_info", "tuple"),
    (r"d\d?|dict\w*|mapping|map|env\w*|kw\w*|kwargs|opts|options|config|conf|cfg|params|headers|attrs"
     r"|attributes|properties|props|data|obj|graph|ns|namespace|locals|globals|context|meta\w*|info"
     r"|fields|record|tree|schema|spec|settings|state|cache|counts|factory|adj\w*|vars|mapping",
     "dictionary"),
    (r"set\d?|s|nodes|nbunch|S|T|cut|community|visited|exclude|seen|excluded|allowed|ignore\w*",
     "set"),
    (r"path\w*|file|filename|fname|fn|fp|dir\w*|folder|root|src|dst|dest\w*|pathname|filepath|p|head"
     r"|\w+_(path|file|dir)|top|location|basename|file_path|cwd|target", "path"),
    (r"ur[li]\w*|link|href|base|address|host|netloc|uri|endpoint", "url"),
    (r"date\w*|time\w*|timestamp|when|day|dt|data", "date datetime"),
    (r"pat\w*|regex\w*|re|glob|pattern|wildcard|expr\w*", "pattern regex"),
    (r"fmt|format\w*|template|spec|tmpl", "format"),
    (r"encoding|enc|charset|codec|errors", "encoding"),
    (r"version\w*|ver|spec\w*|requirement|release", "version"),
    (r"fun\w*|f|fn|func\w*|callback|cb|predicate|pred|key\w*|cmp|transform|callable|handler|factory"
     r"|op\w*|g|h|proc|hook|test|method|target|visitor|decorator|\w+_(func|function|fn|hook|cb|key)"
     r"|mapper|reducer|criterion|getter|default_factory|user_function|wrapped|on_\w+|call\w*",
     "callable"),
    (r"cls|type\w*|klass|class_?|exc_?type|tp|typ|\w+_(type|class|cls)|dtype|exceptions?", "type"),
    (r"it\w*|iter\w*|gen\w*|stream|source", "iterator"),
    (r"exc\w*|e|err\w*|exception|error|ex", "exception"),
    (r"file\w*|fp|f|fd|stream|out\w*|inp\w*|fileobj|reader|writer|buffer|handle|rfile|io|fin|fout"
     r"|input\w*|sink|source|infile|outfile", "file"),
    (r"o|ob|obj\w*|object|instance|inst|self|node|elem\w*|item|thing|ctx|context|args|namespace|event"
     r"|parser|req(uest)?|res\w*|response|parent|root|module|record", "object"),
    (r"mod\w*|module", "module"),
    (r"node|tree|root|module|stmt|expr\w*|ast", "tree"),
    (r"delta|duration|td|timedelta|interval", "duration"),
    (r"G|H|g\d?|graph\w*|dg|G\d|D|T|DG|net\w*|B|nx_graph|digraph", "graph"),
    (r"arr\w*|a\d?|m\d?|x|y|X|Y|v|w|z|mat\w*|vec\w*|A|B|data|weights|values|dist\w*", "array"),
    (r"x|y|z|s|t|sym\w*|var\w*|gens?|symbol|wrt|variable", "symbol"),
    (r"e|f|g|h|expr\w*|eq\w*|rhs|lhs|ex|func|p|q|arg|term|a|b", "expression"),
    (r"f|g|p|q|poly\w*", "polynomial"),
    (r"M|A|mat\w*|m", "symbolic matrix"),
    (r"is_\w+|has_\w+|verbose|strict|recursive|reverse|\w*flag|inclusive|use_\w+|allow_\w+|force"
     r"|directed|weighted|quiet|keep\w*", "boolean"),
)  # fmt: skip
NAME_HINTS = tuple((re.compile(pattern), kinds.split()) for pattern, kinds in _NAMES)
"""What the whole of a parameter's name says."""

WORD_HINTS = {
    "int": "integer", "integer": "integer", "float": "float", "number": "integer",
    "real": "float", "bool": "boolean", "boolean": "boolean", "str": "string",
    "string": "string", "text": "text", "bytes": "bytes", "bytearray": "bytes", "buffer": "bytes",
    "list": "numbers", "sequence": "numbers", "iterable": "numbers", "collection": "numbers",
    "container": "numbers", "iterator": "iterator", "generator": "iterator", "tuple": "tuple",
    "dict": "dictionary", "dictionary": "dictionary", "mapping": "dictionary",
    "mutablemapping": "dictionary", "set": "set", "frozenset": "set", "path": "path",
    "pathlike": "path", "filename": "path", "url": "url", "pattern": "pattern",
    "function": "callable", "callable": "callable", "type": "type", "class": "type",
    "exception": "exception", "file": "file", "stream": "file", "textio": "file",
    "object": "object", "module": "module", "graph": "graph", "digraph": "graph",
    "ndarray": "array", "array": "array", "matrix": "matrix", "expr": "expression",
    "expression": "expression", "symbol": "symbol", "poly": "polynomial", "none": "none",
    "datetime": "datetime", "date": "datetime", "timedelta": "duration", "fraction": "fraction",
    "decimal": "fraction", "complex": "complex", "range": "range", "purepath": "purepath",
    "ast": "tree", "node": "tree", "edges": "pairs", "pairs": "pairs",
}  # fmt: skip
"""What words of an annotation, a docstring or an error message say."""

CALL_HINTS = {
    "len": "numbers string", "sum": "numbers", "sorted": "numbers", "min": "numbers",
    "max": "numbers", "iter": "numbers", "list": "numbers", "tuple": "numbers", "set": "numbers",
    "enumerate": "numbers", "zip": "numbers", "reversed": "numbers", "map": "numbers",
    "filter": "numbers", "next": "iterator", "int": "integer string", "float": "float integer",
    "abs": "integer float", "range": "integer", "divmod": "integer", "round": "float",
    "chr": "integer", "ord": "string", "dict": "dictionary", "open": "path", "str": "integer",
    "fspath": "path", "Path": "path", "exists": "path", "isdir": "path", "isfile": "path",
    "sqrt": "float", "log": "float", "callable": "callable", "issubclass": "type",
    "compile": "pattern code", "match": "string", "search": "string", "iskeyword": "string",
    "sympify": "expression", "asarray": "array", "array": "array", "as_int": "integer",
    "StringIO": "text", "BytesIO": "bytes", "getattr": "object", "unquote": "url",
    "urlparse": "url", "urlsplit": "url", "signature": "callable", "walk": "tree",
    "index": "integer", "join": "strings",
}  # fmt: skip
"""What a function says about the parameter that it is given."""
