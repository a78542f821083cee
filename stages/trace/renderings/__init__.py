"""Renderings of structured traces; CWM's own grammar is `model.trace`.

::

    tree.py              calls, their lines, and the calls that each line made
    structure.py         what the source says: functions, loops, conditions
    outline.py           what is told, in order, and what is left out because it repeats itself
    annotated.py         source with what each line did beside it
    prose.py phrases.py  the same in words, which end with the output
    debugger.py          sessions of the neural debugger; debugger_check.py reads them back
    listing.py           one row per frame, for a terminal
"""
