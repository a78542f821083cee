"""The wordings of `stages.trace.renderings.prose`: of every kind several, chosen by chance."""

STYLES: tuple[str, ...] = ("{n}. {text}\n", "- {text}\n", "{text}\n", "{text} ")
"""How sentences follow one another."""

PHRASES: dict[str, tuple[str, ...]] = {
    # calls
    "enter": (
        "{name} is called{arguments}.",
        "we enter {name}{arguments}.",
        "the call of {name} begins{arguments}.",
        "now {name} runs{arguments}.",
    ),
    "with arguments": (" with {values}", ", where {values}", " for {values}"),
    "given": (" with {values}", " for {values}"),
    "module": ("the file runs from its top.", "we start at the first line of the file."),
    "class body": ("the body of the class {name} runs.", "now the class {name} is made."),
    "resumed": (
        "{name} goes on where it had stopped.",
        "the generator {name} continues.",
        "now {name} is resumed.",
    ),
    "fold": (
        "{name}{arguments} {result}.",
        "here {name}{arguments} {result}.",
        "this time {name}{arguments} {result}.",
    ),
    "calls": (
        "Next is {source}, which calls {names}.",
        "To run {source} we call {names}.",
        "Then {source} calls {names}.",
    ),
    "back": (
        "Back at {source}, {what}.",
        "With that, {source}: {what}.",
        "So {source} can be finished: {what}.",
    ),
    "left": (
        "the exception {value} leaves {name}.",
        "{name} does not handle it: {value} goes to whoever called.",
        "with {value} unhandled, {name} ends.",
    ),
    "not ended": ("does not come to an end here", "is still running"),
    "cut": (
        "It goes on, and how it ends is not known.",
        "There is more, but we stop here without knowing the end.",
    ),
    # lines
    "does": ("{source}: {what}.", "With {source}, {what}.", "Then {source}: {what}."),
    "nothing": (
        "{source} changes no variable.",
        "{source} runs; all variables stay as they are.",
        "We pass {source}, which leaves the variables alone.",
    ),
    "and": (", and ", "; ", ", then "),
    "new": ("now {values}", "we have {values}", "this gives {values}"),
    "changed": (
        "{name} goes from {old} to {new}",
        "{name} was {old} and becomes {new}",
        "{name} changes to {new} (it was {old})",
    ),
    "gone": ("{name} no longer exists", "{name} is removed"),
    "is raised": ("{value} is raised", "we get {value}", "it fails with {value}"),
    "is returned": ("{value} is returned", "the result is {value}", "we return {value}"),
    "is yielded": ("{value} is yielded", "we hand out {value} and wait"),
    "raised": ("raises {value}", "fails with {value}"),
    "returned": ("returns {value}", "gives back {value}"),
    # conditions
    "with": ("with {values}, ", "as {values}, ", "since {values}, "),
    "if holds": ("{source} holds", "the condition in {source} is true", "{source} is taken"),
    "if fails": (
        "{source} does not hold",
        "the condition in {source} is false",
        "{source} is skipped",
    ),
    "while holds": ("{source} holds", "the condition in {source} is true"),
    "case holds": ("{source} matches", "the pattern in {source} fits"),
    "case fails": ("{source} does not match", "the pattern in {source} does not fit"),
    "except holds": ("{source} handles it", "{source} catches the exception"),
    "except fails": ("{source} does not apply", "{source} lets the exception pass"),
    # loops
    "pass": (
        "Pass {number} of the loop begins.",
        "The loop starts pass {number}.",
        "This is pass {number}.",
    ),
    "loop ends": (
        "{source} is done after {times}",
        "the loop {source} ends after {times}",
        "after {times} {source} stops",
    ),
    "passes": (
        "Passes {first} to {last} run only lines that we have seen{news}.",
        "The next {count} passes bring nothing new{news}.",
        "So it continues through pass {last}{news}.",
    ),
    "some passes": (
        "{count} more passes run only lines that we have seen{news}.",
        "The next {count} passes bring nothing new{news}.",
    ),
    "more calls": ("{count} more calls follow.", "There are {count} further calls."),
    "lines": ("The same line runs {count} more times{news}.", "This repeats {count} times{news}."),
    "leads to": (", until {values}", ", which leads to {values}", " and brings us to {values}"),
}
