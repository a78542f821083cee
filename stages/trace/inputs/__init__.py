"""Where inputs come from: the calls that a function is traced with.

doctests.py     the examples of its docstring
unittests.py    the tests that its distribution ships
mains.py        its module, run as a program
harvest.py      literal arguments of calls anywhere in the corpus
llm.py          what a language model proposes (llm_settings.py, endpoint.py, answer_cache.py)
mutate.py       new literal arguments from old ones
fuzz.py         guesses, for what is still uncovered (fuzz_values.py)

methods.py      what is done for one function, in this order
observed.py     calls of a module's functions by other code
calls.py        one call of a function, traced
drivers.py      the ``main`` that uses up a generator, coroutine or context manager
pure.py         functions that C has taken the place of
forks.py        where all of this happens
"""

METHODS = ("doctest", "unittest", "main", "harvest", "llm", "mutation", "fuzz")
"""In the order in which they run; of equal calls the first counts."""
